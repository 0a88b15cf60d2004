"""Figures of RDMs: ordered, bracketed by category, under one colour scale."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.transforms import ScaledTranslation

from brainguided.plot.style import COLUMN, LABEL, PAGE, TICK, colour_map, new_figure, thin_bar
from brainguided.plot.thumbnails import edge_thumbnails, find_thumbnails
from brainguided.rdms.distances import read_row, square_matrix
from brainguided.rdms.labels import check_rdms, name_rdms
from brainguided.rdms.measures import DEFAULT, MEASURES
from neural_data.errors import AlignmentError
from neural_data.model.origin import is_simulated

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs

_LARGEST = 2048  # conditions of a matrix that is drawn as it is


def plot_rdms(
    rdms: RDMs,
    *,
    order: Sequence[str] | None = None,
    scale: str = "dissimilarity",
    columns: int | None = None,
    colour_bar: bool = True,
    thumbnails: xr.Dataset | None = None,
    axes: Any = None,
) -> np.ndarray:
    """Draw each RDM as a square image, under one colour scale.

    Parameters
    ----------
    rdms : rsatoolbox RDMs
        Titled by the RDM descriptor ``area`` or ``layer``, and by the time bin where there is one.
        Data said to be simulated by ``rdms.descriptors["simulated"]`` are called simulated.
    order : sequence of str, optional
        Labels of all conditions from top to bottom. By default conditions are grouped by the
        pattern descriptor ``category`` where there is one, else kept as they come. Categories
        are bracketed at the left.
    scale : {"dissimilarity", "percentile"}
        Show the values, or each RDM's values as percentiles of its own upper triangle, which
        lets RDMs of different spread be compared by eye [1]_.
    columns : int, optional
        Columns of the grid; by default up to 4, or else 3 to 5, such that no panel stands alone
        in the last row.
    colour_bar : bool, optional
        Draw the colour bar. Leave it out where figures with one scale stand together.
    thumbnails : xr.Dataset, optional
        Stimulus set whose images are drawn below each RDM: of every condition where there are at
        most 16, else one for each category (or 12 along the edge where there are none).
    axes : Axes or array of Axes, optional
        At least as many as there are RDMs; those left over are switched off.

    Returns
    -------
    ndarray of Axes
        One for each RDM, flat.

    Raises
    ------
    AlignmentError
        If `order` is not a permutation of the conditions' labels.
    ValueError
        If `scale` is unknown or there are fewer axes than RDMs.

    References
    ----------
    .. [1] Kriegeskorte et al. 2008, Frontiers in Systems Neuroscience 2:4, figure 1.
    """
    check_rdms(rdms)
    if scale not in ("dissimilarity", "percentile"):
        raise ValueError(f"scale is {scale!r}; it is one of 'dissimilarity', 'percentile'.")
    labels, categories = label_patterns(rdms)
    positions = order_patterns(labels, categories, order)
    if categories is not None:
        categories = categories[positions]
    names = name_rdms(rdms, unnamed="RDM {}")
    panels, spare = _panels(len(names), axes, columns)
    for panel in spare:
        panel.set_axis_off()
    ranked = scale == "percentile"
    low, high = (0.0, 100.0) if ranked else colour_limits(rdms.dissimilarities)
    rows, columns_used = _locate(panels)
    edge = rdms.n_cond - 0.5
    drawn = zip(names, rdms.dissimilarities, panels, columns_used, strict=True)
    for name, vector, panel, column in drawn:
        matrix = _lay_out(rank_pairs(vector) if ranked else vector, positions)
        image = panel.imshow(
            matrix,
            cmap=colour_map(),
            vmin=low,
            vmax=high,
            aspect="equal",
            extent=(-0.5, edge, edge, -0.5),
        )
        panel.set_title(name, fontsize=LABEL, pad=3)
        panel.set_xticks([])
        panel.set_yticks([])
        if categories is not None:
            bracket_categories(panel, categories, names=column == min(columns_used))
    note = count_conditions(rdms)
    under = 0.0
    if thumbnails is not None:
        under = _draw_thumbnails(rdms, thumbnails, positions, categories, panels)
    said = f"simulated, {note}" if is_simulated(rdms) else note
    panels[0].set_xlabel(said, fontsize=TICK, labelpad=2 + under)
    if colour_bar:
        beside = [*panels, *spare] if len(set(rows)) > 1 else [panels[-1]]
        draw_bar(image, beside, _say_scale(rdms, scale))
    return panels


def _draw_thumbnails(
    rdms: RDMs,
    stimuli: xr.Dataset,
    positions: np.ndarray,
    categories: np.ndarray | None,
    panels: np.ndarray,
) -> float:
    """Draw images below the RDMs; return how many points they take."""
    images = find_thumbnails(rdms, stimuli)[positions]
    number = len(images)
    if number <= 16:
        chosen, places = np.arange(number), np.arange(number, dtype=float)
    elif categories is not None:
        starts = np.flatnonzero(np.r_[True, categories[1:] != categories[:-1]])
        ends = np.r_[starts[1:], number]
        chosen, places = starts, (starts + ends - 1) / 2
    else:
        places = (np.arange(12) + 0.5) * number / 12 - 0.5
        chosen = places.astype(int)
    gaps = np.diff(places)
    size = min(float(gaps.min()) if gaps.size else number / 4, number / 8) * 0.94
    for panel in panels:
        edge_thumbnails(panel, images[chosen], places, size)
    panel = panels[0]
    height = panel.get_window_extent().height * 72 / panel.figure.dpi
    points: float = height * size / number + 2
    return points


def draw_bar(image: AxesImage, axes: list[Axes], label: str) -> None:
    """Draw a colour bar beside one RDM, as tall as it is, or beside a grid of them."""
    extend = "neither" if "percentile" in label else "both"
    figure = axes[0].figure
    if len(axes) == 1:
        beside = axes[0].inset_axes((1.05, 0.0, 0.05, 1.0))
        bar = figure.colorbar(image, cax=beside, extend=extend)
        height = axes[0].get_window_extent().height * 72 / figure.dpi
        if height < 0.6 * TICK * len(label):
            label = label.replace(" (", "\n(")
    else:
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, pad=0.02, extend=extend)
    bar.set_label(label, fontsize=TICK)
    thin_bar(bar)


def _say_scale(rdms: RDMs, scale: str) -> str:
    if scale == "percentile":
        return "Dissimilarity (percentile of its RDM)"
    measure = rdms.dissimilarity_measure
    label = MEASURES[measure].label if measure in MEASURES else str(measure or DEFAULT.label)
    return f"Dissimilarity ({label.replace('-', chr(0x2212))})"


def spread_panels(
    numbers: Sequence[int], choice: Sequence[int] = (4, 5, 6)
) -> tuple[int, list[int]]:
    """Return columns, and rows of each group, such that no group ends in a lone panel.

    Of the numbers of columns in `choice`, that which leaves the fewest places empty is taken.
    """

    def judge(columns: int) -> tuple[int, int, int]:
        last = [(number - 1) % columns + 1 for number in numbers]  # panels in the last row
        lone = sum(n == 1 and number > 1 for n, number in zip(last, numbers, strict=True))
        return lone, sum(columns - n for n in last), -columns

    columns = min(choice, key=judge)
    return columns, [-(-number // columns) for number in numbers]


def _panels(number: int, axes: Any, columns: int | None) -> tuple[np.ndarray, list[Axes]]:
    """Return as many axes as asked for, and those left over."""
    if axes is None:
        if columns is None:
            columns = number if number <= 4 else spread_panels([number], (3, 4, 5))[0]
        columns = min(number, columns)
        rows = -(-number // columns)
        width = COLUMN if columns <= 2 else PAGE
        side = (width - 1.0) / columns
        figure = new_figure(width, rows * (side + 0.22) + 0.25)
        axes = figure.subplots(rows, columns, squeeze=False)
    panels = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if panels.size < number:
        raise ValueError(f"There are {number} RDMs and {panels.size} axes; give one axes an RDM.")
    return panels[:number], list(panels[number:])


def _locate(panels: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the rows and columns of axes; those outside a grid count as one row."""
    rows, columns = [], []
    for number, panel in enumerate(panels):
        cell = panel.get_subplotspec()
        rows.append(0 if cell is None else cell.rowspan.start)
        columns.append(number if cell is None else cell.colspan.start)
    return rows, columns


