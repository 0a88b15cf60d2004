"""What of the winner's similarity its controls explain, and what was held out, in sentences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from brainguided.guidance.evidence import weigh_evidence
from brainguided.journal.attempts import Attempt


def describe_evidence(winner: Attempt | None, results: Sequence[Attempt]) -> list[str]:
    """Return one sentence an area, where controls or shuffles were measured."""
    if winner is None or not winner.measurement.rungs:
        return []
    pool = [r.measurement for r in results if r.outcome == "done" and r.duplicate_of is None]
    found = weigh_evidence(winner.measurement, pool).values()
    return [one.sentence for one in found if one.winner.controls or one.winner.shuffles]


def describe_heldout(folder: Path) -> list[str]:
    """Return one sentence a held-out target, where the finalists were compared with them."""
    path = folder / "finalists" / "heldout.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
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
