"""Sections of the page of a run, each as HTML from plain data."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brainguided import __version__
from brainguided.journal.attempts import AGAIN, Attempt, Timing
from brainguided.journal.chance import find_chance, name_performance, say_accuracy
from brainguided.journal.journal import FILE_NAME
from brainguided.journal.means import average_best
from brainguided.reports._beside import MEASURED, find_ceiling, find_ceilings, say_ceiling
from brainguided.reports._candidates import name_outcome
from brainguided.reports._markup import plain, table
from brainguided.reports._similarity import label_similarity
from brainguided.settings.noted import find_run_file

Facts = Mapping[str, Mapping[str, Any]]
Session = tuple[float, str, str, int, dict[str, str]]


def describe_progress(results: Sequence[Attempt], seconds: Mapping[int, float]) -> str:
    """Return how many candidates came to what, in how much time."""
    outcomes = Counter(map(name_outcome, results))
    rows: list[list[Any]] = [["candidates", len(results)]]
    for name, said in (
        ("done", "trained to the end"),
        ("stopped", "stopped early"),
        ("duplicate", "duplicates of an earlier candidate, not trained again"),
        ("failed", "failed"),
    ):
        if outcomes[name] or name == "failed":
            rows.append([said, outcomes[name]])
    minutes = sum(seconds.values()) / 60
    rows.append(["time of their evaluations", f"{minutes:.1f} min"])
    return table(["", ""], rows, label="Progress")


def describe_failures(results: Sequence[Attempt]) -> str:
    """Return the reasons of failures, with the candidates that they are of."""
    reasons: dict[str, list[int]] = defaultdict(list)
    for result in results:
        if result.outcome == "failed":
            reasons[result.reason or "unknown"].append(result.candidate)
    if not reasons:
        return "<p>No candidate failed.</p>"
    rows = []
    for reason, candidates in sorted(reasons.items(), key=lambda pair: -len(pair[1])):
        shown = ", ".join(map(str, candidates[:8])) + (", ..." if len(candidates) > 8 else "")
        rows.append([reason, len(candidates), shown])
    return (
        table(["reason", "number", "candidates"], rows, label="Failures by reason")
        + "<p>Their rows in the table of candidates open to their logs.</p>"
    )


def describe_winner(winner: Attempt, config: dict[str, Any], teacher: Facts, levels: Facts) -> str:
    """Return what the winner earned, beside chance and ceiling, and its layers.

    `levels` has what shuffles reach by chance, by area and "TG", under "values", and how that was
    found under "said".
    """

    def number(value: float | None) -> str:
        return "none" if value is None else f"{value:.4f}"

    chance, known = levels.get("values", {}), find_chance(config)
    earned: list[list[Any]] = [
        ["reward", number(winner.reward), "", ""],
        [
            f"P, validation {name_performance(config)}",
            say_accuracy(winner.performance, config),
            "" if known is None else f"{known:.3g}",
            "1",
        ],
    ]
    if winner.guidance is not None:
        ceiling = find_ceilings(winner, teacher).get("TG")
        earned.append(
            [
                f"TG, mean over areas of {label_similarity(config)}",
                number(winner.guidance),
                _say_level(chance.get("TG")),
                "unknown" if ceiling is None else f"{ceiling:.3f}",
            ]
        )
    for area, layer in winner.best_layers.items():
        value = winner.similarity[area][layer]
        said = say_ceiling(teacher.get(area))
        earned.append(
            [f"{area}: {layer}, its best layer", number(value), _say_level(chance.get(area)), said]
        )
    heads = ["", "value", "by chance", "ceiling"]
    shown = table(heads, earned, label="What the winner earned, beside chance and ceiling")
    notes = []
    if winner.similarity and chance:
        notes.append(
            f"By chance: what the best layer exceeds in 5 of 100 shuffles ({levels.get('said')})."
        )
        if len(winner.measurement.repeats) > 1 and str(levels.get("said")) == MEASURED:
            notes.append(_say_by_seed(winner))
    elif winner.similarity:
        notes.append(
            "What similarities are reached by chance is not known: the RDMs of the winner are not "
            "here, and no shuffles were measured (a [[control]] of kind shuffled)."
        )
    if winner.similarity and not any(find_ceiling(one) for one in teacher.values()):
        notes.append(
            "Ceilings are noted when a search has ended, of areas whose recording has repetitions."
        )
    parameters = "unknown" if winner.n_parameters is None else f"{winner.n_parameters:,}"
    return (
        f"<p>Candidate {winner.candidate}, {parameters} trainable parameters.</p>"
        + shown
        + "".join(f"<p>{plain(note)}</p>" for note in notes)
        + describe_layers(winner)
    )


def _say_by_seed(winner: Attempt) -> str:
    """Return what is to be compared with the levels of chance where there are several seeds."""
    shown = winner.measurement
    known = [(name, average_best(shown, name)) for name in ("TG", *winner.best_layers)]
    said = ", ".join(f"{name} {value:.4f}" for name, value in known if value is not None)
    return (
        "Shuffles are averaged over the best layer with each seed, which is more than the best of "
        f"the mean layers above. To be compared with chance, averaged alike: {said}."
    )


def _say_level(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def describe_layers(winner: Attempt) -> str:
    """Return a table of the winner's layers: what each is, and what it resembles."""
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
        rows.append([name, *(say_value(layer.get(key)) for key in settings), *shown])
    heads = [name.replace("_", " ") for name in settings]
    return table(
        ["layer", *heads, *(f"similarity to {a}" for a in areas)],
        rows,
        label="Layers of the winner",
    )


