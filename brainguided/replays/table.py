"""Tables of architectures that were evaluated before: benchmarks, and journals of our own."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from brainguided.architectures import Architecture
from brainguided.guidance.rewards import (
    PaperReward,
    Reward,
    WeightedReward,
    parse_reward,
    reward_candidate,
    settle_reward,
)
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement
from brainguided.search.finalist_records import read_finalists, read_performance
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems
from neural_data.storage.text_files import read_text_table

_SHOWN = 3  # rows quoted in an error
_FEWEST = 3  # candidates with a score, below which there is nothing to search

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Table:
    """Results known for some or all architectures of a space.

    Attributes
    ----------
    space : SearchSpace
    actions : ndarray (row, decision) of int
        The architectures, each once.
    reward : ndarray (row,) or (draw, row)
        What a search is told; of an architecture that was measured several times, as with several
        seeds of its weights, one of them, see `draw_rewards`. NaN for measurements that it lacks.
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
            if name == "reward" and values.ndim == 2 and len(values):
                values = np.where(np.isfinite(values).any(0), 0.0, np.nan)
            if values.shape != (n,):
                problems.append(f"{name} has shape {values.shape}, expected ({n},)")
            elif bad := np.flatnonzero(~np.isfinite(values)).tolist():
                problems.append(
                    f"{name} is not finite in {len(bad)} rows, the first {bad[:_SHOWN]}"
                )
        if not problems and (self.cost < 0).any():
            problems.append(f"cost is negative in {int((self.cost < 0).sum())} rows")
        if n and (repeated := _find_repeated(self.actions)):
            row, first = repeated[0]
            text = self.space.decode(self.actions[row].tolist()).to_json()
            problems.append(
                f"an architecture has more than one row: {len(repeated)} rows repeat others, as "
                f"row {row} row {first}, {text}; keep one of each"
            )
        raise_problems("Not a table", problems, ValueError)

    def draw_rewards(self, seed: int) -> np.ndarray:
        """Return the rewards (row,) that one search is told: of several measurements, one each."""
        if self.reward.ndim == 1:
            return self.reward
        chances = np.random.default_rng((seed, 2)).random(self.reward.shape)
        drawn = np.where(np.isfinite(self.reward), chances, -1.0).argmax(0)
        return np.asarray(self.reward[drawn, np.arange(self.reward.shape[1])])

    @cached_property
    def row_of(self) -> dict[tuple[int, ...], int]:
        """The row of each sequence of actions."""
        return {tuple(actions): row for row, actions in enumerate(self.actions.tolist())}

    @property
    def is_complete(self) -> bool:
        """Whether every architecture of the space is in the table."""
        return len(self.actions) == self.space.n_architectures

    @cached_property
    def rows_by_network(self) -> dict[str, int]:
        """The first row of every `Architecture.canonical_key`."""
        found: dict[str, int] = {}
        for row, actions in enumerate(self.actions.tolist()):
            found.setdefault(self.space.decode(actions).canonical_key, row)
        return found


