"""Tables of architectures that were evaluated before: benchmarks, and journals of our own."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from brainguided.architectures import Architecture
from brainguided.journal import Journal
from brainguided.spaces import SearchSpace

_SHOWN = 3  # rows quoted in an error


@dataclass(frozen=True, eq=False)
class Table:
    """Hold what is known of some or all architectures of a space.

    Attributes
    ----------
    space : SearchSpace
    actions : ndarray (row, decision) of int
        The architectures, each once.
    reward : ndarray (row,)
        What a search is told.
    cost : ndarray (row,)
        What an evaluation costs, e.g. in s.
    score : ndarray (row,)
        By which the outcome of a search is judged.
    units : str
        Of the cost.
    source : str
    """

    space: SearchSpace
    actions: np.ndarray
    reward: np.ndarray
    cost: np.ndarray
    score: np.ndarray
    units: str = "s"
    source: str = ""

    def __post_init__(self) -> None:
        problems = []
        n = len(self.actions)
        if n == 0:
            problems.append("it has no rows")
        for name in ("reward", "cost", "score"):
            values = getattr(self, name)
            if values.shape != (n,):
                problems.append(f"{name} has shape {values.shape}, expected ({n},)")
            elif bad := np.flatnonzero(~np.isfinite(values)).tolist():
                problems.append(
                    f"{name} is not finite in {len(bad)} rows, the first {bad[:_SHOWN]}"
                )
        if not problems and (self.cost < 0).any():
            problems.append(f"cost is negative in {int((self.cost < 0).sum())} rows")
        if n and len(np.unique(self.actions, axis=0)) < n:
            problems.append("an architecture has more than one row")
        if problems:
            raise ValueError("Not a table:" + "".join(f"\n  - {text}" for text in problems))

    @property
    def is_complete(self) -> bool:
        """Whether every architecture of the space is in the table."""
        return len(self.actions) == self.space.n_architectures


def load_table(
    path: str | os.PathLike[str],
    space: SearchSpace,
    *,
    architecture: str,
    reward: str,
    cost: str,
    score: str,
    units: str = "s",
) -> Table:
    """Read a tabular benchmark.

    Parameters
    ----------
    path : path
        A CSV file, compressed or not, with one row an architecture.
    space : SearchSpace
    architecture : str
        Column of the architectures, read as text: JSON, or what else ``space.parse`` reads.
    reward, cost, score : str
        Columns of numbers.
    units : str
        Of the cost.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Columns are missing or hold no finite numbers, or architectures are repeated or not in the
        space; every problem is listed.
    """
    path = Path(path)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    wanted = {"architecture": architecture, "reward": reward, "cost": cost, "score": score}
    missing = [column for column in wanted.values() if column not in frame.columns]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(map(repr, frame.columns))}."
        )
    problems, numbers = [], {}
    for name in ("reward", "cost", "score"):
        values = pd.to_numeric(frame[wanted[name]], errors="coerce").to_numpy(float)
        if bad := np.flatnonzero(~np.isfinite(values)).tolist():
            problems.append(f"'{wanted[name]}' is no number in {len(bad)} rows, as {bad[:_SHOWN]}")
        numbers[name] = values
    actions, foreign = [], []
    for row, text in enumerate(frame[architecture]):
        try:
            actions.append(space.encode(space.parse(text)))
        except ValueError as error:
            foreign.append(f"row {row}: {' '.join(str(error).split())}")
    if foreign:
        shown = "; ".join(foreign[:_SHOWN])
        problems.append(f"{len(foreign)} architectures are not of '{space.name}': {shown}")
    if problems:
        raise ValueError(f"{path} cannot be replayed:" + "".join(f"\n  - {t}" for t in problems))
    return Table(space, np.array(actions), **numbers, units=units, source=path.name)


def table_from_run(
    out: str | os.PathLike[str],
    space: SearchSpace,
    *,
    reward: str = "P+TG",
    step: int | None = None,
    score: str = "performance",
) -> Table:
    """Make a table of the candidates of a run, with any weight of the brain.

    Parameters
    ----------
    out : path
        A run folder; failed candidates and repetitions are left out.
    space : SearchSpace
        That of the run.
    reward : str
        "P", "TG", "P+TG", or with any alpha, as "P+0.5*TG".
    step : int, optional
        Take P and TG of this checkpoint, and the cost up to it; default: of the end.
    score : {"performance", "guidance", "reward"}
        By which outcomes are judged, always of the end.

    Returns
    -------
    Table
        Costs are training images processed.

    Raises
    ------
    ValueError
        The reward cannot be read, candidates have no TG or no such checkpoint, or the run is of
        another space.
    """
    weights = _read_reward(reward)
    if score not in ("performance", "guidance", "reward"):
        raise ValueError(f"score is {score!r}; expected performance, guidance or reward.")
    with Journal.read(out) as journal:
        results = journal.results()
    results = [r for r in results if r.outcome == "done" and r.duplicate_of is None]
    rows, numbers = [], []
    for result in results:
        measured = {"performance": result.performance, "guidance": result.guidance}
        examples = float(result.examples or 0)
        if step is not None:
            found = [entry for entry in result.history if entry["step"] == step]
            last = max((entry["step"] for entry in result.history), default=0)
            if not found or not last:
                steps = [entry["step"] for entry in result.history]
                raise ValueError(
                    f"Candidate {result.candidate} was not measured at step {step}, only at "
                    f"{steps}; name one of those, or set checkpoints in the run file."
                )
            measured, examples = dict(found[0]), examples * step / last
        values = [
            weight * _value(measured[name], name, result.candidate)
            for name, weight in weights.items()
        ]
        numbers.append(
            (sum(values), examples, _value(getattr(result, score), score, result.candidate))
        )
        rows.append(space.encode(Architecture.from_json(result.architecture)))
    if not rows:
        raise ValueError(f"No candidate of {out} succeeded; there is nothing to replay.")
    reward_of, cost, score_of = np.array(numbers, dtype=float).T
    return Table(
        space, np.array(rows), reward_of, cost, score_of, units="images", source=f"{out}: {reward}"
    )


def _value(value: float | None, name: str, candidate: int) -> float:
    if value is None:
        raise ValueError(f"Candidate {candidate} has no {name}; the run had no teacher.")
    return float(value)


def _read_reward(text: str) -> dict[str, float]:
    if text == "TG":
        return {"guidance": 1.0}
    match = re.fullmatch(r"P(\+((\d+\.?\d*|\.\d+)\*)?TG)?", text.replace(" ", ""))
    if match is None:
        raise ValueError(f"The reward {text!r} cannot be read; expected P, TG, P+TG or P+0.5*TG.")
    weights = {"performance": 1.0}
    if match[1]:
        weights["guidance"] = float(match[3] or 1)
    return weights


def nearest_rows(actions: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Return the rows that differ from a sequence of actions in the fewest decisions."""
    different = (actions != np.asarray(wanted)).sum(axis=1)
    return np.flatnonzero(different == different.min())
