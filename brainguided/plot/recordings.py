"""Figures of recordings: responses, how often they were measured, how reliable they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from brainguided.plot.rdm_figure import bracket_categories
from brainguided.plot.style import (
    COLOURS,
    COLUMN,
    LABEL,
    PAGE,
    TICK,
    colour_map,
    new_figure,
    strip_axes,
    thin_bar,
)
from neural_data.model.origin import is_simulated
from neural_data.model.site_blocks import average_block, iterate_sites
from neural_data.model.validation import check_structure
from neural_data.reliability.estimates import compute_site_reliability
from neural_data.reliability.facts import gather_facts

LINES = ("-", "--", ":", "-.")
SUMMARY_SPLITS = 20


def plot_reliability(
    reliability: xr.DataArray, *, draws: xr.DataArray | None = None, axes: Axes | None = None
) -> Axes:
    """Draw the distribution of the sites' reliability, one histogram an area.

    Parameters
    ----------
    reliability : DataArray (site)
        What :func:`neural_data.compute_site_reliability` returns, with coordinate ``area``
        (site). Sites whose reliability is undefined (NaN) are counted in the legend, not drawn.
    draws : DataArray (draw, site), optional
        What :func:`neural_data.bootstrap_site_reliability` returns for the same sites: the
        legend then gives the 95 % interval of the median, too, and the figure shades it.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        If there are several time bins, or the draws are not those of these sites.
    """
    _refuse_time_bins(reliability, "plot_reliability_over_time(reliability)")
    if draws is not None and draws.shape[1:] != reliability.shape:
        raise ValueError(
            f"The draws have shape {draws.shape} and the reliability {reliability.shape}; expected "
            "draws of the same sites, of bootstrap_site_reliability(recording)."
        )
    axes = new_figure(COLUMN, 2.1).add_subplot() if axes is None else axes
    values = reliability.to_numpy().astype(float)
    known = values[np.isfinite(values)]
    bins = np.linspace(min(0.0, known.min()) if known.size else 0.0, 1.0, 26)
    for name, sites, style in _iterate_areas(reliability):
        drawn = values[sites][np.isfinite(values[sites])]
        n_sites = int(sites.sum())
        text = f"{name}: {n_sites} site{'' if n_sites == 1 else 's'}"
        if drawn.size:
            text += f", median {np.median(drawn):.2f}"
            axes.axvline(float(np.median(drawn)), color=style["color"], linewidth=0.8, ls=":")
        if drawn.size and draws is not None:
            medians = np.nanmedian(draws.to_numpy()[:, sites], axis=1)
            low, high = np.quantile(medians, [0.025, 0.975])
            text += f" ({low:.2f} to {high:.2f})"
            axes.axvspan(low, high, color=style["color"], alpha=0.15, linewidth=0)
        if drawn.size < n_sites:
            text += f" ({n_sites - drawn.size} undefined)"
        _draw_histogram(axes, drawn, bins, style, text)
    axes.set_xlabel("split-half reliability of a site", fontsize=LABEL)
    _count(axes.yaxis, "sites")
    _finish(axes)
    return axes


def plot_reliability_over_time(reliability: xr.DataArray, *, axes: Axes | None = None) -> Axes:
    """Draw how reliable the sites of each area are in each time bin: median and quartiles.

    Parameters
    ----------
    reliability : DataArray (site, time_bin)
        What :func:`neural_data.compute_site_reliability` returns for a recording with time bins.
        Without ``time_bin_start`` and ``time_bin_end`` the bins are numbered.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        If there are no time bins.
    """
    if "time_bin" not in reliability.dims:
        raise ValueError(
            f"The reliability has the dims {reliability.dims} and no time bins: draw it with "
            "plot_reliability(reliability)."
        )
    axes = new_figure(COLUMN, 2.1).add_subplot() if axes is None else axes
    values = reliability.transpose("site", "time_bin").to_numpy().astype(float)
    if {"time_bin_start", "time_bin_end"} <= set(reliability.coords):
        bounds = reliability["time_bin_start"], reliability["time_bin_end"]
        time = (bounds[0].to_numpy() + bounds[1].to_numpy()) / 2
        axes.set_xlabel("time from stimulus onset, middle of the bin (ms)", fontsize=LABEL)
    else:
        time = np.arange(values.shape[1])
        axes.set_xlabel("time bin", fontsize=LABEL)
    marker = "o" if len(time) < 40 else ""
    for name, sites, style in _iterate_areas(reliability):
        low, median, high = np.nanquantile(values[sites], [0.25, 0.5, 0.75], axis=0)
        text = f"{name}: {int(sites.sum())} sites, median and quartiles"
        axes.fill_between(time, low, high, color=style["color"], alpha=0.2, linewidth=0)
        axes.plot(time, median, marker=marker, markersize=2, linewidth=1.2, label=text, **style)
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set_ylabel("split-half reliability of a site", fontsize=LABEL)
    _finish(axes)
    return axes


def plot_repetitions(recording: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw how many stimuli were shown how often, one line an area.

    Parameters
    ----------
    recording : Dataset
        Responses, see :mod:`neural_data.model.recording`. Where sites of an area miss different
        repetitions, the mean number of stimuli over its sites.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.
    """
    return _plot_counts(recording, gather_facts(recording).counts, axes)