def describe_data(config: dict[str, Any], teacher: Facts) -> str:
    """Return a table of the areas, with their sites, animals and stimuli, and of the images."""
    task = config.get("task") or {}
    areas, images = task.get("teacher") or [], task.get("images") or {}
    rows: list[list[Any]] = []
    for entry in areas:
        facts = teacher.get(str(entry.get("area"))) or {}
        animals = facts.get("animals")
        said = "" if not animals else ", ".join(f"{name} ({n})" for name, n in animals.items())
        shown = facts.get("repetitions")
        rows.append([
            entry.get("area", ""), _some(facts.get("sites")), said or "not noted",
            _some(entry.get("stimuli")), _some(entry.get("conditions")),
            "not noted" if not shown else " to ".join(map(str, dict.fromkeys(shown))),
            say_ceiling(teacher.get(str(entry.get("area")))), entry.get("source", ""),
        ])  # fmt: skip
    heads = ["area", "sites", "animals (sites)", "stimuli", "conditions", "repetitions",
             "noise ceiling", "source"]  # fmt: skip
    alone = "<p>No brain guided this search: there was no teacher.</p>"
    named = {"source": "source", "classes": "classes", "image_size": "pixels a side",
             "train": "training images", "validation": "validation images"}  # fmt: skip
    return (table(heads, rows, label="Areas of the teacher") if rows else alone) + table(
        ["images to classify", ""],
        [[said, images[key]] for key, said in named.items() if key in images]
        or [["source", "unknown"]],
        label="Images to classify",
    )


def describe_search(config: Mapping[str, Any]) -> str:
    """Return the space that was searched and the controller, as in the settings."""
    rows = [
        [part, said] for part in ("space", "controller")
        if isinstance(config.get(part), dict)
        for said in [", ".join(f"{k} {say_value(v)}" for k, v in config[part].items())]
    ]  # fmt: skip
    return table(["", ""], rows, label="Space and controller") if rows else ""


def _some(value: Any) -> str:
    return "not noted" if value is None else str(value)


