"""The page of a run and its figures, from the run folder alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainguided.guidance.rewards import Reward
from brainguided.journal.chance import find_chance, name_performance
from brainguided.journal.journal import JournalError
from brainguided.journal.objectives import describe_unlike_objectives, find_objectives
from brainguided.reports._beside import MEASURED, find_ceilings, find_chance_levels, read_teacher
from brainguided.reports._candidates import tabulate_candidates, trace_incumbents
from brainguided.reports._controller import describe_controller
from brainguided.reports._details import describe_details
from brainguided.reports._figures import NAMES, Drawn, draw_figures, write_vectors
from brainguided.reports._importance import describe_choices
from brainguided.reports._markup import document, figure, plain, table
from brainguided.reports._rewarded import Run, read_run
from brainguided.reports._sections import (
    describe_cost,
    describe_data,
    describe_failures,
    describe_origin,
    describe_progress,
    describe_search,
    describe_winner,
    flatten,
)
from brainguided.reports._similarity import find_methods, label_similarity
from brainguided.reports.evidence import describe_evidence, describe_heldout, tabulate_targets
from brainguided.reports.seeds import describe_confirmed, tabulate_agreement
from brainguided.reports.summary import summarize_run
from neural_data.storage.aside import write_whole

_CAPTIONS = {
    "front": "Two objectives of every candidate, and the Pareto front of all objectives.",
    "architecture": "Architecture of the winner.",
    "rdms": "RDMs of each area and of the winner's layers, as percentiles; the layer most "
    "similar to the area is framed. Numbers: {similarity}.",
    "correspondence": "{similarity} of the winner's layers to each area. The "
    "best of many layers is biased upward: compare layers, not the maximum with zero.",
    "search": "P (validation {performance}), TG (mean over areas of the best layer's "
    "similarity) and reward of every candidate; dotted what is reached by chance, dashed the "
    "noise ceiling of TG, where these are known.",
}


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
        ``front.png`` (of a search for several objectives),
        ``correspondence.png`` (similarity of the winner's layers to every area) and
        ``rdms.png`` (RDMs of every area beside the winner's
        layers; only where ``winner_rdms_*.nc`` belong to the present winner, else an earlier
        ``rdms.png`` is removed), and ``report.html``, which holds all figures, and says which
        could not be drawn and why. It has a table of all candidates, which can be sorted and
        filtered, whose rows open; it needs nothing but a browser. The folder ``figures`` has the
        figures as SVG and PDF.

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
    return report_run(out, reward=reward)[0]


def report_run(
    out: str | os.PathLike[str], *, reward: str | Reward | None = None
) -> tuple[list[Path], str]:
    """Write what `write_report` does, and say in a few lines what won; the run is read once.

    Parameters
    ----------
    out, reward
        As of `write_report`, with its errors.

    Returns
    -------
    list of path, str
        As of `write_report` and of `describe_winner`.
    """
    folder = Path(out)
    run = read_run(folder, reward)
    if not run.results:
        raise JournalError(
            f"{folder} holds no finished candidate yet. Start the same search again, then report."
        )
    place = folder if reward is None else folder / "another_reward"
    place.mkdir(exist_ok=True)
    drawn = draw_figures(folder, run.dataset, run.winner, run.config)
    data = collect_data(run, folder, drawn)
    page = build_page(run, folder, drawn, data)
    write_vectors(place, drawn.figures)
    written = [
        write_whole(place / f"{name}.png", content) for name, content in drawn.images.items()
    ]
    for name in set(NAMES[1:]) - drawn.images.keys():
        (place / f"{name}.png").unlink(missing_ok=True)
    return [*written, write_whole(place / "report.html", page)], summarize_run(run, folder)


def collect_data(
    run: Run, folder: Path, drawn: Drawn, *, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the script of the page draws from, ready for JSON.

    Parameters
    ----------
    run : Run
    folder : Path
        The run folder.
    drawn : Drawn
        With the RDMs of the winner, if they are there.
    details : mapping, optional
        Of candidates, in place of those of as many as a page has room for.
    """
    winner = run.winner
    levels: dict[str, float] = {}
    ceilings: dict[str, float] = {}
    said = ""
    if winner is not None and winner.similarity:
        levels, said = find_chance_levels(winner, drawn.stored, find_methods(run.config))
        ceilings = find_ceilings(winner, read_teacher(folder))
    if details is None:
        details = describe_details(
            run.results, run.timings, folder / "logs", objectives=find_objectives(run.config)
        )
    return {
        "live": False,
        "winner": None if winner is None else winner.candidate,
        "columns": tabulate_candidates(run.results, run.seconds, find_objectives(run.config)),
        "details": dict(details),
        "incumbents": trace_incumbents(run.results),
        "areas": [] if winner is None else list(winner.measurement.areas),
        "levels": {name: round(value, 5) for name, value in levels.items()},
        "levels_are": said,
        "performance": name_performance(run.config),
        "guessing": find_chance(run.config),
        "ceilings": {name: round(value, 5) for name, value in ceilings.items()},
        "controller": describe_controller(run.config, run.events),
    }


