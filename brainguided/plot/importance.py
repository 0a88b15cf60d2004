"""Figure of which choices go with what."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.style import COLUMN, LABEL, TICK, colour_map, new_figure, thin_bar
from neural_data.model.origin import is_simulated

_MOST = 30  # choices that have room
_UPRIGHT = 4  # characters of a measure that have room in its column
_LONGEST = 28  # characters of a name


def plot_importance(found: xr.Dataset, *, axes: Axes | None = None, level: float = 0.05) -> Axes:
    """Draw how much of each measure goes with each choice; dots mark those that were found.

    Parameters
    ----------
    found : Dataset (measure, choice)
        From `compute_importance`. All kinds of choices are shown, and those single decisions that
        were found for any measure; at most 30.
    axes : Axes, optional
        Drawn into; by default a new figure.
    level : float, optional
        Largest corrected p at which a choice counts as found.

    Returns
    -------
    Axes
        Of the figure drawn.
    """
    there = found["corrected_p_value"].values <= level
    shown = np.flatnonzero((found["level"].values == "kind") | there.any(axis=0))[:_MOST]
    share = found["importance"].values[:, shown].T
    measures = [_shorten(str(name)) for name in found["measure"].values]
    if axes is None:
        height = 1.1 + 0.15 * len(shown)
        axes = new_figure(max(COLUMN, 1.6 + 0.3 * len(measures)), height).add_subplot()
    image = axes.imshow(share, aspect="auto", cmap=colour_map(), vmin=0)
    rows, columns = np.nonzero(there[:, shown].T)
    axes.scatter(columns, rows, s=9, c="white", edgecolors="black", linewidths=0.6)
    choices = [_shorten(str(name)) for name in found["choice"].values[shown]]
    axes.set_yticks(np.arange(len(shown)), choices)
    turned = max(map(len, measures), default=0) > _UPRIGHT
    axes.set_xticks(np.arange(len(measures)), measures)
    if turned:
        axes.tick_params(axis="x", rotation=45)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
    axes.tick_params(labelsize=TICK, width=0.6, length=2)
    origin = ", simulated recordings" if is_simulated(found) else ""
    said = f"measure (dots: p ≤ {level:g}, corrected{origin})"
    axes.set_xlabel(said, fontsize=LABEL)
    figure = axes.figure
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("share of the variance", fontsize=LABEL)
    thin_bar(bar)
    return axes


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
