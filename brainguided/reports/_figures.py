"""The figures of a run, for the page and as files for papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from brainguided.architectures import Architecture
from brainguided.journal.attempts import Attempt
from brainguided.plot import (
    plot_architecture,
    plot_correspondence,
    plot_front,
    plot_rdms,
    plot_search,
)
from brainguided.plot.rdm_figure import draw_bar, say_conditions, spread_panels
from brainguided.plot.style import COLUMN, LABEL, PAGE
from brainguided.rdms.compute import rdms_from_dissimilarities, upper_triangle
from brainguided.reports._beside import find_ceilings, find_chance_levels, read_teacher
from brainguided.reports._similarity import find_methods, label_similarity
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.model.origin import is_simulated
from neural_data.storage.aside import write_whole

FOLDER = "figures"
"""In the run folder, for what a paper takes: SVG and PDF."""
VECTORS = ("svg", "pdf")
NAMES = ("search", "front", "architecture", "correspondence", "rdms")
_TOLERANCE = 0.02  # of Pearson r: the winner is trained again, perhaps on another machine
_LOWEST = 1.7  # height of a figure of few layers, inches: its labels have to have room


@dataclass
class Drawn:
    """Figures that could be drawn, and what is to be said of the others.

    Attributes
    ----------
    figures : dict of str to Figure
        By name, "search", without an ending.
    images : dict of str to bytes
        The same as PNG.
    stored : dict of str to Dataset
        RDMs of each area and of the winner's layers; empty where they are not shown.
    remarks : list of str
        What could not be drawn, and why.
    """

    figures: dict[str, Figure] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, xr.Dataset] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def draw_figures(
    folder: Path, run: xr.Dataset, winner: Attempt | None, config: dict[str, Any]
) -> Drawn:
    """Draw all figures of a run; one that fails costs itself alone."""
    drawn = Drawn()
    chance = ceiling = None
    if winner is not None and winner.similarity:
        try:
            drawn.stored, problem = load_winner_rdms(folder, winner, find_methods(config))
        except (ValueError, OSError) as error:
            problem = f"The winner's RDMs are not shown: {error}"
        if problem:
            drawn.remarks.append(problem)
        chance = find_chance_levels(winner, drawn.stored, find_methods(config))[0].get("TG")
        ceiling = find_ceilings(winner, read_teacher(folder)).get("TG")
    draw: dict[str, Callable[[], Figure]] = {"search": lambda: _draw_search(run, chance, ceiling)}
    if run.sizes.get("objective", 0) > 1:
        draw["front"] = lambda: _draw_front(run, chance, ceiling)
    if winner is not None:
        draw["architecture"] = lambda: _draw_architecture(winner)
    if winner is not None and winner.similarity:
        draw["correspondence"] = lambda: _draw_correspondence(
            winner, bool(run.attrs["simulated"]), label_similarity(config)
        )
    if winner is not None and drawn.stored:
        teacher = (config.get("task") or {}).get("teacher") or []
        draw["rdms"] = lambda: _draw_rdms(drawn.stored, winner, teacher)
    for name, make in draw.items():
        try:
            figure = make()
            drawn.images[name] = save_figure(figure, "png")
            figure.set_layout_engine("none")  # all is in its place now, also for other formats
            drawn.figures[name] = figure
        except Exception as error:  # the page is written whatever a figure fails of
            drawn.remarks.append(
                f"{name}.png could not be drawn ({type(error).__name__}: {error})."
            )
    return drawn


def write_vectors(place: Path, figures: Mapping[str, Figure]) -> None:
    """Write figures as SVG and PDF, and remove those of before that are not among them."""
    folder = place / FOLDER
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        for kind in VECTORS:
            path = folder / f"{name}.{kind}"
            if name in figures:
                write_whole(path, save_figure(figures[name], kind))
            else:
                path.unlink(missing_ok=True)


def save_figure(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file of some kind; the same figure gives the same bytes."""
    stream = BytesIO()
    nothing: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    # Text stays text, and the same run gives the same file
    settings: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "brainguided"}
    with matplotlib.rc_context(settings):
        figure.savefig(stream, format=kind, dpi=200, metadata=nothing.get(kind))
    return stream.getvalue()


def _draw_search(run: xr.Dataset, chance: float | None, ceiling: float | None) -> Figure:
    figure = Figure(figsize=(COLUMN * 1.3, 2.9), layout="constrained")
    plot_search(run, chance=chance, ceiling=ceiling, axes=figure.add_subplot())
    return figure


def _draw_front(run: xr.Dataset, chance: float | None, ceiling: float | None) -> Figure:
    figure = Figure(figsize=(COLUMN * 1.3, 2.9), layout="constrained")
    plot_front(run, levels={"TG": (chance, ceiling)}, axes=figure.add_subplot())
    return figure


def _draw_architecture(winner: Attempt) -> Figure:
    axes = plot_architecture(Architecture.from_json(winner.architecture))
    figure = axes.figure
    assert isinstance(figure, Figure)
    from matplotlib import pyplot

    pyplot.close(figure)  # it can still be saved
    return figure


