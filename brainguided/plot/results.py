"""The figure of the course of a search."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.journal.chance import find_chance, name_performance
from brainguided.plot.style import (
    COLOURS,
    COLUMN,
    LABEL,
    TICK,
    new_figure,
    strip_axes,
)
from brainguided.rdms.comparisons import COMPARISONS
from neural_data.model.origin import is_simulated

_MANY = 2000  # candidates beyond which vector files hold their marks as an image


def plot_search(
    run: xr.Dataset,
    *,
    chance: float | None = None,
    ceiling: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw reward, P and TG of every candidate, and the best reward so far.

    Parameters
    ----------
    run : Dataset (candidate)
        What :func:`brainguided.search.run.run_search` returns. ``performance`` is P, the validation
        accuracy; ``guidance`` is TG, the mean over areas of the best layer's similarity, both
        at the last rung of each candidate; failed candidates (``outcome``) are crosses along the
        bottom. Where the settings of the run say how many classes there are, a line marks the P
        of guessing.
    chance, ceiling : float, optional
        TG that is reached with shuffled areas, and that of a model as good as the recordings allow
        (mean noise ceiling of the areas): drawn as lines. The report of a run finds both.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.
    """
    axes = new_figure(COLUMN, 2.6).add_subplot() if axes is None else axes
    candidate = run["candidate"].to_numpy()
    failed = run["outcome"].to_numpy().astype(str) != "done"
    size = float(np.clip(900 / max(candidate.size, 1), 3, 16))
    config = json.loads(run.attrs.get("config", "null"))
    series = (
        ("performance", f"P (validation {name_performance(config)})", COLOURS[0], "s"),
        ("guidance", _label_guidance(config), COLOURS[1], "^"),
        ("reward", "reward", "black", "o"),
    )
    for variable, name, colour, marker in series:
        values = _read_last(run[variable])
        shown = np.isfinite(values) & ~failed
        if shown.any():
            axes.scatter(
                candidate[shown], values[shown], s=size, c=colour, marker=marker, linewidths=0,
                alpha=0.8, label=name, rasterized=candidate.size > _MANY,
            )  # fmt: skip
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
    _draw_levels(axes, find_chance(config), chance, ceiling)
    _mark_failures(axes, candidate[failed])
    axes.set_xlabel("candidate", fontsize=LABEL)
    axes.set_ylabel(
        "score (simulated recordings)" if is_simulated(run) else "score", fontsize=LABEL
    )
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


def _draw_levels(
    axes: Axes, guessing: float | None, chance: float | None, ceiling: float | None
) -> None:
    """Draw lines beside which P and TG are to be read, where they are known."""
    lines: tuple[tuple[float | None, str, Any, str], ...] = (
        (guessing, COLOURS[0], ":", "P by chance"),
        (chance, COLOURS[1], (0, (1, 2.5)), "TG by chance"),
        (ceiling, COLOURS[1], "--", "TG: noise ceiling"),
    )
    for level, colour, dash, said in lines:
        if level is not None:
            label = f"{said} {level:.3g}"
            axes.axhline(level, color=colour, linewidth=0.8, linestyle=dash, label=label)


def _label_guidance(config: dict[str, Any] | None) -> str:
    """Return what TG is of: settings name the similarity of each area unless it is Pearson's."""
    teacher = ((config or {}).get("task") or {}).get("teacher") or []
    names = dict.fromkeys(str(one.get("similarity", "pearson")) for one in teacher)
    if all(name in COMPARISONS for name in names):
        return "TG (RDM similarity)"
    return f"TG (similarity: {', '.join(names)})"


def _read_last(values: xr.DataArray) -> np.ndarray:
    """Return the value of each candidate, the last that it has where there are rungs."""
    if "rung" not in values.dims:
        return values.to_numpy().astype(float)
    found = np.full(values.sizes["candidate"], np.nan)
    for column in values.transpose("rung", "candidate").to_numpy().astype(float):
        found = np.where(np.isfinite(column), column, found)
    return found


def _mark_failures(axes: Axes, failed: np.ndarray) -> None:
    """Draw crosses along the bottom, below all that is there."""
    if not failed.size:
        return
    bottom = axes.get_xaxis_transform()
    axes.scatter(
        failed,
        np.full(failed.size, 0.03),
        s=14,
        c="#666666",
        marker="x",
        linewidths=0.9,
        transform=bottom,
        label=f"failed ({failed.size})",
        clip_on=False,
    )
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high)
