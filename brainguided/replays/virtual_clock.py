"""Searches on a virtual clock: how long one would take on machines that are not at hand.

The order of asking and telling is that of real searches (`orders`); only time is imagined.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from brainguided.architectures import Architecture
from brainguided.controllers.contract import Controller
from brainguided.journal.attempts import Timing
from brainguided.search.orders import Order

_ATTEMPTS = 3  # of a candidate whose worker is lost
_WIDEST = 20  # standard deviations of logarithms: e^20 is 15 years for a second
_MOST = 10_000_000  # candidates and workers: more take hours and do not fit into memory


@dataclass(frozen=True)
class Faults:
    """Probabilities of what may go wrong with an attempt.

    Parameters
    ----------
    lost : float
        The worker dies at a uniformly drawn moment; tried again, at most twice.
    memory, nan : float
        The evaluation fails at its end; not tried again.
    hang : float
        It never ends, and is killed at the deadline.
    outage : (float, float, int), optional
        Start and end in s, and number of workers gone meanwhile: what they had is lost.
    """

    lost: float = 0.0
    memory: float = 0.0
    nan: float = 0.0
    hang: float = 0.0
    outage: tuple[float, float, int] | None = None

    def __post_init__(self) -> None:
        parts = (self.lost, self.memory, self.nan, self.hang)
        if any(not 0 <= part <= 1 for part in parts) or sum(parts) > 1:
            raise ValueError(f"Faults {parts} are no probabilities that add up to at most 1.")
        if self.outage is None:
            return
        start, end, gone = self.outage
        if not (0 <= start < end and type(gone) is int and gone >= 1):
            raise ValueError(
                f"outage is {self.outage}; expected its start and a later end, in s from the start "
                "of the search, and how many workers are gone, 1 or more."
            )


@dataclass(frozen=True)
class Machines:
    """What evaluates the candidates of a simulated search.

    Attributes
    ----------
    workers : int
    overhead : float
        Time between two evaluations of a worker, s; see `observe_overhead`.
    timeout : float, optional
        Deadline of an attempt, s; needed where something hangs.
    faults : Faults
        What goes wrong.

    Raises
    ------
    ValueError
        A number is out of range, or evaluations hang and have no deadline.
    """

    workers: int
    overhead: float = 0.0
    timeout: float | None = None
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        _refuse_number("workers", self.workers)
        if not (math.isfinite(self.overhead) and self.overhead >= 0):
            raise ValueError(f"overhead is {self.overhead!r}; expected seconds, 0 or more.")
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout is {self.timeout!r}; expected seconds, more than 0.")
        if self.faults.hang and not math.isfinite(self.timeout or math.inf):
            raise ValueError("Evaluations that hang need a timeout.")


@dataclass(frozen=True, eq=False)
class Simulation:
    """Result of a simulated search.

    Attributes
    ----------
    makespan : float
        s from start to the last result.
    utilisation : float
        Work that ended in a result, as a part of workers x makespan.
    warm_utilisation : float
        The same from a tenth of the makespan until the last attempt begins (afterwards workers
        have nothing left to do), all work counted; over all of it where there is but one each.
    finished : ndarray (candidate,)
        When each candidate ended, s.
    outcomes : dict of str to int
        "done", "memory", "nan", "timeout", "lost".
    attempts : int
        Started, repeated ones included.
    staleness : float
        Mean number of results told between the proposal of a candidate and its own telling.
    rewards : ndarray (candidate,)
        Where a controller and a reward were given, else empty.
    """

    makespan: float
    utilisation: float
    warm_utilisation: float
    finished: np.ndarray
    outcomes: dict[str, int]
    attempts: int
    staleness: float
    rewards: np.ndarray


def draw_lognormal(median: float, sigma: float) -> Callable[[np.random.Generator], float]:
    """Return a function that draws durations in s from a lognormal distribution."""
    if not (0 < median < math.inf and 0 <= sigma <= _WIDEST):
        raise ValueError(
            f"median is {median} and sigma {sigma}; expected a median above 0 and a sigma of 0 to "
            f"{_WIDEST}."
        )
    return lambda generator: float(median * math.exp(sigma * generator.normal()))


def draw_observed(seconds: Sequence[float]) -> Callable[[np.random.Generator], float]:
    """Return a function that draws durations among those of an earlier run."""
    values = np.asarray([s for s in seconds if s > 0], dtype=float)
    if not len(values):
        raise ValueError("The run has no durations; give one with finished candidates.")
    return lambda generator: float(values[int(generator.integers(len(values)))])


def observe_overhead(timings: Sequence[Timing]) -> float:
    """Return the median time between two evaluations of a worker process in an earlier run, s.

    What it takes to record a result, propose a candidate and send it there, if the search did not
    make workers wait: about 0.01 s in the local pool and 0.1 s or more between nodes of Ray.
    """
    last: dict[tuple[str, int], float] = {}
    gaps = []
    for timing in sorted(timings, key=lambda t: t.started):
        worker = (timing.host, timing.pid)
        if worker in last:
            gaps.append(max(0.0, timing.started - last[worker]))
        last[worker] = timing.finished
    return float(np.median(gaps)) if gaps else 0.0


def simulate_search(
    order: Order,
    durations: Callable[[np.random.Generator], float],
    machines: Machines,
    *,
    candidates: int,
    learning: tuple[Controller, Callable[[Architecture], float]] | None = None,
    seed: int = 0,
) -> Simulation:
    """Run a search on a virtual clock.

    Parameters
    ----------
    order : Order
        When candidates are asked for and results told.
    durations : callable
        Draws the time that an evaluation takes, s, e.g. `draw_lognormal`. Each candidate has its
        own stream, so that the order of events does not change what is drawn.
    machines : Machines
        Workers, what they take between two evaluations, and what goes wrong.
    candidates : int
        Evaluations of the whole search.
    learning : (Controller, callable), optional
        Newly made, and the reward of an architecture: the search then really asks and tells.
    seed : int
        Of durations and of what goes wrong.

    Returns
    -------
    Simulation
        When each candidate began and ended, and how long workers waited.

    Raises
    ------
    ValueError
        `candidates` is not positive, or more than 10,000,000.
    """
    _refuse_number("candidates", candidates)
    clock = _Clock(durations, machines, seed)
    open_at: dict[int, int] = {}  # results told when each open candidate was proposed
    architectures: dict[int, Architecture] = {}
    rewards = np.full(candidates if learning else 0, np.nan)
    asked = told = stale = 0
    while told < candidates:
        arrived = len(clock.arrived)
        wanted = order.count_to_ask(
            asked=asked,
            told=told,
            arrived=arrived,
            evaluating=asked - told - arrived,
            slots=machines.workers,
        )
        wanted = min(wanted, candidates - asked)
        if wanted > 0:
            if learning:
                proposals = learning[0].ask(wanted)
                if len(proposals) < wanted:
                    raise ValueError(
                        f"The space '{learning[0].space.name}' is used up after {asked} "
                        "candidates; simulate fewer, or give a controller with unique=False."
                    )
                architectures |= dict(enumerate(proposals, asked))
            for candidate in range(asked, asked + wanted):
                open_at[candidate] = told
                clock.submit(candidate)
            asked += wanted
            continue
        group = order.choose_to_tell(clock.arrived, asked=asked, told=told)
        if group:
            stale += sum(told - open_at.pop(candidate) for candidate in group)
            if learning:
                made = [architectures.pop(candidate) for candidate in group]
                earned = [
                    learning[1](a) if clock.arrived[c] == "done" else None
                    for a, c in zip(made, group, strict=True)
                ]
                learning[0].tell(made, earned)
                rewards[group] = [np.nan if r is None else r for r in earned]
            for candidate in group:
                clock.outcomes[clock.arrived.pop(candidate)] += 1
            told += len(group)
            continue
        clock.advance()
    return clock.finish(candidates, stale / candidates, rewards)


def _refuse_number(name: str, number: object) -> None:
    if type(number) is not int or not 1 <= number <= _MOST:
        raise ValueError(f"{name} is {number!r}; expected a whole number of 1 to {_MOST:,}.")


class _Clock:
    """Workers, what each is doing until when, and what is waiting."""

    def __init__(
        self, durations: Callable[[np.random.Generator], float], machines: Machines, seed: int
    ) -> None:
        self.now = 0.0
        self.arrived: dict[int, str] = {}
        self.outcomes = dict.fromkeys(("done", "memory", "nan", "timeout", "lost"), 0)
        self._durations = durations
        self._machines = machines
        self._free = machines.workers
        self._seed = seed
        self._heap: list[tuple[float, int, int, str, float]] = []
        self._waiting: list[tuple[int, int]] = []  # a heap of candidates and attempts
        self._ended: dict[int, float] = {}
        self._spans: list[tuple[float, float, bool]] = []  # of work: from, to, came to a result
        self._serial = 0
        self._attempts = 0
        self._gone = 0  # workers of an outage, still to be taken or taken
        if machines.faults.outage is not None:
            start, end, _ = machines.faults.outage
            self._push(start, -1, "outage", start)
            self._push(end, -1, "back", end)

    def _push(self, when: float, candidate: int, what: str, started: float) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, candidate, what, started))

    def submit(self, candidate: int, attempt: int = 1) -> None:
        heapq.heappush(self._waiting, (candidate, attempt))
        self._start()

    def _start(self) -> None:
        while self._waiting and self._free > 0:
            candidate, attempt = heapq.heappop(self._waiting)
            generator = np.random.default_rng((self._seed, candidate, attempt))
            takes, chance = self._durations(generator), float(generator.random())
            faults, what = self._machines.faults, "done"
            if chance < faults.lost:
                what, takes = f"lost {attempt}", takes * float(generator.random())
            elif chance < faults.lost + faults.hang:
                what, takes = "timeout", math.inf
            elif chance < faults.lost + faults.hang + faults.memory:
                what = "memory"
            elif chance < faults.lost + faults.hang + faults.memory + faults.nan:
                what = "nan"
            timeout = self._machines.timeout
            if timeout is not None and takes > timeout:
                what, takes = "timeout", timeout
            self._free -= 1
            self._attempts += 1
            begins = self.now + self._machines.overhead
            self._push(begins + takes, candidate, what, begins)

    def advance(self) -> None:
        """Go to the next event."""
        self.now, _, candidate, what, started = heapq.heappop(self._heap)
        if what == "outage":
            self._lose_workers()
        elif what == "back":
            self._free += self._gone
            self._gone = 0
        else:
            self._free += 1
            self._end(candidate, what, started)
        self._start()

    def _end(self, candidate: int, what: str, started: float) -> None:
        lost = what.startswith("lost")
        self._spans.append((started, self.now, not lost))
        if lost and (attempt := int(what.split()[1])) < _ATTEMPTS:
            self.submit(candidate, attempt + 1)
            return
        self.arrived[candidate] = "lost" if lost else what
        self._ended[candidate] = self.now

    def _lose_workers(self) -> None:
        """Take workers away, free ones first; what the others had begins anew elsewhere."""
        assert self._machines.faults.outage is not None
        number = min(self._machines.faults.outage[2], self._machines.workers)
        free = min(self._free, number)
        self._free -= free
        self._gone = number
        work = sorted(event for event in self._heap if event[2] >= 0)[: number - free]
        for event in work:
            self._heap.remove(event)
            self._spans.append((min(event[4], self.now), self.now, False))
            # A place elsewhere, not the worker's fault: the attempt is not counted
            attempt = int(event[3].split()[1]) if event[3].startswith("lost") else 1
            heapq.heappush(self._waiting, (event[2], attempt))
        heapq.heapify(self._heap)

    def finish(self, candidates: int, staleness: float, rewards: np.ndarray) -> Simulation:
        makespan = max(self._ended.values())
        spans = np.array([(a, b) for a, b, _ in self._spans])
        useful = sum(b - a for a, b, counted in self._spans if counted)
        low, high = 0.1 * makespan, float(spans[:, 0].max())
        if high <= low:
            low, high = 0.0, makespan
        warm = np.clip(spans[:, 1], low, high) - np.clip(spans[:, 0], low, high)
        return Simulation(
            makespan,
            useful / (self._machines.workers * makespan),
            float(warm.sum()) / (self._machines.workers * (high - low)),
            np.array([self._ended[k] for k in range(candidates)]),
            self.outcomes,
            self._attempts,
            staleness,
            rewards,
        )
