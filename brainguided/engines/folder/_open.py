"""An attempt that has not ended, and which worker has it."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from brainguided.engines.attempt import Outcome


@dataclass(eq=False)
class OpenAttempt:
    """Attempt that has not ended, and the worker that holds it."""

    name: str
    future: Future[Outcome]
    job: dict[str, Any]
    content: bytes | None = None  # weights from which it goes on
    written: bool = False
    worker: str | None = None
    since: float = 0.0  # the claim of that worker was first seen
    gave_back: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)  # workers, as another had claimed it too
    missing: float | None = None  # since when it is nowhere
    unreadable: float | None = None  # since when its result is

    def choose(self, holders: list[str], waiting: bool) -> str | None:
        """Return the worker that may have it; the claims of all others are to be removed.

        No worker claims a job twice: a claim that was withdrawn or given back is an old one.
        """
        rivals = [w for w in holders if w not in self.gave_back | self.withdrawn]
        chosen = self.worker if self.worker in rivals else next(iter(rivals), None)
        self.withdrawn |= set(rivals) - {chosen}
        if self.worker not in (None, chosen) and (chosen is not None or waiting):
            self.gave_back.add(str(self.worker))
            self.worker = None
        return chosen

    def start(self) -> None:
        """Let its future run."""
        with suppress(InvalidStateError, RuntimeError):
            if not self.future.running() and not self.future.done():
                self.future.set_running_or_notify_cancel()

    def stand_still(self, seconds: float) -> None:
        """Let a time in which nothing could be read not count."""
        self.since += seconds
        self.missing = self.unreadable = None
