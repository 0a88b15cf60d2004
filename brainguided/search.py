"""Run a search: ask the controller, evaluate, record, tell; or go on with one that was stopped."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller
from brainguided.journal import Journal, JournalError
from brainguided.records import Attempt, Timing

_log = logging.getLogger(__name__)
_ATTEMPTS = 3  # of a candidate whose worker dies
_WINDOW = 40  # evaluations watched for failures
_EARNED = (  # what is recorded of an Evaluation
    "outcome",
    "reason",
    "performance",
    "guidance",
    "reward",
    "similarity",
    "history",
    "n_parameters",
    "examples",
)


class SearchError(RuntimeError):
    """A search that cannot go on."""


@dataclass(frozen=True)
class _Outcome:
    """What comes back from a worker: plain data that every process can unpickle."""

    values: dict[str, Any]
    timing: Timing


def run_search(
    controller: Controller,
    task: Any,
    *,
    candidates: int,
    out: str | os.PathLike[str],
    round_size: int = 8,
    executor: Executor | None = None,
    evaluate: Callable[..., Any] | None = None,
) -> xr.Dataset:
    """Search for the architecture with the highest reward, or resume a search.

    Rounds of `round_size` candidates are asked for, evaluated and told, whatever the number of
    workers, so that the result does not depend on it. Every evaluation is in the journal as soon
    as it ends. The same call on the same folder goes on where the last one stopped: the
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
    executor : concurrent.futures.Executor, optional
        Where evaluations run, e.g. `local_pool(2)`; default: in this process, one by one.
    evaluate : callable, optional
        ``evaluate(architecture, task, seed=...)`` returning an `Evaluation`; default:
        `evaluation.evaluate`. Candidate k has the seed
        ``SeedSequence((controller.seed, k)).generate_state(1)[0]``.

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
        More than half of the last 40 evaluations failed, none succeeded at all, or the executor
        is broken.
    KeyboardInterrupt
        As raised by Ctrl-C, with a message; what has ended is kept.

    Notes
    -----
    An architecture that was proposed before is not evaluated again but has the results of the
    earlier candidate. A failed candidate, also one with a reward that is not finite, is told the
    lowest reward seen by the end of its round (0 if there is none). An evaluation whose worker
    dies is tried again, at most twice.
    """
    for name, number in (("candidates", candidates), ("round_size", round_size)):
        if type(number) is not int or number < 1:
            raise ValueError(f"{name} is {number!r}; expected a whole number, at least 1.")
    evaluate = evaluate or _load_evaluate()
    config = json.loads(
        json.dumps(
            {
                "controller": controller.describe(),
                "space": controller.space.describe(),
                "task": task.describe(),
                "seed": controller.seed,
                "round_size": round_size,
            }
        )
    )
    with Journal.open(out) as journal:
        search = _Search(controller, journal)
        search.resume(config, candidates)
        journal.begin_session(workers=_describe_workers(executor))
        try:
            while search.told < candidates:
                _refuse_failures(journal.results()[: search.told])
                proposals = search.propose(min(round_size, candidates - search.told))
                for attempt, timing in _evaluate_round(
                    search.open_jobs(), executor, evaluate, task
                ):
                    journal.record_attempt(attempt, timing)
                    _log_attempt(attempt, timing, candidates)
                search.conclude(proposals)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped after {len(journal.results())} of {candidates} candidates. "
                f"Nothing is lost: the same call goes on in {Path(out)}."
            ) from None
        results = journal.results()
        if not any(result.outcome == "done" for result in results):
            _refuse_failures(results, limit=0)
        journal.export()
        return journal.to_xarray()


def _load_evaluate() -> Callable[..., Any]:
    from brainguided.evaluation import evaluate  # torch, which workers with their own do not need

    return evaluate


class _Search:
    """Hold a controller and a journal that agree on the rounds so far."""

    def __init__(self, controller: Controller, journal: Journal) -> None:
        self.controller = controller
        self.journal = journal
        self.rounds = 0  # told
        self.told = 0  # candidates in them
        self.pending: list[Architecture] = []  # proposed and logged, not told

    def resume(self, config: dict[str, Any], candidates: int) -> None:
        """Bring the controller to where the journal is."""
        known = self.journal.config
        if known is None:
            self.journal.begin(config)
            return
        _refuse_other(known, config, self.journal.path)
        rounds = self.journal.rounds()
        logged = sum(len(proposals) for proposals, _ in rounds)
        if logged > candidates:
            raise JournalError(
                f"{self.journal.path} already holds {logged} candidates, "
                f"{candidates} were asked for. Ask for {logged} or more, or use another folder."
            )
        for number, (texts, rewards) in enumerate(rounds):
            proposals = self.controller.ask(len(texts))
            for place, (proposal, text) in enumerate(zip(proposals, texts, strict=True)):
                if proposal.to_json() != text:
                    raise JournalError(
                        f"{self.journal.path} cannot be resumed: in round {number} the controller "
                        f"now proposes another candidate {self.told + place} than it did. The "
                        "controller was used before, or another version of brainguided or torch "
                        "wrote the journal (table 'session'). Make a new controller, or start in "
                        "another folder."
                    )
            if rewards is None:
                self.pending = proposals
            else:
                self.controller.tell(proposals, rewards)
                self.rounds, self.told = number + 1, self.told + len(texts)

    def propose(self, n: int) -> list[Architecture]:
        """Return the open round, asking the controller for `n` candidates if there is none."""
        if not self.pending:
            self.pending = self.controller.ask(n)
            texts = [proposal.to_json() for proposal in self.pending]
            self.journal.record_ask(self.rounds, self.told, texts)
        return self.pending

    def open_jobs(self) -> list[Attempt]:
        """Return the attempts to make in the open round; duplicates and finished ones need none."""
        attempts = self.journal.attempts()
        finished = {a.candidate for a in attempts if a.outcome != "lost"}
        made = Counter(a.candidate for a in attempts)
        known = {a.key for a in attempts if a.candidate < self.told}
        jobs = []
        for candidate, architecture in enumerate(self.pending, self.told):
            key = architecture.key
            if key not in known and candidate not in finished:
                jobs.append(
                    Attempt(
                        candidate=candidate,
                        attempt=made[candidate] + 1,
                        architecture=architecture.to_json(),
                        key=key,
                        seed=_candidate_seed(self.controller.seed, candidate),
                        outcome="lost",
                    )
                )
            known.add(key)
        return jobs

    def conclude(self, proposals: Sequence[Architecture]) -> None:
        """Answer duplicates, give failures their reward, log and tell the round."""
        results = {result.candidate: result for result in self.journal.results()}
        first: dict[str, Attempt] = {}
        for result in results.values():
            first.setdefault(result.key, result)
        rewards = [r.reward for r in results.values() if r.outcome == "done"]
        lowest = min((reward for reward in rewards if reward is not None), default=0.0)
        told: list[float] = []
        duplicates: list[Attempt] = []
        for candidate, architecture in enumerate(proposals, self.told):
            result = first[architecture.key]
            if candidate not in results:
                duplicates.append(
                    replace(
                        result,
                        candidate=candidate,
                        attempt=1,
                        duplicate_of=result.candidate,
                        examples=0,
                    )
                )
            done = result.outcome == "done" and result.reward is not None
            told.append(result.reward if done else lowest)  # type: ignore[arg-type]
        self.journal.record_tell(self.rounds, self.told, told, duplicates)
        self.controller.tell(proposals, told)
        self.rounds, self.told, self.pending = self.rounds + 1, self.told + len(proposals), []


def _candidate_seed(seed: int, candidate: int) -> int:
    return int(np.random.SeedSequence((seed, candidate)).generate_state(1)[0])


def _evaluate_round(
    jobs: list[Attempt], executor: Executor | None, evaluate: Callable[..., Any], task: Any
) -> Iterator[tuple[Attempt, Timing | None]]:
    """Yield every attempt as it ends; lost ones are made again until they were made 3 times."""
    if executor is None:
        for job in jobs:
            yield _finish(job, _run_one(evaluate, job.architecture, task, job.seed))
        return
    running: dict[Future[_Outcome], Attempt] = {}

    def submit(job: Attempt) -> None:
        try:
            future = executor.submit(_run_one, evaluate, job.architecture, task, job.seed)
        except BrokenExecutor as error:
            raise SearchError(
                "The executor is broken and takes no more work. Start the same search again to "
                "go on; local_pool survives the death of a worker."
            ) from error
        running[future] = job

    try:
        for job in jobs:
            submit(job)
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                job = running.pop(future)
                try:
                    outcome = future.result()
                except (BrokenExecutor, CancelledError):
                    if job.attempt >= _ATTEMPTS:
                        yield replace(job, outcome="failed", reason="lost"), None
                    else:
                        yield replace(job, outcome="lost", reason="lost"), None
                        submit(replace(job, attempt=job.attempt + 1))
                else:
                    yield _finish(job, outcome)
    finally:
        for future in running:
            future.cancel()


def _run_one(evaluate: Callable[..., Any], architecture: str, task: Any, seed: int) -> _Outcome:
    """Evaluate one candidate, in whatever process; an exception becomes a failed outcome."""
    started, clock = time.time(), time.perf_counter()
    try:
        evaluation = evaluate(Architecture.from_json(architecture), task, seed=seed)
        values = {name: getattr(evaluation, name) for name in _EARNED}
    except Exception as error:
        text = " ".join(str(error).split())
        values = {"outcome": "failed", "reason": f"error: {type(error).__name__}: {text}"}
    seconds = time.perf_counter() - clock
    return _Outcome(values, Timing(seconds, started, time.time(), platform.node(), os.getpid()))


def _finish(job: Attempt, outcome: _Outcome) -> tuple[Attempt, Timing]:
    """Return the attempt with its results as plain finite numbers."""
    values = _plain(outcome.values)
    if values["outcome"] == "done" and values["reward"] is None:
        values |= {"outcome": "failed", "reason": "nan"}
    if values["outcome"] == "failed":
        values["reward"] = None
    return replace(job, **values), outcome.timing


def _plain(value: Any) -> Any:
    """Return the same as JSON would give it back, with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse_failures(results: Sequence[Attempt], *, limit: int = _WINDOW // 2) -> None:
    """Stop when more than `limit` of the last evaluations failed."""
    window = [result for result in results if result.duplicate_of is None][-_WINDOW:]
    failed = [result for result in window if result.outcome == "failed"]
    if len(failed) > limit:
        reason, times = Counter(result.reason for result in failed).most_common(1)[0]
        raise SearchError(
            f"{len(failed)} of the last {len(window)} evaluations failed, {times} of them with "
            f"'{reason}'. Correct the cause, then start again in another folder."
        )


def _refuse_other(known: dict[str, Any], config: dict[str, Any], path: Path) -> None:
    before, now = dict(_flatten(known)), dict(_flatten(config))
    different = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    differences = [
        f"\n  - {n}: {before.get(n, 'nothing')} in the journal, {now.get(n, 'nothing')} now"
        for n in different
    ]
    if differences:
        raise JournalError(
            f"{path} belongs to another search; use the same settings or another folder:"
            + "".join(differences)
        )


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings with their dotted names."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        inner = enumerate(value)
    if not inner:
        yield name, json.dumps(value)
    for key, item in inner:
        yield from _flatten(item, f"{name}.{key}" if name else str(key))


def _describe_workers(executor: Executor | None) -> str:
    if executor is None:
        return "this process"
    count = getattr(executor, "workers", getattr(executor, "_max_workers", "unknown"))
    return f"{type(executor).__name__.lstrip('_')}({count})"


def _log_attempt(attempt: Attempt, timing: Timing | None, candidates: int) -> None:
    earned = attempt.reason if attempt.reward is None else f"reward {attempt.reward:.4f}"
    spent = "" if timing is None else f", {timing.seconds:.1f} s"
    text = "candidate %d of %d (attempt %d) %s: %s%s"
    _log.info(text, attempt.candidate, candidates, attempt.attempt, attempt.outcome, earned, spent)