def plot_responses(recording: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw the mean response of every site to every stimulus.

    Sites are z-scored over stimuli, because rates differ more between sites than between
    stimuli; they are grouped by ``area``, stimuli by ``category`` where there is one. What a
    site did not see is grey.

    Parameters
    ----------
    recording : Dataset
        Responses, see :mod:`neural_data.model.recording`; repetitions are averaged. A recording
        that is lazily opened is read in blocks.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        If the responses have more than one time bin.
    """
    check_structure(recording)
    _refuse_time_bins(recording["response"], "select one with recording.isel(time_bin=[k])")
    values = np.empty((recording.sizes["stimulus"], recording.sizes["site"]))
    for sites, block in iterate_sites(recording):
        values[:, sites] = average_block(block)[0].reshape(len(values), -1)
    mean = recording
    spread = np.nanstd(values, axis=0)
    scores = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0)
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
    if is_simulated(recording):
        axes.set_title("simulated recording", fontsize=LABEL, pad=3)
    bar = axes.figure.colorbar(image, ax=axes, aspect=18, pad=0.03, extend="both")
    bar.set_label("mean response (z-score of the site)", fontsize=LABEL)
    thin_bar(bar)
    return axes


def plot_recording_summary(recording: xr.Dataset) -> Any:
    """Draw a recording in four panels, on a page's width.

    Reliability of the sites (of the mean over time bins, if there are any), responses,
    repetitions of the stimuli; and the sites' mean response, or, with time bins, their
    reliability over time. Reliability is over 20 random splits; stimuli shown only once are
    left out of it.

    Parameters
    ----------
    recording : Dataset
        In memory or lazily opened, then read in blocks.

    Returns
    -------
    Figure
        With four panels.

    Raises
    ------
    RecordingError
        The recording does not follow the schema.
    """
    facts = gather_facts(recording)
    figure = new_figure(PAGE, 5.0)
    panels = figure.subplots(2, 2)
    reduced = facts.recording
    if reduced is None:
        _write(panels[0, 0], f"reliability is not drawn:\n{facts.recording_says}")
    else:
        plot_reliability(
            compute_site_reliability(reduced, splits=SUMMARY_SPLITS), axes=panels[0, 0]
        )
        if "time_bin" in recording["response"].dims:
            panels[0, 0].set_xlabel("split-half reliability, mean over time bins", fontsize=LABEL)
    _plot_counts(recording, facts.counts, panels[1, 0])
    if "time_bin" not in recording["response"].dims:
        plot_responses(recording, axes=panels[0, 1])
        _plot_means(recording, panels[1, 1])
    elif facts.averaged is None:
        _write(panels[0, 1], "responses are not drawn:\nthe recording is too large")
        _write(panels[1, 1], "reliability over time is not drawn:\nthe recording is too large")
    else:
        plot_responses(facts.averaged, axes=panels[0, 1])
        title = ", ".join(filter(None, (panels[0, 1].get_title(), "mean over time bins")))
        panels[0, 1].set_title(title, fontsize=LABEL, pad=3)
        if reduced is None:
            _write(panels[1, 1], f"reliability is not drawn:\n{facts.recording_says}")
        else:
            repeated = recording.isel(stimulus=np.flatnonzero((facts.counts != 1).all(axis=1)))
            plot_reliability_over_time(
                compute_site_reliability(repeated, splits=SUMMARY_SPLITS), axes=panels[1, 1]
            )
    return figure


def _plot_counts(recording: xr.Dataset, counts: np.ndarray, axes: Axes | None) -> Axes:
    """Draw how many stimuli were shown how often, from counts (stimulus, site)."""
    axes = new_figure(COLUMN, 2.1).add_subplot() if axes is None else axes
    edges = np.arange(counts.min(), counts.max() + 2) - 0.5
    for name, sites, style in _iterate_areas(recording["area"]):
        mine = counts[:, sites]
        text = f"{name}: median {np.median(mine):g}, {mine.min()} to {mine.max()}"
        weights = np.full(mine.size, 1 / sites.sum())
        _draw_histogram(axes, mine.ravel(), edges, style, text, weights=weights)
    if edges[-1] - edges[0] < 5:
        axes.set_xlim(edges[0] - 2, edges[-1] + 2)
    alike = (counts == counts[:, :1]).all()
    _count(axes.xaxis, "repetitions of a stimulus")
    _count(axes.yaxis, "stimuli" if alike else "stimuli (mean over sites)")
    _finish(axes)
    return axes


def _plot_means(recording: xr.Dataset, axes: Axes) -> None:
    """Draw the distribution over sites of the mean response to all stimuli."""
    means = np.empty(recording.sizes["site"])
    for block_of_sites, block in iterate_sites(recording):
        means[block_of_sites] = np.nanmean(average_block(block)[0], axis=0)
    edges = np.histogram_bin_edges(means, 25)
    for name, sites, style in _iterate_areas(recording["area"]):
        text = f"{name}: median {np.median(means[sites]):.3g}"
        _draw_histogram(axes, means[sites], edges, style, text)
    axes.set_xlabel(f"mean response of a site ({recording['response'].units})", fontsize=LABEL)
    _count(axes.yaxis, "sites")
    _finish(axes)


def _iterate_areas(data: xr.DataArray) -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Yield each area, its sites as bool (site), its colour and kind of line."""
    if "area" in data.coords:
        area = data["area"].to_numpy().astype(str)
    else:
        area = np.full(data.sizes["site"], "all sites")
    for number, name in enumerate(dict.fromkeys(area.tolist())):
        style = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": LINES[number % len(LINES)],
        }
        yield name, area == name, style


