"""The anytime curves of searches: what each had found at what cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.style import COLOURS, COLUMN, LABEL, TICK, new_figure, strip_axes

_LINES = ("-", "--", ":", "-.")
_WIDTH = 1.2  # of a line, points
_HIDDEN = 1 / 8  # of the costs at which a curve may lie under another


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
    curves = summary["curve_mean"].transpose("search", "cost").to_numpy()
    late = curves[:, len(cost) // 8 :]
    if np.isfinite(late).any():  # the first evaluations would flatten all that matters
        low, high = np.nanmin(late), np.nanmax(late)
        room = 0.08 * (high - low) or 0.01
        axes.set_ylim(low - room, high + room)
    low, high = axes.get_ylim()
    points = axes.get_window_extent().height * 72 / axes.figure.dpi
    dashes = _choose_dashes(late, _WIDTH * (high - low) / points)
    for number, (name, dash) in enumerate(zip(summary["search"].values, dashes, strict=True)):
        one = summary.sel(search=name)
        colour = COLOURS[number % len(COLOURS)]
        final = float(one["mean"])
        axes.plot(
            cost,
            one["curve_mean"],
            color=colour,
            linestyle=dash,
            linewidth=_WIDTH,
            label=f"{name} {final:.2f}",
        )
        axes.fill_between(
            cost, one["curve_lower"], one["curve_upper"], color=colour, alpha=0.2, linewidth=0
        )
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
        handlelength=2.4,  # a whole dash and a gap
        columnspacing=1.0,
    )
    return axes


def _choose_dashes(curves: np.ndarray, width: float) -> list[Any]:
    """Return a kind of line for each curve (search, cost), such that none hides another.

    Curves that lie within the width of a line of each other over an eighth of the costs take turns
    in drawing a dash each.
    """
    groups: list[list[int]] = []
    for number, curve in enumerate(curves):
        meets = [group for group in groups if any(_hides(curve, curves[k], width) for k in group)]
        groups = [group for group in groups if group not in meets]
        groups.append([*sorted(k for group in meets for k in group), number])
    dashes: list[Any] = [
        _LINES[number // len(COLOURS) % len(_LINES)] for number in range(len(curves))
    ]
    for group in groups:
        if len(group) > 1:
            for turn, number in enumerate(group):
                dashes[number] = (4.0 * turn, (4.0, 4.0 * (len(group) - 1)))
    return dashes


def _hides(one: np.ndarray, other: np.ndarray, width: float) -> bool:
    """Return whether two curves (cost) cannot be told apart over much of their length."""
    known = np.isfinite(one) & np.isfinite(other)
    near = np.abs(one - other)[known] <= width
    return bool(near.size and near.mean() > _HIDDEN)
