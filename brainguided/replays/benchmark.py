"""The table that comes with the package: networks, what each showed early, and how good it became.

It is made by the scripts in ``studies/``; its attributes hold the data sheet.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.candidates.rivals import FREE
from brainguided.guidance.rewards import Reward, RobustReward, parse_reward
from brainguided.journal.means import average_repeats
from brainguided.journal.measurement import Measurement, Repeat, Rung
from brainguided.replays._out_of_fold import find_neighbours
from brainguided.replays.pools import Pool
from brainguided.replays.table import Table
from brainguided.spaces import SearchSpace
from neural_data.storage.netcdf import open_netcdf

POOLS = ("trained", "untrained", "plain", "tiny100")
"""Pools of networks that the study measures; `list_pools` says which of them have come."""
PUBLISHED = ("val_12",)  # among the statistics of a network, 0 to 1

_log = logging.getLogger(__name__)


def list_pools() -> list[str]:
    """Return the pools of networks that come with this version of the package.

    Returns
    -------
    list of str
        What `load_benchmark` takes.
    """
    return [pool for pool in POOLS if _find(pool).is_file()]


def load_benchmark(pool: str = "trained") -> xr.Dataset:
    """Load the table of the study: what networks showed early, and their mature accuracy.

    Parameters
    ----------
    pool : {"trained", "untrained", "plain", "tiny100"}, optional
        "trained": cells of NAS-Bench-201 [1]_, one cell a stage and 8 filters, at rungs of a short
        training on CIFAR-10; "untrained": all of its cells at step 0; "plain": plain networks that
        were themselves trained on to maturity; "tiny100": cells on 100 classes. `list_pools` says
        which have come.

    Returns
    -------
    xarray.Dataset (network, seed, rung, layer, target)
        ``performance`` (P, 0 to 1) and ``cross_entropy`` (nats), on held-out images, (network,
        seed, rung); ``similarity`` (network, seed, rung, layer, target) of every layer to areas
        and controls, ``committed`` (network, seed, rung, target); ``shuffled_best`` and
        ``shuffled_committed`` (network, seed, rung, shuffled, shuffle), the same of copies of an
        area whose conditions were permuted; ``statistics`` (network, seed, statistic); ``loss``
        (network, seed, step); ``weight_seed`` and ``part`` (network, seed): with what and for
        which part of the study it was trained. ``mature`` (network), accuracy after long training
        in %, its source in the attributes; ``dead`` (network), at chance then. NaN where nothing
        was measured, a layer is dead or a network has no such layer; ``is_area`` (target) tells
        areas from controls. Attributes: ``state`` and ``counts``, how much of what is planned has
        been measured, ``source``, ``licences``, ``made_with``, ``space``, ``extend``.

    Raises
    ------
    ValueError
        There is no such pool, or it has not come yet.
    RecordingError
        The file is damaged.

    References
    ----------
    .. [1] Dong & Yang (2020), NAS-Bench-201, ICLR.

    Examples
    --------
    >>> benchmark = load_benchmark()
    >>> [dim for dim in ("network", "seed", "rung", "layer", "target") if dim in benchmark.dims]
    ['network', 'seed', 'rung', 'layer', 'target']
    """
    if pool not in list_pools():
        wrong = "has not been measured yet" if pool in POOLS else "is none of the study's"
        raise ValueError(
            f"The pool {pool!r} {wrong}; with this version come "
            f"{', '.join(map(repr, list_pools()))}. See docs/explanation/does_the_brain_help.md "
            "for what is planned."
        )
    benchmark = open_netcdf(_find(pool))
    if is_partial(benchmark):
        _log.warning("The benchmark is PARTIAL: %s.", benchmark.attrs["counts"])
    return benchmark


def is_partial(benchmark: xr.Dataset) -> bool:
    """Return whether some of what is planned for a pool has not been measured yet."""
    return benchmark.attrs.get("state") != "complete"


def find_space(benchmark: xr.Dataset) -> SearchSpace:
    """Return the space of which the networks are."""
    return SearchSpace.from_description(json.loads(benchmark.attrs["space"]))


def read_measurements(benchmark: xr.Dataset) -> list[list[Measurement | None]]:
    """Return what each network showed in each of its trainings.

    Parameters
    ----------
    benchmark : Dataset
        From `load_benchmark`, or a part of it.

    Returns
    -------
    list (network) of list (seed) of (Measurement or None)
        None where it was not trained with that seed. Published accuracies of short trainings are
        among the statistics, as ``val_12``, 0 to 1. A layer that a network lacks is one that is
        dead.
    """
    parts = _Arrays(benchmark)
    networks, seeds = range(benchmark.sizes["network"]), range(benchmark.sizes["seed"])
    return [[parts.read(network, seed) for seed in seeds] for network in networks]


def tables_from_benchmark(
    benchmark: xr.Dataset,
    rewards: Sequence[str | Reward],
    *,
    step: int | None = None,
    score: str = "mature",
    cost: str | None = None,
) -> dict[str, Table]:
    """Make tables for replays of the benchmark, with any rewards, of the same networks.

    Parameters
    ----------
    benchmark : Dataset
        From `load_benchmark`, or a part of it.
    rewards : sequence of str or Reward
        As `parse_reward` reads them: "P", "P+TG", "P+0.3*IT@50", "robust"; also of controls, as
        "P+V4:pixels". One that standardises does so by the first 24 networks of the table, which
        is in random order.
    step : int, optional
        Take what was measured up to this rung, as if training had ended there.
    score : str, optional
        Variable (network) by which searches are judged.
    cost : str, optional
        Variable (network) that an evaluation costs, as "seconds_12"; by default each costs 1.

    Returns
    -------
    dict of str to Table
        By reward. Networks are left out for which one of the rewards was measured in no training;
        where there are several trainings, a search draws one of each network.

    Raises
    ------
    ValueError
        There is no such variable, or a reward cannot be read or was measured of no network.
    """
    for name in (score, cost):
        if name is not None and (name not in benchmark or benchmark[name].dims != ("network",)):
            known = [str(n) for n, v in benchmark.data_vars.items() if v.dims == ("network",)]
            raise ValueError(f"{name!r} is none of the networks' numbers: {', '.join(known)}.")
    measured = [
        [_cut(one, step) for one in trainings] for trainings in read_measurements(benchmark)
    ]
    told = {_name(reward): _reward(reward, measured) for reward in rewards}
    judged = benchmark[score].values.astype(float)
    costs = np.ones(len(judged)) if cost is None else benchmark[cost].values.astype(float)
    kept = np.isfinite(judged) & np.isfinite(costs)
    for values in told.values():
        kept &= np.isfinite(values).any(0)
    space = find_space(benchmark)
    names = benchmark["network"].values[kept].astype(str).tolist()
    actions = np.array([space.encode(space.parse(name)) for name in names])
    units = "networks" if cost is None else str(benchmark[cost].attrs.get("units", ""))
    state = f" ({benchmark.attrs['state']})" if is_partial(benchmark) else ""
    return {
        name: Table(
            space,
            actions,
            values[0, kept] if len(values) == 1 else values[:, kept],
            costs[kept],
            judged[kept],
            units=units,
            source=f"benchmark{state}: {name}",
        )
        for name, values in told.items()
    }


def pool_from_benchmark(benchmark: xr.Dataset, *, dead: bool = False) -> Pool:
    """Return the networks of the benchmark as a pool, for `compute_validity` and `fit_weights`.

    Parameters
    ----------
    benchmark : Dataset
        From `load_benchmark`, or a part of it, such as some networks, seeds or rungs.
    dead : bool, optional
        Whether networks that are at chance after long training stay.

    Returns
    -------
    Pool
        With those seeds and rungs that all networks have.

    Raises
    ------
    ValueError
        Networks have no seed or rung in common, or fewer than 10 are left.
    """
    if not dead:
        benchmark = benchmark.isel(network=~benchmark["dead"].values.astype(bool))
    known = np.isfinite(benchmark["performance"].transpose("network", "seed", "rung").values)
    seeds = known.any(2).all(0)
    rungs = known[:, seeds].all((0, 1)) if seeds.any() else np.zeros(known.shape[2], dtype=bool)
    if not rungs.any():
        raise ValueError(
            f"{benchmark.sizes['network']} networks have no weight seed and rung in common; take a "
            "part of the benchmark, as benchmark.sel(network=...)."
        )
    benchmark = benchmark.isel(seed=seeds, rung=rungs)
    merged = [_merge(trainings, benchmark) for trainings in read_measurements(benchmark)]
    columns = {
        name: np.array([one.statistics[name] for one in merged], dtype=float) for name in FREE
    }
    space = find_space(benchmark)
    actions = [space.encode(space.parse(str(name))) for name in benchmark["network"].values]
    return Pool(
        tuple(range(len(merged))),
        tuple(merged),
        benchmark["mature"].values.astype(float),
        columns,
        find_neighbours(actions, np.column_stack([columns[name] for name in FREE])),
        f"{benchmark['mature'].attrs.get('source', 'benchmark')} ({benchmark.attrs['counts']})",
    )


class _Arrays:
    """The numbers of a benchmark as nested lists are read from them."""

    def __init__(self, benchmark: xr.Dataset) -> None:
        order = ("network", "seed", "rung", "target", "layer", "shuffled", "shuffle", ...)
        found = benchmark.transpose(*order, missing_dims="ignore")
        self._steps = benchmark["rung"].values.tolist()
        self._targets = benchmark["target"].values.astype(str).tolist()
        areas = benchmark["is_area"].values.astype(bool)
        self._areas = tuple(benchmark["target"].values[areas].astype(str).tolist())
        self._layers = benchmark["layer"].values.astype(str).tolist()
        self._shuffled = benchmark["shuffled"].values.astype(str).tolist()
        self._statistics = benchmark["statistic"].values.astype(str).tolist()
        self._batch = int(benchmark.attrs["batch"])
        self._v = {str(name): variable.values for name, variable in found.data_vars.items()}

    def read(self, network: int, seed: int) -> Measurement | None:
        """Return one training; None where there was none."""
        at = network, seed
        rungs = [k for k, p in enumerate(self._v["performance"][at]) if p == p]
        if not rungs:
            return None
        values = self._v["statistics"][at].astype(float).tolist()
        statistics = dict(zip(self._statistics, map(_known, values), strict=True))
        for name in PUBLISHED:
            if name in self._v and np.isfinite(self._v[name][network]):
                statistics[name] = float(self._v[name][network]) / 100
        losses = self._v["loss"][at]
        return Measurement(
            self._areas,
            tuple(self._read_rung((*at, k)) for k in rungs),
            statistics,
            tuple(losses[np.isfinite(losses)].astype(float).tolist()),
        )

    def _read_rung(self, at: tuple[int, int, int]) -> Rung:
        step = self._steps[at[2]]
        similarity = _list(self._v["similarity"][at])
        drawn = {kind: _list(self._v[f"shuffled_{kind}"][at]) for kind in ("best", "committed")}
        return Rung(
            step,
            float(self._v["performance"][at]),
            _known(float(self._v["cross_entropy"][at])),
            step * self._batch,
            {
                target: dict(zip(self._layers, row, strict=True))
                for target, row in zip(self._targets, similarity, strict=True)
            },
            dict(zip(self._targets, _list(self._v["committed"][at]), strict=True)),
            {
                name: {kind: tuple(rows[k]) for kind, rows in drawn.items()}
                for k, name in enumerate(self._shuffled)
            },
        )


def _list(values: np.ndarray) -> Any:
    """Return numbers as nested lists, None for NaN."""
    plain = values.astype(object)
    plain[np.isnan(values)] = None
    return plain.tolist()


def _known(value: float) -> float | None:
    return value if value == value else None


def _cut(one: Measurement | None, step: int | None) -> Measurement | None:
    if one is None or step is None:
        return one
    return one.up_to(step) if step in one.steps else None


def _name(reward: str | Reward) -> str:
    return reward if isinstance(reward, str) else json.dumps(reward.describe())


def _reward(reward: str | Reward, measured: Sequence[Sequence[Measurement | None]]) -> np.ndarray:
    """Return rewards (seed, network), NaN where a number that they are of was not measured."""
    name = _name(reward)
    function = parse_reward(reward) if isinstance(reward, str) else reward
    if isinstance(function, RobustReward) and function.phase:
        whole = max((len(one.steps) for row in measured for one in row if one), default=0)
        firsts = [
            next((one for one in row if one and len(one.steps) == whole), None) for row in measured
        ]
        function = function.freeze([one for one in firsts if one][: function.phase])
    found = np.full((len(measured[0]), len(measured)), np.nan)
    refused: ValueError | None = None
    for network, row in enumerate(measured):
        for seed, one in enumerate(row):
            if one is not None:
                try:
                    found[seed, network] = function(one)
                except ValueError as error:
                    refused = error
    if not np.isfinite(found).any():
        raise ValueError(f"The reward {name} was measured of no network. {refused or ''}".strip())
    return found


def _merge(trainings: Sequence[Measurement | None], benchmark: xr.Dataset) -> Measurement:
    """Return the mean over the seeds of a network, each kept."""
    ones = [one for one in trainings if one is not None]
    if len(ones) == 1:
        return ones[0]
    repeats = tuple(Repeat(k, one.rungs, one.losses) for k, one in enumerate(ones))
    means = _mean_statistics([one.statistics for one in ones])
    return average_repeats(Measurement(ones[0].areas, statistics=means, repeats=repeats))


def _mean_statistics(seen: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in seen[0]:
        values = [value for one in seen if (value := one[name]) is not None]
        means[name] = float(np.mean(values)) if len(values) == len(seen) else None
    return means


def _find(pool: str) -> Path:
    return Path(__file__).with_name(f"benchmark_{pool}.nc")