def _find_repeated(actions: np.ndarray) -> list[tuple[int, int]]:
    """Return each row that repeats an earlier one, with the first of its kind."""
    first: dict[tuple[int, ...], int] = {}
    met = [(row, first.setdefault(tuple(a), row)) for row, a in enumerate(actions.tolist())]
    return [(row, before) for row, before in met if before != row]


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
        The space that the benchmark tabulates.
    architecture : str
        Column of the architectures, read as text: JSON, or what else ``space.parse`` reads.
    reward, cost, score : str
        Columns of numbers.
    units : str
        Of the cost.

    Returns
    -------
    Table
        One row an architecture.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Columns are missing or hold no finite numbers, or architectures are repeated or not in the
        space; every problem is listed.
    """
    path = Path(path)
    frame = read_text_table(Path(path))
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
    raise_problems(f"{path} cannot be replayed", problems, ValueError)
    return Table(space, np.array(actions), **numbers, units=units, source=path.name)


def table_from_run(
    out: str | os.PathLike[str],
    space: SearchSpace,
    *,
    reward: str | Reward = "P+TG",
    step: int | None = None,
    score: str | Mapping[int, float] = "performance",
) -> Table:
    """Make a table of the candidates of a run, with any reward.

    Where score and reward are one measurement at the same step (P with "performance"), that
    reward wins by construction, and a warning says so. To ask which reward finds what is good in
    the end, judge by what was measured later: "finalists", or scores of one's own.

    Parameters
    ----------
    out : path
        A run folder; failed candidates, those stopped before the step and repetitions are left
        out. Of an architecture that
        was evaluated more than once (by the searches of a merged run) the first evaluation
        counts: like all others it then is one training, not a mean with less noise.
    space : SearchSpace
        That of the run.
    reward : str or Reward
        "P", "TG", "P+TG", with any alpha, as "P+0.5*TG", and any other sum of what was measured,
        as "P+0.3*IT@50", see `guidance.rewards.parse_reward`; or a reward, as `PaperReward()`.
    step : int, optional
        Take what was measured up to this rung, as if training had ended there, and the cost until
        then; default: all.
    score : {"performance", "guidance", "reward", "finalists"} or mapping of int to float
        By which outcomes are judged: of the end of the short training; "finalists" for the
        validation accuracy after the long training of `run_finalists`; or a score for each
        candidate, see `read_scores`. Candidates that have none are left out.

    Returns
    -------
    Table
        Costs are training images processed.

    Raises
    ------
    ValueError
        The reward cannot be read, candidates have no TG or were not measured at that step, the
        run is of another space, or fewer than three candidates have a score.
    FileNotFoundError
        The run has no finalists.
    """
    told_by = parse_reward(reward) if isinstance(reward, str) else reward
    known = ("performance", "guidance", "reward", "finalists")
    if isinstance(score, str) and score not in known:
        raise ValueError(f"score is {score!r}; expected one of {', '.join(known)}.")
    with Journal.read(out) as journal:
        results = journal.results()
    results = [r for r in results if r.outcome == "done" and r.duplicate_of is None]
    if step is None:  # what was stopped early has no reward that was measured
        results = [r for r in results if r.reason != STOPPED]
    else:
        results = [r for r in results if r.reason != STOPPED or step in r.measurement.steps]
    told_by = settle_reward(told_by, [replace(r, measurement=_cut(r, step)) for r in results])
    scores = _read_finalists(out) if score == "finalists" else score
    if isinstance(scores, Mapping):
        results = _choose_scored(results, scores, out)
    met: set[str] = set()
    rows, numbers, same = [], [], False
    for result in results:
        if result.architecture in met:
            continue
        met.add(result.architecture)
        told, measured = _tell(told_by, result, step)
        if isinstance(scores, Mapping):
            judged: float = scores[result.candidate]
        else:
            judged = _value(getattr(result, scores), scores, result.candidate)
            same |= judged in _list_told(told_by, measured, scores, told)
        numbers.append((told, measured.rung().examples, judged))
        rows.append(space.encode(Architecture.from_json(result.architecture)))
    if not rows:
        raise ValueError(f"No candidate of {out} succeeded; there is nothing to replay.")
    if same:
        _log.warning(
            "Reward %s and score '%s' are the same measurement at the same step, so what is told "
            "is what is judged by: comparing rewards says nothing. Judge by score 'finalists' or "
            "by scores of your own, or take the reward of an earlier step.",
            reward,
            scores,
        )
    reward_of, cost, score_of = np.array(numbers, dtype=float).T
    return Table(
        space, np.array(rows), reward_of, cost, score_of, units="images", source=f"{out}: {reward}"
    )


def _tell(reward: Reward, result: Attempt, step: int | None) -> tuple[float, Measurement]:
    """Return the reward of a candidate and the measurement that it is of."""
    measured = _cut(result, step)
    return reward_candidate(reward, result.candidate, measured), measured


def _cut(result: Attempt, step: int | None) -> Measurement:
    """Return what was measured up to a rung."""
    if not result.measurement.rungs:
        raise ValueError(
            f"Candidate {result.candidate} has no rungs: its evaluation returned a reward alone, "
            "and no measurement of which another could be made. Search again with an evaluation "
            "that returns its measurement."
        )
    try:
        return result.measurement.up_to(step)
    except ValueError as error:
        raise ValueError(f"Candidate {result.candidate}: {error}") from error


def _list_told(reward: Reward, measured: Measurement, score: str, told: float) -> list[float]:
    """Return those numbers of a score's kind of which a reward is made."""
    if score == "reward":
        return [told]
    name = {"performance": "performance", "guidance": "TG"}[score]
    if isinstance(reward, PaperReward):
        values = [measured.up_to(reward.rung).value(name)]
    else:
        terms = reward.terms if isinstance(reward, WeightedReward) else {}
        values = [measured.value(term) for term in terms if term.partition("@")[0] == name]
    return [value for value in values if value is not None]


def read_scores(path: str | os.PathLike[str]) -> dict[int, float]:
    """Read scores of candidates, e.g. accuracies after long training elsewhere.

    Parameters
    ----------
    path : path
        A CSV file with the columns ``candidate`` (its number in the run) and ``score``.

    Raises
    ------
    ValueError
        Columns are missing, or rows hold no candidate and finite score or repeat a candidate.
    """
    frame = read_text_table(Path(path))
    missing = [name for name in ("candidate", "score") if name not in frame.columns]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, frame.columns))}."
        )
    problems, scores = [], {}
    values = pd.to_numeric(frame["score"], errors="coerce").to_numpy(float)
    for row, (text, value) in enumerate(zip(frame["candidate"], values, strict=True)):
        if not text.strip().isdigit() or not np.isfinite(value):
            problems.append(
                f"row {row} is candidate {text!r} with score {frame['score'][row]!r}; expected a "
                "whole number and a finite one"
            )
        elif int(text) in scores:
            problems.append(f"row {row} repeats candidate {text}")
        else:
            scores[int(text)] = float(value)
    header = f"{path} has {len(problems)} rows that are no scores"
    raise_problems(header, problems[:_SHOWN], ValueError)
    return scores


def _read_finalists(out: str | os.PathLike[str]) -> dict[int, float]:
    return read_performance(read_finalists(Path(out) / "finalists"))


def _choose_scored(
    results: list[Attempt], scores: Mapping[int, float], out: str | os.PathLike[str]
) -> list[Attempt]:
    """Return the candidates that have a score."""
    known = {result.candidate for result in results}
    if unknown := sorted(set(scores) - known):
        raise ValueError(
            f"Scores are given for {unknown[:_SHOWN]}, which are no candidates of {out} that "
            "succeeded (repetitions have the number of the first). Give scores of this run."
        )
    chosen = [result for result in results if result.candidate in scores]
    if len(chosen) < _FEWEST:
        raise ValueError(
            f"{len(chosen)} of {len(results)} candidates of {out} have a score; expected at least "
            f"{_FEWEST} for a search among them. Train more finalists, or give more scores."
        )
    return chosen


def _value(value: float | None, name: str, candidate: int) -> float:
    if value is None:
        raise ValueError(f"Candidate {candidate} has no {name}; the run had no teacher.")
    return float(value)


def nearest_rows(actions: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Return the rows that differ from a sequence of actions in the fewest decisions."""
    different = (actions != np.asarray(wanted)).sum(axis=1)
    return np.flatnonzero(different == different.min())
