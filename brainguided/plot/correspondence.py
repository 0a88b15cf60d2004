"""Figures of layer-area correspondence: a heatmap, and similarity along depth."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from brainguided.plot.style import (
    COLOURS,
    COLUMN,
    LABEL,
    MARKERS,
    PAGE,
    TICK,
    colour_map,
    new_figure,
    strip_axes,
    thin_bar,
)
from brainguided.rdms.comparisons import find_comparison
from neural_data.model.origin import is_simulated

CROWDED = 24
"""Layers beyond which cells hold no numbers."""
_LOWEST = 0.95  # inches of a map of few layers: labels beside it have to have room
_COMMITTED = 7  # size of the marker of the committed layer, points
WIDE = 3
"""Areas and controls beyond which figures are wider than a column of text."""


def plot_correspondence(
    correspondence: xr.DataArray | xr.Dataset,
    *,
    limits: tuple[float, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw how similar each layer is to each area, with the best layer of each area boxed.

    Of a whole correspondence, cells also hold the 95 % interval, a triangle at the left marks the
    committed layer, and a row above the layers the noise ceiling.

    Parameters
    ----------
    correspondence : Dataset, or DataArray (layer, area)
        As from ``compute_correspondence``, or its similarity alone; NaN (drawn grey) where a
        layer has no defined RDM. Where ``attrs["simulated"]`` says so, the areas are marked as
        simulated. With more than 24 layers the numbers are left out.
    limits : (float, float), optional
        Similarities of the darkest and the lightest colour, where several maps are to have one
        scale; by default those of this one, 0 included.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        If the dims are not ``layer`` and ``area``.
    """
    whole = correspondence if isinstance(correspondence, xr.Dataset) else None
    similarity = correspondence["similarity"] if whole is not None else correspondence
    if set(similarity.dims) != {"layer", "area"}:
        raise ValueError(
            f"The similarity has dims {tuple(map(str, similarity.dims))}; 'layer' and 'area' were "
            "expected. For one candidate of a run: run.similarity.sel(candidate=3)."
        )
    values = similarity.transpose("layer", "area").to_numpy().astype(float)
    layers = [str(layer) for layer in similarity["layer"].to_numpy()]
    areas = [str(area) for area in similarity["area"].to_numpy()]
    crowded = len(layers) > CROWDED
    step = 0.11 if crowded else (0.19 if whole is None else 0.27)
    if axes is None:
        lines = max(area.count("\n") for area in _break_names(areas)) + (len(areas) > WIDE)
        width = min(PAGE, COLUMN + COLUMN / 4 * max(0, len(areas) - WIDE))
        height = 0.75 + 0.12 * lines + max(step * len(layers), _LOWEST)
        axes = new_figure(width, height).add_subplot()
    low, high = limit_colours(values) if limits is None else limits
    image = axes.imshow(values, cmap=colour_map(), vmin=low, vmax=high, aspect="auto")
    intervals = None
    if whole is not None and "similarity_interval" in whole:
        intervals = whole["similarity_interval"].transpose("layer", "area", "bound").to_numpy()
    if not crowded:
        for row, column in np.ndindex(values.shape):
            value = values[row, column]
            dark = np.isfinite(value) and (value - low) / (high - low) < 0.5
            bounds = None if intervals is None else intervals[row, column]
            _write_cell(axes, (column, row), float(value), bounds, "white" if dark else "black")
    for column in range(len(areas)):
        if np.isfinite(values[:, column]).any():
            best = int(np.nanargmax(values[:, column]))
            _box_cell(axes, column, best)
    axes.set_xticks(range(len(areas)), _break_names(areas))
    axes.set_yticks(range(len(layers)), layers)
    axes.tick_params(labelsize=TICK if not crowded else TICK - 1, length=0)
    attrs = similarity.attrs if whole is None else whole.attrs
    legend = "box: its best layer"
    if whole is not None:
        legend += _mark_committed(axes, whole, layers, areas)
        _write_ceilings(axes, whole, len(areas))
    axes.set_xlabel(
        f"{'simulated area' if is_simulated(attrs) else 'area'} ({legend})", fontsize=LABEL
    )
    axes.set_ylabel("layer of the network", fontsize=LABEL)
    bar = axes.figure.colorbar(image, ax=axes, aspect=18, pad=0.03)
    bar.set_label(_say_method(attrs), fontsize=LABEL)
    thin_bar(bar)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    return axes