def _draw_histogram(
    axes: Axes,
    values: np.ndarray,
    edges: np.ndarray,
    style: dict[str, Any],
    text: str,
    *,
    weights: np.ndarray | None = None,
) -> None:
    """Draw one histogram, filled lightly under its outline."""
    heights, _ = np.histogram(values, edges, weights=weights)
    axes.stairs(heights, edges, fill=True, color=style["color"], alpha=0.25, linewidth=0)
    axes.stairs(heights, edges, linewidth=1.2, label=text, **style)


def _count(axis: Axis, label: str) -> None:
    """Label an axis of what is counted, of which there are no fractions."""
    axis.set_label_text(label, fontsize=LABEL)
    axis.set_major_locator(MaxNLocator(integer=True))


def _refuse_time_bins(data: xr.DataArray, remedy: str) -> None:
    if data.sizes.get("time_bin", 1) > 1:
        raise ValueError(
            f"There are {data.sizes['time_bin']} time bins and one is drawn: {remedy}, or average "
            "over them first."
        )


def _finish(axes: Axes) -> None:
    strip_axes(axes)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.01), fontsize=TICK, frameon=False, borderaxespad=0.2
    )


def _write(axes: Axes, text: str) -> None:
    """Say in an empty panel why nothing is drawn there."""
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=LABEL, transform=axes.transAxes)
