"""Searches compared: what the best so far was, and whether groups of runs differ over seeds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import t as students_t

from brainguided.correspondence.multiple_tests import correct_holm
from brainguided.journal.attempts import Attempt
from brainguided.journal.differing_settings import find_differences
from brainguided.replays.run_groups import (
    GroupedRun,
    find_task_differences,
    find_unlabelled,
    group_runs,
)
from neural_data.labels import name_variables

_ROUNDING = 1e-9  # of the largest number: standard errors below are those of sums of decimals


@dataclass(frozen=True)
class Difference:
    """Difference between the means of two groups, and a test of it by Student's t.

    Attributes
    ----------
    test : {"paired", "unpaired", "none"}
        Paired where both groups have the same seeds; unpaired by Welch's t; or none, of too few.
    n : tuple of (int, int)
        Runs of each group that were tested; pairs where these are paired.
    mean, lower, upper : float
        The first group less the second, with its 95 % interval.
    p_value : float
        Two-sided; NaN without a test, and where seeds make no difference beyond rounding.
    """

    test: str
    n: tuple[int, int]
    mean: float
    lower: float = np.nan
    upper: float = np.nan
    p_value: float = np.nan


def compare_runs(
    runs: Sequence[str | os.PathLike[str]], *, different_tasks: bool = False
) -> xr.Dataset:
    """Compare what searches found, in groups of runs that differ in their seeds alone.

    Followed is the candidate with the highest reward so far, of each run by its own reward: its
    reward, its P, and the similarity of its best layer to each area, at its last rung. All runs
    are compared after as many candidates as the shortest has. Rewards are compared only where they
    are the same function of the same measurements; a reward that standardises by the first
    candidates of its own run (`RobustReward`) is on a scale of its own in each.

    Parameters
    ----------
    runs : sequence of path
        Run folders; they are only read.
    different_tasks : bool, optional
        Whether runs of different tasks (images, stimuli, teachers, training) are compared all the
        same; else they are refused. They may always differ in reward, controls, rivals and early
        stopping.

    Returns
    -------
    xarray.Dataset
        ``curve`` (quantity, run, candidate): of the best after each number of candidates, NaN
        before one succeeded; ``final`` (quantity, run): its last value. ``mean``, ``sd``,
        ``lower``, ``upper`` (quantity, group) over seeds at the end, and ``curve_mean``,
        ``curve_lower``, ``curve_upper`` (quantity, group, candidate): intervals are 95 % of
        Student's t, NaN for a single run. ``difference``, ``difference_lower``,
        ``difference_upper``, ``p_value``, ``corrected_p_value`` (quantity, pair): the first group
        of a pair less the second; corrected for all tests made here [1]_; NaN where a test is not
        possible, or a run has no such number. ``n_first``, ``n_second`` (quantity, pair): runs
        that were tested; ``test`` (quantity, pair): "paired" over seeds (by their differences),
        where both groups have the same, "unpaired" (Welch), or "none" for a group of one.
        Coordinates:
        ``group_of_run``, ``seed`` (run), ``runs`` (group): their number, ``first``, ``second``
        (pair). ``attrs["said"]`` says in words what is not comparable.

    Raises
    ------
    FileNotFoundError
        A folder has no journal.
    JournalError
        The tasks differ (named setting by setting), a run is given twice, was merged, or has no
        candidate that succeeded.
    ValueError
        No run is given.

    Notes
    -----
    Intervals and tests are over the seeds of the searches, with the same images, stimuli and
    recordings: they say which search finds more on these data, and nothing of other data. The
    reward of the best of many candidates is too high by chance, in all groups alike where they
    are compared after as many candidates.

    References
    ----------
    .. [1] Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    grouped = group_runs(runs, different_tasks=different_tasks)
    number = min(len(run.results) for run in grouped)
    said = _say_unlike(grouped, number)
    quantities = _find_quantities(grouped)
    curves = np.stack([_trace(run.results[:number], quantities) for run in grouped], axis=1)
    labels = list(dict.fromkeys(run.group for run in grouped))
    found = xr.Dataset(
        {
            "curve": (("quantity", "run", "candidate"), curves),
            "final": (("quantity", "run"), curves[:, :, -1]),
        },
        coords={
            "quantity": quantities,
            "run": [run.name for run in grouped],
            "group_of_run": ("run", [run.group for run in grouped]),
            "seed": ("run", np.array([run.seed for run in grouped])),
            "candidate": ("candidate", np.arange(1, number + 1), {"units": "candidates"}),
            "group": labels,
        },
        attrs={"source": "brainguided searches", "said": "\n".join(said)},
    )
    found = found.merge(_summarise(found)).merge(_test_pairs(found))
    named: xr.Dataset = name_variables(found, _NAMES)
    return named