def build_page(run: Run, folder: Path, drawn: Drawn, data: dict[str, Any]) -> str:
    """Return the page as HTML."""
    name = folder.resolve().name
    sections = {
        "Winner": _show_winner(run, folder, data),
        "Course of the search": _show_course(drawn, run.config, data["levels_are"]),
        "Accuracy, similarity and size": _show_pareto(drawn, run.config),
        "Candidates": _show_table(),
        "Layers and areas": _show_figures(drawn, run.config),
        "Controller": _show_controller(data["controller"]),
        "Importance of choices": _show_choices(run, live=data["live"]),
        "Failures": describe_failures(run.results),
        "Cost": describe_cost(run.timings, run.sessions, run.examples),
        "What was searched": describe_search(run.config)
        + describe_data(run.config, read_teacher(folder)),
        "To do it again": describe_origin(folder, run.config, run.sessions),
        "Settings": "<details><summary>All settings of the search</summary>"
        + table(["setting", "value"], flatten(run.config), label="Settings", names=True)
        + "</details>",
    }
    links = "".join(f'<li><a href="#{_anchor(t)}">{t}</a></li>' for t in sections)
    body = [
        '<a class="skip" href="#main">To the content</a>',
        f"<header><h1>Architecture search {plain(name)}</h1>{_show_live(data, folder)}</header>",
        f'<nav aria-label="Sections"><ul>{links}</ul></nav><main id="main">',
    ]
    if run.simulated:
        body.append(
            '<p class="note">The recordings that guided this search are <b>simulated</b>. '
            "Nothing here is a finding about a brain.</p>"
        )
    remarks = [*([run.said] if run.said else []), *drawn.remarks]
    body += [f'<p class="note">{plain(remark)}</p>' for remark in remarks]
    body.append(describe_progress(run.results, run.seconds))
    body += [f'<h2 id="{_anchor(title)}">{title}</h2>{text}' for title, text in sections.items()]
    return document(name, "\n".join([*body, "</main>"]), data, live=data["live"])


