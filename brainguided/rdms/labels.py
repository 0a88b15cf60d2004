"""Labels of the conditions of RDMs: two RDMs are compared only if their labels agree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from neural_data.errors import AlignmentError

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


def condition_labels(rdms: RDMs, *, name: str = "The RDMs") -> list[str]:
    """Return the labels of the conditions of `rdms`, in order.

    The label is the pattern descriptor named by ``descriptors["conditions"]``, else
    ``stimulus``, else the only descriptor besides rsatoolbox's ``index``.

    Raises
    ------
    AlignmentError
        If there is no such descriptor or its values repeat.
    """
    descriptors = {k: v for k, v in rdms.pattern_descriptors.items() if k != "index"}
    key = rdms.descriptors.get("conditions", "stimulus")
    if key not in descriptors and len(descriptors) == 1:
        key = next(iter(descriptors))
    if key not in descriptors:
        raise AlignmentError(
            f"{name} carry no labels of their conditions, only {sorted(descriptors)}. Add them "
            "with pattern_descriptors={'stimulus': [...]}: without labels a comparison could "
            "pair the wrong stimuli unseen."
        )
    labels = [str(v) for v in descriptors[key]]
    twice = repeated(labels)
    if twice:
        raise AlignmentError(
            f"{name} have repeated condition labels, e.g. {twice[:3]}; labels must be unique."
        )
    return labels


def check_alignment(first: list[str], second: list[str], *, names: tuple[str, str]) -> None:
    """Raise AlignmentError unless two lists of condition labels are identical."""
    if first == second:
        return
    where = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    seen = f"{names[0]} has {len(first)} stimuli and {names[1]} {len(second)}"
    if where is not None:
        seen += f"; they first differ at position {where} ({first[where]!r}, {second[where]!r})"
    if sorted(first) == sorted(second):
        advice = (
            "They are the same stimuli in another order: select with "
            "responses.sel(stimulus=...) first."
        )
    else:
        common = len(set(first) & set(second))
        advice = f"They have {common} stimuli in common: select those in both first."
    raise AlignmentError(f"{seen}. {advice}")


def repeated(labels: Iterable[str]) -> list[str]:
    """Return the labels that occur more than once, sorted."""
    seen: set[str] = set()
    return sorted({x for x in labels if x in seen or seen.add(x)})  # type: ignore[func-returns-value]
