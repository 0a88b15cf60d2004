"""One page on the winner of a search: what it is, what it was made from, what it is good for."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from brainguided import __version__
from brainguided.architectures import Architecture
from brainguided.engines.output import clean
from brainguided.journal.chance import find_chance, name_performance, say_accuracy
from brainguided.journal.journal import Journal
from brainguided.plot import plot_architecture, plot_correspondence
from brainguided.plot.correspondence import limit_colours
from brainguided.search.finalist_records import find_finalist, read_finalists
from neural_data.model.origin import is_simulated
from neural_data.storage.netcdf import open_netcdf

_LOWEST = 1.7  # height of maps of few layers, inches


def write_model_card(out: str | os.PathLike[str]) -> list[Path]:
    """Write the page and the figures of the finalists of a run.

    Parameters
    ----------
    out : path
        A run folder, after `run_finalists`.

    Returns
    -------
    list of path
        ``MODEL_CARD.md``, ``architecture.png`` and, where the run has a teacher,
        ``correspondence.png``, in the folder ``finalists``.

    Raises
    ------
    FileNotFoundError
        There are no finalists yet.
    ValueError
        Their record is damaged.
    """
    folder = Path(out) / "finalists"
    record = read_finalists(folder)
    with Journal.read(out) as journal:
        config = journal.config or {}
    task = config.get("task", {})
    winner = find_finalist(record)
    architecture = Architecture.from_json(winner["architecture"])
    figure: Any = plot_architecture(architecture).figure
    figure.savefig(folder / "architecture.png", dpi=200)
    _close(figure)
    written = [folder / "architecture.png"]
    maps = {
        when: open_netcdf(folder / f"correspondence_{when}.nc")
        for when in ("search", "long")
        if (folder / f"correspondence_{when}.nc").is_file()
    }
    if maps:
        height = max(_LOWEST, 0.75 + 0.19 * maps["long"].sizes["layer"])
        limits = limit_colours(*(found["similarity"] for found in maps.values()))
        both = Figure(figsize=(6.6, height), layout="constrained")
        panels = both.subplots(1, 2)
        for panel, (when, found) in zip(panels, maps.items(), strict=False):
            plot_correspondence(found, limits=limits, axes=panel)
            title = "after the search" if when == "search" else "after long training"
            panel.set_title(title, fontsize=7)
        both.savefig(folder / "correspondence.png", dpi=200)
        written.append(folder / "correspondence.png")
    card = folder / "MODEL_CARD.md"
    card.write_text(
        _write_page(record, winner, architecture, task, maps), encoding="utf-8", newline="\n"
    )
    return [card, *written]


def _close(figure: Any) -> None:
    from matplotlib import pyplot

    pyplot.close(figure)


def _say_top(record: dict[str, Any]) -> list[str]:
    """Return the row of the error among five classes, where there are more."""
    error = record.get("test_top5_error")
    return [] if error is None else [f"| test top-5 error | {error:.4f} |"]


def _write_page(
    record: dict[str, Any],
    winner: dict[str, Any],
    architecture: Architecture,
    task: dict[str, Any],
    maps: dict[str, xr.Dataset],
) -> str:
    accuracy, n = record["test_accuracy"], record["test_images"]
    said, name = f"{n:,} images, tested once", name_performance({"task": task})
    if name == "accuracy":  # a share of images
        low, high = wilson_interval(accuracy, n)
        said = f"95 % interval {low:.4f} to {high:.4f}, {said}"
    name = _plain(name)
    performance = say_accuracy(winner["search_performance"], {"task": task})
    lines = [
        f"# Winner: candidate {record['winner']}",
        "",
        "| | |",
        "|---|---|",
        *_describe_network(architecture, task.get("images", {})),
        f"| {name} of guessing | {_number(find_chance({'task': task}))} |",
        f"| test {name} | {accuracy:.4f} ({said}) |",
        *_say_top(record),
        f"| validation {name} after long training | {winner['performance']:.4f} |",
        *_say_training(winner, record.get("steps")),
        f"| P and reward of the search | {performance}, {winner['reward']:.4f} |",
        f"| seed of weights and image order | {winner['seed']} |",
        "",
        "![architecture](architecture.png)",
        "",
        *_list_sources(task),
        f"- Settings of the short training: {_plain(json.dumps(task.get('training', {})))}",
        "",
        "## Cost in training images processed",
        "",
        "| search | finalists | winner | all |",
        "|---|---|---|---|",
        f"| {record['examples_search']:,} | {record['examples_finalists']:,} | "
        f"{record['examples_winner']:,} | {record['examples']:,} |",
        "",
        "## Finalists",
        "",
        *_list_finalists(record["finalists"]),
        *_compare_maps(maps),
        "",
        "## To use it",
        "",
        "```python",
        "import winner_network",
        "",
        "network = winner_network.load()",
        "logits = network(winner_network.to_input(images))  # uint8 (n, y, x, 3)",
        "```",
        "",
        f"Trained from one seed. Chosen among {len(record['finalists'])} finalists by validation "
        "accuracy, which is therefore biased upward; the test accuracy is not. Made with "
        f"brainguided {__version__}.",
    ]
    return "\n".join(lines) + "\n"


def _describe_network(architecture: Architecture, images: dict[str, Any]) -> list[str]:
    n_classes, size = int(images.get("classes", 2)), int(images.get("image_size", 32))
    blueprint = architecture.to_blueprint(n_classes)
    fed, observed = blueprint.feeding, blueprint.observed
    idle = ", ".join(name for name in observed if name not in fed)
    untrained = f"; never trained: {idle}" if idle else ""
    adds = architecture.count_multiply_adds(size, n_classes)
    return [
        f"| kind | {architecture.kind} |",
        f"| parameters | {blueprint.n_parameters:,} |",
        f"| parameters that feed the classifier | {blueprint.n_feeding_parameters:,} |",
        f"| observed layers that feed the classifier | {len(fed)} of {len(observed)}{untrained} |",
        f"| multiply-adds for one image of {size} px | {adds:,} |",
        f"| classes | {n_classes} |",
    ]


def _list_sources(task: dict[str, Any]) -> list[str]:
    teacher = task.get("teacher") or []
    lines = [
        "## Made from",
        "",
        f"- Images: {_plain(task.get('images', {}).get('source', 'unknown'))}; the tested network "
        "was trained on training and validation images together.",
        *(f"- Teacher {_plain(a.get('area'))}: {_plain(a.get('source'))}" for a in teacher),
    ]
    if is_simulated(*teacher):
        lines.append("- **The recordings are simulated. Nothing here is a finding about a brain.**")
    if not teacher:
        lines.append("- No teacher: the search was for accuracy alone.")
    return lines


def _say_training(winner: dict[str, Any], steps: int | None) -> list[str]:
    """Say what weights the winner went on from; nothing where these were new."""
    if winner.get("continued_from") is None:
        return []
    to = "" if steps is None else f"to {steps:,} steps, "
    return [
        f"| training of the winner | {to}continued from step {winner['continued_from']:,} of the "
        f"search, {_say_weights(winner)}; without the validation images until there |"
    ]


def _say_weights(one: dict[str, Any]) -> str:
    return "exact weights" if one["exact"] else "half precision weights without momentum"


def _list_finalists(finalists: list[dict[str, Any]]) -> list[str]:
    """Return the rows of the table of finalists."""
    names = ["candidate", "reward", "P of the search", "validation, long training", "parameters"]
    rows = [_say_finalist(one) for one in finalists]
    if any(one.get("continued_from") is not None for one in finalists):
        names.append("continued from")
        for row, one in zip(rows, finalists, strict=True):
            step = one.get("continued_from")
            row.append("" if step is None else f"step {step:,}, {_say_weights(one)}")
    return [f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *rows)]


def _say_finalist(one: dict[str, Any]) -> list[str]:
    long = _plain(one["reason"]) if one["performance"] is None else f"{one['performance']:.4f}"
    reward, before = f"{one['reward']:.4f}", _number(one["search_performance"])
    return [str(one["candidate"]), reward, before, long, f"{one['n_parameters']:,}"]


def _compare_maps(maps: dict[str, xr.Dataset]) -> list[str]:
    if not maps:
        return []
    lines = ["", "## Layer-area correspondence", ""]
    lines += ["| area | after the search | after long training |", "|---|---|---|"]
    for area in maps["long"]["area"].values.tolist():
        said = [_say_best(maps[w].sel(area=area)) if w in maps else "" for w in ("search", "long")]
        lines.append(f"| {_plain(area)} | {said[0]} | {said[1]} |")
    return [
        *lines,
        "",
        "RDM similarity (Pearson r) of the most similar layer, with a 95 % bootstrap interval "
        "over stimuli. The best of many layers is biased upward.",
        "",
        "![correspondence](correspondence.png)",
    ]


def _say_best(one: xr.Dataset) -> str:
    layer = str(one["best_layer"].values)
    if not layer:
        return "no layer"
    low, high = one["similarity_interval"].sel(layer=layer).values
    return f"{_plain(layer)}, r = {float(one['best_similarity']):.3f} [{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _plain(text: Any) -> str:
    """Return text from a file as Markdown that shows just that, in one line: no HTML, no links."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~<>&$])", r"\\\1", clean(str(text)))


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of `n`.

    References
    ----------
    .. [1] Wilson 1927, Journal of the American Statistical Association 22:209.
    """
    z = 1.959964
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return centre - half, centre + half