def label_patterns(rdms: RDMs) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the conditions' labels and, where they form groups, their categories."""
    descriptors = rdms.pattern_descriptors
    known = [name for name in descriptors if name != "index"]
    wanted = str(rdms.descriptors.get("conditions", "stimulus"))
    name = wanted if wanted in known else (known[0] if len(known) == 1 else "")
    labels = np.asarray(descriptors[name] if name else np.arange(rdms.n_cond)).astype(str)
    if "category" not in descriptors:
        return labels, None
    categories = np.asarray(descriptors["category"]).astype(str)
    groups = len(set(categories))
    return labels, categories if 1 < groups < rdms.n_cond else None


def order_patterns(
    labels: np.ndarray, categories: np.ndarray | None, order: Sequence[str] | None
) -> np.ndarray:
    """Return the positions of the conditions from top to bottom."""
    if order is not None:
        wanted = [str(label) for label in order]
        if sorted(wanted) != sorted(labels):
            missing = sorted(set(labels) - set(wanted))[:3]
            unknown = sorted(set(wanted) - set(labels))[:3]
            raise AlignmentError(
                f"order has {len(wanted)} labels and the RDMs {len(labels)} conditions; each "
                f"condition is expected once. Not in order: {missing}; not in the RDMs: {unknown}."
            )
        place = {label: position for position, label in enumerate(labels)}
        return np.array([place[label] for label in wanted])
    if categories is not None:
        return np.argsort(pd.factorize(categories)[0], kind="stable")
    return np.arange(labels.size)