def limit_colours(*similarities: xr.DataArray | np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest of all similarities, 0 included."""
    values = np.concatenate([np.asarray(one, dtype=float).ravel() for one in similarities])
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low = min(low, 0.0)
    return low, max(high, low + 1e-3)


def plot_depth(
    correspondence: xr.Dataset, *, corrected: bool = False, axes: Axes | None = None
) -> Axes:
    """Draw the similarity to each area along the depth of the network.

    One line an area with its 95 % interval as a band; a large marker is the committed layer, and
    a dashed line in the area's colour its noise ceiling, with its interval.

    Parameters
    ----------
    correspondence : Dataset
        As from ``compute_correspondence``.
    corrected : bool, optional
        Draw similarities divided by the ceiling; areas without a usable one are left out.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        If no area has a usable ceiling and corrected similarities are asked for.
    """
    name, bounds = (
        ("corrected_similarity", "corrected_interval")
        if corrected
        else ("similarity", "similarity_interval")
    )
    layers = [str(layer) for layer in correspondence["layer"].to_numpy()]
    areas = [str(area) for area in correspondence["area"].to_numpy()]
    shown = [a for a in areas if np.isfinite(correspondence[name].sel(area=a)).any()]
    if not shown:
        raise ValueError(
            f"No area has a {name.replace('_', ' ')} to draw: ceilings need recordings with "
            "repetitions. Leave out corrected=True."
        )
    axes = new_figure(COLUMN, 2.7).add_subplot() if axes is None else axes
    place = np.arange(len(layers))
    tops = []
    for area in shown:
        number = areas.index(area)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        one = correspondence.sel(area=area)
        values = one[name].to_numpy().astype(float)
        interval = one[bounds].transpose("layer", "bound").to_numpy()
        axes.fill_between(place, interval[:, 0], interval[:, 1], color=colour, alpha=0.2, lw=0)
        axes.plot(place, values, color=colour, marker=marker, ms=2.5, lw=1.0, label=area)
        committed = str(one["committed_layer"].values) if "committed_layer" in one else ""
        if committed in layers:
            at = layers.index(committed)
            axes.plot(
                at, values[at], color=colour, marker=marker, ms=_COMMITTED, mec="black", mew=0.7
            )
        tops.append(np.nanmax(np.append(interval[:, 1], values)))
        if bool(one["ceiling_usable"]):
            ceiling = 1.0 if corrected else float(one["ceiling"])
            axes.axhline(ceiling, color=colour, lw=0.8, ls="--")
            if not corrected:
                span = one["ceiling_interval"].to_numpy()
                axes.axhspan(span[0], span[1], color=colour, alpha=0.12, lw=0)
            tops.append(ceiling)
    axes.axhline(0, color="#888888", lw=0.5)
    axes.set_ylim(top=max(tops) * 1.05 + 0.01)
    _label_layers(axes, layers)
    attrs = correspondence.attrs
    said = _say_method(attrs)
    axes.set_ylabel(f"{said}\n/ noise ceiling" if corrected else said, fontsize=LABEL)
    axes.set_xlabel("layer, from input to output", fontsize=LABEL)
    _add_legend(axes, "simulated areas" if is_simulated(attrs) else None)
    strip_axes(axes)
    return axes


def _add_legend(axes: Axes, title: str | None) -> None:
    """Name the areas, and what bands, large markers and dashed lines are."""
    handles, names = axes.get_legend_handles_labels()
    for handle, name in _explain_marks(axes):
        handles.append(handle)
        names.append(name)
    axes.legend(
        handles,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
        fontsize=TICK,
        frameon=False,
        title=title,
        title_fontsize=TICK,
        borderaxespad=0.2,
    )


def _explain_marks(axes: Axes) -> list[tuple[Any, str]]:
    """Return what the legend says of the bands, large markers and dashed lines that are there."""
    grey = "#666666"
    known: list[tuple[Any, str]] = [(Patch(facecolor=grey, alpha=0.3), "95 % interval")]
    if any(line.get_markersize() == _COMMITTED for line in axes.lines):
        style: dict[str, Any] = {"marker": "o", "ms": 5, "mec": "black", "mew": 0.7}
        known.append((Line2D([], [], color=grey, ls="", **style), "committed layer"))
    if any(line.get_linestyle() == "--" for line in axes.lines):
        known.append((Line2D([], [], color=grey, lw=0.8, ls="--"), "noise ceiling"))
    return known


def _label_layers(axes: Axes, layers: list[str]) -> None:
    """Name as many layers as have room."""
    step = -(-len(layers) // 24)
    kept = list(range(0, len(layers), step))
    long = max(map(len, layers)) > 3
    axes.set_xticks(kept, [layers[k] for k in kept], rotation=90 if long else 0, fontsize=TICK)
    axes.set_xlim(-0.5, len(layers) - 0.5)


def _write_cell(axes: Axes, place: tuple[int, int], value: float, bounds: Any, colour: str) -> None:
    """Write a similarity and, smaller and below it, its interval."""
    column, row = place
    known = bounds is not None and np.isfinite(bounds).all()
    shown = _say(value) if np.isfinite(value) else "undefined"
    heights = [(row - 0.2 * known, shown)]
    if known:
        span = f"{_say(bounds[0])} to {_say(bounds[1])}"
        heights.append((row + 0.22, span))
    for height, said in heights:
        axes.text(column, height, said, fontsize=TICK, ha="center", va="center", color=colour)


def _mark_committed(axes: Axes, whole: xr.Dataset, layers: list[str], areas: list[str]) -> str:
    """Mark the committed layer of each area; return what the mark is called."""
    marked = False
    for column, area in enumerate(areas):
        committed = str(whole["committed_layer"].sel(area=area).values)
        if committed in layers:
            axes.plot(
                column - 0.42, layers.index(committed), marker=">", ms=4.5, color="white",
                mec="black", mew=0.7, ls="",
            )  # fmt: skip
            marked = True
    return ", triangle: committed" if marked else ""


def _break_names(areas: list[str]) -> list[str]:
    """Break the names of controls, such as IT:partial-categories+pixels, into lines."""
    broken = []
    for area in areas:
        name, colon, kind = area.partition(":")
        kind = kind.replace("-", "\n").replace("+", "\n+ ")
        broken.append(f"{name}:\n{kind}" if colon else area)
    return broken


def _write_ceilings(axes: Axes, whole: xr.Dataset, number: int) -> None:
    """Write the noise ceilings above the columns."""
    said = []
    for column in range(number):
        one = whole.isel(area=column)
        if not np.isfinite(float(one["ceiling"])):
            said.append(_say_other_ceiling(one))
        elif not bool(one["ceiling_usable"]):
            said.append("ceiling unreliable")
        else:
            said.append(f"ceiling {_say(float(one['ceiling']))}")
    if number > WIDE:
        said = [text.replace(" ", "\n") for text in said]
    above = axes.secondary_xaxis("top")
    above.set_xticks(range(number), said)
    above.tick_params(labelsize=TICK, length=0, pad=1)
    above.spines["top"].set_visible(False)


def _say_other_ceiling(one: xr.Dataset) -> str:
    """Say what is known of the ceiling of an area whose repetitions give none."""
    if "animal_ceiling" in one and np.isfinite(one["animal_ceiling"].to_numpy()).all():
        low, high = one["animal_ceiling"].to_numpy()
        return f"ceiling {_say(low)} to {_say(high)} (animals)"
    if "reliability" in one and np.isfinite(float(one["reliability"])):
        return "no ceiling: noise"
    if "site_ceiling" in one and np.isfinite(float(one["site_ceiling"])):
        return f"ceiling {_say(float(one['site_ceiling']))} (sites)"
    return "ceiling unknown"


def _say(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _say_method(attrs: dict[Any, Any]) -> str:
    if "method" not in attrs and "long_name" in attrs:
        return str(attrs["long_name"])
    return f"RDM similarity ({find_comparison(str(attrs.get('method', 'pearson'))).label})"


def _box_cell(axes: Axes, column: int, row: int) -> None:
    """Outline a cell so that it stands out from light and dark neighbours."""
    for inset, colour, width in ((0.03, "black", 2.6), (0.03, "white", 1.2)):
        axes.add_patch(
            Rectangle(
                (column - 0.5 + inset, row - 0.5 + inset),
                1 - 2 * inset,
                1 - 2 * inset,
                fill=False,
                edgecolor=colour,
                linewidth=width,
            )
        )
