"""Pools: the candidates of a search together with how well they did after long training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from brainguided.architectures import Architecture
from brainguided.candidates.rivals import FREE, count_architecture
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal
from brainguided.journal.measurement import Measurement
from brainguided.replays._out_of_fold import find_neighbours
from brainguided.search.finalist_records import read_finalists, read_performance
from brainguided.spaces import SearchSpace
from neural_data.errors import raise_problems
from neural_data.model.origin import is_simulated
from neural_data.storage.text_files import read_json, read_text_table

_FEWEST = 10  # candidates below which nothing can be said
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates with what each showed in the search and its mature accuracy.

    Attributes
    ----------
    candidates : tuple of int
        Their numbers in the run; isomorphic ones once.
    measurements : tuple of Measurement
    mature : ndarray (candidate,)
        Accuracy after long training, in any unit; not chosen by a score.
    statistics : dict of str to ndarray (candidate,)
        Free statistics: parameters, multiply-adds, depth and the counts of the graph.
    neighbours : ndarray (candidate, candidate) of bool
        Pairs with the same counts or one decision apart, itself included.
    source : str
        Where the mature accuracies come from.
    simulated : bool
        Whether the teacher's recordings were simulated.
    """

    candidates: tuple[int, ...]
    measurements: tuple[Measurement, ...]
    mature: np.ndarray
    statistics: Mapping[str, np.ndarray]
    neighbours: np.ndarray
    source: str = ""
    simulated: bool = False

    def __post_init__(self) -> None:
        n, problems = len(self.candidates), []
        if n < _FEWEST:
            problems.append(f"{n} candidates have a mature accuracy; at least {_FEWEST} are needed")
        if self.mature.shape != (n,) or not np.isfinite(self.mature).all():
            problems.append("mature accuracies are not finite, one for each candidate")
        elif n and np.ptp(self.mature) == 0:
            problems.append(f"all mature accuracies are {self.mature[0]}")
        raise_problems("Nothing can be said of what predicts maturity", problems, ValueError)

    @property
    def areas(self) -> tuple[str, ...]:
        """Areas of the teacher."""
        return self.measurements[0].areas

    @property
    def controls(self) -> tuple[str, ...]:
        """Targets that are no areas."""
        return tuple(name for name in self.measurements[0].targets if name not in self.areas)

    @property
    def of_seeds(self) -> tuple[Pool, ...]:
        """The pool as each seed alone shows it; itself where not all have several."""
        alone = [one.of_seeds() for one in self.measurements]
        number = min(map(len, alone))
        if number < 2:
            return (self,)
        return tuple(
            replace(self, measurements=tuple(each[k] for each in alone)) for k in range(number)
        )

    @property
    def rungs(self) -> tuple[int, ...]:
        """Steps at which any candidate was measured."""
        return tuple(sorted({step for one in self.measurements for step in one.steps}))


def load_pool(out: str | os.PathLike[str], mature: str, *, architecture: str | None = None) -> Pool:
    """Load the candidates of a run that have a mature accuracy.

    Parameters
    ----------
    out : path
        A run folder. Failed candidates and repetitions are left out.
    mature : str
        "finalists": validation accuracies of ``finalists --random N``, which draws without
        choosing. Or "TABLE.csv:COLUMN": accuracies from elsewhere, which no score of this run may
        have chosen.
    architecture : str, optional
        Column of the table by which its rows are found: "candidate" for the number in the run, or
        that of the architectures, as text that the space reads; isomorphic rows count as one, with
        their mean. Default: the column "candidate", or else "architecture".

    Returns
    -------
    Pool
        At least ten candidates.

    Raises
    ------
    FileNotFoundError
        There is no journal, no finalists or no table.
    ValueError
        Finalists were chosen by their reward, columns or numbers are not what they should be, or
        fewer than ten candidates are left.
    """
    with Journal.read(out) as journal:
        config, results = journal.config or {}, journal.results()
    space = SearchSpace.from_description(config.get("space", {}))
    results = _keep_distinct(results)
    if mature == "finalists":
        known, went_on = _read_finalists(Path(out), results)
        source = f"finalists of {out}{', which went on from its weights' if went_on else ''}"
    else:
        known, source = _read_table(mature, architecture, space, results), mature
    kept = [result for result in results if result.candidate in known]
    built = [Architecture.from_json(result.architecture) for result in kept]
    images = config.get("task", {}).get("images", {})
    size = {"n_classes": images.get("classes", 10), "image_size": images.get("image_size", 32)}
    free = [count_architecture(one, **size) for one in built]
    columns = {name: np.array([one[name] for one in free]) for name in FREE}
    counts = np.column_stack([columns[name] for name in FREE]) if kept else np.empty((0, 1))
    return Pool(
        tuple(result.candidate for result in kept),
        tuple(result.measurement for result in kept),
        np.array([known[result.candidate] for result in kept], dtype=float),
        columns,
        find_neighbours([space.encode(one) for one in built], counts),
        source,
        is_simulated(*(config.get("task", {}).get("teacher") or ())),
    )


