"""Which choices of a space go with what candidates show: functional ANOVA, permutation null."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.journal import Journal
from brainguided.replays._effects import Choice, code, fit, permute, spread
from brainguided.replays.table import Table
from brainguided.spaces import SearchSpace
from neural_data.labels import name_variables
from neural_data.model.origin import is_simulated
from neural_data.rounding import is_flat

FEWEST = 20  # candidates
_DRAWS = 1000  # architectures drawn from the space, over which effects are averaged
_SPARE = 5  # candidates more than there are effects to estimate, at least


@dataclass(frozen=True)
class _Known:
    """What is to be explained: one row a candidate."""

    space: SearchSpace
    actions: np.ndarray  # (candidate, decision)
    measures: Mapping[str, np.ndarray]
    coords: Mapping[str, Sequence[str]]
    attrs: Mapping[str, Any]


def compute_importance(
    run: str | os.PathLike[str] | Table,
    *,
    step: int | None = None,
    permutations: int = 999,
    most: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Say which choices of a space P, each area and each control go with.

    A functional ANOVA [1]_ of main effects: what candidates show is the sum of one function of each
    kind of decision (the depth; the filters of layers, whichever; the operations of edges), fitted
    by least squares to the candidates that there are, however unbalanced. Numbers enter by their
    order, linear and squared, and names one by one; a kind of several decisions by the mean over
    those that matter, so that layers beyond the depth of a candidate count for nothing. The
    importance of a choice is the variance of its function over uniform draws from the space,
    divided by the sum of all these and of the residual variance. A single decision, as
    ``layer1.filters``, takes the place of its kind.

    Whether there is anything is tested by the F of what a choice adds to all other kinds, beside
    its F with all measures of candidates permuted together. The corrected p is that of the largest
    of all choices and measures of each permutation [2]_: where no choice goes with any measure,
    one is found in at most 5 of 100 runs.

    Parameters
    ----------
    run : path or Table
        A run folder, whose candidates that succeeded count once an architecture, without those
        stopped before the step; or a table, with its reward, the mean of several trainings, and
        score.
    step : int, optional
        Take what was measured at this rung; default: the last.
    permutations : int, optional
        Of the measures among candidates.
    most : int, optional
        Candidates that are looked at; of more, as many are drawn.
    seed : int, optional
        Of permutations and draws.

    Returns
    -------
    xarray.Dataset
        ``importance``, ``expected`` (measure, choice): the share of the variance, 0 to 1, and its
        mean over permutations, by which shares of few candidates are too large; ``p_value``,
        ``corrected_p_value`` (measure, choice); NaN for choices that never varied. ``effect``
        (measure, option): what an option, if all decisions of its kind took it, adds to the mean
        over options, in units of the measure. Coordinates: ``level`` (choice), "kind" or
        "decision"; ``kind`` (measure), "performance", "area", "control" or "table"; ``similarity``
        (measure), "committed", "best layer" or empty; ``of`` (option), the choice it belongs to.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    ValueError
        There are fewer than 20 candidates, or too few for the choices of the space; nothing that
        was measured varies; a number is out of range.

    Notes
    -----
    The best of many layers is similar by chance: where no committed similarity was measured, depth
    may go with "best layer" for that reason alone.

    Permutations are exact where candidates were chosen without looking at what they show: by
    random search, or a table. A controller that learns proposes more of what did well, so that
    its later choices depend on earlier results, and choices go together. Effects are of choices as
    they were made, not of an experiment.

    References
    ----------
    .. [1] Hutter, Hoos & Leyton-Brown (2014), An efficient approach for assessing hyperparameter
       importance, ICML, sections 2 and 3.
    .. [2] Westfall & Young (1993), Resampling-based multiple testing.

    Examples
    --------
    >>> import numpy as np
    >>> from brainguided import Table, nasbench201_space
    >>> space, generator = nasbench201_space(), np.random.default_rng(0)
    >>> actions = np.unique([space.sample_actions(generator) for _ in range(60)], axis=0)
    >>> reward = (actions[:, 0] == 3) + 0.1 * generator.normal(size=len(actions))
    >>> table = Table(space, actions, reward, np.ones(len(actions)), generator.random(len(actions)))
    >>> found = compute_importance(table, permutations=99)
    >>> float(found["corrected_p_value"].sel(measure="reward", choice="edge01.operation"))
    0.01
    """
    if permutations < 1 or most < FEWEST:
        raise ValueError(
            f"permutations is {permutations} and most {most}; expected at least 1 and {FEWEST}."
        )
    if isinstance(run, Table):
        reward = run.reward if run.reward.ndim == 1 else np.nanmean(run.reward, axis=0)
        measures = {"reward": reward, "score": run.score}
        rows = np.sort(_draw_order(len(reward), most, seed)[:most])
        known = _Known(
            run.space, run.actions[rows], {name: one[rows] for name, one in measures.items()},
            {"kind": ["table"] * 2, "similarity": [""] * 2}, {"run": run.source, "simulated": 0},
        )  # fmt: skip
    else:
        with Journal.read(run) as journal:
            results, config = journal.results(), journal.config or {}
        known = _read_attempts(results, config, step, (most, seed))
    return _explain(known, permutations=permutations, seed=seed)