def count_conditions(rdms: RDMs) -> str:
    """Say how many stimuli (or objects, or whatever the conditions are) the RDMs hold."""
    return say_conditions(rdms.n_cond, str(rdms.descriptors.get("conditions", "stimulus")))


def say_conditions(number: int, by: str) -> str:
    """Say how many conditions there are, in words where they are known by name."""
    words = {"stimulus": ("stimulus", "stimuli"), "object_name": ("object", "objects")}
    one, many = words.get(by, (f"condition ({by})", f"conditions ({by})"))
    return f"{number} {one if number == 1 else many}"


def rank_pairs(vector: np.ndarray) -> np.ndarray:
    """Replace the dissimilarities of an RDM (pair,) by their percentiles."""
    ranks: np.ndarray = pd.Series(vector).rank(pct=True).to_numpy() * 100
    return ranks


def _lay_out(vector: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the matrix of an RDM (pair,) in the order drawn; of a large one, means of blocks.

    No page shows more, and several copies of a large matrix may be more than the memory holds.
    """
    number = len(positions)
    if number <= _LARGEST:
        whole: np.ndarray = square_matrix(vector)[positions][:, positions]
        return whole
    edges = np.linspace(0, number, _LARGEST + 1).astype(int)
    means = np.empty((_LARGEST, _LARGEST))
    for place, (first, end) in enumerate(pairwise(edges)):
        total = sum(read_row(vector, int(k), number)[positions] for k in positions[first:end])
        means[place] = np.add.reduceat(total, edges[:-1]) / (end - first)
    means /= np.diff(edges)
    return means


def colour_limits(values: np.ndarray) -> tuple[float, float]:
    """Cover the middle 98 % of the dissimilarities of all RDMs shown together."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, [1, 99], overwrite_input=True)  # our own copy
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def bracket_categories(panel: Axes, categories: np.ndarray, *, names: bool) -> None:
    """Draw a bracket beside each run of one category, and its name where it has room."""
    starts = np.flatnonzero(np.r_[True, categories[1:] != categories[:-1]])
    ends = np.r_[starts[1:], categories.size]
    inset = 0.15 * min(1.0, (ends - starts).min())
    figure = panel.figure
    beside, further = (
        panel.get_yaxis_transform() + ScaledTranslation(-points / 72, 0, figure.dpi_scale_trans)
        for points in (2.5, 8)
    )
    for start, end in zip(starts, ends, strict=True):
        panel.plot(
            [0, 0],
            [start - 0.5 + inset, end - 0.5 - inset],
            transform=beside,
            color="black",
            linewidth=1.0,
            solid_capstyle="butt",
            clip_on=False,
        )
    height = panel.get_window_extent().height * 72 / panel.figure.dpi
    gap = (TICK + 0.5) / height * categories.size
    centres = (starts + ends - 1) / 2
    if not names or gap * starts.size > categories.size:
        return
    places = _spread(centres, gap, categories.size - 0.5)
    line = {"arrowstyle": "-", "linewidth": 0.4, "shrinkA": 1, "shrinkB": 1, "relpos": (1, 0.5)}
    for start, centre, place in zip(starts, centres, places, strict=True):
        panel.annotate(
            categories[start],
            xy=(0, centre),
            xytext=(0, place),
            xycoords=beside,
            textcoords=further,
            ha="right",
            va="center",
            fontsize=TICK,
            annotation_clip=False,
            arrowprops=line,
        )


def _spread(centres: np.ndarray, gap: float, end: float) -> np.ndarray:
    """Move sorted positions apart to at least `gap`, inside -0.5 .. `end`."""
    places = centres.astype(float).copy()
    for number in range(1, places.size):
        places[number] = max(places[number], places[number - 1] + gap)
    places[-1] = min(places[-1], max(end - gap / 2, centres[-1]))
    for number in range(places.size - 2, -1, -1):
        places[number] = min(places[number], places[number + 1] - gap)
    return places
