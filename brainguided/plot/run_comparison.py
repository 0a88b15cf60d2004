"""The figure of searches compared: the best so far, of each group of runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.anytime import plot_anytime
from brainguided.plot.style import COLUMN, LABEL, PAGE, TICK, new_figure

_ACROSS = 2  # panels


def plot_runs(comparison: xr.Dataset, *, axes: Any = None) -> np.ndarray:
    """Draw the best so far of each group of searches: mean over runs, with 95 % intervals.

    Parameters
    ----------
    comparison : Dataset (quantity, group, candidate)
        From `replays.compare_runs`.
    axes : Axes or array of Axes, optional
        At least as many as there are quantities; by default a new figure.

    Returns
    -------
    ndarray of Axes
        One for each quantity, flat.

    Raises
    ------
    ValueError
        There are fewer axes than quantities.
    """
    quantities = [str(name) for name in comparison["quantity"].values]
    if axes is None:
        across = min(_ACROSS, len(quantities))
        rows = -(-len(quantities) // across)
        figure = new_figure(COLUMN if across == 1 else PAGE, 2.6 * rows)
        axes = figure.subplots(rows, across, squeeze=False)
    panels = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if panels.size < len(quantities):
        raise ValueError(
            f"There are {len(quantities)} quantities and {panels.size} axes; give one axes each."
        )
    for panel in panels[len(quantities) :]:
        panel.set_axis_off()
    curves = ["mean", "curve_mean", "curve_lower", "curve_upper"]
    for name, panel in zip(quantities, panels, strict=False):
        one = comparison[curves].sel(quantity=name)
        summary = one.rename(group="search", candidate="cost").drop_vars("quantity")
        plot_anytime(summary, axes=panel)
        _show_intervals(panel, one)
        panel.set_xlabel("candidates", fontsize=LABEL)
        panel.set_ylabel(f"{_NAMES.get(name, f'similarity to {name}')} of the best", fontsize=LABEL)
        panel.tick_params(labelsize=TICK)
    return panels[: len(quantities)]


def _show_intervals(panel: Axes, one: xr.Dataset) -> None:
    """Make room for the whole intervals of the second half of the searches."""
    late = one[["curve_mean", "curve_lower", "curve_upper"]].isel(
        candidate=slice(one.sizes["candidate"] // 2, None)
    )
    known = np.concatenate([values.values.ravel() for values in late.values()])
    known = known[np.isfinite(known)]
    if known.size:
        room = 0.05 * float(np.ptp(known)) or 0.01
        panel.set_ylim(float(known.min()) - room, float(known.max()) + room)


_NAMES = {"reward": "reward", "P": "P (validation accuracy)"}
