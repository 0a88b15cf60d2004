"""What a comparison of searches says, in words and as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

_TESTS = {
    "paired": "paired over {0} seeds",
    "unpaired": "unpaired (Welch), {0} and {1} runs",
}


def tabulate_groups(comparison: xr.Dataset) -> pd.DataFrame:
    """Return a row for each group and quantity: runs, mean, sd and 95 % interval at the end.

    Parameters
    ----------
    comparison : xarray.Dataset
        From `compare_runs`.

    Returns
    -------
    pandas.DataFrame
        Columns ``group``, ``quantity``, ``runs``, ``mean``, ``sd``, ``lower``, ``upper``.
    """
    kept = comparison[["mean", "sd", "lower", "upper"]].to_dataframe().reset_index()
    order = ["group", "quantity", "runs", "mean", "sd", "lower", "upper"]
    groups = {name: k for k, name in enumerate(comparison["group"].values.tolist())}
    return kept[order].sort_values("group", key=lambda names: names.map(groups), kind="stable")


def tabulate_differences(comparison: xr.Dataset) -> pd.DataFrame:
    """Return a row for each pair of groups and quantity: difference, interval and test.

    Parameters
    ----------
    comparison : xarray.Dataset
        From `compare_runs`.

    Returns
    -------
    pandas.DataFrame
        Columns ``first``, ``second``, ``quantity``, ``difference``, ``difference_lower``,
        ``difference_upper``, ``test``, ``n_first``, ``n_second``, ``p_value``,
        ``corrected_p_value``.
    """
    names = ["difference", "difference_lower", "difference_upper", "test", "n_first", "n_second",
             "p_value", "corrected_p_value"]  # fmt: skip
    rows = comparison[names].to_dataframe().reset_index()
    ordered = rows.sort_values("pair", kind="stable")
    return ordered[["first", "second", "quantity", *names]]


def describe_comparison(comparison: xr.Dataset) -> list[str]:
    """Return what a comparison of searches says, line by line.

    Parameters
    ----------
    comparison : xarray.Dataset
        From `compare_runs`.

    Returns
    -------
    list of str
        A table of groups, a line for each difference with what was tested, and what cannot be
        compared.
    """
    lines = [*_write_table(comparison)]
    tests = tabulate_differences(comparison)
    made = int(tests["p_value"].notna().sum())
    if comparison.sizes["group"] < 2:
        lines.append("All runs differ in their seeds alone: there is nothing to compare them with.")
    for row in tests.to_dict("records"):
        lines.append(_describe_difference(row, made))
    numbers = zip(comparison["group"].values, comparison["runs"].values, strict=True)
    few = [str(group) for group, number in numbers if number < 2]
    if few:
        lines.append(
            f"Of {', '.join(few)} there is one run: without another seed nothing is known of how "
            "far seeds differ, so it has no interval and is not tested."
        )
    if made:
        lines.append(
            "Intervals and tests are over the seeds of the searches only, not over images, stimuli "
            "or recordings."
        )
    return lines + str(comparison.attrs["said"]).splitlines()


def _write_table(comparison: xr.Dataset) -> list[str]:
    number = comparison.sizes["candidate"]
    width = max(len("group"), *(len(str(name)) for name in comparison["group"].values))
    columns = []
    for name in comparison["quantity"].values:
        one = comparison.sel(quantity=name)
        cells = [str(name), *(_say_mean(one.sel(group=g)) for g in comparison["group"].values)]
        columns.append([f"  {cell:>{max(map(len, cells))}}" for cell in cells])
    first = [
        ("group", "runs"),
        *zip(comparison["group"].values, comparison["runs"].values, strict=True),
    ]
    return [
        f"The best of {number} candidates, mean over runs (95 % interval):",
        *(
            f"{label:<{width}} {runs:>4}{''.join(cells)}"
            for (label, runs), *cells in zip(first, *columns, strict=True)
        ),
    ]


def _say_mean(one: xr.Dataset) -> str:
    mean, lower, upper = (float(one[name]) for name in ("mean", "lower", "upper"))
    if not np.isfinite(mean):
        return "undefined"
    if not np.isfinite(lower):
        return f"{mean:.4f}"
    return f"{mean:.4f} ({lower:.4f} to {upper:.4f})"


def _describe_difference(row: dict[Any, Any], made: int) -> str:
    if not np.isfinite(row["difference"]):
        both = f"{row['first']} and {row['second']}"
        return f"{row['quantity']}: {both} are not compared: a run has none"
    what = f"{row['quantity']}: {row['first']} less {row['second']} is {row['difference']:+.4f}"
    if row["test"] == "none":
        return f"{what}; no test, of {row['n_first']} and {row['n_second']} runs"
    what += f" ({row['difference_lower']:+.4f} to {row['difference_upper']:+.4f})"
    how = _TESTS[row["test"]].format(row["n_first"], row["n_second"])
    if not np.isfinite(row["p_value"]):
        return f"{what}, {how}; no p-value: seeds make no difference"
    said = f"{what}, {how}: p = {row['p_value']:.3g}"
    if made == 1:
        return said
    return f"{said}, {row['corrected_p_value']:.3g} corrected for {made} tests"
