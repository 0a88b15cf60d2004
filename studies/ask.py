r"""Ask networks whose weights were kept a new question, without training any.

    python studies/ask.py studies/ridge.toml --out studies/runs/ridge0
    brainguided validity studies/runs/ridge0 --mature NASBENCH201.csv.gz:c10_test_200 \
        --architecture ops

The run file says the teacher, controls, layers and rungs, as for a search; [space] and [controller]
are those of the part. P, losses and statistics come from the portion. What is written is a run
folder. Beside it stands dimensionality.nc: over how many dimensions the responses of each layer to
the first area's stimuli are spread (network, rung, layer), a covariate of predictivity.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from kept import load_kept, parse

from brainguided import Preprocessing, Schedule, load_run, run_search
from brainguided.architectures import Architecture
from brainguided.candidates.evaluation import Evaluation, Task
from brainguided.candidates.rungs import find_layers
from brainguided.controllers import ListSearch
from brainguided.journal.measurement import Measurement, Rung
from brainguided.networks.grams import raw_gram
from brainguided.networks.passes import stream_moments
from brainguided.networks.probe import probe_layers
from brainguided.search.orders import Again
from neural_data.storage.netcdf import open_netcdf, write_netcdf

HERE = Path(__file__).parent
Dimensionality = dict[tuple[str, int, str], float]


def main() -> None:
    """Ask every network of a portion whose weights are there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, help="run file with the teacher")
    parser.add_argument("--portion", type=Path, default=HERE / "portions" / "b_seed0.nc")
    parser.add_argument("--weights", type=Path, help="folder (data/weights/PART of the portion)")
    parser.add_argument("--networks", type=int, help="the first so many only")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    arguments = parser.parse_args()
    part = arguments.portion.name.partition("_")[0]
    weights = arguments.weights or HERE / "data" / "weights" / part
    run = load_run(arguments.run)
    task = replace(run.task, weights=None, rivals=())
    portion = xr.load_dataset(arguments.portion)
    steps = task.training.measured_at
    portion = portion.isel(network=list_kept(portion, weights, steps))
    portion = portion.isel(network=slice(arguments.networks))
    names = portion["network"].values.astype(str).tolist()
    if not names:
        raise SystemExit(f"{weights} has no weights of {arguments.portion.name}.")
    path = arguments.out / "dimensionality.nc"
    run_search(
        ListSearch(run.controller.space, architectures=names),
        task,
        candidates=len(names),
        out=arguments.out,
        schedule=Schedule(again=Again(confirm=0)),  # the same weights show the same again
        evaluate=partial(ask, portion=portion, weights=weights, path=path),
    )
    print(f"{arguments.out}: {len(names)} networks at steps {list(steps)}")


def list_kept(portion: xr.Dataset, weights: Path, steps: tuple[int, ...]) -> list[int]:
    """Return the networks of which the weights of every rung are there."""
    seeds = portion["seed"].values.tolist()
    return [
        k
        for k, seed in enumerate(seeds)
        if all((weights / f"{seed}_{step}.npz").is_file() for step in steps)
    ]


def ask(
    architecture: Architecture,
    task: Task,
    *,
    seed: int,
    portion: xr.Dataset,
    weights: Path,
    path: Path,
) -> Evaluation:
    """Return what a network shows at each rung, with the weights that were kept there.

    Over how many dimensions its responses are spread is added to the file `path` before, so that it
    stands there of every network that the run folder holds, however often asking went on.
    """
    names = [parse(name).to_json() for name in portion["network"].values.astype(str).tolist()]
    own = portion.isel(network=names.index(architecture.to_json()))
    number = int(own["seed"])
    size = Preprocessing(size=task.images.image_size)
    rungs = []
    spread: Dimensionality = {}
    for step in task.training.measured_at:
        network = load_kept(architecture, weights / f"{number}_{step}.npz")
        layers = find_layers(network, task.layers)
        scores = task.scorer.score(network, layers=layers, preprocessing=size)
        at = own.sel(rung=step)
        rungs.append(
            Rung(
                step,
                float(at["performance"]),
                float(at["cross_entropy"]),
                step * task.training.batch_size,
                scores.similarity,
                scores.committed,
                scores.shuffles,
            )
        )
        images = next(iter(task.teacher)).stimuli["image"].values
        for layer, value in measure_dimensionality(network, images, layers, size).items():
            spread[str(own["network"].item()), step, layer] = value
    add_dimensionality(spread, path)
    values = own["statistics"].values.tolist()
    statistics = dict(zip(own["statistic"].values.astype(str).tolist(), values, strict=True))
    losses = own["loss"].values
    measurement = Measurement(
        task.teacher.areas,
        tuple(rungs),
        {name: value if value == value else None for name, value in statistics.items()},
        tuple(losses[np.isfinite(losses)].astype(float).tolist()),
    )
    last = rungs[-1]
    return Evaluation(
        architecture,
        seed,
        "done",
        "",
        last.performance,
        measurement.guidance(),
        task.reward(measurement),
        measurement,
        int(statistics["parameters"]),
    )


def measure_dimensionality(
    network: Any, images: np.ndarray, layers: list[str] | None, size: Preprocessing
) -> dict[str, float]:
    """Return the participation ratio of each layer's responses to images."""
    chosen = probe_layers(network, images, layers, preprocessing=size)
    found = {}
    for layer, moments in stream_moments(network, images, chosen, preprocessing=size):
        gram = raw_gram(moments[0])
        gram = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
        squares = float((gram**2).sum())
        found[layer] = float(np.trace(gram)) ** 2 / squares if squares > 0 else float("nan")
    return found


def add_dimensionality(found: Dimensionality, path: Path) -> None:
    """Write participation ratios as an array, beside those that the file holds already."""
    found = {**read_dimensionality(path), **found}
    networks, rungs, layers = (list(dict.fromkeys(key[k] for key in found)) for k in range(3))
    values = np.full((len(networks), len(rungs), len(layers)), np.nan)
    for (network, rung, layer), value in found.items():
        values[networks.index(network), rungs.index(rung), layers.index(layer)] = value
    coords = {"network": networks, "rung": rungs, "layer": layers}
    made = xr.Dataset({"dimensionality": (tuple(coords), values)}, coords)
    write_netcdf(made, path)


def read_dimensionality(path: Path) -> Dimensionality:
    """Return the participation ratios of a file; none where there is no such file."""
    if not path.is_file():
        return {}
    values = open_netcdf(path)["dimensionality"].to_series().dropna()
    return {(str(n), int(r), str(x)): float(v) for (n, r, x), v in values.items()}


if __name__ == "__main__":
    main()