def describe_cost(
    known: Mapping[tuple[int, int], Timing], sessions: Sequence[Session], examples: int
) -> str:
    """Return what the evaluations cost, and how busy the workers of each host were."""
    timings = list(known.values())
    total = sum(t.seconds for t in timings)
    again = [t.seconds for (_, attempt), t in known.items() if attempt >= AGAIN]
    rows: list[list[Any]] = [
        ["evaluations", len(timings)],
        ["time of all evaluations", f"{total / 3600:.2f} h"],
        ["training images", f"{examples:,}"],
    ]
    if again:
        said = f"{len(again)} evaluations, {sum(again) / 3600:.2f} h"
        rows.insert(2, ["of which with other seeds", said])
    if total:
        rows.append(["training images a second and worker", f"{examples / total:,.0f}"])
    starts = sorted(session[0] for session in sessions) or [0.0]
    spans: dict[tuple[str, int], list[Timing]] = defaultdict(list)
    for t in timings:
        number = max((k for k, start in enumerate(starts) if start <= t.started), default=0)
        spans[t.host, number].append(t)
    hosts: dict[str, list[Any]] = {}
    for (host, number), own in sorted(spans.items()):
        begin = min(starts[number], *(t.started for t in own))
        span = max(t.finished for t in own) - begin
        processes = len({t.pid for t in own})
        row = hosts.setdefault(host, [0, 0, 0.0, 0.0])
        row[0] = max(row[0], processes)
        row[1] += len(own)
        row[2] += sum(t.seconds for t in own)
        row[3] += span * processes
    shown = [
        [host, n, ended, f"{busy / 3600:.2f} h", f"{min(1.0, busy / max(room, 1e-9)):.0%}"]
        for host, (n, ended, busy, room) in hosts.items()
    ]
    heads = ["host", "workers", "evaluations", "busy", "share of the time"]
    return table(["", ""], rows, label="Cost") + (
        table(heads, shown, label="Utilisation of hosts") if shown else ""
    )


def describe_origin(folder: Path, config: dict[str, Any], sessions: Sequence[Session]) -> str:
    """Return what it takes to do the search again: command, seed, versions, hashes."""
    task, images = config.get("task") or {}, (config.get("task") or {}).get("images") or {}
    rows: list[list[Any]] = [
        ["command", _write_command(folder, config)],
        ["seed", _some((config.get("controller") or {}).get("seed"))],
        ["SHA-256 of the settings", hash_settings(config)],
    ]
    if "sha256" in images:
        rows.append(["SHA-256 of the images (its beginning)", images["sha256"]])
    for entry in task.get("teacher") or []:
        named = {"rdm_sha256": "RDM", "stimuli_sha256": "stimuli"}
        rows += [
            [f"SHA-256 of the {what} of {entry.get('area')} (its beginning)", entry[key]]
            for key, what in named.items()
            if key in entry
        ]
    heads = ["started", "workers", "host", "versions"]
    drivers = [
        [
            datetime.fromtimestamp(started, UTC).strftime("%Y-%m-%d %H:%M UTC"), workers, host,
            ", ".join(f"{name} {version}" for name, version in versions.items()),
        ]
        for started, workers, host, _, versions in sessions
    ]  # fmt: skip
    return (
        table(["", ""], rows, label="What it takes to do it again")
        + (table(heads, drivers, label="Drivers of the search") if drivers else "")
        + f"<p>The same command goes on with the search. What has ended is kept in "
        f"<code>{FILE_NAME}</code>; a larger number of candidates extends it. When it has ended, "
        "<code>run.csv</code> and <code>run.nc</code> hold every candidate.</p>"
        f"<p>Written by brainguided {plain(__version__)}.</p>"
    )


def hash_settings(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of settings as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _write_command(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the command of a search, with the seed it had, which may not be the run file's."""
    if "merged" in config:
        return f"none: {len(config['merged'])} runs were merged, each has its own"
    try:
        run_file = str(find_run_file(folder))
    except OSError:
        run_file = "RUN.toml"
    seed = (config.get("controller") or {}).get("seed")
    words = ["brainguided", "search", run_file, "--out", str(folder)]
    return shlex.join(words if seed is None else [*words, "--seed", str(seed)])


def flatten(value: Any, name: str = "") -> list[list[str]]:
    """Return the leaves of nested settings as rows of dotted name and value."""
    if isinstance(value, dict):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        pairs = enumerate(value, 1)
    else:
        return [[name, say_value(value)]]
    return [row for key, item in pairs for row in flatten(item, f"{name}.{key}".lstrip("."))]


def say_value(value: Any) -> str:
    """Return a setting as a person writes it."""
    if isinstance(value, list):
        return ", ".join(say_value(item) for item in value) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
