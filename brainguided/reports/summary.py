"""What won a run, in a few lines."""

from __future__ import annotations

import os
from pathlib import Path

from brainguided.guidance.rewards import Reward
from brainguided.journal.chance import name_performance, say_accuracy
from brainguided.journal.confirmed import find_confirmed
from brainguided.journal.objectives import (
    describe_unlike_objectives,
    find_front,
    find_objectives,
)
from brainguided.reports._rewarded import Run, read_run
from brainguided.reports._similarity import label_similarity
from brainguided.reports.evidence import describe_evidence, describe_heldout
from brainguided.reports.seeds import describe_agreement, describe_confirmed
from neural_data.model.origin import is_simulated

_SHOWN = 20  # candidates on the front that are named


def describe_winner(out: str | os.PathLike[str], *, reward: str | Reward | None = None) -> str:
    """Say in a few lines what won a run, and that its teacher was simulated if it was.

    Parameters
    ----------
    out : path
        The run folder.
    reward : str or Reward, optional
        As of `write_report`.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError
        The folder holds no journal.
    JournalError
        The journal is damaged.
    """
    return summarize_run(read_run(Path(out), reward), Path(out))


def summarize_run(run: Run, folder: Path) -> str:
    """Return what `describe_winner` does of a run that was read before."""
    results, config, said = run.results, run.config, run.said
    winner = run.winner
    if winner is None:
        return "No candidate has succeeded so far."
    lines = [said] if said else []
    lines.append(f"winner: candidate {winner.candidate}, reward {winner.reward:.4f}")
    confirmed = {one.result.candidate: one.reward for one in find_confirmed(results, run.again)}
    if (mean := confirmed.get(winner.candidate)) is not None:
        lines[-1] += f", confirmed {mean:.4f} (mean with other seeds)"
    lines.append(
        f"  P (validation {name_performance(config)}) {say_accuracy(winner.performance, config)}"
    )
    if winner.guidance is not None:
        simulated = is_simulated(*((config.get("task") or {}).get("teacher") or []))
        kind = " of simulated areas" if simulated else ""
        lines.append(f"  TG ({label_similarity(config)}{kind}) {winner.guidance:.4f}")
    for area, layer in winner.best_layers.items():
        lines.append(f"  {area}: {layer}, {winner.similarity[area][layer]:.4f}")
    if objectives := find_objectives(config):
        front = sorted(find_front(results, objectives))
        named = ", ".join(map(str, front[:_SHOWN])) + (", ..." if len(front) > _SHOWN else "")
        lines.append(
            f"{len(front)} candidates on the Pareto front of {', '.join(objectives)}: {named}"
        )
    lines += [unlike] if (unlike := describe_unlike_objectives(config)) else []
    lines += describe_confirmed(results, run.again)
    lines += [run.hindered] if run.hindered else []
    lines += describe_agreement(results, run.again, config)
    lines += describe_evidence(winner, results, config)
    lines += describe_heldout(folder)
    return "\n".join(lines)
