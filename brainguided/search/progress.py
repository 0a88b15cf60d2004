"""How far a search is, in a line for each evaluation that ended."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.chance import say_accuracy

_HOSTS = 6  # named in a line
_LINE_EVERY = 60.0  # seconds, where no terminal shows a bar that moves
_log = logging.getLogger(__name__)


class Progress:
    """Counts since the start, from which the load of the workers and the end are estimated.

    Parameters
    ----------
    candidates : int
        That the search is to have.
    done : int
        Of these, that had ended before.
    now : float
        Clock at the start, s.
    config : mapping, optional
        Settings of the run, which say how many classes there are.
    """

    def __init__(
        self,
        candidates: int,
        done: int,
        *,
        now: float | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self._candidates = candidates
        self._config = config
        self._before = done
        self._start = time.monotonic() if now is None else now
        self._seconds: defaultdict[str, float] = defaultdict(float)  # of each host
        self._processes: dict[str, set[int]] = {}
        self._examples = 0
        self._failed = 0

    def describe(
        self,
        attempt: Attempt,
        timing: Timing | None,
        *,
        done: int,
        running: int,
        waiting: int,
        workers: int | None,
        now: float | None = None,
    ) -> str:
        """Count an attempt that ended, and return the line.

        Parameters
        ----------
        attempt : Attempt
        timing : Timing or None
        done, running, waiting : int
            Candidates that have ended, are evaluated, and have to wait.
        workers : int or None
            Evaluations that run at a time, if that is known.
        now : float
            Clock, s.
        """
        elapsed = max((time.monotonic() if now is None else now) - self._start, 1e-9)
        if timing is not None:
            self._seconds[timing.host] += timing.seconds
            self._processes.setdefault(timing.host, set()).add(timing.pid)
        self._examples += attempt.examples or 0
        self._failed += attempt.outcome == "failed"
        earned = attempt.reason if attempt.reward is None else f"reward {attempt.reward:.4f}"
        if attempt.reward is not None and attempt.performance is not None:
            earned += f", P {say_accuracy(attempt.performance, self._config)}"
        spent = "" if timing is None else f", {timing.seconds:.1f} s"
        parts = [
            f"candidate {attempt.candidate} (attempt {attempt.attempt}) {attempt.outcome}: "
            f"{earned}{spent}",
            f"{done} of {self._candidates} done",
        ]
        if self._failed:
            parts.append(f"{self._failed} failed")
        parts.append(f"{running} running")
        if waiting:
            parts.append(f"{waiting} waiting")
        if workers is not None:
            busy = min(1.0, sum(self._seconds.values()) / (elapsed * workers))
            parts.append(f"workers busy {busy:.0%}{self._describe_hosts(elapsed)}")
        if self._examples:
            parts.append(f"{self._examples / elapsed:.0f} images/s")
        since = done - self._before
        left = self._candidates - done
        if since > 0 and left > 0:
            parts.append(f"ends in about {say_time(left * elapsed / since)}")
        return "; ".join(parts)

    def _describe_hosts(self, elapsed: float) -> str:
        """Say how busy the workers of each host were, the least busy first; nothing of one."""
        if len(self._seconds) < 2:
            return ""
        busy = {
            host: min(1.0, seconds / (elapsed * len(self._processes[host])))
            for host, seconds in self._seconds.items()
        }
        shown = sorted(busy, key=lambda host: (busy[host], host))[:_HOSTS]
        more = ", ..." if len(busy) > _HOSTS else ""
        return " (" + ", ".join(f"{host} {busy[host]:.0%}" for host in shown) + f"{more})"


@contextmanager
def open_bar(
    progress: bool | Callable[[Attempt, int, int], None], candidates: int, done: int
) -> Iterator[Callable[[Attempt, int], None]]:
    """Return what is called with each attempt that ended, and the number of candidates ended.

    Parameters
    ----------
    progress : bool or callable
        As of `Schedule`. Where nobody looks on, neither a terminal nor a notebook, the bar is
        written once a minute, beginning after the first.
    candidates, done : int
        That the search is to have, and that had ended before.
    """
    if callable(progress):
        yield lambda attempt, ended: progress(attempt, ended, candidates)
        return
    if not progress or _log.isEnabledFor(logging.INFO):
        yield lambda attempt, ended: None
        return
    from tqdm import tqdm

    best = -math.inf
    looked_at = sys.stderr.isatty() or "ipykernel" in sys.modules
    wait, every = (0.0, 0.1) if looked_at else (_LINE_EVERY, _LINE_EVERY)
    bar = tqdm(
        total=candidates,
        initial=done,
        unit="candidate",
        desc="search",
        delay=wait,
        mininterval=every,
    )
    with bar:

        def show(attempt: Attempt, ended: int) -> None:
            nonlocal best
            if attempt.outcome == "done" and attempt.reward is not None:
                best = max(best, attempt.reward)
            bar.set_postfix_str("" if best == -math.inf else f"best {best:.4f}", refresh=False)
            bar.update(ended - bar.n)

        yield show


def say_time(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
