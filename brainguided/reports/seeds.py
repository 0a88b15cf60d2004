"""What other seeds of the weights say of a run, in sentences: of its winner, of its scores."""

from __future__ import annotations

from collections.abc import Sequence

from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import find_confirmed, find_winner


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
        said += f" {failed} of these evaluations failed and take no part."
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
