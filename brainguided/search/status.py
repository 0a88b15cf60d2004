"""How far a search is, from its journal alone."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.chance import say_accuracy
from brainguided.journal.confirmed import SECOND_SEED
from brainguided.journal.journal import Journal
from brainguided.journal.lock import is_locked
from brainguided.search.agreement import find_agreement
from brainguided.search.progress import say_time

_RECENT = 20  # candidates by which the pace is judged
_COMPARED = 500  # first candidates over which the agreement of seeds is said
_SILENT = 60.0  # s after which a search that says nothing may have been stopped


def describe_status(out: str | os.PathLike[str], *, now: float | None = None) -> str:
    """Say what a search has done and when it may end; it is not disturbed.

    Parameters
    ----------
    out : path
        A run folder.
    now : float, optional
        Time in s since 1970 (UTC); default: the present.

    Returns
    -------
    str
        A few lines: candidates asked for, running, waiting, done and failed (with reasons),
        whether a search is running at all, the best reward, with P of that candidate and the
        accuracy of guessing, how far two seeds of the weights agree in P, the pace and when it ends
        at that, images a second, and the share of time that the workers of each host were busy
        since the last start.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    """
    return "\n".join(_describe(_read(out), now))


@dataclass(frozen=True)
class _Status:
    """What a journal holds of how far its search is, read at one time."""

    summaries: dict[int, tuple[str, str, str, float | None, int | None]]
    asked: int
    timings: list[Timing]
    session: tuple[float, str, str, int] | None
    examples: int
    noted: tuple[float, int, int, int, int | None] | None
    config: dict[str, Any] | None
    best: Attempt | None
    driven: bool | None
    of_seeds: list[str]


def _read(out: str | os.PathLike[str]) -> _Status:
    with Journal.read(out, brief=True) as journal:
        summaries, session, ranked = journal.summaries(), journal.last_session(), journal.rank()
        driven = _is_driven(out, session)
        return _Status(
            summaries,
            max(journal.n_asked, len(summaries)),  # a merged run holds no asking
            journal.timings(),
            session,
            journal.n_examples,
            journal.progress(),
            journal.config,
            journal.result(ranked[0]) if ranked else None,
            driven,
            _say_seeds(journal, driven),
        )


def _describe(known: _Status, now: float | None) -> list[str]:
    """Return the lines; the time is that after reading, which takes a while if a search runs."""
    now = time.time() if now is None else now
    summaries, asked, noted, best = known.summaries, known.asked, known.noted, known.best
    outcomes = Counter(outcome for _, outcome, _, _, _ in summaries.values())
    reasons = Counter(
        reason for _, outcome, reason, _, _ in summaries.values() if outcome == "failed"
    )
    duplicates = sum(row[4] is not None for row in summaries.values())
    failed = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common(3))
    lines = [
        f"{_describe_open(asked, asked - len(summaries), noted, now, known.driven)}, "
        f"done {outcomes['done']}, failed {outcomes['failed']}{f' ({failed})' if failed else ''}, "
        f"duplicates {duplicates}"
    ]
    if best is not None:
        lines.append(f"best reward {best.reward:.4f}, candidate {best.candidate}")
        if best.performance is not None:
            lines[-1] += f", P {say_accuracy(best.performance, known.config)}"
    lines += known.of_seeds
    if known.session is not None:
        started, workers, host, pid = known.session
        lines.append(
            f"last started {(now - started) / 60:.1f} min ago on {host} (process {pid}), {workers}"
        )
        here = [t for t in known.timings if t.started >= started]
        if here:
            end = max(t.finished for t in here)
            span = max(end - started, 1e-9)
            lines.append(
                f"{len(here)} evaluations since then, {len(here) / span * 60:.2f} a minute, "
                f"the last {(now - end):.0f} s ago"
            )
            latest = sorted(t.finished for t in here)[-_RECENT:]
            if len(latest) > 1 and latest[-1] > latest[0]:
                pace = (len(latest) - 1) / (latest[-1] - latest[0])
                text = f"pace of the last {len(latest)}: {pace * 60:.2f} a minute"
                left = 0 if noted is None else noted[1] - len(summaries)
                if left > 0:
                    text += f"; {left} candidates are left, at this pace {say_time(left / pace)}"
                lines.append(text)
            for name in sorted({t.host for t in here}):
                busy = sum(t.seconds for t in here if t.host == name)
                pids = len({t.pid for t in here if t.host == name})
                lines.append(f"{name}: {pids} workers, busy {busy / (span * pids):.0%} of the time")
    total, examples = sum(t.seconds for t in known.timings), known.examples
    if total and examples:
        lines.append(f"{examples} training images, {examples / total:.0f} a second and worker")
    return lines


def gather_status(out: str | os.PathLike[str], *, now: float | None = None) -> dict[str, Any]:
    """Return what `describe_status` says as plain data, ready for JSON.

    Parameters
    ----------
    out, now
        As of `describe_status`.

    Returns
    -------
    dict
        ``candidates``, ``running`` and ``waiting`` as the driver noted them last (None where it
        did not), ``asked``, ``ended``, ``done``, ``failed``, ``duplicates``; ``failures``, the
        number of each reason; ``searching``, whether a driver is writing (None where that cannot
        be seen from here); ``best``, with its ``candidate``, ``reward`` and ``performance``;
        ``started`` (s since 1970), ``workers``, ``host`` and ``process`` of the last driver;
        ``examples``, training images; ``seconds``, of all evaluations; ``said``, the lines.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.
    """
    known = _read(out)
    rows, best, noted = known.summaries, known.best, known.noted or (None,) * 5
    outcomes = Counter(row[1] for row in rows.values())
    names = ("started", "workers", "host", "process")
    return {
        "candidates": noted[1],
        "running": noted[2],
        "waiting": noted[3],
        "asked": known.asked,
        "examples": known.examples,
        "seconds": sum(timing.seconds for timing in known.timings),
        "ended": len(rows),
        "done": outcomes["done"],
        "failed": outcomes["failed"],
        "duplicates": sum(row[4] is not None for row in rows.values()),
        "failures": dict(Counter(row[2] for row in rows.values() if row[1] == "failed")),
        "searching": known.driven,
        "best": None
        if best is None
        else {name: getattr(best, name) for name in ("candidate", "reward", "performance")},
        **dict(zip(names, known.session or (None,) * 4, strict=True)),
        "said": _describe(known, now),
    }


def _say_seeds(journal: Journal, driven: bool | None) -> list[str]:
    """Say how many evaluations had other seeds, and how far two seeds agree in P."""
    config, again = journal.config or {}, journal.again()
    compared = [journal.result(one.candidate) for one in again if one.again == SECOND_SEED]
    if (config.get("task") or {}).get("seeds", 1) > 1:
        compared = [one for one in journal.attempts(0, _COMPARED) if one.outcome == "done"]
    noted, made = journal.confirming(), len(again)
    said = [f"{made} evaluations with other seeds"] if again else []
    if noted is not None and noted.hindered:
        said = [noted.sentence]
    elif noted is not None and made < noted.evaluations:
        said = [f"{made} of {noted.evaluations} evaluations with other seeds"]
        if driven is False and "merged" not in config:
            said[0] += " (no search is running; the same command goes on)"
    if again and said:
        said.append(f"they took {say_time(journal.seconds_again())} of work")
    return said + [one.sentence for one in find_agreement(compared, again, config)[:1]]


def _is_driven(
    out: str | os.PathLike[str], session: tuple[float, str, str, int] | None
) -> bool | None:
    """Return whether a search is writing into the folder; None if that is not known here."""
    if session is None or session[2] != platform.node():  # locks may not reach other machines
        return None
    return is_locked(Path(out))


def _describe_open(
    asked: int,
    n_open: int,
    noted: tuple[float, int, int, int, int | None] | None,
    now: float,
    driven: bool | None,
) -> str:
    """Say how many candidates have no result yet, and what the driver said of them last."""
    if noted is None:
        return f"asked for {asked}, running or waiting {n_open}"
    at, candidates, running, waiting, workers = noted
    text = f"asked for {asked} of {candidates}"
    if driven is False:
        if not n_open and asked >= candidates:
            return text
        return f"{text}, open {n_open} (no search is running; the same command goes on)"
    if now - at > _SILENT and n_open:
        return f"{text}, open {n_open} (no sign of the search for {say_time(now - at)})"
    text += f", running {running}" + ("" if workers is None else f" of {workers} at a time")
    return f"{text}, waiting {waiting}"
