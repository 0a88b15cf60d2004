"""Figures over time after stimulus onset."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from brainguided.plot.style import COLUMN, LABEL, TICK, new_figure, strip_axes
from brainguided.rdms.comparisons import find_comparison
from neural_data.model.origin import is_simulated


def plot_similarity_over_time(courses: xr.DataArray, *, axes: Axes | None = None) -> np.ndarray:
    """Draw the similarity of layers to areas over time, one panel an area.

    Layers are lines from dark (early) to light (late); a line at 0 ms marks the onset.

    Parameters
    ----------
    courses : DataArray (layer, time_bin[, area])
        As from ``time_courses.compute_similarity_over_time``. Without ``time_bin_start`` and
        ``time_bin_end`` (ms) bins are numbered.
    axes : Axes or array of Axes, optional
        One an area.

    Returns
    -------
    ndarray of Axes
        One an area.

    Raises
    ------
    ValueError
        If there are other dims, or fewer axes than areas.
    """
    if not {"layer", "time_bin"} <= set(courses.dims) <= {"layer", "time_bin", "area"}:
        raise ValueError(
            f"The courses have dims {tuple(map(str, courses.dims))}; (layer, time_bin) were "
            "expected, and area where there are several."
        )
    if "area" not in courses.dims:
        courses = courses.expand_dims(area=[str(courses.attrs.get("area", ""))])
    number = courses.sizes["area"]
    if axes is None:
        figure = new_figure(COLUMN, 0.6 + 1.5 * number)
        panels = np.atleast_1d(figure.subplots(number, 1, sharex=True, sharey=True))
    else:
        panels = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(panels) < number:
        raise ValueError(f"There are {number} areas and {len(panels)} axes; give one an area.")
    times, label = _find_times(courses)
    layers = courses["layer"].values.astype(str).tolist()
    colours = _shade(len(layers))
    simulated = "simulated " if is_simulated(courses) else ""
    for panel, area in zip(panels, courses["area"].values.tolist(), strict=False):
        values = courses.sel(area=area).transpose("layer", "time_bin").values
        for name, row, colour in zip(layers, values, colours, strict=True):
            panel.plot(times, row, color=colour, lw=1.0, label=name)
        panel.axhline(0, color="#888888", lw=0.5)
        if label.startswith("time") and times.min() <= 0 <= times.max():
            panel.axvline(0, color="#888888", lw=0.8, ls=":")
        panel.set_title(f"{simulated}{area}".strip(), fontsize=LABEL, pad=2)
        panel.set_ylabel(_say_short(courses), fontsize=LABEL)
        strip_axes(panel)
    panels[number - 1].set_xlabel(label, fontsize=LABEL)
    step = -(-len(layers) // 10)
    handles, names = panels[0].get_legend_handles_labels()
    panels[0].legend(
        handles[::step], names[::step], fontsize=TICK, frameon=False, loc="center left",
        bbox_to_anchor=(1.0, 0.5), handlelength=1.2,
    )  # fmt: skip
    return panels[:number]


def _shade(number: int) -> np.ndarray:
    import matplotlib

    return np.asarray(matplotlib.colormaps["cividis"](np.linspace(0, 0.9, number)))


def _find_times(courses: xr.DataArray) -> tuple[np.ndarray, str]:
    if {"time_bin_start", "time_bin_end"} <= set(courses.coords):
        middle = (courses["time_bin_start"].values + courses["time_bin_end"].values) / 2
        return middle, "time after onset (ms)"
    return np.arange(courses.sizes["time_bin"]), "time bin"


def _say_short(courses: xr.DataArray) -> str:
    method = find_comparison(str(courses.attrs.get("method", "pearson")))
    return f"RDM similarity\n({method.label})"
