"""The anytime curves of searches: what each had found at what cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.style import COLOURS, COLUMN, LABEL, TICK, new_figure, strip_axes

_LINES = ("-", "--", ":", "-.")


def plot_anytime(summary: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw the mean score of the incumbent against the cost, with 95 % intervals.

    The intervals are over the seeds of the searches alone, see `summarize_replays`.

    Parameters
    ----------
    summary : Dataset (search, cost)
        From `replay.summarize_replays`.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.
    """
    axes = new_figure(COLUMN, 2.7).add_subplot() if axes is None else axes
    cost = summary["cost"].to_numpy()
    dashes = _choose_dashes(summary["curve_mean"].transpose("search", "cost").to_numpy())
    for number, (name, dash) in enumerate(zip(summary["search"].values, dashes, strict=True)):
        one = summary.sel(search=name)
        colour = COLOURS[number % len(COLOURS)]
        final = float(one["mean"])
        axes.plot(
            cost,
            one["curve_mean"],
            color=colour,
            linestyle=dash,
            linewidth=1.2,
            label=f"{name} {final:.2f}",
        )
        axes.fill_between(
            cost, one["curve_lower"], one["curve_upper"], color=colour, alpha=0.2, linewidth=0
        )
    late = summary["curve_mean"].isel(cost=slice(len(cost) // 8, None)).to_numpy()
    if np.isfinite(late).any():  # the first evaluations would flatten all that matters
        low, high = np.nanmin(late), np.nanmax(late)
        room = 0.08 * (high - low) or 0.01
        axes.set_ylim(low - room, high + room)
    units = summary["cost"].attrs.get("units", "")
    axes.set_xlabel(f"cost ({units})" if units else "cost", fontsize=LABEL)
    axes.set_ylabel("score of the incumbent", fontsize=LABEL)
    strip_axes(axes)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=2,
        fontsize=TICK,
        frameon=False,
        borderaxespad=0.2,
        handlelength=1.2,
        columnspacing=1.0,
    )
    return axes


def _choose_dashes(curves: np.ndarray) -> list[Any]:
    """Return a kind of line for each curve (search, cost), such that none hides another.

    Curves that are nearly everywhere the same take turns in drawing a dash each.
    """
    span = np.nanmax(curves) - np.nanmin(curves) if np.isfinite(curves).any() else 0.0
    known = np.isfinite(curves)
    groups: list[list[int]] = []
    for number, curve in enumerate(curves):
        for group in groups:
            both = known[number] & known[group[0]]
            near = np.abs(curve - curves[group[0]])[both] <= 0.004 * span
            if both.any() and near.mean() > 0.5:
                group.append(number)
                break
        else:
            groups.append([number])
    dashes: list[Any] = [
        _LINES[number // len(COLOURS) % len(_LINES)] for number in range(len(curves))
    ]
    for group in groups:
        if len(group) > 1:
            for turn, number in enumerate(group):
                dashes[number] = (4.0 * turn, (4.0, 4.0 * (len(group) - 1)))
    return dashes
