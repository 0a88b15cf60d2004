"""Run a search: ask the controller, evaluate, record, tell; or go on with one that was stopped."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.attempts import Attempt
from brainguided.controllers.contract import Controller
from brainguided.differences import find_differences
from brainguided.dispatch import UNKNOWN_SLOTS, Dispatcher, SearchError
from brainguided.journal import Journal, JournalError
from brainguided.orders import Batch, Completion, Order
from brainguided.progress import Progress

__all__ = ["SearchError", "run_search"]
_log = logging.getLogger(__name__)
_WINDOW = 40  # evaluations watched for failures
_NOTE = 2.0  # s between two notes of how far it is
_SNAPSHOT = 500  # candidates between two saved states of the controller


def run_search(
    controller: Controller,
    task: Any,
    *,
    candidates: int,
    out: str | os.PathLike[str],
    round_size: int = 8,
    order: Order | None = None,
    executor: Executor | None = None,
    evaluate: Callable[..., Any] | None = None,
    timeout: float | None = None,
    workers: int | None = None,
) -> xr.Dataset:
    """Search for the architecture with the highest reward, or resume a search.

    By default rounds of `round_size` candidates are asked for, evaluated and told, whatever the
    number of workers, so that the result does not depend on it; see `order` for others. Every
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
    round_size : int
        Candidates between two lessons of the controller.
    order : Order, optional
        `orders.Completion` keeps all workers busy and tells each result as it comes;
        `orders.Index` nearly so, with the same result whatever the workers; default:
        ``orders.Batch(round_size)``.
    executor : concurrent.futures.Executor, optional
        Where evaluations run, e.g. `local_pool(2)`; default: in this process, one by one.
    evaluate : callable, optional
        ``evaluate(architecture, task, seed=...)`` returning an `Evaluation`; default:
        `evaluation.evaluate`. Candidate k has the seed
        ``SeedSequence((controller.seed, k)).generate_state(1)[0]``.
    timeout : float, optional
        Seconds that an evaluation may run; one that takes longer has failed. Needs an executor.
    workers : int, optional
        Evaluations that are handed over at a time. The executors of this package and the pools of
        `concurrent.futures` say themselves how many they run; others, as Dask's, do not.

    Returns
    -------
    xarray.Dataset
        The run, see `records.build_run`. The run folder holds the same as run.nc, run.csv and
        run.jsonl, and the winner, the earliest of equals, as winner.json.

    Raises
    ------
    JournalError
        The folder or its journal cannot be used, or belongs to another search.
    SearchError
        More than half of the last 40 evaluations since the start failed, none succeeded at all, or
        the executor is broken. The same call goes on.
    KeyboardInterrupt
        As raised by Ctrl-C, with a message; what has ended is kept.

    Notes
    -----
    An architecture that was proposed before is not evaluated again but has the results of the
    earlier candidate. A failed candidate, also one with a reward that is not finite, is told the
    lowest reward seen by the end of its round (0 if there is none). An evaluation whose worker
    dies, or that raises `concurrent.futures.BrokenExecutor`, is tried again, at most twice.
    """
    if type(candidates) is not int or candidates < 1:
        raise ValueError(f"candidates is {candidates!r}; expected a whole number, at least 1.")
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout is {timeout!r}; expected a positive number of seconds.")
    if workers is not None and (type(workers) is not int or workers < 1):
        raise ValueError(f"workers is {workers!r}; expected a whole number, at least 1.")
    order = Batch(round_size) if order is None else order
    evaluate = evaluate or _load_evaluate()
    config = json.loads(
        json.dumps(
            {
                "controller": controller.describe(),
                "space": controller.space.describe(),
                "task": task.describe(),
                "seed": controller.seed,
                **order.describe(),
            }
        )
    )
    dispatcher = Dispatcher(
        executor, evaluate, task, timeout=timeout, workers=workers, logs=Path(out) / "logs"
    )
    _check_slots(order, dispatcher)
    with Journal.open(out) as journal:
        search = _Search(controller, journal)
        search.resume(config, candidates)
        journal.begin_session(workers=_describe_workers(executor, dispatcher))
        try:
            with dispatcher:
                _drive(search, order, dispatcher, candidates)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped after {journal.n_results} of {candidates} candidates. "
                f"Nothing is lost: the same call goes on in {Path(out)}."
            ) from None
        if search.lowest is None:
            ended = [(outcome, why) for _, outcome, why, *_ in journal.summaries().values()]
            _refuse_failures(ended, limit=0)
        return journal.export()


def _check_slots(order: Order, dispatcher: Dispatcher) -> None:
    """Refuse to fill workers whose number is unknown; say where many would be idle."""
    if isinstance(order, Completion) and dispatcher.slots >= UNKNOWN_SLOTS:
        raise ValueError(
            "The executor does not say how many evaluations it runs at a time, which the order "
            "'completion' has to know; give it as run_search(..., workers=40)."
        )
    if isinstance(order, Batch) and order.round_size < dispatcher.slots < UNKNOWN_SLOTS:
        _log.warning(
            "%d evaluations can run at a time, but rounds hold %d candidates: the others will be "
            "idle. Larger rounds (round_size), or the orders 'index' and 'completion', keep them "
            "busy.",
            dispatcher.slots,
            order.round_size,
        )


def _drive(search: _Search, order: Order, dispatcher: Dispatcher, candidates: int) -> None:
    """Ask, evaluate and tell in the order given until all candidates were told."""
    for job in search.open_jobs():
        dispatcher.submit(job)
    progress = Progress(candidates, search.told + len(search.arrived))
    noted = -_NOTE
    while search.told < candidates:
        _refuse_failures(search.recent)
        wanted = order.count_to_ask(
            asked=search.asked,
            told=search.told,
            arrived=len(search.arrived),
            evaluating=dispatcher.n_running + dispatcher.n_waiting,
            slots=dispatcher.slots,
        )
        wanted = min(wanted, candidates - search.asked)
        if wanted > 0:
            for job in search.propose(wanted):
                dispatcher.submit(job)
            continue
        group = order.choose_to_tell(search.arrived, asked=search.asked, told=search.told)
        if group:
            search.conclude(group)
            continue
        slots = dispatcher.slots if dispatcher.slots < UNKNOWN_SLOTS else None
        if time.monotonic() - noted >= _NOTE:
            noted = time.monotonic()
            search.journal.note_progress(
                candidates=candidates,
                running=dispatcher.n_running,
                waiting=dispatcher.n_waiting,
                workers=slots,
            )
        for attempt, timing in dispatcher.wait():
            search.journal.record_attempt(attempt, timing)
            if attempt.outcome != "lost":
                search.arrive(attempt)
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


def _load_evaluate() -> Callable[..., Any]:
    from brainguided.evaluation import evaluate  # torch, which workers with their own do not need

    return evaluate


class _Search:
    """Hold a controller and a journal that agree on what was asked and told."""

    def __init__(self, controller: Controller, journal: Journal) -> None:
        self.controller = controller
        self.journal = journal
        self.events = 0  # asks and tells so far
        self.asked = 0
        self.told = 0
        self.open: dict[int, Architecture] = {}  # asked for, not told
        self.arrived: dict[int, None] = {}  # of those open, with a result, in the order they came
        self.lowest: float | None = None  # reward of those told
        # Outcomes and reasons of what was told since the start: what failed before may be mended
        self.recent: deque[tuple[str, str]] = deque(maxlen=_WINDOW)
        self._owner: dict[str, int] = {}  # the first candidate with each key
        self._results: dict[int, Attempt] = {}  # of those arrived
        self._followers: dict[int, list[int]] = {}  # duplicates of candidates that are running
        self._saved = 0  # candidates told in the last snapshot

    def resume(self, config: dict[str, Any], candidates: int) -> None:
        """Bring the controller to where the journal is."""
        known = self.journal.config
        if known is None:
            self.journal.begin(config)
            return
        _refuse_other(known, config, self.journal.path)
        logged = self.journal.n_asked
        if logged > candidates:
            raise JournalError(
                f"{self.journal.path} already holds {logged} candidates, "
                f"{candidates} were asked for. Ask for {logged} or more, or use another folder."
            )
        snapshot = self.journal.snapshot()
        if snapshot is not None:
            self.events, state = snapshot
            self.controller.restore_state(state["controller"])
            self.asked, self.told, self._saved = state["asked"], state["told"], state["told"]
            for candidate, text in state["open"]:
                self.open[candidate] = Architecture.from_json(text)
        for kind, payload in self.journal.events(self.events):
            if kind == "ask":
                self._replay_ask(payload["architectures"])
            else:
                told = [self.open.pop(candidate) for candidate in payload["candidates"]]
                self.controller.tell(told, payload["rewards"])
                self.told += len(told)
            self.events += 1
        summaries = self.journal.summaries()
        for candidate, (key, *_) in summaries.items():
            self._owner.setdefault(key, candidate)
        for candidate in self.journal.told():
            _, outcome, _, reward, _ = summaries[candidate]
            self._remember(outcome, reward)
        for candidate, architecture in self.open.items():
            owner = self._owner.setdefault(architecture.key, candidate)
            self._owner[architecture.key] = min(owner, candidate)
        for candidate, architecture in self.open.items():
            owner = self._owner[architecture.key]
            if owner in summaries:
                self.arrived[candidate] = None
                if owner == candidate:
                    self._results[candidate] = self.journal.result(candidate)
            elif owner != candidate:
                self._followers.setdefault(owner, []).append(candidate)

    def _replay_ask(self, texts: Sequence[str]) -> None:
        """Ask again for what the journal says was proposed."""
        for text, proposal in zip(texts, self.controller.ask(len(texts)), strict=True):
            if proposal.to_json() != text:
                raise JournalError(
                    f"{self.journal.path} cannot be resumed: in event {self.events} the controller "
                    f"now proposes another candidate {self.asked} than it did. The "
                    "controller was used before, or another version of brainguided or torch "
                    "wrote the journal (table 'session'). Make a new controller, or start in "
                    "another folder."
                )
            self.open[self.asked] = proposal
            self.asked += 1

    def _remember(self, outcome: str, reward: float | None) -> None:
        if outcome == "done" and reward is not None:
            self.lowest = reward if self.lowest is None else min(self.lowest, reward)

    def open_jobs(self) -> list[Attempt]:
        """Return the attempts to make of candidates that were open in the journal."""
        made = Counter(a.candidate for a in self.journal.attempts(min(self.open, default=0)))
        return [
            self._make_job(candidate, made[candidate] + 1)
            for candidate, architecture in self.open.items()
            if candidate not in self.arrived and self._owner[architecture.key] == candidate
        ]

    def _make_job(self, candidate: int, attempt: int) -> Attempt:
        architecture = self.open[candidate]
        return Attempt(
            candidate=candidate,
            attempt=attempt,
            architecture=architecture.to_json(),
            key=architecture.key,
            seed=_candidate_seed(self.controller.seed, candidate),
            outcome="lost",
        )

    def propose(self, n: int) -> list[Attempt]:
        """Ask for `n` candidates; return the attempts to make, none of duplicates."""
        proposals = self.controller.ask(n)
        texts = [proposal.to_json() for proposal in proposals]
        self.journal.record_ask(self.events, self.asked, texts)
        self.events += 1
        jobs = []
        for proposal in proposals:
            candidate, self.asked = self.asked, self.asked + 1
            self.open[candidate] = proposal
            owner = self._owner.setdefault(proposal.key, candidate)
            if owner == candidate:
                jobs.append(self._make_job(candidate, 1))
            elif owner in self.open and owner not in self._results:
                self._followers.setdefault(owner, []).append(candidate)
            else:
                self.arrived[candidate] = None
        return jobs

    def arrive(self, attempt: Attempt) -> None:
        """Take the result of a candidate, and with it those of its duplicates."""
        self._results[attempt.candidate] = attempt
        followers = self._followers.pop(attempt.candidate, [])
        self.arrived |= dict.fromkeys([attempt.candidate, *followers])

    def conclude(self, group: Sequence[int]) -> None:
        """Answer duplicates, give failures their reward, log and tell these candidates."""
        found: dict[int, Attempt] = {}
        duplicates: list[Attempt] = []
        for candidate in group:
            owner = self._owner[self.open[candidate].key]
            result = self._results.get(owner) or found.get(owner) or self.journal.result(owner)
            if candidate != owner:
                result = replace(
                    result, candidate=candidate, attempt=1, duplicate_of=owner, examples=0
                )
                duplicates.append(result)
            found[candidate] = result
            if candidate == owner:
                self.recent.append((result.outcome, result.reason))
            self._remember(result.outcome, result.reward)
        lowest = 0.0 if self.lowest is None else self.lowest
        rewards = {
            candidate: result.reward
            if result.outcome == "done" and result.reward is not None
            else lowest
            for candidate, result in found.items()
        }
        told = [self.open.pop(candidate) for candidate in group]
        self.controller.tell(told, list(rewards.values()))
        for candidate in group:
            del self.arrived[candidate]
            self._results.pop(candidate, None)
        self.told += len(group)
        state = None
        if self.told - self._saved >= _SNAPSHOT:
            state, self._saved = self._save(), self.told
        self.journal.record_tell(self.events, rewards, duplicates, state)
        self.events += 1

    def _save(self) -> dict[str, Any] | None:
        """Return the state from which `resume` goes on; None if the controller has none."""
        controller = self.controller.save_state()
        if controller is None:
            return None
        still = [[candidate, proposal.to_json()] for candidate, proposal in self.open.items()]
        return {"controller": controller, "asked": self.asked, "told": self.told, "open": still}


def _candidate_seed(seed: int, candidate: int) -> int:
    return int(np.random.SeedSequence((seed, candidate)).generate_state(1)[0])


def _refuse_failures(recent: Sequence[tuple[str, str]], *, limit: int = _WINDOW // 2) -> None:
    """Stop when more than `limit` of the last evaluations, duplicates aside, failed."""
    reasons = [reason for outcome, reason in recent if outcome == "failed"]
    if len(reasons) > limit:
        reason, times = Counter(reasons).most_common(1)[0]
        raise SearchError(
            f"{len(reasons)} of the last {len(recent)} evaluations failed, {times} of them with "
            f"'{reason}'. Correct the cause, then start the same search again: it goes on after "
            "them. They stay failed; to have them evaluated again, choose another folder."
        )


def _refuse_other(known: dict[str, Any], config: dict[str, Any], path: Path) -> None:
    differences = find_differences(known, config, ("in the journal", "now"))
    if differences:
        raise JournalError(
            f"{path} belongs to another search; use the same settings or another folder:"
            + "".join(differences)
        )


def _describe_workers(executor: Executor | None, dispatcher: Dispatcher) -> str:
    if executor is None:
        return "this process"
    slots = dispatcher.slots
    name = type(executor).__name__.lstrip("_")
    return f"{name}({slots if slots < UNKNOWN_SLOTS else 'unknown'})"
