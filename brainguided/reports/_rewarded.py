"""A run as its journal has it, or with another reward for what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from brainguided.guidance.rewards import Reward, parse_reward, reward_anew
from brainguided.journal.attempts import Attempt
from brainguided.journal.exports import build_run
from brainguided.journal.journal import Journal


def read_rewarded(
    folder: Path, reward: str | Reward | None
) -> tuple[Sequence[Attempt], dict[str, Any], xr.Dataset, str]:
    """Return results, settings and Dataset of a run, and which reward is another than its own."""
    with Journal.read(folder) as journal:
        config, seconds = journal.config or {}, journal.seconds()
        results = journal.results()
        if reward is None:
            return results, config, journal.to_xarray(), ""
    chosen = parse_reward(reward) if isinstance(reward, str) else reward
    results = reward_anew(results, chosen)
    said = reward if isinstance(reward, str) else json.dumps(chosen.describe())
    told = json.dumps((config.get("task") or {}).get("reward"))
    return (
        results,
        config,
        build_run(results, seconds=seconds, config=config),
        f"Rewards here are {said}. The search itself was told {told}.",
    )