def importance_of_results(
    results: Sequence[Attempt], config: Mapping[str, Any], *, permutations: int, most: int
) -> xr.Dataset:
    """Return what `compute_importance` does, of results that were read from a journal."""
    known = _read_attempts(results, config, None, (most, 0))
    return _explain(known, permutations=permutations)


def describe_importance(found: xr.Dataset, *, level: float = 0.05) -> list[str]:
    """Say in a sentence for each measure which kinds of choices it goes with.

    Parameters
    ----------
    found : Dataset (measure, choice)
        From `compute_importance`.
    level : float, optional
        Largest corrected p at which a choice counts as found.

    Returns
    -------
    list of str
        One for each measure.
    """
    said = []
    for measure in map(str, found["measure"].values):
        one = found.sel(measure=measure)
        there = one.isel(choice=np.flatnonzero(one["corrected_p_value"].values <= level))
        there = there.isel(choice=np.argsort(-there["importance"].values, kind="stable"))
        names = [
            f"{name} ({float(there['importance'].sel(choice=name)):.0%} of the variance, p "
            f"{float(there['corrected_p_value'].sel(choice=name)):.2g}{_say_best(one, name)})"
            for name in map(str, there["choice"].values)
        ]
        said.append(f"{measure} goes with {', '.join(names) or 'no choice that was found'}.")
    return said


def _say_best(one: xr.Dataset, name: str) -> str:
    own = one["effect"].isel(option=np.flatnonzero(one["of"].values.astype(str) == name))
    if not own.size:
        return ""
    best = str(own["option"].values[np.argmax(own.values)]).partition("=")[2]
    return f", highest with {best}"


def _read_attempts(
    results: Sequence[Attempt],
    config: Mapping[str, Any],
    step: int | None,
    drawn: tuple[int, int],
) -> _Known:
    """Return what candidates show: P, and the similarity to each target; of many as are drawn."""
    space = SearchSpace.from_description(config.get("space") or {})
    there = [
        result
        for result in results
        if result.outcome == "done" and result.duplicate_of is None
        if (result.reason != STOPPED if step is None else step in result.measurement.steps)
    ]
    met: dict[str, tuple[int, Architecture]] = {}
    for row in _draw_order(len(there), *drawn).tolist():
        architecture = Architecture.from_json(there[row].architecture)
        met.setdefault(architecture.canonical_key, (row, architecture))
        if len(met) == drawn[0]:
            break
    looked_at = sorted(met.values(), key=lambda one: one[0])
    kept = [there[row] for row, _ in looked_at]
    if len(kept) < FEWEST:
        at_step = "" if step is None else f" measured at step {step}"
        raise ValueError(
            f"{len(kept)} different candidates succeeded{at_step}; at least {FEWEST} are needed to "
            "say which choices matter. Search for more."
        )
    values: dict[str, np.ndarray] = {}
    kinds, similarity = [], []
    for name, kind, how, read in _list_measures(kept, step):
        column = np.array([read(result) for result in kept], dtype=float)
        if np.isfinite(column).all():
            values[name] = column
            kinds.append(kind)
            similarity.append(how)
    task = config.get("task") or {}
    simulated = int(is_simulated(*(task.get("teacher") or []))) if isinstance(task, Mapping) else 0
    actions = np.array([space.encode(architecture) for _, architecture in looked_at])
    coords = {"kind": kinds, "similarity": similarity}
    return _Known(space, actions, values, coords, {"simulated": simulated})


def _draw_order(n: int, most: int, seed: int) -> np.ndarray:
    """Return rows in the order in which they are taken: a random one where not all of them are."""
    return np.random.default_rng(seed).permutation(n) if n > most else np.arange(n)


def _list_measures(
    kept: Sequence[Attempt], step: int | None
) -> Iterator[tuple[str, str, str, Any]]:
    """Yield name, kind and way of comparing of each measure, with what reads it."""
    yield "P", "performance", "", lambda result: _read(result, "performance", step)
    first = kept[0].measurement
    for target in sorted(first.targets, key=lambda name: name not in first.areas):
        committed = all(target in r.measurement.rung(step).committed for r in kept)
        name = f"committed {target}" if committed else target
        kind = "area" if target in first.areas else "control"
        how = "committed" if committed else "best layer"
        yield target, kind, how, partial(_read, name=name, step=step, nothing=0.0)


def _read(
    result: Attempt, name: str, step: int | None, nothing: float | None = None
) -> float | None:
    """Return a number, `nothing` where it is undefined: no layer is alive, as in a reward."""
    if name == "performance" and not result.measurement.rungs:  # a journal of before
        return result.performance
    try:
        found = result.measurement.value(name if step is None else f"{name}@{step}")
    except ValueError:  # of another run that was merged
        return None
    return nothing if found is None else found