def _draw_correspondence(winner: Attempt, simulated: bool, label: str) -> Figure:
    similarity = winner.similarity
    layers = list(next(iter(similarity.values())))
    values = [[np.nan if (r := known.get(layer)) is None else r for known in similarity.values()]
              for layer in layers]  # fmt: skip
    table = xr.DataArray(
        np.array(values, dtype=float),
        dims=("layer", "area"),
        coords={"layer": layers, "area": list(similarity)},
        attrs={"long_name": label, "simulated": int(simulated)},
    )
    height = max(_LOWEST, 0.75 + 0.19 * len(layers))
    figure = Figure(figsize=(COLUMN, height), layout="constrained")
    plot_correspondence(table, axes=figure.add_subplot())
    return figure


def load_winner_rdms(
    folder: Path, winner: Attempt, methods: dict[str, str]
) -> tuple[dict[str, xr.Dataset], str]:
    """Return the RDMs of every area and of the layers, or why they cannot be shown."""
    stored = {}
    for path in sorted(folder.glob("winner_rdms_*.nc")):
        rdms = load_dissimilarities(path)
        stored[str(rdms["area"].values[0]).removesuffix(" (teacher)")] = rdms
    similarity = winner.measurement.of_seeds()[0].similarity  # that of the network saved
    missing = [area for area in similarity if area not in stored]
    if missing:
        return {}, (
            f"The winner's RDMs were not saved for {', '.join(missing)} (the run has not ended, "
            "or was stopped), so they are not shown. Start the same search again to have them."
        )
    for area, layers in similarity.items():
        noted = {
            name: stored[area].attrs.get(name) for name in ("candidate", "seed", "architecture")
        }
        if noted["candidate"] is not None:
            if any(getattr(winner, name) != value for name, value in noted.items()):
                return {}, _say_other(area, winner)
            continue
        # Of an earlier version, which did not note whose they are
        if methods.get(area, "pearson") != "pearson":
            continue  # saved RDMs do not tell what its similarities are
        found = _compare_with_teacher(stored[area])
        known = {layer: r for layer, r in layers.items() if r is not None}
        if any(abs(found.get(layer, np.inf) - r) > _TOLERANCE for layer, r in known.items()):
            return {}, _say_other(area, winner)
    return {area: stored[area] for area in similarity}, ""


def _say_other(area: str, winner: Attempt) -> str:
    return (
        f"The saved RDMs of {area} are not those of candidate {winner.candidate}, the present "
        "winner, so they are not shown. Start the same search again to have them."
    )


def _compare_with_teacher(rdms: xr.Dataset) -> dict[str, float]:
    """Return the Pearson r between the first RDM, the teacher's, and each of the others."""
    teacher, *layers = (upper_triangle(m) for m in rdms["dissimilarity"].values)
    names = rdms["area"].values.astype(str).tolist()[1:]
    pairs = zip(names, layers, strict=True)
    return {name: float(np.corrcoef(teacher, v)[0, 1]) for name, v in pairs if np.ptp(v) > 0}


def _draw_rdms(
    stored: dict[str, xr.Dataset], winner: Attempt, teacher: Sequence[dict[str, Any]]
) -> Figure:
    """Draw, for every area, its RDM and then those of the layers; the best layer is framed."""
    saved = winner.measurement.of_seeds()[0]
    columns, rows = spread_panels([rdms.sizes["area"] for rdms in stored.values()])
    side = (PAGE - 1.4) / columns
    figure = Figure(figsize=(PAGE, sum(rows) * (side + 0.3)), layout="constrained")
    axes = figure.subplots(sum(rows), columns, squeeze=False)
    parts = np.split(axes, np.cumsum(rows)[:-1])
    for part, (area, rdms) in zip(parts, stored.items(), strict=True):
        panels = plot_rdms(
            rdms_from_dissimilarities(rdms), scale="percentile", colour_bar=False, axes=part
        )
        # A file of dissimilarities calls its conditions stimuli, whatever they are
        by = next((str(entry.get("by")) for entry in teacher if entry.get("area") == area), "")
        count = say_conditions(rdms.sizes["stimulus"], by if by else "stimulus")
        panels[0].set_xlabel(f"simulated, {count}" if is_simulated(rdms) else count)
        best = saved.best_layers.get(area)
        names = rdms["area"].values.astype(str).tolist()
        for name, panel in zip(names, panels, strict=True):
            r = saved.similarity[area].get(name)
            text = name.replace(" (teacher)", ": the teacher")
            if r is not None:
                text += f", {r:.2f}".replace("-", "\N{MINUS SIGN}")
            weight = "bold" if name == best else "normal"
            panel.set_title(text, fontsize=LABEL, pad=3, fontweight=weight)
            if name == best:
                for spine in panel.spines.values():
                    spine.set(linewidth=2.0, edgecolor="#D55E00")
    label = "Dissimilarity (percentile of its RDM)"
    draw_bar(panels[0].get_images()[0], axes.ravel().tolist(), label)
    return figure
