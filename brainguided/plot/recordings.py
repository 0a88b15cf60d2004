"""Figures of recordings: responses, and how reliable they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.rdm_figure import bracket_categories
from brainguided.plot.style import (
    COLOURS,
    COLUMN,
    LABEL,
    TICK,
    colour_map,
    new_figure,
    strip_axes,
    thin_bar,
)
from neural_data.recording import average_repetitions


def plot_reliability(reliability: xr.DataArray, *, axes: Axes | None = None) -> Axes:
    """Draw the distribution of the sites' reliability, one histogram an area.

    Parameters
    ----------
    reliability : DataArray (site)
        What :func:`neural_data.compute_site_reliability` returns, with coordinate ``area``
        (site). Sites whose reliability is undefined (NaN) are counted in the legend, not drawn.
    axes : Axes, optional

    Returns
    -------
    Axes
    """
    axes = new_figure(COLUMN, 2.1).add_subplot() if axes is None else axes
    values = reliability.to_numpy().astype(float)
    if "area" in reliability.coords:
        area = reliability["area"].to_numpy().astype(str)
    else:
        area = np.full(values.size, "all sites")
    known = values[np.isfinite(values)]
    bins = np.linspace(min(0.0, known.min()) if known.size else 0.0, 1.0, 26).tolist()
    for number, name in enumerate(pd.unique(area)):
        mine = values[area == name]
        drawn = mine[np.isfinite(mine)]
        colour = COLOURS[number % len(COLOURS)]
        text = f"{name}: {mine.size} site{'' if mine.size == 1 else 's'}"
        if drawn.size:
            text += f", median {np.median(drawn):.2f}"
        if drawn.size < mine.size:
            text += f" ({mine.size - drawn.size} undefined)"
        axes.hist(drawn, bins=bins, color=colour, alpha=0.25, linewidth=0)
        axes.hist(
            drawn,
            bins=bins,
            histtype="step",
            color=colour,
            linewidth=1.2,
            linestyle=("-", "--", ":", "-.")[number % 4],
            label=text,
        )
        if drawn.size:
            axes.axvline(float(np.median(drawn)), color=colour, linewidth=0.8, linestyle=":")
    axes.set_xlabel("split-half reliability of a site", fontsize=LABEL)
    axes.set_ylabel("sites", fontsize=LABEL)
    strip_axes(axes)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.01), fontsize=TICK, frameon=False, borderaxespad=0.2
    )
    return axes


def plot_responses(recording: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw the mean response of every site to every stimulus.

    Sites are z-scored over stimuli, because rates differ more between sites than between
    stimuli; they are grouped by ``area``, stimuli by ``category`` where there is one.

    Parameters
    ----------
    recording : Dataset
        Responses, see :mod:`neural_data.recording`; repetitions are averaged.
    axes : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the responses have more than one time bin.
    """
    mean = average_repetitions(recording)
    if mean.sizes.get("time_bin", 1) > 1:
        raise ValueError(
            f"The responses have {mean.sizes['time_bin']} time bins and one is drawn: select it "
            "with recording.isel(time_bin=[k]), or average over them first."
        )
    mean = mean.transpose("stimulus", "site", ...)
    values = mean.to_numpy().reshape(mean.sizes["stimulus"], mean.sizes["site"]).astype(float)
    spread = values.std(axis=0)
    scores = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    area = mean["area"].to_numpy().astype(str)
    by_area = np.argsort(pd.factorize(area)[0], kind="stable")
    area, rows = area[by_area], np.arange(values.shape[0])
    categories = None
    if "category" in mean.coords:
        categories = mean["category"].to_numpy().astype(str)
        rows = np.argsort(pd.factorize(categories)[0], kind="stable")
        categories = categories[rows]
    axes = new_figure(COLUMN, 3.0).add_subplot() if axes is None else axes
    image = axes.imshow(scores[rows][:, by_area], cmap=colour_map(), vmin=-2, vmax=2, aspect="auto")
    starts = np.flatnonzero(np.r_[True, area[1:] != area[:-1]])
    ends = np.r_[starts[1:], area.size]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color="white", linewidth=1.2)
    names = [f"{area[start]}\n{end - start} sites" for start, end in zip(starts, ends, strict=True)]
    axes.set_xticks((starts + ends - 1) / 2, names)
    axes.set_yticks([])
    axes.tick_params(labelsize=TICK, length=0)
    if categories is not None and 1 < len(set(categories)) < categories.size:
        bracket_categories(axes, categories, names=True)
    else:
        axes.set_ylabel(f"{rows.size} stimuli", fontsize=LABEL)
    if "simulated" in str(recording.attrs.get("source", "")).lower():
        axes.set_title("simulated recording", fontsize=LABEL, pad=3)
    bar = axes.figure.colorbar(image, ax=axes, aspect=18, pad=0.03, extend="both")
    bar.set_label("mean response (z-score of the site)", fontsize=LABEL)
    thin_bar(bar)
    return axes