def _explain(known: _Known, *, permutations: int, seed: int = 0) -> xr.Dataset:
    generator = np.random.default_rng(seed)
    actions, names = known.actions, [n for n, v in known.measures.items() if not is_flat(v)]
    if not names:
        raise ValueError("Nothing that was measured differs among the candidates.")
    values = np.column_stack([known.measures[name] for name in names])
    drawn = np.array([known.space.sample_actions(generator) for _ in range(_DRAWS)])
    tested = list(_code_choices(known.space, actions, drawn))
    n, effects = len(actions), sum(one.columns.shape[1] for one in tested if one.level == "kind")
    if n < max(FEWEST, effects + 1 + _SPARE):
        raise ValueError(
            f"{n} candidates are too few for {effects} effects of the choices of "
            f"'{known.space.name}'; at least {max(FEWEST, effects + 1 + _SPARE)} are needed."
        )
    fitted = fit(tested)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    real = spread(fitted, scaled)
    expected, alone, corrected = permute(fitted, scaled, real, permutations, generator)
    found = xr.Dataset(
        coords={
            "measure": names,
            "choice": [one.name for one in tested],
            "level": ("choice", [one.level for one in tested]),
            **{
                key: ("measure", [v for v, name in zip(of, known.measures, strict=True)
                                  if name in names])
                for key, of in known.coords.items()
            },
        },
        attrs={
            "long_name": f"importance of the choices of {known.space.name}",
            "source": "functional ANOVA of main effects",
            "candidates": n,
            "permutations": permutations,
            "seed": seed,
            **known.attrs,
        },
    )  # fmt: skip
    for name, array, said in (
        ("importance", real.share, "share of the variance over the space"),
        ("expected", expected, "share of the variance if nothing goes with anything"),
        ("p_value", alone, "p of one choice and measure"),
        ("corrected_p_value", corrected, "p of the largest of all choices and measures"),
    ):
        found[name] = ("measure", "choice"), array.T, {"long_name": said, "units": "1"}
    _add_effects(found, tested, real.weights, values.std(axis=0))
    named: xr.Dataset = name_variables(found, _NAMES)
    return named


_NAMES = {
    "measure": ("measure", ""),
    "choice": ("choice", ""),
    "level": ("whether all decisions of a kind, or a single one", ""),
    "option": ("option", ""),
    "of": ("choice of the option", ""),
}


def _add_effects(
    found: xr.Dataset, tested: Sequence[Choice], weights: Sequence[np.ndarray], scale: np.ndarray
) -> None:
    """Add what each option of each kind adds to the mean over its options."""
    labels, owners, rows = [], [], []
    for one, weight in zip(tested, weights, strict=True):
        if one.level != "kind":
            continue
        effect = one.basis @ weight
        rows.append((effect - effect.mean(axis=0)) * scale)
        labels += [f"{one.name}={option}" for option in one.options]
        owners += [one.name] * len(one.options)
    found.coords["option"], found.coords["of"] = labels, ("option", owners)
    said = {"long_name": "difference from the mean over options", "units": "that of the measure"}
    found["effect"] = ("measure", "option"), np.vstack(rows).T, said


def _code_choices(space: SearchSpace, actions: np.ndarray, drawn: np.ndarray) -> Iterator[Choice]:
    """Yield every kind of decisions, followed by its decisions where there are several."""
    both = np.vstack([actions, drawn])
    rows = [tuple(row) for row in both.tolist()]
    groups: dict[str, list[int]] = {}
    for place, decision in enumerate(space.decisions):
        if len(decision.options) > 1:
            groups.setdefault(re.sub(r"\d+", "*", decision.name), []).append(place)
    for name, places in groups.items():
        single = len(places) == 1
        name = space.decisions[places[0]].name if single else name
        options = tuple(dict.fromkeys(o for p in places for o in space.decisions[p].options))
        basis, at = code(options), {option: k for k, option in enumerate(options)}
        every = np.full((len(places), len(rows), basis.shape[1]), np.nan)
        for k, place in enumerate(places):
            free = space.legal_rows(rows, place).sum(axis=1) > 1
            of_option = np.array([at[option] for option in space.decisions[place].options])
            every[k, free] = basis[of_option[both[free, place]]]
        split = partial(np.split, indices_or_sections=[len(actions)])
        yield Choice(name, "kind", name, options, basis, *split(_fill(every)))
        for k, place in enumerate([] if single else places):
            own = space.decisions[place].name
            yield Choice(own, "decision", name, options, basis, *split(_fill(every[k : k + 1])))


def _fill(every: np.ndarray) -> np.ndarray:
    """Return the mean over the decisions that matter, 0 where none does."""
    there = np.isfinite(every)
    total = np.where(there, every, 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(there.sum(axis=0), 1))
