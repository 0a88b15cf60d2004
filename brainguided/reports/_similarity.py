"""By what the candidates of a run were compared with its areas, in words."""

from __future__ import annotations

from typing import Any

from brainguided.guidance.similarities import SIMILARITIES


def find_methods(config: dict[str, Any]) -> dict[str, str]:
    """Return the name of the similarity of each area; settings name it unless it is Pearson's."""
    teacher = (config.get("task") or {}).get("teacher") or []
    return {str(one.get("area")): str(one.get("similarity", "pearson")) for one in teacher}


def label_similarity(config: dict[str, Any]) -> str:
    """Return what similarities are, as on axes: "RDM similarity (Pearson r)", or of each area."""
    methods = find_methods(config)
    labels = {area: _label(name) for area, name in methods.items()}
    if len(set(labels.values())) > 1:
        return "; ".join(f"{area}: {label}" for area, label in labels.items())
    return next(iter(labels.values()), _label("pearson"))


def _label(name: str) -> str:
    row = SIMILARITIES.get(name)
    if row is None:
        return f"similarity ({name})"
    return f"RDM similarity ({row.label})" if row.target == "rdm" else row.label
