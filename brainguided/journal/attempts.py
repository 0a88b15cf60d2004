"""One attempt at evaluating one candidate, and when and where it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from brainguided.journal.measurement import Measurement, Values

NOTHING = Measurement()
STOPPED = "stopped"
"""Reason of a candidate that is done, though its training ended at a rung before the last."""

AGAIN = 1000
"""Attempt ``1000 * k + a`` is the ath at a candidate's kth evaluation with other seeds."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at evaluating one candidate.

    Attributes
    ----------
    candidate, attempt : int
        Candidates count from 0, attempts from 1; those at evaluations with other seeds than its
        own, which change nothing of what the candidate earned, from 1001, see `AGAIN`.
    architecture : str
        Canonical JSON; `key` is its SHA-256.
    outcome : {"done", "failed", "lost"}
        "lost" is an attempt whose worker died and that was tried again.
    performance, guidance : float or None
        P and TG of the last rung.
    reward : float or None
        For a failed candidate the lowest reward seen by the end of its round; None for one that
        is told later, with others.
    measurement : Measurement
        All that it showed; empty where nothing was measured.
    duplicate_of : int or None
        The earlier candidate with the same architecture, whose results these are.
    bars : tuple of (int, float)
        Rungs at which training ends unless the reward there is above a bar; they travel with the
        job and are no part of its results.
    """

    candidate: int
    attempt: int
    architecture: str
    key: str
    seed: int
    outcome: str
    reason: str = ""
    performance: float | None = None
    guidance: float | None = None
    reward: float | None = None
    n_parameters: int | None = None
    examples: int | None = None
    duplicate_of: int | None = None
    measurement: Measurement = NOTHING
    bars: tuple[tuple[int, float], ...] = field(default=(), compare=False)

    @property
    def again(self) -> int:
        """Which evaluation with other seeds this is, from 1; 0 for the candidate's own."""
        return self.attempt // AGAIN

    @property
    def similarity(self) -> Mapping[str, Values]:
        """Similarity of every layer to each of the teacher's areas, at the last rung."""
        return self.measurement.similarity

    @property
    def best_layers(self) -> dict[str, str]:
        """For each area, the layer most similar to it; the shallowest of equals."""
        return self.measurement.best_layers


@dataclass(frozen=True)
class Timing:
    """When, where and how long an attempt ran; times in s since 1970 (UTC)."""

    seconds: float
    started: float
    finished: float
    host: str
    pid: int
