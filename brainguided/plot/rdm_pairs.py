"""The figure of two sets of RDMs and of the similarity between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.rdm_figure import plot_rdms
from brainguided.plot.style import LABEL, PAGE, TICK, colour_map, new_figure
from brainguided.rdms.compare import align_rdms
from brainguided.rdms.comparisons import find_comparison

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

_MOST = 4  # RDMs of a side that are drawn


def plot_rdm_pairs(first: RDMs, second: RDMs, comparison: xr.Dataset) -> np.ndarray:
    """Draw RDMs of two sides, and their similarities with 95 % intervals.

    Parameters
    ----------
    first, second : rsatoolbox.rdm.RDMs
        As they were compared; of more than 4 on a side the first 4 are drawn. The second are
        drawn in the order of the conditions of the first.
    comparison : Dataset (first, second)
        From ``correspondence.compare_rdm_pairs``.

    Returns
    -------
    ndarray of Axes
        Of the RDMs drawn, those of `first` before those of `second`; with several on a side, that
        of the table of similarities last.
    """
    sides = [first, align_rdms(second, first)]
    single = all(side.n_rdm == 1 for side in sides)
    # By place: the descriptor "index" of a part keeps the numbers of the whole
    kept = [side[list(range(min(side.n_rdm, _MOST)))] for side in sides]
    label = find_comparison(str(comparison.attrs["method"])).label
    if single:
        figure = new_figure(PAGE * 0.8, 2.5)
        panels = figure.subplots(1, 2)
        for side, panel, name in zip(kept, panels, ("first", "second"), strict=True):
            plot_rdms(side, axes=[panel])
            panel.set_title(str(comparison[name].item()), fontsize=LABEL, pad=3)
        figure.suptitle(f"{label} = {_say_similarity(comparison)}", fontsize=LABEL + 1)
        return np.asarray(panels, dtype=object).ravel()
    across = max(side.n_rdm for side in kept)
    size = (PAGE - 1.6) / (across + 2)
    figure = new_figure(PAGE, 2 * (size + 0.45) + 0.3)
    grid = figure.add_gridspec(2, across + 1, width_ratios=[*[1.0] * across, 1.6])
    drawn: list[Axes] = []
    for number, side in enumerate(kept):
        row = [figure.add_subplot(grid[number, column]) for column in range(side.n_rdm)]
        drawn += list(plot_rdms(side, axes=row))
    table = figure.add_subplot(grid[:, across])
    _draw_table(comparison, table, label)
    return np.array([*drawn, table], dtype=object)


def _say_similarity(comparison: xr.Dataset) -> str:
    """Return the only similarity with its interval and test in words."""
    said = f"{comparison['similarity'].item():.3f}"
    low, high = comparison["similarity_interval"].values.ravel().tolist()
    if np.isfinite(low):
        said += f" (95 %: {low:.3f} to {high:.3f})"
    p = comparison["p_value"].item()
    return f"{said}, p = {p:.3g}" if np.isfinite(p) else said


def _draw_table(comparison: xr.Dataset, axes: Axes, label: str) -> None:
    """Draw the similarities as colours, with the numbers where there is room."""
    values = comparison["similarity"].values
    limit = max(float(np.abs(values).max()), 1e-9)
    axes.imshow(values, cmap=colour_map(), vmin=-limit if values.min() < 0 else 0.0, vmax=limit)
    for dim, place in (("second", axes.xaxis), ("first", axes.yaxis)):
        names = [str(name) for name in comparison[dim].values]
        place.set_ticks(range(len(names)), names, fontsize=TICK)
    axes.tick_params(axis="x", rotation=90 if values.shape[1] > 4 else 0, length=0)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"{label} (95 % interval)", fontsize=LABEL, pad=3)
    if values.size > 24:
        return
    for (row, column), value in np.ndenumerate(values):
        low, high = comparison["similarity_interval"].values[row, column]
        said = f"{value:.2f}" + (f"\n{low:.2f} to\n{high:.2f}" if np.isfinite(low) else "")
        dark = value < 0.6 * limit
        axes.text(
            column, row, said, ha="center", va="center", fontsize=TICK,
            color="white" if dark else "black",
        )  # fmt: skip
