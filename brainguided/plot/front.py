"""The Pareto front of a search for several objectives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.journal.chance import name_performance
from brainguided.plot.style import COLOURS, COLUMN, LABEL, TICK, new_figure, strip_axes
from neural_data.model.origin import is_simulated

_MANY = 2000  # candidates beyond which vector files hold their marks as an image
_DECADE = 10.0  # largest over smallest number from which an axis is logarithmic


def plot_front(
    run: xr.Dataset,
    *,
    x: str | None = None,
    y: str | None = None,
    levels: Mapping[str, tuple[float | None, float | None]] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw two objectives of every candidate, and those on the Pareto front.

    With two objectives a line joins the front: all that is below it in both is exceeded. With more
    a candidate may be on the front for an objective that is not drawn.

    Parameters
    ----------
    run : Dataset (candidate, objective)
        What :func:`brainguided.search.run.run_search` returns for a controller with objectives:
        ``objectives``, higher is better, NaN of candidates that do not compete, and ``front``.
    x, y : str, optional
        Objectives, as in ``run["objective"]``; default: the second and the first.
    levels : mapping of str to (float or None, float or None), optional
        Of objectives, such as "TG": what is reached by chance (a dotted line) and the ceiling
        (dashed), where they are known. One beyond all candidates is named beside the axis alone.
    axes : Axes, optional
        Drawn into; by default a new figure.

    Returns
    -------
    Axes
        Of the figure drawn.

    Raises
    ------
    ValueError
        The run has fewer than two objectives, or not those asked for.
    """
    names = run["objective"].values.astype(str).tolist() if "objectives" in run else []
    if len(names) < 2:
        raise ValueError(
            f"The run has the objectives {names}; expected two or more, as of a search with the "
            "controller nsga2 or motpe."
        )
    x, y = names[1] if x is None else x, names[0] if y is None else y
    if unknown := [name for name in (x, y) if name not in names]:
        raise ValueError(f"{unknown[0]!r} is no objective of the run; it has {', '.join(names)}.")
    config = json.loads(run.attrs.get("config", "null"))
    axes = new_figure(COLUMN, 2.7).add_subplot() if axes is None else axes
    across, up = _read(run, x), _read(run, y)
    known = np.isfinite(across) & np.isfinite(up)
    front = run["front"].values.astype(bool) & known
    size = float(np.clip(900 / max(known.sum(), 1), 3, 16))
    axes.scatter(
        across[known & ~front],
        up[known & ~front],
        s=size,
        c="#888888",
        linewidths=0,
        label=f"exceeded ({(known & ~front).sum()})",
        rasterized=known.sum() > _MANY,
    )
    label = f"front ({front.sum()})"
    axes.scatter(across[front], up[front], s=18, c=COLOURS[0], marker="D", lw=0, label=label)
    if len(names) == 2 and front.any():
        order = np.flatnonzero(front)[np.lexsort([up[front], across[front]])]
        style = "steps-post" if x.startswith("-") else "steps-pre"
        axes.plot(across[order], up[order], drawstyle=style, color=COLOURS[0], linewidth=0.8)
    for axis, name, numbers in zip(
        (axes.xaxis, axes.yaxis), (x, y), (across[known], up[known]), strict=True
    ):
        if numbers.size and 0 < numbers.min() <= numbers.max() / _DECADE:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        label = _label(name, config, simulated=is_simulated(run))
        if levels is not None and name in levels:
            label += _draw_levels(axis, levels[name])
        axis.set_label_text(label, fontsize=LABEL)
    strip_axes(axes)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.01),
        ncols=2,
        fontsize=TICK,
        frameon=False,
        borderaxespad=0.2,
        handletextpad=0.4,
    )
    return axes


def _read(run: xr.Dataset, name: str) -> np.ndarray:
    """Return an objective as the number that it names: one of which less is better turned back."""
    values = run["objectives"].sel(objective=name).to_numpy().astype(float)
    return -values if name.startswith("-") else values


def _draw_levels(axis: Any, levels: tuple[float | None, float | None]) -> str:
    """Draw lines across an axis where they are within what it shows; return what they are."""
    said = []
    low, high = axis.get_view_interval()
    for level, name, dash in zip(levels, ("by chance", "noise ceiling"), (":", "--"), strict=True):
        if level is None:
            continue
        said.append(f"{name} {level:.3g}")
        if low <= level <= high:
            draw = axis.axes.axhline if axis.axis_name == "y" else axis.axes.axvline
            draw(level, color=COLOURS[1], linewidth=0.8, linestyle=dash)
            axis.set_view_interval(low, high, ignore=True)
    return f"\n({', '.join(said)})" if said else ""


def _label(name: str, config: Mapping[str, Any] | None, *, simulated: bool) -> str:
    base = name.removeprefix("-")
    known = {"performance": f"P (validation {name_performance(config)})", "TG": "TG (similarity)"}
    said = known.get(base, base.replace("_", " "))
    said += " (less is better)" if name.startswith("-") else ""
    return f"{said}, simulated recordings" if simulated and base == "TG" else said
