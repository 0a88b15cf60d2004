"""Run a search: ask the controller, evaluate, record, tell; or go on with one that was stopped."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller
from brainguided.dispatch import SearchError, evaluate_round
from brainguided.journal import Journal, JournalError
from brainguided.records import Attempt, Timing

__all__ = ["SearchError", "run_search"]
_log = logging.getLogger(__name__)
_WINDOW = 40  # evaluations watched for failures
_SNAPSHOT = 500  # candidates between two saved states of the controller


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
                _refuse_failures(search.recent)
                proposals = search.propose(min(round_size, candidates - search.told))
                for attempt, timing in evaluate_round(search.open_jobs(), executor, evaluate, task):
                    journal.record_attempt(attempt, timing)
                    _log_attempt(attempt, timing, candidates)
                search.conclude(proposals)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Stopped after {journal.n_results} of {candidates} candidates. "
                f"Nothing is lost: the same call goes on in {Path(out)}."
            ) from None
        if search.lowest is None:
            _refuse_failures(search.recent, limit=0)
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
        self.first: dict[str, int] = {}  # of those told, the first candidate with each key
        self.lowest: float | None = None  # reward of those told
        self.recent: deque[tuple[str, str]] = deque(maxlen=_WINDOW)  # outcomes and reasons
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
            self.rounds, self.told, state = snapshot
            self.controller.restore_state(state)
            self._saved = self.told
        for number, (texts, rewards) in enumerate(self.journal.rounds(self.rounds), self.rounds):
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
        for row in self.journal.summaries(self.told):
            self._remember(*row)

    def _remember(
        self, candidate: int, key: str, outcome: str, reason: str, reward: float | None, old: bool
    ) -> None:
        self.first.setdefault(key, candidate)
        if not old:
            self.recent.append((outcome, reason))
        if outcome == "done" and reward is not None:
            self.lowest = reward if self.lowest is None else min(self.lowest, reward)

    def propose(self, n: int) -> list[Architecture]:
        """Return the open round, asking the controller for `n` candidates if there is none."""
        if not self.pending:
            self.pending = self.controller.ask(n)
            texts = [proposal.to_json() for proposal in self.pending]
            self.journal.record_ask(self.rounds, self.told, texts)
        return self.pending

    def open_jobs(self) -> list[Attempt]:
        """Return the attempts to make in the open round; duplicates and finished ones need none."""
        attempts = self.journal.attempts(self.told)
        finished = {a.candidate for a in attempts if a.outcome != "lost"}
        made = Counter(a.candidate for a in attempts)
        met: set[str] = set()
        jobs = []
        for candidate, architecture in enumerate(self.pending, self.told):
            key = architecture.key
            if key not in self.first and key not in met and candidate not in finished:
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
            met.add(key)
        return jobs

    def conclude(self, proposals: Sequence[Architecture]) -> None:
        """Answer duplicates, give failures their reward, log and tell the round."""
        here = [a for a in self.journal.attempts(self.told) if a.outcome != "lost"]
        results = {result.candidate: result for result in here}
        for result in here:
            self._remember(
                result.candidate, result.key, result.outcome, result.reason, result.reward, False
            )
        lowest = 0.0 if self.lowest is None else self.lowest
        told: list[float] = []
        duplicates: list[Attempt] = []
        for candidate, architecture in enumerate(proposals, self.told):
            earlier = self.first[architecture.key]
            result = results.get(earlier) or self.journal.result(earlier)
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
        self.controller.tell(proposals, told)
        self.rounds, self.told, self.pending = self.rounds + 1, self.told + len(proposals), []
        state = None
        if self.told - self._saved >= _SNAPSHOT:
            state, self._saved = self.controller.save_state(), self.told
        first = self.told - len(proposals)
        self.journal.record_tell(self.rounds - 1, first, told, duplicates, state)


def _candidate_seed(seed: int, candidate: int) -> int:
    return int(np.random.SeedSequence((seed, candidate)).generate_state(1)[0])


def _refuse_failures(recent: Sequence[tuple[str, str]], *, limit: int = _WINDOW // 2) -> None:
    """Stop when more than `limit` of the last evaluations, duplicates aside, failed."""
    reasons = [reason for outcome, reason in recent if outcome == "failed"]
    if len(reasons) > limit:
        reason, times = Counter(reasons).most_common(1)[0]
        raise SearchError(
            f"{len(reasons)} of the last {len(recent)} evaluations failed, {times} of them with "
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
