"""What other seeds of the weights say of a run, in sentences: of its winner, of its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import find_confirmed, find_winner
from brainguided.search.agreement import find_agreement


def describe_confirmed(results: Sequence[Attempt], again: Sequence[Attempt]) -> list[str]:
    """Return a sentence on the best candidates that were evaluated again with other seeds."""
    found = find_confirmed(results, again)
    winner = find_winner(results, again)
    if not found or winner is None:
        return []
    leader = found[0]
    failed = sum(one.failed for one in found)
    said = (
        f"Evaluated again with other seeds before a winner was named: candidates "
        f"{', '.join(str(one.result.candidate) for one in found)}."
    )
    if failed:
        said += f" {failed} of these evaluations failed: those whom they are of are not confirmed."
    if all(one.reward is None for one in found):
        return [f"{said} So candidate {winner.candidate} has the highest reward, not confirmed."]
    if leader.reward is not None:
        fell = leader.reward < (leader.result.reward or 0.0)
        said += (
            f" Candidate {leader.result.candidate}, which had the highest reward, "
            f"{'fell' if fell else 'went'} from {leader.result.reward:.4f} to {leader.reward:.4f} "
            "in the mean."
        )
    own = next(one for one in found if one.result.candidate == winner.candidate)
    if own is not leader:
        said += (
            f" The winner, candidate {winner.candidate}, came to {own.reward:.4f} "
            f"({winner.reward:.4f} before)."
        )
    return [said]


def describe_agreement(
    results: Sequence[Attempt], again: Sequence[Attempt], config: Mapping[str, Any]
) -> list[str]:
    """Return a sentence on P and on each area: how far two seeds of the weights agree."""
    found = find_agreement(results, again, config)
    areas = {area for result in results for area in result.measurement.areas}
    return [one.sentence for one in found if one.name == "P" or one.name in areas]


def tabulate_agreement(
    results: Sequence[Attempt], again: Sequence[Attempt], config: Mapping[str, Any]
) -> list[list[str]]:
    """Return a row for P and each target: agreement of seeds, interval, candidates, spreads."""
    return [
        [
            one.name,
            "" if one.correlation is None else f"{one.correlation:.2f}",
            "" if one.lower is None else f"{one.lower:.2f} to {one.upper:.2f}",
            str(one.candidates),
            f"{one.between:.3f}",
            f"{one.among:.3f}",
        ]
        for one in find_agreement(results, again, config)
    ]
