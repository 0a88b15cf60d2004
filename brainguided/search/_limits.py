"""Limits of a search: after which time, or how many training images, nothing new begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from brainguided.search.orders import Schedule


@dataclass(frozen=True)
class Limits:
    """Limits of a schedule, from the moment at which they are made.

    Parameters
    ----------
    schedule : Schedule
    start : float
        On the clock of `time.monotonic`.
    """

    schedule: Schedule
    start: float = field(default_factory=time.monotonic)

    def say_reached(self, examples: int) -> str:
        """Return which limit was reached; empty where none was.

        Parameters
        ----------
        examples : int
            Training images processed.
        """
        return self.say_spent(examples) or self.say_late()

    def say_late(self) -> str:
        """Return that the time is over; empty where it is not."""
        hours = self.schedule.hours
        late = hours is not None and time.monotonic() - self.start >= 3600 * hours
        return f"{hours:g} hours have passed" if late else ""

    def say_spent(self, examples: int) -> str:
        """Return that so many training images were processed as are allowed; empty before."""
        allowed = self.schedule.examples
        spent = allowed is not None and examples >= allowed
        return f"{examples} training images were processed" if spent else ""
