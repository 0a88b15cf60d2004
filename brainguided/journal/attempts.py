"""One attempt at evaluating one candidate, and when and where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Similarity = Mapping[str, Mapping[str, "float | None"]]


@dataclass(frozen=True)
class Attempt:
    """One attempt at evaluating one candidate.

    Attributes
    ----------
    candidate, attempt : int
        Candidates count from 0, attempts from 1.
    architecture : str
        Canonical JSON; `key` is its SHA-256.
    outcome : {"done", "failed", "lost"}
        "lost" is an attempt whose worker died and that was tried again.
    reward : float or None
        For a failed candidate the lowest reward seen by the end of its round.
    similarity : dict of area to dict of layer to (float or None)
        Pearson r between RDMs, layers by depth.
    duplicate_of : int or None
        The earlier candidate with the same architecture, whose results these are.
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
    similarity: Similarity = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    n_parameters: int | None = None
    examples: int | None = None
    duplicate_of: int | None = None

    @property
    def best_layers(self) -> dict[str, str]:
        """For each area, the layer whose RDM resembles it most; the shallowest of equals."""
        best = {}
        for area, layers in self.similarity.items():
            known = {layer: r for layer, r in layers.items() if r is not None}
            if known:
                best[area] = max(known, key=lambda layer: known[layer])
        return best


@dataclass(frozen=True)
class Timing:
    """When, where and how long an attempt ran; times in s since 1970 (UTC)."""

    seconds: float
    started: float
    finished: float
    host: str
    pid: int
