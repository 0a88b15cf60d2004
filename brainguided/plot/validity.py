"""Figures of what predicts mature accuracy: by rung, over alpha, and of all scores at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.style import (
    COLOURS,
    COLUMN,
    GREY,
    LABEL,
    MARKERS,
    PAGE,
    TICK,
    new_figure,
    strip_axes,
)
from neural_data.model.origin import is_simulated

_NAMES = {"pearson": "correlation with mature accuracy", "partial": "partial correlation"}
_OTHERS = ("P + TG", "graph counts")


def plot_validity(found: xr.Dataset) -> np.ndarray:
    """Draw how well each area, TG and P predict mature accuracy at each rung.

    One column for each area and for TG; above Pearson's r, as in figure 3 of Bashivan et al.
    (2019), below the partial correlation given P, size and counts of the graph. Bars are 95 %
    intervals of a bootstrap over candidates; the band holds 95 % of the area's own shuffles.

    Parameters
    ----------
    found : Dataset (score, rung, ...)
        From `compute_validity`.

    Returns
    -------
    ndarray of Axes (statistic, area)
        Of the figure drawn.
    """
    names = [str(n) for n in found["score"].values]
    areas = [str(a) for a in found["area"].values] if "area" in found.coords else []
    areas = areas or [n.removeprefix("committed ") for n in names if n.startswith("committed ")]
    columns = [n for n in dict.fromkeys([*areas, "TG"]) if n in names] or ["P"]
    figure = new_figure(PAGE if len(columns) > 1 else COLUMN, 4.4)
    axes = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
    for k, area in enumerate(columns):
        for row, statistic in enumerate(("pearson", "partial")):
            _draw_band(axes[row, k], found, area, statistic)
            _draw_lines(axes[row, k], found, area, statistic)
        axes[0, k].set_title(area, fontsize=LABEL)
        axes[1, k].set_xlabel(_say_origin("training steps", found), fontsize=LABEL)
    for row, statistic in enumerate(("pearson", "partial")):
        axes[row, 0].set_ylabel(_NAMES[statistic], fontsize=LABEL)
    handles = {
        text: handle
        for one in axes.flat
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=min(len(handles), 5),
        fontsize=TICK,
        frameon=False,
        handlelength=1.6,
        columnspacing=1.2,
    )
    return np.asarray(axes)


def plot_alpha(found: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw what TG adds to P at each rung, over its weight: figure 2 of Bashivan et al. (2019).

    Parameters
    ----------
    found : Dataset (alpha, rung)
        From `compute_validity`, of a run with a teacher.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        The run had no teacher.
    """
    if "gain" not in found:
        raise ValueError("The run had no teacher, so there is no TG to be weighted.")
    axes = new_figure(COLUMN, 2.6).add_subplot() if axes is None else axes
    place = np.arange(found.sizes["alpha"])
    number = found.sizes["rung"]
    for k, rung in enumerate(found["rung"].values):
        one = found.sel(rung=rung)
        low, high = one["gain"] - one["gain_lower"], one["gain_upper"] - one["gain"]
        axes.errorbar(
            place + 0.06 * (k - (number - 1) / 2),
            one["gain"],
            yerr=np.clip(np.stack([low, high]), 0, None),
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            markersize=3,
            linewidth=1.0,
            elinewidth=0.6,
            label=f"{rung} steps",
        )
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xticks(place, [f"{alpha:g}" for alpha in found["alpha"].values])
    axes.set_xlabel(_say_origin("alpha, weight of TG", found), fontsize=LABEL)
    axes.set_ylabel("gain in correlation over P", fontsize=LABEL)
    strip_axes(axes)
    axes.legend(  # above: a place inside would be chosen without regard for the intervals
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=3,
        fontsize=TICK,
        frameon=False,
        borderaxespad=0.2,
        handlelength=1.4,
    )
    return axes


def plot_scores(found: xr.Dataset, *, rung: int | None = None) -> np.ndarray:
    """Draw the correlation and the partial correlation of every score at one rung.

    Parameters
    ----------
    found : Dataset (score, rung, statistic)
        From `compute_validity`.
    rung : int, optional
        Training steps; default: the last.

    Returns
    -------
    ndarray of two Axes
        Of the figure drawn: Pearson's r, partial correlation.

    Raises
    ------
    ValueError
        There is no such rung.
    """
    rungs = found["rung"].values.tolist()
    rung = rungs[-1] if rung is None else rung
    if rung not in rungs:
        raise ValueError(f"There is no rung {rung}; there are {rungs}.")
    one = found.sel(rung=rung)
    one = one.isel(score=np.isfinite(one["value"].sel(statistic="pearson").values))
    place = np.arange(one.sizes["score"])[::-1]
    figure = new_figure(PAGE, 0.6 + 0.14 * len(place))
    axes = figure.subplots(1, 2, sharey=True)
    controls = set(map(str, found["reference"].values)) - {"P"}
    for one_axes, statistic in zip(axes, ("pearson", "partial"), strict=True):
        chosen = one.sel(statistic=statistic)
        for y, name in zip(place, map(str, one["score"].values), strict=True):
            value = float(chosen["value"].sel(score=name))
            if not np.isfinite(value):
                continue
            bars = chosen[["lower", "upper"]].sel(score=name)
            colour = _colour_of(name, controls)
            one_axes.plot([float(bars["lower"]), float(bars["upper"])], [y, y], color=colour, lw=1)
            one_axes.plot([value], [y], marker="o", markersize=3, color=colour)
            _draw_null(one_axes, found, name, rung, statistic, y)
        one_axes.axvline(0, color="black", linewidth=0.5)
        label = _say_origin(f"{_NAMES[statistic]}, {rung} steps", found)
        one_axes.set_xlabel(label, fontsize=LABEL)
        strip_axes(one_axes)
    axes[0].set_yticks(place, [str(name) for name in one["score"].values], fontsize=TICK)
    axes[0].set_ylim(-0.8, len(place) - 0.2)
    return np.asarray(axes)


