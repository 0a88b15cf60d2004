"""The figures of a run, and one self-contained page, from the run folder alone."""

from __future__ import annotations

import base64
import json
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from brainguided import __version__
from brainguided.architectures import Architecture
from brainguided.engines.output import escape_controls
from brainguided.guidance.rewards import Reward
from brainguided.journal.attempts import Attempt
from brainguided.journal.chance import say_accuracy
from brainguided.journal.exports import find_winner
from brainguided.journal.journal import JournalError
from brainguided.plot import plot_architecture, plot_correspondence, plot_rdms, plot_search
from brainguided.plot.rdm_figure import draw_bar, say_conditions
from brainguided.plot.style import COLUMN, LABEL, PAGE
from brainguided.rdms.compute import rdms_from_dissimilarities, upper_triangle
from brainguided.reports._rewarded import read_rewarded
from brainguided.reports._similarity import find_methods, label_similarity
from brainguided.reports.evidence import describe_evidence, describe_heldout, tabulate_targets
from neural_data.model.dissimilarities import load_dissimilarities
from neural_data.model.origin import is_simulated
from neural_data.storage.aside import write_whole

_COLUMNS = 6  # RDMs side by side
_TOLERANCE = 0.02  # of Pearson r: the winner is trained again, perhaps on another machine
_CAPTIONS = {
    "architecture.png": "Architecture of the winner.",
    "rdms.png": "RDMs of each area and of the winner's layers, as percentiles; the layer most "
    "similar to the area is framed. Numbers: {similarity}.",
    "correspondence.png": "{similarity} of the winner's layers to each area. The "
    "best of many layers is biased upward: compare layers, not the maximum with zero.",
    "search.png": "P (validation accuracy), TG (mean over areas of the best layer's "
    "similarity) and reward of every candidate; dotted the P of guessing.",
}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:56rem;margin:2rem auto;padding:0 1rem}
h1,h2{line-height:1.2} h2{margin-top:2.2rem} img{max-width:100%;height:auto}
table{border-collapse:collapse;font-size:.9rem;margin:.6rem 0} td,th{padding:.2rem .7rem .2rem 0;
text-align:left;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
.note{background:#fff3d6;border-left:4px solid #e69f00;padding:.5rem .8rem}
code{background:#f2f2f2;padding:.1rem .25rem} figure{margin:1rem 0} figcaption{font-size:.9rem}
"""


def write_report(out: str | os.PathLike[str], *, reward: str | Reward | None = None) -> list[Path]:
    """Write the figures and the page of a run, finished or not.

    Reads the journal without disturbing a search that is running. Nothing but the run folder is
    needed: no recording and no training.

    Parameters
    ----------
    out : path
        The run folder.
    reward : str or Reward, optional
        In place of that of the search, for what was measured: "P+0.5*IT@50", see `parse_reward`.
        The report is then written into the folder ``another_reward`` in the run folder.

    Returns
    -------
    list of path
        ``search.png``, ``architecture.png`` (that of the winner), and where the run has them
        ``correspondence.png`` (similarity of the winner's layers to every area) and
        ``rdms.png`` (RDMs of every area beside the winner's
        layers; only where ``winner_rdms_*.nc`` belong to the present winner, else an earlier
        ``rdms.png`` is removed), and ``report.html``, which holds all figures, and says which
        could not be drawn and why.

    Raises
    ------
    FileNotFoundError
        The folder holds no journal.
    JournalError
        The journal is damaged or holds no finished candidate.
    ValueError
        The reward cannot be read, or asks for what was not measured.
    OSError
        The folder cannot be written.
    """
    folder = Path(out)
    results, config, run, said = read_rewarded(folder, reward)
    if not results:
        raise JournalError(
            f"{folder} holds no finished candidate yet. Start the same search again, then report."
        )
    teacher = (config.get("task") or {}).get("teacher") or []
    winner = find_winner(results)
    draw: dict[str, Callable[[], Figure]] = {"search.png": lambda: _draw_search(run)}
    remarks = [said] if said else []
    if winner is not None:
        draw["architecture.png"] = lambda: _draw_architecture(winner)
    if winner is not None and winner.similarity:
        draw["correspondence.png"] = lambda: _draw_correspondence(
            winner, bool(run.attrs["simulated"]), label_similarity(config)
        )
        try:
            stored, problem = _load_winner_rdms(folder, winner, find_methods(config))
        except (ValueError, OSError) as error:
            stored, problem = {}, f"The winner's RDMs are not shown: {error}"
        if problem:
            remarks.append(problem)
        else:
            draw["rdms.png"] = lambda: _draw_rdms(stored, winner, teacher)
    drawn = {}
    for name, figure in draw.items():
        try:
            drawn[name] = _to_png(figure())
        except Exception as error:  # the page is written whatever a figure fails of
            remarks.append(f"{name} could not be drawn ({type(error).__name__}: {error}).")
    page = _build_page(folder, results, run, config, drawn, remarks)
    place = folder if reward is None else folder / "another_reward"
    place.mkdir(exist_ok=True)
    written = [write_whole(place / name, content) for name, content in drawn.items()]
    for name in {"rdms.png", "correspondence.png", "architecture.png"} - drawn.keys():
        (place / name).unlink(missing_ok=True)
    return [*written, write_whole(place / "report.html", page)]


def _draw_search(run: xr.Dataset) -> Figure:
    figure = Figure(figsize=(COLUMN * 1.3, 2.9), layout="constrained")
    plot_search(run, axes=figure.add_subplot())
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
    figure = Figure(figsize=(COLUMN, 0.75 + 0.19 * len(layers)), layout="constrained")
    plot_correspondence(table, axes=figure.add_subplot())
    return figure


def _load_winner_rdms(
    folder: Path, winner: Attempt, methods: dict[str, str]
) -> tuple[dict[str, xr.Dataset], str]:
    """Return the RDMs of every area and of the layers, or why they cannot be shown."""
    stored = {}
    for path in sorted(folder.glob("winner_rdms_*.nc")):
        rdms = load_dissimilarities(path)
        stored[str(rdms["area"].values[0]).removesuffix(" (teacher)")] = rdms
    missing = [area for area in winner.similarity if area not in stored]
    if missing:
        return {}, (
            f"The winner's RDMs were not saved for {', '.join(missing)} (the run has not ended, "
            "or was stopped), so they are not shown. Start the same search again to have them."
        )
    for area, similarity in winner.similarity.items():
        if methods.get(area, "pearson") != "pearson":
            continue  # saved RDMs do not tell what its similarities are
        found = _compare_with_teacher(stored[area])
        known = {layer: r for layer, r in similarity.items() if r is not None}
        if any(abs(found.get(layer, np.inf) - r) > _TOLERANCE for layer, r in known.items()):
            return {}, (
                f"The saved RDMs of {area} are not those of candidate {winner.candidate}, the "
                "present winner, so they are not shown. Start the same search again to have them."
            )
    return {area: stored[area] for area in winner.similarity}, ""


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
    columns = min(_COLUMNS, max(4, *(rdms.sizes["area"] for rdms in stored.values())))
    rows = [-(-rdms.sizes["area"] // columns) for rdms in stored.values()]
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
        best = winner.best_layers.get(area)
        names = rdms["area"].values.astype(str).tolist()
        for name, panel in zip(names, panels, strict=True):
            r = winner.similarity[area].get(name)
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


def _build_page(
    folder: Path,
    results: Sequence[Attempt],
    run: xr.Dataset,
    config: dict[str, Any],
    drawn: dict[str, bytes],
    remarks: Sequence[str],
) -> str:
    winner = find_winner(results)
    body = [f"<h1>Architecture search {escape(folder.resolve().name)}</h1>"]
    if run.attrs.get("simulated"):
        body.append(
            '<p class="note">The recordings that guided this search are <b>simulated</b>. '
            "Nothing here is a finding about a brain.</p>"
        )
    body.append(_describe_progress(results, run))
    body.append("<h2>Winner</h2>")
    if winner is None:
        body.append("<p>No candidate has succeeded so far, so there is no winner.</p>")
    else:
        body.append(_describe_winner(winner, config))
    said = [*describe_evidence(winner, results, config), *describe_heldout(folder)]
    body += ["<h3>Beside controls</h3>"] if said else []
    body += [f"<p>{_plain(sentence)}</p>" for sentence in said]
    if rows := tabulate_targets(winner):
        body.append(_table(["target", "best layer", "similarity", "committed"], rows))
    body += [f'<p class="note">{_plain(remark)}</p>' for remark in remarks]
    body += [
        _show_figure(drawn[name], caption.format(similarity=label_similarity(config)))
        for name, caption in _CAPTIONS.items()
        if name in drawn
    ]
    body += ["<h2>Data</h2>", _describe_data(config)]
    body.append("<h2>Settings</h2>")
    body.append(_table(["setting", "value"], _flatten(config)))
    body.append("<h2>To go on</h2>")
    place = escape(shlex.quote(str(folder)))
    body.append(
        "<p>Start the same search again with this folder, e.g. "
        f"<code>brainguided search RUN.toml --out {place}</code>. What has ended is "
        "kept in <code>journal.db</code>; a larger number of candidates extends the search. "
        "When it has ended, <code>run.csv</code> and <code>run.nc</code> hold every candidate.</p>"
    )
    body.append(f"<p>Written by brainguided {escape(__version__)}.</p>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(folder.resolve().name)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _show_figure(png: bytes, caption: str) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _describe_data(config: dict[str, Any]) -> str:
    """Return a table of where the areas and the images come from."""
    task = config.get("task") or {}
    teacher, images = task.get("teacher") or [], task.get("images") or {}
    rows: list[list[Any]] = [[area.get(key, "") for key in ("area", "source")] for area in teacher]
    rows.append(["images to classify", images.get("source", "unknown")])
    alone = "" if teacher else "<p>No brain guided this search: there was no teacher.</p>"
    return alone + _table(["what", "source"], rows)


def _describe_progress(results: Sequence[Attempt], run: xr.Dataset) -> str:
    failed = Counter(r.reason for r in results if r.outcome == "failed")
    duplicates = sum(r.duplicate_of is not None for r in results)
    reasons = "; ".join(f"{count} {reason or 'unknown'}" for reason, count in failed.most_common())
    minutes = float(run["seconds"].sum()) / 60
    rows: list[list[Any]] = [
        ["candidates", len(results)],
        ["failed", f"{sum(failed.values())} ({reasons})" if failed else "0"],
        ["duplicates of an earlier candidate, not trained again", duplicates],
        ["time of all evaluations", f"{minutes:.1f} min"],
    ]
    return _table(["", ""], rows)


def _describe_winner(winner: Attempt, config: dict[str, Any]) -> str:
    """Show what the winner earned and, layer by layer, what it is and what it resembles."""

    def number(value: float | None) -> str:
        return "none" if value is None else f"{value:.4f}"

    earned: list[list[Any]] = [
        ["candidate", winner.candidate],
        ["reward", number(winner.reward)],
        ["P, validation accuracy", say_accuracy(winner.performance, config)],
        [f"TG, {label_similarity(config)}", number(winner.guidance)],
        ["trainable parameters", winner.n_parameters],
    ]
    earned += [[f"layer most like {area}", layer] for area, layer in winner.best_layers.items()]
    architecture = json.loads(winner.architecture)
    areas = list(winner.similarity)
    layers = architecture["layers"] if architecture["kind"] == "plain" else []
    names = [f"layer{position}" for position in range(1, len(layers) + 1)]
    names = names or list(next(iter(winner.similarity.values()), ()))
    settings = list(dict.fromkeys(name for layer in layers for name in layer))
    rows = []
    for position, name in enumerate(names):
        layer = layers[position] if layers else {}
        similarity = [winner.similarity[area].get(name) for area in areas]
        shown = ["undefined" if r is None else f"{r:.3f}" for r in similarity]
        shown = [
            f"{text} (best)" if winner.best_layers.get(area) == name else text
            for text, area in zip(shown, areas, strict=True)
        ]
        rows.append([name, *(_say(layer.get(key)) for key in settings), *shown])
    heads = [name.replace("_", " ") for name in settings]
    return _table(["", ""], earned) + _table(
        ["", *heads, *(f"similarity to {a}" for a in areas)], rows
    )


def _flatten(value: Any, name: str = "") -> list[list[str]]:
    """Return the leaves of nested settings as rows of dotted name and value."""
    if isinstance(value, dict):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        pairs = enumerate(value, 1)
    else:
        return [[name, _say(value)]]
    return [row for key, item in pairs for row in _flatten(item, f"{name}.{key}".lstrip("."))]


def _say(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_say(item) for item in value) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads) if any(heads) else ""
    lines = [
        "<tr>" + "".join(f"<td>{_plain(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    ]
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{''.join(lines)}</table>"


def _plain(text: str) -> str:
    """Return text from a file as HTML that shows just that."""
    return escape(escape_controls(text))


def _to_png(figure: Figure) -> bytes:
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=200)
    return stream.getvalue()