_NAMES = {
    "quantity": ("quantity", ""),
    "run": ("run folder", ""),
    "group": ("group of runs", ""),
    "group_of_run": ("group of the run", ""),
    "runs": ("runs of the group", "1"),
    "seed": ("seed of the search", ""),
    "candidate": ("candidates", ""),
    "curve": ("best so far", "1"),
    "final": ("best at the end", "1"),
    "mean": ("mean of the best at the end", "1"),
    "sd": ("standard deviation over runs", "1"),
    "lower": ("lower end of the 95 % interval of the mean", "1"),
    "upper": ("upper end of the 95 % interval of the mean", "1"),
    "curve_mean": ("mean of the best so far", "1"),
    "curve_lower": ("lower end of the 95 % interval of the mean", "1"),
    "curve_upper": ("upper end of the 95 % interval of the mean", "1"),
    "first": ("first group", ""),
    "second": ("second group", ""),
    "difference": ("mean of the first group less that of the second", "1"),
    "difference_lower": ("lower end of the 95 % interval of the difference", "1"),
    "difference_upper": ("upper end of the 95 % interval of the difference", "1"),
    "p_value": ("p", "1"),
    "corrected_p_value": ("p, corrected for multiple tests", "1"),
    "n_first": ("runs of the first group", "1"),
    "n_second": ("runs of the second group", "1"),
    "test": ("test of the difference", ""),
}


def compare_groups(
    first: Mapping[int, float], second: Mapping[int, float], *, level: float = 0.95
) -> Difference:
    """Compare the means of two groups of runs.

    Parameters
    ----------
    first, second : mapping of seed to float
        A number of each run.
    level : float, optional
        Of the interval.

    Returns
    -------
    Difference
        Paired where both groups have the same seeds, two or more; else unpaired, of two runs or
        more in each, so that all runs are tested. Of one there is no test, for between seeds
        nothing is known, and none where a run has no number: to leave it out would be to choose.
    """
    if not np.isfinite([*first.values(), *second.values()]).all():
        return Difference("none", (len(first), len(second)), np.nan)
    a, b = (np.array(list(side.values())) for side in (first, second))
    n, mean = (len(a), len(b)), float(a.mean() - b.mean())
    if min(n) < 2:
        return Difference("none", n, mean)
    if first.keys() == second.keys():
        test, pairs = "paired", np.array([first[seed] - second[seed] for seed in first])
        variance, freedom = pairs.var(ddof=1) / len(pairs), float(len(pairs) - 1)
    else:
        test, parts = "unpaired", [side.var(ddof=1) / len(side) for side in (a, b)]
        variance = sum(parts)
        squares = sum(v * v / (k - 1) for v, k in zip(parts, n, strict=True))
        freedom = variance**2 / squares if squares > 0 else 1.0
    error = float(np.sqrt(variance))
    if error <= _ROUNDING * max(np.abs(a).max(), np.abs(b).max()):
        error = 0.0
    reach = float(students_t.ppf((1 + level) / 2, freedom)) * error
    p = float(2 * students_t.sf(abs(mean) / error, freedom)) if error > 0 else np.nan
    return Difference(test, n, mean, mean - reach, mean + reach, p)


def _find_quantities(runs: Sequence[GroupedRun]) -> list[str]:
    """Return what can be compared: the reward where it is the same, P, and common areas."""
    areas = [
        list(dict.fromkeys(area for r in run.results for area in r.measurement.areas))
        for run in runs
    ]
    common = [area for area in areas[0] if all(area in other for other in areas)]
    return [*([] if _find_unlike_rewards(runs) else ["reward"]), "P", *common]


def _find_unlike_rewards(runs: Sequence[GroupedRun]) -> str:
    """Return why rewards cannot be compared; empty where they can."""
    tasks: list[dict[str, Any]] = [run.config["task"] for run in runs]
    for name, what in (("reward", "rewards"), ("teacher", "teachers"), ("images", "images")):
        if any(find_differences({name: tasks[0].get(name)}, {name: one.get(name)}, ("", ""))
               for one in tasks):  # fmt: skip
            return f"the runs have different {what}"
    first = (tasks[0].get("reward") or {}).get("first")
    if first and len(runs) > 1:
        return f"each run standardises its reward by its own first {first} candidates"
    return ""