def _keep_distinct(results: list[Attempt]) -> list[Attempt]:
    """Return candidates that succeeded, of isomorphic ones the first."""
    met: set[str] = set()
    kept = []
    for result in results:
        if result.outcome != "done" or result.duplicate_of is not None:
            continue
        key = Architecture.from_json(result.architecture).canonical_key
        if key not in met:
            met.add(key)
            kept.append(result)
    return kept


def _read_finalists(out: Path, results: list[Attempt]) -> tuple[dict[int, float], bool]:
    """Return accuracies, and whether their training went on from the search's."""
    folder = out / "finalists"
    if not (folder / "finalists.json").is_file():
        raise FileNotFoundError(
            f"{folder / 'finalists.json'} does not exist; run 'brainguided finalists {out} "
            "--random 100 --steps N' first."
        )
    settings = read_json(folder / "settings.json")
    if len(settings.get("candidates", [])) < len(results) and "random" not in settings:
        raise ValueError(
            f"{folder} holds the finalists with the highest rewards: among what a score has chosen "
            "its correlation says nothing, and all others' are distorted. Draw without choosing: "
            f"'brainguided finalists {out} --random 100 --steps N', with that folder moved away."
        )
    return read_performance(read_finalists(folder)), bool(settings.get("continued"))


def _read_table(
    text: str, key: str | None, space: SearchSpace, results: list[Attempt]
) -> dict[int, float]:
    name, _, column = text.rpartition(":")
    if not name or not column:
        raise ValueError(f"--mature {text}: expected finalists, or TABLE.csv:COLUMN.")
    frame = read_text_table(Path(name))
    key = key or ("candidate" if "candidate" in frame.columns else "architecture")
    missing = [one for one in (column, key) if one not in frame.columns]
    if missing:
        raise ValueError(
            f"{name} has no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, frame.columns))}. Name that of the architectures with "
            "--architecture."
        )
    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(float)
    if bad := np.flatnonzero(~np.isfinite(values)).tolist():
        raise ValueError(
            f"{name}: {column!r} is no number in {len(bad)} rows, the first {bad[:_SHOWN]}; leave "
            "rows without an accuracy out."
        )
    if key == "candidate":
        return _match_numbers(name, frame[key], values, results)
    return _match_architectures(name, frame[key], values, space, results)


def _match_numbers(
    name: str, texts: Any, values: np.ndarray, results: list[Attempt]
) -> dict[int, float]:
    known = {str(result.candidate): result.candidate for result in results}
    foreign = sorted({text for text in texts if text not in known})
    repeated = sorted({text for text in texts if (texts == text).sum() > 1})
    problems = []
    if foreign:
        problems.append(
            f"{foreign[:_SHOWN]} are no candidates of the run that succeeded (of isomorphic ones "
            "the first counts)"
        )
    if repeated:
        problems.append(f"{repeated[:_SHOWN]} have more than one row")
    raise_problems(f"{name} is not of this run", problems, ValueError)
    return {known[text]: float(value) for text, value in zip(texts, values, strict=True)}


def _match_architectures(
    name: str, texts: Any, values: np.ndarray, space: SearchSpace, results: list[Attempt]
) -> dict[int, float]:
    wanted = {
        Architecture.from_json(result.architecture).canonical_key: result.candidate
        for result in results
    }
    found: dict[int, list[float]] = {}
    for row, (text, value) in enumerate(zip(texts, values, strict=True)):
        try:
            key = space.parse(text).canonical_key
        except ValueError as error:
            raise ValueError(f"{name}, row {row}: {error}") from error
        if key in wanted:
            found.setdefault(wanted[key], []).append(float(value))
    return {candidate: float(np.mean(ones)) for candidate, ones in found.items()}
