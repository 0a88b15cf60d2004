"""Searches on tables: what a controller would have found, at no cost, many times over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import t as students_t

from brainguided.controllers.contract import Controller
from brainguided.replays.table import Table, nearest_rows
from brainguided.spaces import SearchSpace
from neural_data.labels import name_variables

_STUCK = 300  # repetitions in a row after which nothing new is expected
_POINTS = 121  # of the anytime curve

Make = Callable[..., Controller]


@dataclass(frozen=True, eq=False)
class Replay:
    """Result of one search on a table.

    Attributes
    ----------
    spent : ndarray (evaluation,)
        Cost up to the end of each evaluation.
    incumbent : ndarray (evaluation,)
        Score of the architecture with the highest reward so far, the earliest of equals.
    asked : int
        Proposals; those of architectures evaluated before cost nothing.
    nearest : int
        Of those, how many were answered by the row of another architecture.
    """

    spent: np.ndarray
    incumbent: np.ndarray
    asked: int
    nearest: int = 0


def replay_search(
    controller: Controller, table: Table, *, budget: float, nearest: bool = False
) -> Replay:
    """Search on a table, one candidate after the other, until the budget is spent.

    An evaluation that would end beyond the budget is not made. One that was made before is not
    paid again, and has the reward of before. A search that proposes nothing new 300 times in a
    row has ended.

    Parameters
    ----------
    controller : Controller
        Newly made.
    table : Table
        Rewards, costs and scores of the architectures; of several rewards of an architecture the
        controller's seed draws one.
    budget : float
        In the units of ``table.cost``.
    nearest : bool
        Whether an architecture that is not in the table has the results of an isomorphic one
        (`Architecture.canonical_key`) or, if there is none, of the one that differs in the fewest
        decisions (one drawn by the controller's seed among equals, once in a search); else it is
        refused.

    Returns
    -------
    Replay
        What was proposed and paid for, and the incumbent at each cost.

    Raises
    ------
    ValueError
        An architecture is not in the table, or the controller learns from several objectives.
    """
    if aims := getattr(controller, "objectives", ()):
        raise ValueError(
            f"The controller learns from {', '.join(aims)}, and a table has one reward to tell; "
            "replay one that learns from the reward."
        )
    rows, rewards = table.row_of, table.draw_rewards(controller.seed)
    draw = np.random.default_rng((controller.seed, 1))
    seen: set[int] = set()
    answers: dict[tuple[int, ...], tuple[int, bool]] = {}  # row, and whether only near
    networks: dict[str, tuple[int, bool]] = {}
    spent, scores, best, near = [], [], -np.inf, 0
    total, asked, repeated = 0.0, 0, 0
    while repeated < _STUCK and len(seen) < len(rows):
        proposed = controller.ask(1)
        if not proposed:  # the space is used up
            break
        (architecture,) = proposed
        asked += 1
        actions = table.space.encode(architecture)
        row = rows.get(actions)
        if row is None:
            if not nearest:
                raise ValueError(
                    f"{architecture.to_json()} is not in the table ({len(rows)} of "
                    f"{table.space.n_architectures} architectures). Allow the nearest one in its "
                    "place: nearest=True, or --nearest."
                )
            if actions not in answers:
                key = architecture.canonical_key
                if key in table.rows_by_network:
                    networks[key] = table.rows_by_network[key], False
                elif key not in networks:
                    networks[key] = int(draw.choice(nearest_rows(table.actions, actions))), True
                answers[actions] = networks[key]
            row, only_near = answers[actions]
            near += only_near
        reward = float(rewards[row])
        if row in seen:
            repeated += 1
        else:
            if total + table.cost[row] > budget:
                break
            repeated = 0
            seen.add(row)
            total += float(table.cost[row])
            spent.append(total)
            if reward > best:
                best, score = reward, float(table.score[row])
            scores.append(score)
        controller.tell([architecture], [reward])
    return Replay(np.array(spent), np.array(scores), asked, near)


def run_replays(
    tables: Mapping[str, Table],
    makers: Mapping[str, Make],
    *,
    budget: float,
    seeds: int | Sequence[int],
    nearest: bool = False,
    executor: Executor | None = None,
) -> xr.Dataset:
    """Replay many independent searches on one or more tables.

    Parameters
    ----------
    tables : mapping of str to Table
        Named for the figure, e.g. by their rewards.
    makers : mapping of str to callable
        ``maker(space, seed=...)`` makes a controller; picklable where an executor is given.
    budget : float
        Of each search, in the units of ``table.cost``.
    seeds : int or sequence of int
        Searches of each controller on each table, with seeds 0, 1, ...; or their seeds.
    nearest : bool
        See `replay_search`.
    executor : concurrent.futures.Executor, optional
        Where they run, e.g. `local_pool(2)`.

    Returns
    -------
    xarray.Dataset
        ``score`` (search, seed): of the incumbent at the end, NaN where the budget was too small
        for one evaluation; ``evaluations``, ``asked``, ``nearest`` (search, seed): architectures
        paid for, proposals, and those of them that were answered by the row of another
        architecture; ``curve`` (search, seed, cost): the incumbent's score at each cost, NaN
        before the first evaluation. A search is named by its controller and, where there are
        several, its table.

    Raises
    ------
    ValueError
        `seeds` or `budget` is not positive, or seeds repeat.
    """
    chosen = _list_seeds(seeds)
    number = len(chosen)
    if not budget > 0:
        raise ValueError(f"budget is {budget!r}; expected a positive number.")
    jobs = [
        (name if len(tables) == 1 else f"{name}, {table}", tables[table], make)
        for name, make in makers.items()
        for table in tables
    ]
    workers = 1 if executor is None else getattr(executor, "workers", 8)
    places = [list(range(k, number, 4 * workers)) for k in range(min(number, 4 * workers))]
    parts = [[chosen[place] for place in part] for part in places]
    if executor is None:
        done = [[_replay_some(t, m, part, budget, nearest) for part in parts] for _, t, m in jobs]
    else:
        waiting = [
            [executor.submit(_replay_some, t, m, part, budget, nearest) for part in parts]
            for _, t, m in jobs
        ]
        done = [[future.result() for future in row] for row in waiting]
    grid = np.linspace(0, budget, _POINTS)
    score = np.full((len(jobs), number), np.nan)
    curve = np.full((len(jobs), number, _POINTS), np.nan)
    counts = np.zeros((3, len(jobs), number), dtype=int)
    for job, row in enumerate(done):
        for part, replays in zip(places, row, strict=True):
            for n, replay in zip(part, replays, strict=True):
                counts[:, job, n] = len(replay.spent), replay.asked, replay.nearest
                if len(replay.spent):
                    score[job, n] = replay.incumbent[-1]
                    at = np.searchsorted(replay.spent, grid, side="right") - 1
                    curve[job, n] = np.where(at < 0, np.nan, replay.incumbent[at])
    first = next(iter(tables.values()))
    found = xr.Dataset(
        {
            "score": (("search", "seed"), score),
            "evaluations": (("search", "seed"), counts[0]),
            "asked": (("search", "seed"), counts[1]),
            "nearest": (("search", "seed"), counts[2]),
            "curve": (("search", "seed", "cost"), curve),
        },
        coords={
            "search": [name for name, _, _ in jobs],
            "seed": np.array(chosen, dtype=int),
            "cost": ("cost", grid, {"units": first.units}),
        },
        attrs={"source": "; ".join(dict.fromkeys(t.source for t in tables.values()))},
    )
    named: xr.Dataset = name_variables(found, _NAMES)
    return named


_NAMES = {
    "search": ("search", ""),
    "seed": ("seed of the search", ""),
    "cost": ("cost", ""),
    "score": ("score of the incumbent at the end", ""),
    "curve": ("score of the incumbent", ""),
    "evaluations": ("evaluations paid for", "1"),
    "asked": ("proposals asked for", "1"),
    "nearest": ("proposals replaced by the nearest in the table", "1"),
    "mean": ("mean score at the end", ""),
    "sd": ("standard deviation over seeds", ""),
    "lower": ("lower end of the 95 % interval of the mean", ""),
    "upper": ("upper end of the 95 % interval of the mean", ""),
    "curve_mean": ("mean score of the incumbent", ""),
    "curve_lower": ("lower end of the 95 % interval of the mean", ""),
    "curve_upper": ("upper end of the 95 % interval of the mean", ""),
}


def _list_seeds(seeds: int | Sequence[int]) -> Sequence[int]:
    chosen = range(seeds) if type(seeds) is int else seeds
    if not isinstance(chosen, Sequence) or isinstance(chosen, str) or not chosen:
        raise ValueError(f"seeds is {seeds!r}; expected how many, at least 1, or a list of them.")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"seeds are {list(chosen)}; expected each once.")
    return chosen


def _replay_some(
    table: Table, make: Make, seeds: Sequence[int], budget: float, nearest: bool
) -> list[Replay]:
    space: SearchSpace = table.space
    return [
        replay_search(make(space, seed=seed), table, budget=budget, nearest=nearest)
        for seed in seeds
    ]


def summarize_replays(replays: xr.Dataset) -> xr.Dataset:
    """Return mean, sd and 95 % interval of the mean over seeds.

    Intervals are over the seeds of the searches alone: the table is taken as it is, with its one
    training of each architecture and its one set of validation images. They say how sure it is
    which search finds more in this table, not in another.

    Parameters
    ----------
    replays : Dataset (search, seed, cost)
        From `run_replays`.

    Returns
    -------
    xarray.Dataset
        ``mean``, ``sd``, ``lower``, ``upper`` (search) of the final score, and ``curve_mean``,
        ``curve_lower``, ``curve_upper`` (search, cost). Intervals are those of Student's t, NaN
        for a single seed. Curves begin where every seed has an incumbent.
    """
    n = replays.sizes["seed"]
    width = float(students_t.ppf(0.975, n - 1)) if n > 1 else np.nan

    def describe(values: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
        mean = values.mean("seed", skipna=False)
        sd = values.std("seed", ddof=min(1, n - 1), skipna=False)
        return mean, sd, width * sd / np.sqrt(n)

    mean, sd, half = describe(replays["score"])
    curve, _, curve_half = describe(replays["curve"])
    summary = xr.Dataset(
        {
            "mean": mean,
            "sd": sd,
            "lower": mean - half,
            "upper": mean + half,
            "curve_mean": curve,
            "curve_lower": curve - curve_half,
            "curve_upper": curve + curve_half,
        }
    )
    for values in summary.data_vars.values():
        values.attrs.clear()  # of the scores that were averaged
    named: xr.Dataset = name_variables(summary, _NAMES)
    return named
