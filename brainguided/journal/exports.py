"""What is known of every candidate of a search: as rows, as one Dataset, as CSV and JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.journal._arrays import Axes, floats, whole
from brainguided.journal.attempts import Attempt
from brainguided.journal.confirmed import choose_better, find_confirmed, find_winner
from brainguided.journal.objectives import (
    find_objectives,
    list_objectives,
    select_front,
    stack_objectives,
)
from neural_data.labels import name_variables
from neural_data.model.origin import is_simulated
from neural_data.storage.aside import write_aside, write_whole
from neural_data.storage.netcdf import write_netcdf


def build_run(
    results: Iterable[Attempt],
    *,
    seconds: Mapping[int, float],
    config: Mapping[str, Any],
    again: Sequence[Attempt] = (),
) -> xr.Dataset:
    """Return the run: everything known of the candidates that are finished.

    Parameters
    ----------
    results : iterable of Attempt
        The final attempt of each finished candidate, by candidate. It is gone through twice.
    seconds : mapping of candidate to float
        Time that all attempts at it took; s.
    config : mapping
        Settings of the search.
    again : sequence of Attempt, optional
        The final attempts at evaluations with other seeds.

    Returns
    -------
    xarray.Dataset
        ``reward``, ``best_so_far`` (candidate): NaN where there is none. ``performance``,
        ``guidance``, ``cross_entropy`` (candidate, rung): P, TG and the loss on the validation
        images, in nats. ``similarity`` (candidate, rung, layer, target): NaN beyond the depth of
        a candidate and for dead layers; ``committed`` (candidate, rung, target): that of layers
        chosen on other conditions; ``shuffled``, ``shuffled_committed`` (candidate, rung,
        shuffled_target, shuffle): the best layer's and the committed similarity to an area with
        permuted conditions; ``copied``, ``copied_committed`` (candidate, rung, copied_target,
        copy): the same to copies of a control with independent noise; each only where there are.
        ``performance_sd``, ``guidance_sd``, ``cross_entropy_sd``, ``similarity_sd``,
        ``committed_sd``, with the same dimensions, only of searches with several seeds, of which
        the others then are means: standard deviations over seeds (n - 1), of those where it is
        defined. ``statistics`` (candidate, statistic), e.g. "parameters". ``outcome``, ``reason``,
        ``architecture`` (JSON) (candidate); ``duplicate_of`` (candidate), -1 for none;
        ``n_parameters`` (candidate), -1 where unknown; ``seconds``, ``seed`` (candidate);
        ``confirmed`` (candidate), the mean reward with other seeds of those that were evaluated
        again before the winner was named, NaN of others; only where there are. ``front``
        (candidate): whether none exceeds it in all objectives, by default P, TG and fewer
        parameters; ``objectives`` (candidate, objective), only of searches that were told them:
        higher is better, NaN of those that do not compete.
        Coordinates: ``rung``, the number of training steps; ``kind`` (target), "area" or
        "control"; ``shuffled_target``, the area, e.g. "V4", where all conditions were permuted, or
        "V4:shuffled-within-category" where only those within categories were.
        ``attrs["config"]`` holds the settings as JSON, ``attrs["simulated"]`` is 1 if the
        recordings were simulated.
    """
    objectives = find_objectives(config)
    columns = _Columns(objectives)
    axes = Axes()
    for result in results:
        columns.add(result)
        axes.add(result.measurement)
    n, teacher = len(columns.candidate), _find_teacher(config)
    run = xr.Dataset(
        columns.to_variables(seconds),
        coords={"candidate": whole(columns.candidate), **axes.to_coords()},
        attrs={
            "source": "brainguided search",
            "config": json.dumps(config),
            "simulated": int(is_simulated(*teacher)),
        },
    )
    if objectives:
        run = run.assign_coords(objective=np.array(objectives, dtype=str))
        named = {"long_name": "objectives, higher is better"}
        run["objectives"] = (("candidate", "objective"), columns.competing, named)
    arrays = axes.fill(n, (result.measurement for result in results))
    sources = "; ".join(dict.fromkeys(str(area.get("source", "")) for area in teacher))
    for name, (dims, values, attrs) in arrays.items():
        of_target = {"target", "shuffled_target", "copied_target"}.intersection(dims)
        run[name] = (dims, values, attrs | ({"source": sources} if of_target else {}))
    if means := {one.result.candidate: one.reward for one in find_confirmed(results, again)}:
        values = floats(means.get(candidate) for candidate in columns.candidate)
        named = {"long_name": "mean reward with other seeds", "units": "1"}
        run["confirmed"] = ("candidate", values, named)
    named_run: xr.Dataset = name_variables(run, _NAMES)
    return named_run


class _Columns:
    """What is one number or text for each candidate."""

    _KEPT = ("candidate", "reward", "outcome", "reason", "architecture", "duplicate_of",
             "n_parameters", "seed")  # fmt: skip

    def __init__(self, objectives: Sequence[str]) -> None:
        self.candidate: list[int] = []
        self._known: dict[str, list[Any]] = {name: [] for name in self._KEPT}
        self._objectives = objectives
        self._competing: list[tuple[float, ...]] = []

    @property
    def competing(self) -> np.ndarray:
        """Objectives (candidate, objective)."""
        return stack_objectives(self._competing, self._objectives)

    def add(self, result: Attempt) -> None:
        self._competing.append(list_objectives(result, self._objectives))
        for name, values in self._known.items():
            values.append(getattr(result, name))
        self.candidate.append(result.candidate)

    def to_variables(self, seconds: Mapping[int, float]) -> dict[str, Any]:
        known = self._known
        reward = floats(known["reward"])
        done = np.array([outcome == "done" for outcome in known["outcome"]], dtype=bool)
        # fmax ignores the NaN of candidates that were not done
        best = np.fmax.accumulate(np.where(done, reward, np.nan)) if len(reward) else reward

        def words(name: str) -> np.ndarray:
            return np.array(known[name], dtype=str if known[name] else object)

        spent = floats([seconds.get(candidate, 0.0) for candidate in self.candidate])
        one = {"units": "1"}
        return {
            "reward": ("candidate", reward, {"long_name": "reward", **one}),
            "best_so_far": ("candidate", best, {"long_name": "best reward so far", **one}),
            "outcome": ("candidate", words("outcome")),
            "reason": ("candidate", words("reason")),
            # As they are: an array of texts of one length would take four times as much
            "architecture": ("candidate", np.array(known["architecture"], dtype=object)),
            "duplicate_of": ("candidate", whole(known["duplicate_of"])),
            "front": ("candidate", select_front(self.competing)),
            "n_parameters": ("candidate", whole(known["n_parameters"])),
            "seconds": ("candidate", spent, {"units": "s"}),
            "seed": ("candidate", whole(known["seed"])),
        }


_NAMES = {
    "candidate": ("candidate", ""),
    "outcome": ("outcome", ""),
    "reason": ("why it failed, or ended early", ""),
    "architecture": ("architecture as JSON", ""),
    "duplicate_of": ("earlier candidate with the same architecture, or -1", ""),
    "front": ("whether it is on the Pareto front", ""),
    "n_parameters": ("trainable parameters", "1"),
    "seconds": ("time of all attempts", "s"),
    "seed": ("seed of the weights", ""),
    "rung": ("training steps", "1"),
    "layer": ("layer", ""),
    "target": ("area or control", ""),
    "kind": ("kind of target", ""),
    "statistic": ("statistic", ""),
    "objective": ("objective", ""),
    "shuffled_target": ("shuffled area", ""),
    "copied_target": ("control with noise", ""),
}


def _find_teacher(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the settings say of each area of the teacher."""
    task = config.get("task")
    teacher = task.get("teacher") if isinstance(task, Mapping) else None
    return [area for area in teacher or [] if isinstance(area, Mapping)]