def _say_origin(label: str, found: xr.Dataset) -> str:
    return f"{label} (simulated recordings)" if is_simulated(found) else label


def _draw_lines(axes: Axes, found: xr.Dataset, area: str, statistic: str) -> None:
    """Draw P, the area, its committed layer, its controls and others, with their intervals."""
    names = set(map(str, found["score"].values))
    controls = [str(n) for n in found["reference"].values if str(n) != "P"]
    own = [n for n in controls if n.startswith(f"{area}:") or (area == "TG" and ":" not in n)]
    series: list[tuple[str, str, dict[str, Any]]] = [
        ("P", "P", {"color": "black", "marker": "o"}),
        (area, "best layer" if area != "P" else "", {"color": COLOURS[0], "marker": MARKERS[1]}),
        (f"committed {area}", "committed layer", {"color": COLOURS[1], "marker": MARKERS[2]}),
    ]
    series += [
        (n, n, {"color": COLOURS[3 + k], "marker": MARKERS[4 + k], "linestyle": "--"})
        for k, n in enumerate(_OTHERS)
    ]
    left_out = "P + TG" if area != "TG" else ""
    series = [x for x in series if x[0] in names and x[1] and x[0] != left_out]
    styles = [(0, (1, 1)), (0, (3, 1)), (0, (5, 1, 1, 1)), "-."]
    kinds = list(dict.fromkeys(name.partition(":")[2] or name for name in controls))
    for name in own:  # one line a kind, whichever an area has: they share a legend
        kind = name.partition(":")[2] or name
        dashes = styles[kinds.index(kind) % len(styles)]
        series.append((name, kind, {"color": "#666666", "linestyle": dashes, "linewidth": 0.7}))
    place = np.arange(found.sizes["rung"])
    for k, (name, label, style) in enumerate(series):
        one = found.sel(score=name, statistic=statistic)
        value = one["value"].values
        if not np.isfinite(value).any():
            continue
        drawn: dict[str, Any] = {"markersize": 3, "linewidth": 1.0, **style}
        bars = np.stack([value - one["lower"].values, one["upper"].values - value])
        axes.errorbar(
            place + (0 if name in own else 0.05 * (k - (len(series) - len(own) - 1) / 2)),
            value,
            yerr=None if name in own else np.clip(bars, 0, None),
            label=label,
            elinewidth=0.6,
            **drawn,
        )
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_xticks(place, [str(rung) for rung in found["rung"].values])
    strip_axes(axes)


def _draw_band(axes: Axes, found: xr.Dataset, area: str, statistic: str) -> None:
    """Draw what 95 % of the shuffles of an area lie between."""
    if "shuffled" not in found or area not in found["score"].values:
        return
    drawn = found["shuffled"].sel(score=area, tested=statistic).values
    if not np.isfinite(drawn).any():
        return
    low, middle, high = np.nanquantile(drawn, (0.025, 0.5, 0.975), axis=-1)
    place = np.arange(len(low), dtype=float)
    if len(low) == 1:
        place, low, middle, high = (
            np.array([-0.3, 0.3]),
            *(np.repeat(x, 2) for x in (low, middle, high)),
        )
    axes.fill_between(
        place, low, high, color=GREY, alpha=0.5, linewidth=0, label="95 % of shuffles"
    )
    axes.plot(place, middle, color="#888888", linewidth=0.7)


def _draw_null(
    axes: Axes, found: xr.Dataset, name: str, rung: int, statistic: str, y: float
) -> None:
    if "shuffled" not in found:
        return
    drawn = found["shuffled"].sel(score=name, rung=rung, tested=statistic).values
    if np.isfinite(drawn).any():
        low, high = np.nanquantile(drawn, (0.025, 0.975))
        axes.fill_between([low, high], y - 0.4, y + 0.4, color=GREY, alpha=0.5, linewidth=0)


def _colour_of(name: str, controls: set[str]) -> str:
    base = name.removeprefix("committed ")
    if base in controls:
        return "#666666"
    if name == "P" or base in ("TG", "P + TG"):
        return "black"
    if base[:1].isupper():
        return COLOURS[0]
    return COLOURS[1]
