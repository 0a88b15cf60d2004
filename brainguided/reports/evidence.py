"""What of the winner's similarity its controls explain, and what was held out, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brainguided.guidance.evidence import weigh_evidence
from brainguided.journal.attempts import Attempt
from brainguided.search._halving import Halving
from neural_data.storage.text_files import read_json


def describe_evidence(
    winner: Attempt | None, results: Sequence[Attempt], config: Mapping[str, Any]
) -> list[str]:
    """Return one sentence an area, where controls or shuffles were measured.

    Where a search stops candidates early, correlations are over those that it trains to the end
    whatever their reward. In merged runs these are not known by their numbers any more.
    """
    if winner is None or not winner.measurement.rungs:
        return []
    pool = [r for r in results if r.outcome == "done" and r.duplicate_of is None]
    among = "candidates"
    if (config.get("task") or {}).get("keep") is not None and "merged" not in config:
        pool = [r for r in pool if Halving.goes_on(r.candidate)]
        among = "candidates that were trained to the end whatever their reward"
    found = weigh_evidence(winner.measurement, [r.measurement for r in pool], among=among).values()
    return [one.sentence for one in found if one.winner.controls or one.winner.shuffles]


def tabulate_targets(winner: Attempt | None) -> list[list[str]]:
    """Return a row for each area and control: best layer, its similarity, and the committed one."""
    if winner is None or not winner.measurement.rungs:
        return []
    rung = winner.measurement.rungs[-1]
    if len(rung.similarity) == len(winner.measurement.areas):
        return []
    rows = []
    for target in sorted(rung.similarity, key=lambda name: name.partition(":")[::2]):
        layer, similarity = rung.best(target) or ("none", None)
        rows.append([target, layer, _say(similarity), _say(rung.committed.get(target))])
    return rows


def _say(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def describe_heldout(folder: Path) -> list[str]:
    """Return one sentence a held-out target, where the finalists were compared with them."""
    path = folder / "finalists" / "heldout.json"
    if not path.exists():
        return []
    found = read_json(path, "finalists", "winner")
    winner = found["finalists"][str(found["winner"])]
    said = []
    for name, value in winner.items():
        known = sorted(
            (one[name] for one in found["finalists"].values() if one.get(name) is not None),
            reverse=True,
        )
        if value is None:
            said.append(f"{name}: the winner has no similarity to it that is defined.")
            continue
        said.append(
            f"{name}, which no reward used: similarity of the winner of the finalists "
            f"{value:.3f}, number {known.index(value) + 1} of {len(known)} finalists."
        )
    return said
