"""Figures of what networks earned: layer-area correspondence, and the course of a search."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

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


def plot_correspondence(similarity: xr.DataArray, *, axes: Axes | None = None) -> Axes:
    """Draw how similar each layer is to each area, with the best layer of each area boxed.

    Parameters
    ----------
    similarity : DataArray (layer, area)
        RDM similarity, Pearson r; NaN (drawn grey) where a layer has no defined RDM. Where
        ``attrs["source"]`` says so, the areas are marked as simulated.
    axes : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the dims are not ``layer`` and ``area``.
    """
    if set(similarity.dims) != {"layer", "area"}:
        raise ValueError(
            f"The similarity has dims {tuple(map(str, similarity.dims))}; 'layer' and 'area' were "
            "expected. For one candidate of a run: run.similarity.sel(candidate=3)."
        )
    values = similarity.transpose("layer", "area").to_numpy().astype(float)
    layers = [str(layer) for layer in similarity["layer"].to_numpy()]
    areas = [str(area) for area in similarity["area"].to_numpy()]
    if axes is None:
        axes = new_figure(COLUMN, 0.75 + 0.19 * len(layers)).add_subplot()
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    low, high = min(low, 0.0), max(high, low + 1e-3)
    image = axes.imshow(values, cmap=colour_map(), vmin=low, vmax=high, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        shown = f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "undefined"
        dark = np.isfinite(value) and (value - low) / (high - low) < 0.5
        axes.text(
            column,
            row,
            shown,
            ha="center",
            va="center",
            fontsize=TICK,
            color="white" if dark else "black",
        )
    for column in range(len(areas)):
        if np.isfinite(values[:, column]).any():
            best = int(np.nanargmax(values[:, column]))
            _box_cell(axes, column, best)
    axes.set_xticks(range(len(areas)), areas)
    axes.set_yticks(range(len(layers)), layers)
    axes.tick_params(labelsize=TICK, length=0)
    simulated = "simulated" in str(similarity.attrs.get("source", "")).lower()
    kind = "simulated area" if simulated else "area"
    axes.set_xlabel(f"{kind} (box: its best layer)", fontsize=LABEL)
    axes.set_ylabel("layer of the network", fontsize=LABEL)
    bar = axes.figure.colorbar(image, ax=axes, aspect=18, pad=0.03)
    bar.set_label("RDM similarity (Pearson r)", fontsize=LABEL)
    thin_bar(bar)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    return axes


def plot_search(run: xr.Dataset, *, axes: Axes | None = None) -> Axes:
    """Draw reward, P and TG of every candidate, and the best reward so far.

    Parameters
    ----------
    run : Dataset (candidate)
        What :func:`brainguided.search.run_search` returns. ``performance`` is P, the validation
        accuracy; ``guidance`` is TG, the mean over areas of the best layer's RDM similarity;
        failed candidates (``outcome``) are crosses along the bottom.
    axes : Axes, optional

    Returns
    -------
    Axes
    """
    axes = new_figure(COLUMN, 2.6).add_subplot() if axes is None else axes
    candidate = run["candidate"].to_numpy()
    failed = run["outcome"].to_numpy().astype(str) != "done"
    size = float(np.clip(900 / max(candidate.size, 1), 3, 16))
    series = (
        ("performance", "P (validation accuracy)", COLOURS[0], "s"),
        ("guidance", "TG (RDM similarity)", COLOURS[1], "^"),
        ("reward", "reward", "black", "o"),
    )
    for variable, name, colour, marker in series:
        values = run[variable].to_numpy().astype(float)
        shown = np.isfinite(values) & ~failed
        if shown.any():
            axes.scatter(
                candidate[shown],
                values[shown],
                s=size,
                c=colour,
                marker=marker,
                linewidths=0,
                alpha=0.8,
                label=name,
            )
    best = run["best_so_far"].to_numpy().astype(float)
    if np.isfinite(best).any():
        axes.plot(
            candidate,
            best,
            drawstyle="steps-post",
            color="black",
            linewidth=1.0,
            label="best reward so far",
        )
    if failed.any():
        bottom = axes.get_xaxis_transform()
        axes.scatter(
            candidate[failed],
            np.full(int(failed.sum()), 0.03),
            s=14,
            c="#666666",
            marker="x",
            linewidths=0.9,
            transform=bottom,
            label=f"failed ({int(failed.sum())})",
            clip_on=False,
        )
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.08 * (high - low), high)
    axes.set_xlabel("candidate", fontsize=LABEL)
    simulated = "simulated" in str(run.attrs.get("source", "")) or run.attrs.get("simulated")
    axes.set_ylabel("score (simulated recordings)" if simulated else "score", fontsize=LABEL)
    strip_axes(axes)
    if candidate.size:
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1.01),
            ncols=2,
            fontsize=TICK,
            frameon=False,
            borderaxespad=0.2,
            handletextpad=0.4,
            columnspacing=1.2,
            markerscale=1.2,
        )
    return axes


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
