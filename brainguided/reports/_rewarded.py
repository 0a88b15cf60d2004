"""A run as its journal has it, or with another reward for what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.guidance.rewards import Reward, parse_reward, reward_anew, settle_reward
from brainguided.journal.attempts import Attempt, Timing
from brainguided.journal.confirmed import find_winner
from brainguided.journal.journal import Journal
from brainguided.journal.objectives import (
    find_objectives,
    list_objectives,
    select_front,
    stack_objectives,
)
from neural_data.model.origin import is_simulated


@dataclass(frozen=True)
class Run:
    """All that a report says of a run.

    Attributes
    ----------
    results : sequence of Attempt
        The final attempt of each candidate.
    config : dict
        Settings of the search.
    seconds : dict of candidate to float
        Time that all attempts at it took; s.
    timings : dict of (candidate, attempt) to Timing
    sessions : list
        As of `Journal.sessions`.
    events : list
        As of `Journal.events`.
    examples : int
        Training images processed.
    said : str
        Which reward is another than that of the search; empty otherwise.
    again : sequence of Attempt
        The final attempts at evaluations with other seeds.
    hindered : str
        Why there are none, if a limit was reached.
    """

    results: Sequence[Attempt]
    config: dict[str, Any]
    seconds: dict[int, float]
    timings: dict[tuple[int, int], Timing]
    sessions: list[tuple[float, str, str, int, dict[str, str]]]
    events: list[tuple[str, dict[str, Any]]]
    examples: int
    said: str = ""
    again: Sequence[Attempt] = ()
    hindered: str = ""

    @cached_property
    def winner(self) -> Attempt | None:
        """The winner so far, by this reward."""
        return find_winner(self.results, self.again)

    @cached_property
    def dataset(self) -> xr.Dataset:
        """One number of each kind for each candidate, as `plot_search` takes them."""
        done = np.array([r.outcome == "done" for r in self.results], dtype=bool)
        numbers = {
            name: np.array([getattr(r, name) for r in self.results], dtype=float)
            for name in ("reward", "performance", "guidance")
        }
        earned = np.where(done, numbers["reward"], np.nan)
        numbers["best_so_far"] = np.fmax.accumulate(earned) if len(earned) else earned
        objectives = find_objectives(self.config)
        rows = [list_objectives(result, objectives) for result in self.results]
        competing = stack_objectives(rows, objectives)
        columns = numbers | {
            "outcome": np.array([r.outcome for r in self.results], dtype=object),
            "front": select_front(competing),
        }
        run = xr.Dataset(
            {name: ("candidate", values) for name, values in columns.items()},
            coords={"candidate": np.array([r.candidate for r in self.results], dtype=int)},
            attrs={"config": json.dumps(self.config), "simulated": int(self.simulated)},
        )
        if not objectives:
            return run
        named = {"objectives": (("candidate", "objective"), competing)}
        return run.assign(named).assign_coords(objective=list(objectives))

    @property
    def simulated(self) -> bool:
        """Whether the recordings of its teacher were simulated."""
        return is_simulated(*((self.config.get("task") or {}).get("teacher") or []))


def read_run(folder: Path, reward: str | Reward | None = None) -> Run:
    """Return a run, with another reward than its own if one is given."""
    with Journal.read(folder) as journal:
        config = journal.config or {}
        results: Sequence[Attempt] = journal.results()
        again, noted = journal.again(), journal.confirming()
        rest = (
            journal.seconds(),
            journal.timings_of_attempts(),
            journal.sessions(),
            journal.events(),
            journal.n_examples,
        )
    hindered = "" if noted is None else noted.sentence
    if reward is None:
        return Run(results, config, *rest, again=again, hindered=hindered)
    chosen = parse_reward(reward) if isinstance(reward, str) else reward
    said = reward if isinstance(reward, str) else json.dumps(chosen.describe())
    told = json.dumps((config.get("task") or {}).get("reward"))
    said = f"Rewards here are {said}. The search itself was told {told}."
    settled = settle_reward(chosen, results)
    again = [
        replace(one, reward=settled(one.measurement)) if one.outcome == "done" else one
        for one in again
    ]
    return Run(reward_anew(results, chosen), config, *rest, said, again, hindered)