def _say_unlike(runs: Sequence[GroupedRun], number: int) -> list[str]:
    said = []
    if reason := _find_unlike_rewards(runs):
        said.append(
            f"Rewards are not compared: {reason}. P and the similarities to areas are, of the "
            "candidate that each run's own reward ranked first."
        )
    longest = max(len(run.results) for run in runs)
    if longest > number:
        said.append(
            f"All are compared after {number} candidates, which is what the shortest run has; the "
            f"longest has {longest}."
        )
    if others := find_unlabelled(runs):
        said.append(f"Groups differ in other settings too: {', '.join(others)}.")
    if lines := find_task_differences([run.config for run in runs], [run.name for run in runs]):
        said.append(f"The tasks differ, so that numbers are not of the same things:{lines}")
    return said


def _trace(results: Sequence[Attempt], quantities: Sequence[str]) -> np.ndarray:
    """Return of the best so far, by reward, each quantity (quantity, candidate)."""
    curve = np.full((len(quantities), len(results)), np.nan)
    best, values = -np.inf, np.full(len(quantities), np.nan)
    for place, result in enumerate(results):
        if result.outcome == "done" and result.reward is not None and result.reward > best:
            best = result.reward
            values = np.array([_read(result, name) for name in quantities])
        curve[:, place] = values
    return curve


def _read(result: Attempt, name: str) -> float:
    """Return a quantity of a candidate at its last rung; NaN where it has none."""
    known = {"reward": result.reward, "P": result.performance}
    if name not in known:
        best = result.measurement.best(name) if name in result.similarity else None
        known[name] = None if best is None else best[1]
    value = known[name]
    return np.nan if value is None else float(value)


def _summarise(found: xr.Dataset) -> xr.Dataset:
    """Return mean, sd and 95 % interval of each group, at the end and along the curves."""
    parts: dict[str, list[xr.DataArray]] = {}
    numbers = []
    for label in found["group"].values:
        one = found.isel(run=np.flatnonzero(found["group_of_run"].values == label))
        n = one.sizes["run"]
        numbers.append(n)
        width = float(students_t.ppf(0.975, n - 1)) / np.sqrt(n) if n > 1 else np.nan
        for source, before in (("final", ""), ("curve", "curve_")):
            mean = one[source].mean("run", skipna=False)
            sd = one[source].std("run", ddof=min(1, n - 1), skipna=False)
            sd = sd if n > 1 else sd * np.nan
            for name, values in (
                ("mean", mean),
                ("sd", sd),
                ("lower", mean - width * sd),
                ("upper", mean + width * sd),
            ):
                parts.setdefault(before + name, []).append(values)
    parts.pop("curve_sd")
    joined = {
        name: xr.concat(values, found["group"], coords="minimal", compat="override", join="exact")
        for name, values in parts.items()
    }
    summary = xr.Dataset(
        {name: values.drop_vars(["run", "seed", "group_of_run"], errors="ignore")
         for name, values in joined.items()}
    )  # fmt: skip
    order = [dim for dim in ("quantity", "group", "candidate") if dim in summary.dims]
    return summary.transpose(*order).assign_coords(runs=("group", np.array(numbers)))


def _test_pairs(found: xr.Dataset) -> xr.Dataset:
    """Return the difference of every two groups in every quantity, with its test."""
    pairs = list(combinations(found["group"].values.tolist(), 2))
    quantities = found["quantity"].values.tolist()
    tests: dict[tuple[int, int], Difference] = {}
    for k, quantity in enumerate(quantities):
        values = found["final"].sel(quantity=quantity).values
        of_group = {
            label: {
                int(seed): float(value)
                for seed, group, value in zip(
                    found["seed"].values, found["group_of_run"].values, values, strict=True
                )
                if group == label
            }
            for label in found["group"].values.tolist()
        }
        for p, (first, second) in enumerate(pairs):
            tests[k, p] = compare_groups(of_group[first], of_group[second])

    def column(read: Any, kind: type = float) -> tuple[tuple[str, str], np.ndarray]:
        values = [[read(tests[k, p]) for p in range(len(pairs))] for k in range(len(quantities))]
        return ("quantity", "pair"), np.array(values, kind).reshape(len(quantities), len(pairs))

    result = xr.Dataset(
        {
            "difference": column(lambda one: one.mean),
            "difference_lower": column(lambda one: one.lower),
            "difference_upper": column(lambda one: one.upper),
            "p_value": column(lambda one: one.p_value),
            "n_first": column(lambda one: one.n[0], int),
            "n_second": column(lambda one: one.n[1], int),
            "test": column(lambda one: one.test, object),
        },
        coords={
            "first": ("pair", np.array([first for first, _ in pairs], dtype=object)),
            "second": ("pair", np.array([second for _, second in pairs], dtype=object)),
        },
    )
    result["corrected_p_value"] = (("quantity", "pair"), correct_holm(result["p_value"].values))
    return result
