"""Sizes, colours and axes shared by all figures."""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

COLUMN = 85 / 25.4
"""Width of one journal column, inches."""
PAGE = 180 / 25.4
"""Width of two journal columns, inches."""
LABEL = 7
"""Size of axis labels and titles, points."""
TICK = 6
"""Size of the smallest text, points."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of series, from Okabe & Ito's palette for colour-blind readers."""
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Markers of series, in the order of their colours."""
GREY = "#BBBBBB"
"""What is undefined."""


class SettledLayout(ConstrainedLayoutEngine):
    """Constrained layout that has settled when a figure is drawn for the first time.

    Square images shrink to their aspect only as they are drawn, and what is annotated beside them
    moves with them: a single pass leaves room where they would have been.
    """

    def execute(self, fig: Figure) -> None:
        """Lay the figure out, let its axes take their aspect, and lay it out again."""
        super().execute(fig)
        for axes in fig.axes:
            axes.apply_aspect()
        super().execute(fig)


def new_figure(width: float, height: float) -> Any:
    """Make a pyplot figure, so that a notebook shows it; pyplot is imported here, not before."""
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), dpi=200, layout=SettledLayout())


def colour_map() -> Any:
    """Return the colour map of amounts: even steps for colour-blind readers and in print."""
    return matplotlib.colormaps["cividis"].with_extremes(bad=GREY)


def thin_bar(bar: Any) -> None:
    """Set the text and lines of a colour bar to the size of the figure's."""
    bar.ax.tick_params(labelsize=TICK, width=0.6, length=2)
    bar.outline.set_linewidth(0.6)


def strip_axes(axes: Axes) -> None:
    """Keep the left and bottom spines, thin."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_linewidth(0.6)
    axes.tick_params(labelsize=TICK, width=0.6, length=2.5)
