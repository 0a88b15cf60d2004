"""What is known of every candidate of a search: as rows, as one Dataset, as CSV and JSON lines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from brainguided.journal.attempts import Attempt
from neural_data.model.origin import is_simulated
from neural_data.storage.aside import write_whole
from neural_data.storage.netcdf import write_netcdf


def find_winner(results: Iterable[Attempt]) -> Attempt | None:
    """Return the done candidate with the highest reward, the earliest of equals."""
    done = [result for result in results if result.outcome == "done"]
    return max(done, key=lambda result: (result.reward, -result.candidate)) if done else None


def build_run(
    results: Sequence[Attempt], *, seconds: Mapping[int, float], config: Mapping[str, Any]
) -> xr.Dataset:
    """Return the run: everything known of the candidates that are finished.

    Parameters
    ----------
    results : sequence of Attempt
        The final attempt of each finished candidate, by candidate.
    seconds : mapping of candidate to float
        Time that all attempts at it took; s.
    config : mapping
        Settings of the search.

    Returns
    -------
    xarray.Dataset
        ``reward``, ``performance``, ``guidance``, ``best_so_far`` (candidate): NaN where there is
        none; ``similarity`` (candidate, layer, area): Pearson r, NaN beyond the depth of a
        candidate and for dead layers; ``outcome``, ``reason``, ``architecture`` (JSON)
        (candidate); ``duplicate_of`` (candidate), -1 for none; ``n_parameters`` (candidate), -1
        where unknown; ``seconds``, ``seed`` (candidate). ``attrs["config"]`` holds the settings
        as JSON, ``attrs["simulated"]`` is 1 if the recordings were simulated.
    """
    areas = list(dict.fromkeys(area for result in results for area in result.similarity))
    names = {
        layer for result in results for layers in result.similarity.values() for layer in layers
    }
    layers = sorted(names, key=_natural)
    similarity = np.full((len(results), len(layers), len(areas)), np.nan)
    for row, result in enumerate(results):
        for area, values in result.similarity.items():
            for layer, r in values.items():
                if r is not None:
                    similarity[row, layers.index(layer), areas.index(area)] = r
    reward = _floats(result.reward for result in results)
    done = np.array([result.outcome == "done" for result in results], dtype=bool)
    # fmax ignores the NaN of candidates that were not done
    best = np.fmax.accumulate(np.where(done, reward, np.nan)) if len(results) else reward
    teacher = _find_teacher(config)

    def whole(values: Iterable[int | None]) -> np.ndarray:
        return np.array([-1 if value is None else value for value in values], dtype=np.int64)

    def words(values: Iterable[str]) -> np.ndarray:
        return np.array(list(values), dtype=object if not results else str)

    run = xr.Dataset(
        {
            "reward": ("candidate", reward),
            "performance": ("candidate", _floats(result.performance for result in results)),
            "guidance": ("candidate", _floats(result.guidance for result in results)),
            "best_so_far": ("candidate", best),
            "similarity": (("candidate", "layer", "area"), similarity),
            "outcome": ("candidate", words(result.outcome for result in results)),
            "reason": ("candidate", words(result.reason for result in results)),
            "architecture": ("candidate", words(result.architecture for result in results)),
            "duplicate_of": ("candidate", whole(result.duplicate_of for result in results)),
            "n_parameters": ("candidate", whole(result.n_parameters for result in results)),
            "seconds": (
                "candidate",
                _floats(seconds.get(result.candidate, 0.0) for result in results),
                {"units": "s"},
            ),
            "seed": ("candidate", whole(result.seed for result in results)),
        },
        coords={
            "candidate": whole(result.candidate for result in results),
            "layer": np.array(layers, dtype=str),
            "area": np.array(areas, dtype=str),
        },
        attrs={
            "source": "brainguided search",
            "config": json.dumps(config),
            "simulated": int(is_simulated(*teacher)),
        },
    )
    run["similarity"].attrs["long_name"] = "RDM similarity (Pearson r)"
    sources = dict.fromkeys(str(area.get("source", "")) for area in teacher)
    run["similarity"].attrs["source"] = "; ".join(sources)
    return run


def _find_teacher(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the settings say of each area of the teacher."""
    task = config.get("task")
    teacher = task.get("teacher") if isinstance(task, Mapping) else None
    return [area for area in teacher or [] if isinstance(area, Mapping)]


def export_run(results: Sequence[Attempt], run: xr.Dataset, folder: Path) -> list[Path]:
    """Write run.nc, run.csv, run.jsonl and winner.json, each aside first and then renamed.

    Parameters
    ----------
    results : sequence of Attempt
        As for `build_run`.
    run : xarray.Dataset
        What `build_run` made of them.
    folder : path
        The run folder.

    Returns
    -------
    list of path
        The files written; without winner.json if no candidate is done.
    """
    table = _table(results, run).to_csv(index=False, lineterminator="\n")
    lines = "".join(json.dumps(_line(result)) + "\n" for result in results)
    written = [
        write_netcdf(run, folder / "run.nc"),
        write_whole(folder / "run.csv", table),
        write_whole(folder / "run.jsonl", lines),
    ]
    winner = find_winner(results)
    if winner is not None:
        kept = ("candidate", "reward", "performance", "guidance", "similarity")
        data = {name: getattr(winner, name) for name in kept}
        data["best_layers"] = winner.best_layers
        data["architecture"] = json.loads(winner.architecture)
        written.append(write_whole(folder / "winner.json", json.dumps(data) + "\n"))
    return written


def _table(results: Sequence[Attempt], run: xr.Dataset) -> Any:
    """Return one row a candidate, for spreadsheets: the best layer of each area, not all."""
    kept = [name for name in run.data_vars if run[name].dims == ("candidate",)]
    table = run[kept].to_dataframe().reset_index()
    for area in map(str, run["area"].values):
        best = [result.best_layers.get(area, "") for result in results]
        table[f"layer_{area}"] = best
        table[f"similarity_{area}"] = [
            result.similarity[area][layer] if layer else math.nan
            for result, layer in zip(results, best, strict=True)
        ]
    return table


def _line(result: Attempt) -> dict[str, Any]:
    data = {field.name: getattr(result, field.name) for field in fields(result)}
    return data | {"architecture": json.loads(result.architecture)}


def _floats(values: Iterable[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values], dtype=float)


def _natural(name: str) -> tuple[str, int]:
    """Return a key that sorts layer2 before layer10."""
    head, tail = re.fullmatch(r"(.*?)(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return head, int(tail or 0)
