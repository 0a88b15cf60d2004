"""Run a search: ask the controller, evaluate, record, tell; or go on with one that was stopped."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from brainguided.controllers.contract import Controller
from brainguided.engines.local import LocalPool, end_unguarded_import
from brainguided.journal.attempts import Attempt
from brainguided.journal.journal import Journal
from brainguided.search._limits import Limits
from brainguided.search._objectives import check_objectives
from brainguided.search._state import WINDOW, SearchState
from brainguided.search.again import evaluate_again
from brainguided.search.dispatch import UNKNOWN_SLOTS, Dispatcher, SearchError
from brainguided.search.orders import Batch, Completion, Order, Schedule, describe_search
from brainguided.search.progress import Progress, open_bar

__all__ = ["SearchError", "run_search"]
_log = logging.getLogger(__name__)
_NOTE = 2.0  # s between two notes of how far it is


def run_search(
    controller: Controller,
    task: Any,
    *,
    candidates: int,
    out: str | os.PathLike[str],
    schedule: Schedule | None = None,
    executor: Executor | None = None,
    evaluate: Callable[..., Any] | None = None,
) -> xr.Dataset:
    """Search for the architecture with the highest reward, or resume a search.

    By default rounds of 8 candidates are asked for, evaluated and told, whatever the number of
    workers, so that the result does not depend on it; see `Schedule` for other orders. Every
    evaluation is in the journal as soon as it ends. The same call on the same folder goes on where
    the last one stopped: its saved state is taken up, and where there is none or later events, the
    controller is rebuilt by asking and telling it again what the journal holds.

    Parameters
    ----------
    controller : Controller
        Newly made: it has to be asked from its beginning.
    task : Task
        What stays fixed; handed to `evaluate`, its ``describe()`` identifies it.
    candidates : int
        Number of candidates, earlier ones in the journal included. A search that has ended can
        be extended by a larger number. Where the last round was short, it stays so; to get
        exactly the longer search, extend by whole rounds.
    out : path
        The run folder.
    schedule : Schedule, optional
        Order of asking and telling, deadline of an evaluation, limits, and whether a bar says how
        far the search is: ``Schedule(progress=False)`` says nothing.
    executor : concurrent.futures.Executor, optional
        Where evaluations run, e.g. `local_pool(2)`; default: in this process, one by one.
    evaluate : callable, optional
        ``evaluate(architecture, task, seed=...)`` returning an `Evaluation`; default:
        `evaluation.evaluate`. Candidate k has the seed
        ``SeedSequence((controller.seed, k)).generate_state(1)[0]``.

    Returns
    -------
    xarray.Dataset
        The run, see `journal.exports.build_run`. The run folder holds the same as run.nc, run.csv
        and run.jsonl, and the winner as winner.json: the best of those that were evaluated again
        with other seeds (see `Again`), or else that with the highest reward, the earliest of
        equals.

    Raises
    ------
    JournalError
        The folder or its journal cannot be used, or belongs to another search.
    SearchError
        More than half of the last 40 evaluations since the start failed, none succeeded at all, or
        the executor is broken. The same call goes on.
    ValueError
        A number is out of range, or what can be known before the first candidate refuses it, see
        `check_search`.
    KeyboardInterrupt
        As raised by Ctrl-C, with a message; what has ended is kept.

    Notes
    -----
    An architecture that was proposed before is not evaluated again but has the results of the
    earlier candidate. A failed candidate, also one with a reward that is not finite, is told the
    lowest reward seen by the end of its round; before there is one, nothing is learned from it.
    An evaluation whose worker dies, or that raises `concurrent.futures.BrokenExecutor`, is tried
    again, at most twice.

    A reward that standardises (`RobustReward`) is known from 24 candidates only: they are drawn at
    random and told together, and the controller begins with what they earned.
    """
    end_unguarded_import(said=False)
    if type(candidates) is not int or candidates < 1:
        raise ValueError(f"candidates is {candidates!r}; expected a whole number, at least 1.")
    schedule = Schedule() if schedule is None else schedule
    order = schedule.order
    if (schedule.again.confirm or 0) > candidates:
        raise ValueError(
            f"confirm is {schedule.again.confirm}, but there are only {candidates} candidates; "
            "expected at most as many."
        )
    if evaluate is None:
        evaluate = _load_evaluate()
        _check_task(controller, task, out, executor)
    check_objectives(controller, task)
    dispatcher = Dispatcher(
        executor,
        evaluate,
        task,
        timeout=schedule.timeout,
        workers=schedule.workers,
        logs=Path(out) / "logs",
    )
    _check_slots(order, dispatcher)
    with Journal.open(out) as journal:
        search = SearchState(controller, journal, task)
        search.first.check(candidates)
        search.take_earlier()
        search.resume(describe_search(controller, task, order), candidates)
        journal.begin_session(workers=_describe_workers(executor, dispatcher))
        limits = Limits(schedule)
        try:
            with dispatcher:
                if schedule.again.failed:
                    _retry(search, dispatcher)
                search.correct_told()
                done = search.told + len(search.arrived)
                with open_bar(schedule.progress, candidates, done) as show:
                    _drive(search, limits, dispatcher, candidates, show)
                evaluate_again(search, limits, dispatcher)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped after {journal.n_results} of {candidates} candidates. "
                f"Nothing is lost: the same call goes on in {Path(out)}."
            ) from None
        if search.lowest is None:
            ended = [(outcome, why) for _, outcome, why, *_ in journal.summaries().values()]
            _refuse_failures(ended, limit=0)
        return journal.export()


def _check_task(
    controller: Controller, task: Any, out: str | os.PathLike[str], executor: Executor | None
) -> None:
    from brainguided.candidates.evaluation import Task  # torch
    from brainguided.search.check import Plan, check_search

    if not isinstance(task, Task):  # nothing is known of one that is made up
        return
    here = (LocalPool, ProcessPoolExecutor, ThreadPoolExecutor)
    plan = Plan(controller if isinstance(controller, Controller) else None)
    here_only = executor is None or isinstance(executor, here)
    check_search(task, out=out, here=here_only, plan=plan)


def _check_slots(order: Order, dispatcher: Dispatcher) -> None:
    """Refuse to fill workers whose number is unknown; say where many would be idle."""
    if isinstance(order, Completion) and dispatcher.slots >= UNKNOWN_SLOTS:
        raise ValueError(
            "The executor does not say how many evaluations it runs at a time, which the order "
            "'completion' has to know; give it as Schedule(Completion(), workers=40)."
        )
    if isinstance(order, Batch) and order.round_size < dispatcher.slots < UNKNOWN_SLOTS:
        _log.warning(
            "%d evaluations can run at a time, but rounds hold %d candidates: the others will be "
            "idle. Larger rounds, or the orders 'index' and 'completion', keep them "
            "busy.",
            dispatcher.slots,
            order.round_size,
        )


def _drive(
    search: SearchState,
    limits: Limits,
    dispatcher: Dispatcher,
    candidates: int,
    show: Callable[[Attempt, int], None],
) -> None:
    """Ask, evaluate and tell in the order given until all candidates were told."""
    for job in search.open_jobs():
        dispatcher.submit(job)
    config = search.journal.config
    progress = Progress(candidates, search.told + len(search.arrived), config=config)
    noted = -_NOTE
    while search.told < candidates:
        if late := limits.say_late():
            search.closed = late
        with search.journal.one_transaction():
            jobs = _advance(search, limits, dispatcher, candidates)
        _refuse_failures(search.recent)
        for job in jobs:
            dispatcher.submit(job)
        if search.closed and candidates > search.asked:
            _log.warning(
                "The search ends with %d of %d candidates: %s.",
                search.asked,
                candidates,
                search.closed,
            )
            candidates = search.asked
        if search.told == candidates:
            break
        slots = dispatcher.slots if dispatcher.slots < UNKNOWN_SLOTS else None
        if time.monotonic() - noted >= _NOTE:
            noted = time.monotonic()
            search.journal.note_progress(
                candidates=candidates,
                running=dispatcher.n_running,
                waiting=dispatcher.n_waiting,
                workers=slots,
            )
        for ended, timing in dispatcher.wait():
            attempt = search.appraise(ended)
            search.journal.record_attempt(attempt, timing)
            if attempt.outcome != "lost":
                search.arrive(attempt)
            show(attempt, search.told + len(search.arrived))
            _log.info(
                "%s",
                progress.describe(
                    attempt,
                    timing,
                    done=search.told + len(search.arrived),
                    running=dispatcher.n_running,
                    waiting=dispatcher.n_waiting,
                    workers=slots,
                ),
            )
    search.journal.note_progress(candidates=candidates, running=0, waiting=0, workers=None)


def _retry(search: SearchState, dispatcher: Dispatcher) -> None:
    """Evaluate candidates again that failed."""
    jobs = search.failed_jobs()
    _log.info("evaluating %d candidates again that had failed", len(jobs))
    told = {candidate: row[3] for candidate, row in search.journal.summaries().items()}
    for job in jobs:
        dispatcher.submit(job)
    left = len(jobs)
    while left:
        for ended, timing in dispatcher.wait():
            attempt = search.appraise(ended)
            if attempt.outcome == "failed":
                attempt = replace(attempt, reward=told[attempt.candidate])
            search.journal.record_attempt(attempt, timing)
            if attempt.candidate not in search.open:
                search.examples += attempt.examples or 0
            elif attempt.outcome != "lost":
                search.arrive(attempt)
            left -= attempt.outcome != "lost"
            said = attempt.reason or "done"
            if attempt.reward is not None and attempt.outcome == "done":
                said = f"reward {attempt.reward:.4f}"
            _log.info("candidate %d again: %s", attempt.candidate, said)


def _advance(
    search: SearchState, limits: Limits, dispatcher: Dispatcher, candidates: int
) -> list[Attempt]:
    """Tell and ask as far as the results that are there allow; return the attempts to make."""
    jobs: list[Attempt] = []
    order = limits.schedule.order
    while search.told < candidates and _count_failures(search.recent) <= WINDOW // 2:
        search.closed = limits.say_spent(search.examples) or search.closed
        if search.told < search.first.size:
            if search.asked < search.first.size:
                jobs += search.propose(search.first.size - search.asked)
            elif len(search.arrived) < search.first.size:
                break
            else:
                search.conclude(sorted(search.arrived))
            continue
        wanted = order.count_to_ask(
            asked=search.asked,
            told=search.told,
            arrived=len(search.arrived),
            evaluating=dispatcher.n_running + dispatcher.n_waiting + len(jobs),
            slots=dispatcher.slots,
        )
        wanted = 0 if search.closed else min(wanted, candidates - search.asked)
        if wanted > 0:
            jobs += search.propose(wanted)
            continue
        group = order.choose_to_tell(search.arrived, asked=search.asked, told=search.told)
        if not group:
            break
        search.conclude(group)
    return jobs


def _load_evaluate() -> Callable[..., Any]:
    from brainguided.candidates.evaluation import (
        evaluate,  # torch, which workers with their own do not need
    )

    return evaluate


def _count_failures(recent: Sequence[tuple[str, str]]) -> int:
    return sum(outcome == "failed" for outcome, _ in recent)


def _refuse_failures(recent: Sequence[tuple[str, str]], *, limit: int = WINDOW // 2) -> None:
    """Stop when more than `limit` of the last evaluations, duplicates aside, failed."""
    if _count_failures(recent) > limit:
        reasons = [reason for outcome, reason in recent if outcome == "failed"]
        reason, times = Counter(reasons).most_common(1)[0]
        raise SearchError(
            f"{len(reasons)} of the last {len(recent)} evaluations failed, {times} of them with "
            f"'{reason}'. Correct the cause, then start the same search again: it goes on after "
            "them. To have them evaluated again too, say so (Again(failed=True), --retry-failed)."
        )


def _describe_workers(executor: Executor | None, dispatcher: Dispatcher) -> str:
    if executor is None:
        return "this process"
    slots = dispatcher.slots
    name = type(executor).__name__.lstrip("_")
    return f"{name}({slots if slots < UNKNOWN_SLOTS else 'unknown'})"