def _anchor(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")


def _show_live(data: Mapping[str, Any], folder: Path) -> str:
    if not data["live"]:
        return (
            "<noscript><p class=note>The table and the charts are drawn by the script of this "
            "page, which does not run here; run.csv holds the numbers.</p></noscript>"
        )
    return (
        '<p id="status" role="status"></p><p id="newer" class="note" hidden>There is a new winner. '
        '<button type="button" id="reload">Reload the page</button> to see its figures.</p>'
    )


def _show_winner(run: Run, folder: Path, data: Mapping[str, Any]) -> str:
    winner = run.winner
    if winner is None:
        return "<p>No candidate has succeeded so far, so there is no winner.</p>"
    levels = {"values": data["levels"], "said": data["levels_are"]}
    body = [describe_winner(winner, run.config, read_teacher(folder), levels)]
    evidence = [*describe_evidence(winner, run.results, run.config), *describe_heldout(folder)]
    confirmed = [*describe_confirmed(run.results, run.again), run.hindered]
    body += [f"<p>{plain(one)}</p>" for one in confirmed if one]
    body += ["<h3>Beside controls</h3>"] if evidence else []
    body += [f"<p>{plain(sentence)}</p>" for sentence in evidence]
    if rows := tabulate_targets(winner):
        heads = ["target", "best layer", "similarity", "committed"]
        body.append(table(heads, rows, label="Similarity to areas and controls"))
    if rows := tabulate_agreement(run.results, run.again, run.config):
        heads = ["", "rank correlation of two seeds", "95 % interval", "candidates",
                 "sd between seeds", "sd among candidates"]  # fmt: skip
        body.append("<h3>Agreement of seeds</h3>")
        body.append(table(heads, rows, label="How far two seeds of the weights agree"))
    return "".join(body)


def _show_course(drawn: Drawn, config: dict[str, Any], levels_are: str) -> str:
    several = int((config.get("task") or {}).get("seeds", 1)) > 1 and levels_are == MEASURED
    how = ", by the best layer with each seed (see Winner)" if several else ""
    return (
        "<p>What the best candidate so far had, each time a better one was found; grey dots are "
        "the rewards of all. Lines of dots are what is reached by guessing, and with shuffled "
        f"areas{how}; dashed ones the noise ceiling, where it is within what is shown.</p>"
        '<fieldset id="series"></fieldset><div id="course"></div>' + _show(drawn, config, "search")
    )


def _show_pareto(drawn: Drawn, config: dict[str, Any]) -> str:
    told = plain(", ".join(find_objectives(config)).replace("-", "\N{MINUS SIGN}"))
    front = (
        f"all objectives of the search: {told}"
        if told
        else f"{plain(name_performance(config))} and similarity with fewer parameters"
    )
    said = f"Ringed are the candidates that no other exceeds in {front}. "
    said += plain(describe_unlike_objectives(config))
    return (
        f'<div id="pareto"></div><p>{said} '
        '<button type="button" id="front" class="more">Show them in the table</button></p>'
        + _show(drawn, config, "front")
    )


def _show_table() -> str:
    sizes = "".join(f"<option>{n}</option>" for n in (25, 100, 500))
    return (
        "<p>A heading sorts, the number of a candidate opens its drawing, layers and areas, rungs "
        "and logs. Arrow keys go from row to row, Escape closes one.</p>"
        '<div class="controls"><div class="grow"><label for="filter">Filter, e.g. P &gt; 0.3, '
        'parameters &lt; 1e5, failed</label><input id="filter" type="text" autocomplete="off" '
        'spellcheck="false" aria-describedby="problem"></div><div><label for="size">Rows</label>'
        f'<select id="size">{sizes}</select></div><div><button type="button" id="before">Before'
        '</button> <button type="button" id="after">Next</button></div></div>'
        '<p id="problem" class="error" role="alert"></p><p id="count" role="status"></p>'
        '<div class="wide candidates" role="region" tabindex="0" aria-label="Table of candidates">'
        '<table id="rows"></table></div>'
    )


def _show_figures(drawn: Drawn, config: dict[str, Any]) -> str:
    names = ("architecture", "rdms", "correspondence")
    return "".join(_show(drawn, config, name) for name in names) or "<p>There are none.</p>"


def _show(drawn: Drawn, config: dict[str, Any], name: str) -> str:
    if name not in drawn.images:
        return ""
    caption = _CAPTIONS[name].format(
        similarity=label_similarity(config), performance=name_performance(config)
    )
    return figure(drawn.images[name], caption)


def _show_choices(run: Run, *, live: bool) -> str:
    if live:  # whose readers may be many, and ask again
        return "<p>The page that 'brainguided report' writes has this.</p>"
    return describe_choices(run)


def _show_controller(found: Mapping[str, Any]) -> str:
    body = []
    if found["entropy"]:
        body.append(
            "<h3>Variety of the proposals</h3><p>Entropy of a decision over the proposals of a "
            "part of the search, in the mean over decisions. Low beside uniform draws: it has "
            'settled on something.</p><div id="entropy"></div>'
        )
    if found["baseline"]:
        body.append(
            "<h3>Baseline</h3><p>The moving average of rewards that the policy compares with, "
            'recomputed from what it was told.</p><div id="baseline"></div>'
        )
    if found["preferences"]:
        rows = [
            [p["decision"], p["option"], *(f"{p[k]:.0%}" for k in ("last", "first", "uniform"))]
            for p in found["preferences"]
        ]
        heads = ["decision", "taken most in the end", "in the end", "at first", "uniform draws"]
        body.append(
            "<h3>What it came to prefer</h3><p>Decisions whose shares moved most between the first "
            "and the last proposals.</p>"
            + table(heads, rows, label="Decisions and preferences", names=True)
        )
    if found["said"]:
        body.append(f"<p>{plain(found['said'])}</p>")
    return "".join(body)
