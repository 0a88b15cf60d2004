"""What a search has asked and told: a controller and a journal that agree."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller
from brainguided.guidance.rewards import Reward
from brainguided.journal.attempts import STOPPED, Attempt
from brainguided.journal.differing_settings import find_differences
from brainguided.journal.journal import Journal, JournalError
from brainguided.search._first_phase import FirstPhase
from brainguided.search._halving import Bars, Halving
from brainguided.search._objectives import ObjectiveReader, Told

WINDOW = 40  # evaluations watched for failures
# Candidates between two saved states of the controller, and as a part of all: states grow
_SNAPSHOT, _PART = 500, 50


class SearchState:
    """Controller and journal, kept in agreement about what was asked and told."""

    def __init__(self, controller: Controller, journal: Journal, task: Any = None) -> None:
        reward: Reward | None = getattr(task, "reward", None)
        self.controller = controller
        self.journal = journal
        self.task = task
        self.first = FirstPhase(controller, reward)
        self.objectives = ObjectiveReader(controller)
        keep = getattr(task, "keep", None)
        self.halving = None
        if keep is not None and reward is not None:
            self.halving = Halving(keep, task.training.measured_at, reward)
        self._bars: dict[int, Bars] = {}  # of those open
        self.events = 0  # asks and tells so far
        self.asked = 0
        self.told = 0
        self.open: dict[int, Architecture] = {}  # asked for, not told
        self.arrived: dict[int, None] = {}  # of those open, with a result, in the order they came
        self.closed = ""  # why no more candidates are asked for
        self.examples = 0  # training images of those told
        self.lowest: float | None = None  # reward of those told
        # Outcomes and reasons of what was told since the start: what failed before may be mended
        self.recent: deque[tuple[str, str]] = deque(maxlen=WINDOW)
        self._owner: dict[str, int] = {}  # the first candidate with each key
        self._results: dict[int, Attempt] = {}  # of those arrived
        self._followers: dict[int, list[int]] = {}  # duplicates of candidates that are running
        self._saved = 0  # candidates told in the last snapshot

    def resume(self, config: dict[str, Any], candidates: int) -> None:
        """Bring the controller to where the journal is."""
        known = self.journal.config
        if known is None:
            with self.journal.one_transaction():
                self.journal.begin(config)
                self._copy_earlier()
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
        for frozen in self.journal.payloads("frozen"):
            self.first.thaw(frozen)
        for kind, payload in self.journal.events(self.events):
            if kind == "ask":
                self._replay_ask(payload)
            elif kind in ("earlier", "frozen"):
                pass  # learned at the first ask; known already
            elif kind == "correct":
                self._correct(payload["candidates"], payload["rewards"])
            else:
                told = [self.open.pop(candidate) for candidate in payload["candidates"]]
                self._tell(told, payload["rewards"], payload.get("objectives"))
            self.events += 1
        summaries = self.journal.summaries()
        for candidate, (key, *_) in summaries.items():
            self._owner.setdefault(key, candidate)
        for candidate in self.journal.told():
            _, outcome, _, reward, _ = summaries[candidate]
            self._remember(outcome, reward)
        self._resume_halving()
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
        waiting = (result.examples or 0 for result in self._results.values())
        again = (attempt.examples or 0 for attempt in self.journal.attempts_again())
        self.examples = self.journal.n_examples - sum(waiting) - sum(again)

    def _resume_halving(self) -> None:
        """Hear again all that was told, in its order, as it was told."""
        if self.halving is None:
            return
        for payload in self.journal.payloads("ask"):
            bars = tuple((int(step), float(bar)) for step, bar in payload.get("bars", ()))
            first = payload["first_candidate"]
            self._bars |= dict.fromkeys(range(first, first + len(payload["architectures"])), bars)
        # Who failed when it was told and was evaluated again since never was heard of again
        told_as: dict[int, Attempt] = {}
        for attempt in self.journal.attempts():
            if attempt.outcome != "lost":
                told_as.setdefault(attempt.candidate, attempt)
        for candidate in self.journal.told():
            result = told_as[candidate]
            if result.duplicate_of is None:
                self.halving.hear(result, self._bars.pop(candidate, ()))

    def take_earlier(self) -> None:
        """Let a controller keep to the warm start of the journal."""
        if not isinstance(self.controller, Controller):
            return
        for payload in self.journal.payloads("earlier"):
            architectures = map(Architecture.from_json, payload["architectures"])
            copied = list(zip(architectures, payload["rewards"], strict=True))
            # The earlier search may have grown since
            if all(one in self.controller.earlier for one in copied):
                self.controller.earlier = copied

    def _copy_earlier(self) -> None:
        """Record what the controller starts from, for the earlier search may grow or go."""
        earlier = self.controller.earlier if isinstance(self.controller, Controller) else []
        if earlier:
            texts = [architecture.to_json() for architecture, _ in earlier]
            self.journal.record_earlier(self.events, texts, [reward for _, reward in earlier])
            self.events += 1

    def _correct(self, candidates: Sequence[int], rewards: Sequence[float]) -> None:
        results = [self.journal.result(candidate) for candidate in candidates]
        told = [Architecture.from_json(result.architecture) for result in results]
        known = self.objectives.collect(results)
        self.controller.correct(told, rewards, *([] if known is None else [known]))

    def failed_jobs(self) -> list[Attempt]:
        """Return the attempts to make of candidates that failed.

        Of those not told yet only where the first phase cannot end without them.
        """
        last: dict[int, Attempt] = {a.candidate: a for a in self.journal.attempts()}
        return [
            Attempt(
                candidate=attempt.candidate,
                attempt=attempt.attempt + 1,
                architecture=attempt.architecture,
                key=attempt.key,
                seed=attempt.seed,
                outcome="lost",
            )
            for attempt in last.values()
            if attempt.outcome != "done"
            and attempt.duplicate_of is None
            and (attempt.candidate not in self.open or self._can_join_phase(attempt.candidate))
        ]

    def _can_join_phase(self, candidate: int) -> bool:
        """Return whether a candidate failed by which the reward would be standardised."""
        result = self._results.get(candidate)
        return self.first.is_open and result is not None and result.outcome == "failed"

    def correct_told(self) -> None:
        """Tell the controller of candidates that had failed and have a reward now."""
        known = {
            candidate
            for payload in self.journal.payloads("correct")
            for candidate in payload["candidates"]
        } | self._mended_before_told()
        results = [self.journal.result(c) for c in self.journal.corrected() if c not in known]
        rewards = {r.candidate: r.reward for r in results if r.reward is not None}
        if not rewards:
            return
        last: dict[int, Attempt] = {a.candidate: a for a in self.journal.attempts()}
        duplicates = [
            replace(
                last[attempt.duplicate_of],
                candidate=attempt.candidate,
                attempt=attempt.attempt + 1,
                duplicate_of=attempt.duplicate_of,
                examples=0,
            )
            for attempt in last.values()
            if attempt.duplicate_of in rewards
        ]
        self.journal.record_correction(self.events, rewards, duplicates)
        self._correct(list(rewards), list(rewards.values()))
        self.events += 1
        for result in results:
            self._remember("done", result.reward)

    def _mended_before_told(self) -> set[int]:
        """Return the candidates of the first phase that were not told as failures."""
        phase = range(self.first.size)
        mended = {c for c in self.journal.corrected() if c in phase}
        if not mended:
            return set()
        told = {
            candidate: reward
            for payload in self.journal.payloads("tell")
            for candidate, reward in zip(payload["candidates"], payload["rewards"], strict=True)
            if candidate in mended
        }
        return {c for c in mended if c in self.open or told[c] == self.journal.result(c).reward}

    def _tell(
        self, told: Sequence[Architecture], rewards: Sequence[float | None], objectives: Told
    ) -> None:
        """Tell the controller, or let it begin with what was drawn at random before it."""
        if self.told < self.first.size:
            self.first.begin_controller(told, rewards)
        else:
            self.controller.tell(told, rewards, *([] if objectives is None else [objectives]))
        self.told += len(told)

    def _replay_ask(self, payload: dict[str, Any]) -> None:
        """Ask again for what the journal says was proposed."""
        texts = payload["architectures"]
        proposals = self._ask(payload.get("wanted", len(texts)))
        for text, proposal in zip_longest(texts, proposals):
            if proposal is None or proposal.to_json() != text:
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
            bars=() if Halving.goes_on(candidate) else self._bars.get(candidate, ()),
        )

    def propose(self, n: int) -> list[Attempt]:
        """Ask for `n` candidates; return the attempts to make, none of duplicates."""
        proposals = self._ask(n)
        if len(proposals) < n:
            self.closed = (
                "the space is used up: nothing new was found among 2000 architectures drawn "
                "(unique = false allows repetitions)"
            )
        if not proposals:
            return []
        texts = [proposal.to_json() for proposal in proposals]
        bars = () if self.halving is None else self.halving.find_bars()
        self.journal.record_ask(self.events, self.asked, texts, wanted=n, bars=bars)
        if bars:
            self._bars |= dict.fromkeys(range(self.asked, self.asked + len(texts)), bars)
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

    def _ask(self, n: int) -> list[Architecture]:
        return self.controller.ask(n) if self.asked >= self.first.size else self.first.draw(n)

    def appraise(self, attempt: Attempt) -> Attempt:
        """Return an attempt that was measured with its reward, as soon as that is known."""
        if self.halving is not None and self.halving.is_stopped(attempt):
            return replace(attempt, reward=None, reason=STOPPED)
        return self.objectives.appraise(self.first.appraise(attempt))

    def arrive(self, attempt: Attempt) -> None:
        """Take the result of a candidate, and with it those of its duplicates."""
        self._results[attempt.candidate] = attempt
        followers = self._followers.pop(attempt.candidate, [])
        self.arrived |= dict.fromkeys([attempt.candidate, *followers])

    def conclude(self, group: Sequence[int]) -> None:
        """Answer duplicates, give failures their reward, log and tell these candidates."""
        found: dict[int, Attempt] = {}
        duplicates: list[Attempt] = []
        if self.first.is_open:
            frozen = self.first.freeze([self._results[c] for c in sorted(self._results)])
            self.journal.record_frozen(self.events, frozen)
            self.events += 1
            self._results = {c: self.first.appraise(r) for c, r in self._results.items()}
        if self.halving is not None:
            self._hear(self.halving, group)
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
                self.examples += result.examples or 0
            self._remember(result.outcome, result.reward)
        rewards = {
            candidate: result.reward
            if result.outcome == "done" and result.reward is not None
            else self.lowest
            for candidate, result in found.items()
        }
        told = [self.open.pop(candidate) for candidate in group]
        objectives = self.objectives.collect(found.values())
        self._tell(told, list(rewards.values()), objectives)
        for candidate in group:
            del self.arrived[candidate]
            self._results.pop(candidate, None)
            self._bars.pop(candidate, None)
        state = None
        if self.told - self._saved >= max(_SNAPSHOT, self.told // _PART):
            state, self._saved = self._save(), self.told
        self.journal.record_tell(self.events, rewards, duplicates, state, objectives)
        self.events += 1

    def _hear(self, halving: Halving, group: Sequence[int]) -> None:
        """Hear of finishers first, then predict the rewards of those that were stopped."""
        own = [c for c in group if c in self._results]
        for candidate in own:
            halving.hear(self._results[candidate], self._bars.pop(candidate, ()))
        for candidate in own:
            result = self._results[candidate]
            if halving.is_stopped(result):
                reward = halving.predict(result.measurement)
                self._results[candidate] = replace(result, reward=reward)

    def _save(self) -> dict[str, Any] | None:
        """Return the state from which `resume` goes on; None if the controller has none."""
        controller = self.controller.save_state()
        if controller is None:
            return None
        still = [[candidate, proposal.to_json()] for candidate, proposal in self.open.items()]
        return {"controller": controller, "asked": self.asked, "told": self.told, "open": still}


def _candidate_seed(seed: int, candidate: int) -> int:
    return int(np.random.SeedSequence((seed, candidate)).generate_state(1)[0])


def _refuse_other(known: dict[str, Any], config: dict[str, Any], path: Path) -> None:
    differences = find_differences(known, config, ("in the journal", "now"))
    if differences:
        raise JournalError(
            f"{path} belongs to another search; use the same settings or another folder:"
            + "".join(differences)
        )