def export_run(
    results: Iterable[Attempt], run: xr.Dataset, folder: Path, again: Sequence[Attempt] = ()
) -> list[Path]:
    """Write run.nc, run.csv, run.jsonl and winner.json, each aside first and then renamed.

    Parameters
    ----------
    results : iterable of Attempt
        As for `build_run`; gone through anew each time.
    run : xarray.Dataset
        What `build_run` made of them.
    folder : path
        The run folder.
    again : sequence of Attempt, optional
        As for `build_run`.

    Returns
    -------
    list of path
        The files written; without winner.json if no candidate is done.
    """
    table, winner = _Table(run), None
    with write_aside(folder / "run.jsonl") as aside, aside.open("w", encoding="utf-8") as file:
        for result in results:
            file.write(json.dumps(_line(result)) + "\n")
            table.add(result)
            winner = choose_better(winner, result)
    written = [
        write_netcdf(run, folder / "run.nc"),
        table.write(folder / "run.csv"),
        folder / "run.jsonl",
    ]
    if again:
        winner = find_winner(results, again)
    if winner is not None:
        kept = ("candidate", "reward", "performance", "guidance", "similarity")
        data = {name: getattr(winner, name) for name in kept}
        data["best_layers"] = winner.best_layers
        data["architecture"] = json.loads(winner.architecture)
        if confirmed := find_confirmed(results, again):
            means = {one.result.candidate: one.reward for one in confirmed}
            data["confirmed_reward"] = means.get(winner.candidate)
            data["confirmed"] = [
                {
                    "candidate": one.result.candidate,
                    "reward": one.result.reward,
                    "with_other_seeds": list(one.rewards),
                    "failed": one.failed,
                }
                for one in confirmed
            ]
        written.append(write_whole(folder / "winner.json", json.dumps(data) + "\n"))
    return written


class _Table:
    """One row a candidate, for spreadsheets: the best layer of each area, not all."""

    def __init__(self, run: xr.Dataset) -> None:
        self._run = run
        kinds = zip(run["target"].values, run["kind"].values, strict=True)
        self._areas = [str(target) for target, kind in kinds if kind == "area"]
        self._found: dict[str, list[Any]] = {"performance": [], "guidance": []}
        for area in self._areas:
            self._found |= {f"layer_{area}": [], f"similarity_{area}": []}

    def add(self, result: Attempt) -> None:
        self._found["performance"].append(result.performance)
        self._found["guidance"].append(result.guidance)
        known = result.similarity
        for area in self._areas:
            best = result.measurement.best(area) if area in known else None
            self._found[f"layer_{area}"].append("" if best is None else best[0])
            self._found[f"similarity_{area}"].append(math.nan if best is None else best[1])

    def write(self, path: Path) -> Path:
        run, found = self._run, dict(self._found)
        kept = [name for name in run.data_vars if run[name].dims == ("candidate",)]
        table = run[kept].to_dataframe().reset_index()
        for place, name in enumerate(("performance", "guidance"), 2):
            table.insert(place, name, floats(found.pop(name)))
        for name, values in found.items():
            table[name] = values
        with write_aside(path) as aside:
            table.to_csv(aside, index=False, lineterminator="\n")
        return path


def _line(result: Attempt) -> dict[str, Any]:
    data = {field.name: getattr(result, field.name) for field in fields(result) if field.compare}
    data["measurement"] = result.measurement.to_dict()
    return data | {"architecture": json.loads(result.architecture)}
