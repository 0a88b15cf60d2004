"""Are untrained networks that were evolved to predict an area better than random ones?

    python benchmarks/untrained_search.py --recording v4.nc --stimuli v4_images.nc --seeds 0 1 2
    python benchmarks/untrained_search.py --rdm it.nc --stimuli it_images.nc --area IT
    python benchmarks/untrained_search.py --candidates 40 --random 40 --filters 8 16

The question of Kuhn, Saba-Sadiya & Roig (2025, arXiv 2502.11141), put to sites of a macaque, or to
a simulated one where no recording is named, with what they did not have: images that the search did
not use, and random networks of the same space within the same limits beside its winner.

Evolution by mutation and crossover; nothing is trained; the reward is the ridge predictivity of the
best layer, mean over three seeds of the weights: that of the run file in docs/howto/searches.md,
without the layers committed to in halves, which take twenty times as long. Then the winner and the
random networks are given three other seeds. Of each network the layer that predicts the images of
the search best is asked how well it predicts each site on the other images (whole objects apart,
where they are known). Where there is an RDM alone, similarity to it (Pearson r) takes the place of
predictivity.

Printed are, of each search, the share of random networks that the winner exceeds in the mean over
sites, with its exact binomial interval over networks, and by how much it is above their mean, with
the interval of a bootstrap over sites and over random networks. Beside them stand what needs no
network, pixels and Gabor energy of the same images, and what the winner comes to for responses
that were shuffled among images. With several seeds each has its own search, division of the images
and random networks, and means over seeds are printed with t intervals.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.stats import binomtest, t

from brainguided import (
    Limits,
    Preprocessing,
    RegularizedEvolution,
    Schedule,
    Task,
    Teacher,
    Training,
    WeightedReward,
    build_network,
    images_from_stimuli,
    local_pool,
    run_search,
)
from brainguided.architectures import Architecture
from brainguided.candidates import Evaluation
from brainguided.correspondence import compute_layer_predictivity, compute_predictivity
from brainguided.guidance import compute_similarity, gabor_control, pixels_control
from brainguided.guidance._images import compute_gabor_energy, read_pixels
from brainguided.journal import Measurement, Rung
from brainguided.rdms import compare_rdms, rdms_from_dissimilarities
from brainguided.search.orders import Again
from brainguided.spaces import SearchSpace, kuhn2025_space
from neural_data import (
    load_dissimilarities,
    load_recording,
    load_stimuli,
    simulate_macaque,
    simulate_objects,
)

SEEDS = 3
FOLDS = 5
DRAWS = 2000
TRIES = 1000  # to draw one random network


def divide(labelled: xr.Dataset, share: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the stimuli of the search and the others, whole objects on one side."""
    named = "object_name" in labelled.coords
    groups = labelled["object_name" if named else "stimulus"].values.astype(str)
    names = np.random.default_rng((seed, 1)).permutation(np.unique(groups))
    out = np.isin(groups, names[: max(1, round(share * len(names)))])
    stimuli = labelled["stimulus"].values.astype(str)
    return stimuli[~out].tolist(), stimuli[out].tolist()


def select(data: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Return a recording, or an RDM, of some stimuli."""
    dims = [dim for dim in ("stimulus", "other_stimulus") if dim in data.dims]
    return data.sel({dim: names for dim in dims})


def make_teacher(data: xr.Dataset, stimuli: xr.Dataset, area: str) -> Teacher:
    """Return the teacher of a recording, by predictivity, or of an RDM, by its similarity."""
    if "other_stimulus" in data.dims:
        return Teacher.from_rdms(rdms_from_dissimilarities(data), stimuli, area=area)
    return Teacher.from_recording(data, stimuli, areas=area).with_similarity("ridge")


def make_task(data: xr.Dataset, stimuli: xr.Dataset, area: str, size: int) -> Task:
    """Return the task of predicting an area, whose images to classify do not matter."""
    pictures = [simulate_objects(1, size=size, variation=(0,), seed=seed) for seed in (1, 2)]
    return Task(
        images_from_stimuli(*pictures),
        make_teacher(data, stimuli, area),
        Training(steps=0, batch_size=32),
        WeightedReward({area: 1.0}),
        batch_norm="running",  # the network as it is drawn, which is scored below
        seeds=SEEDS,
    )


def average_layers(architecture: Architecture, task: Task, seed: int) -> xr.DataArray:
    """Return how similar each layer is to the area (layer,), mean over seeds of the weights."""
    assert task.teacher is not None
    size = Preprocessing(size=task.images.image_size)
    networks = (
        build_network(architecture, n_classes=8, seed=seed + k) for k in range(1, SEEDS + 1)
    )
    tables = [compute_similarity(one, task.teacher, preprocessing=size) for one in networks]
    return xr.concat(tables, "seed", join="exact").mean("seed").isel(area=0)


def evaluate(architecture: Architecture, task: Task, *, seed: int) -> Evaluation:
    """Evaluate a candidate of the search."""
    layers = average_layers(architecture, task, seed % 2**31)
    known = dict(zip(layers["layer"].values.tolist(), layers.values.tolist(), strict=True))
    area = str(layers["area"].item())
    measurement = Measurement((area,), (Rung(0, similarity={area: known}),))
    reward = float(layers.max())
    return Evaluation(architecture, seed, "done", reward=reward, measurement=measurement)


class Judge:
    """What networks show of images that the search did not use, with seeds of their own."""

    def __init__(self, task: Task, area: str, data: xr.Dataset, stimuli: xr.Dataset) -> None:
        self.task, self.stimuli = task, stimuli
        self.size = task.images.image_size
        self.other = None
        if "other_stimulus" in data.dims:
            self.other = make_task(data, stimuli, area, self.size)
        else:
            self.recording = data.isel(site=np.flatnonzero(data["area"].values == area))

    def score(self, architecture: Architecture, seed: int) -> np.ndarray:
        """Return the correlation of predictions and responses (site,), or of RDMs (1,)."""
        layer = self._choose(architecture, seed)
        if self.other is not None:
            return average_layers(architecture, self.other, seed).sel(layer=[layer]).values
        return self._predict(architecture, layer, seed, self.recording)

    def _choose(self, architecture: Architecture, seed: int) -> str:
        """Return the layer that is best on the images of the search."""
        return str(average_layers(architecture, self.task, seed).idxmax("layer").item())

    def _predict(
        self, architecture: Architecture, layer: str, seed: int, recording: xr.Dataset
    ) -> np.ndarray:
        found = [
            compute_layer_predictivity(
                build_network(architecture, n_classes=8, seed=seed + k),
                self.stimuli,
                recording,
                layers=[layer],
                preprocessing=Preprocessing(size=self.size),
                folds=FOLDS,
            )["correlation"].values[0]
            for k in range(1, SEEDS + 1)
        ]
        return np.mean(found, axis=0)

    def control(self, winner: Architecture, seed: int) -> dict[str, float]:
        """Return what pixels and Gabor energy come to, and the winner for shuffled responses."""
        if self.other is not None:
            teacher = self.other.teacher
            assert teacher is not None
            (target,) = teacher
            kinds = {"pixels": pixels_control, "Gabor energy": gabor_control}
            controls = {name: make(teacher, target.area).rdm for name, make in kinds.items()}
            return {
                name: float(compare_rdms(target.rdm, rdm)[0, 0]) for name, rdm in controls.items()
            }
        names = self.recording["stimulus"].values.astype(str).tolist()
        images = self.stimuli.sel(stimulus=names)["image"].values
        told = {}
        reads = {"pixels": read_pixels, "Gabor energy": compute_gabor_energy}
        for name, read in reads.items():
            features = xr.DataArray(read(images), dims=("stimulus", "unit")).assign_coords(
                stimulus=names
            )
            found = compute_predictivity(features, self.recording, folds=FOLDS)
            told[name] = float(found["correlation"].mean())
        order = np.random.default_rng((seed, 4)).permutation(len(names))
        shuffled = self.recording.isel(stimulus=order).assign_coords(
            stimulus=self.recording["stimulus"]
        )
        layer = self._choose(winner, seed)
        told["shuffled responses"] = float(self._predict(winner, layer, seed, shuffled).mean())
        return told


def draw_random(
    space: SearchSpace, limits: Limits, number: int, seed: int, without: str
) -> list[Architecture]:
    """Return random networks within the limits, no two of them the same, none the winner."""
    generator = np.random.default_rng((seed, 2))
    found: dict[str, Architecture] = {}
    for _ in range(TRIES * number):
        one = space.sample(generator)
        if limits.admit(one) and one.canonical_key != without:
            found.setdefault(one.canonical_key, one)
        if len(found) == number:
            return list(found.values())
    raise ValueError(
        f"Among {TRIES * number} random networks {len(found)} are different, within the limits and "
        f"not the winner; expected {number}. Ask for fewer (--random), or allow more (--filters, "
        "--max-depth, --max-multiply-adds)."
    )


def compare(winner: np.ndarray, others: np.ndarray, seed: int) -> dict[str, float]:
    """Return how a network stands among random ones (network, site), with 95 % intervals."""
    below = int((others.mean(1) < winner.mean()).sum())
    exact = binomtest(below, len(others)).proportion_ci()
    generator = np.random.default_rng((seed, 3))
    differences = []
    for _ in range(DRAWS):
        sites = generator.integers(len(winner), size=len(winner))
        networks = generator.integers(len(others), size=len(others))
        differences.append(winner[sites].mean() - others[np.ix_(networks, sites)].mean())
    low, high = np.quantile(differences, [0.025, 0.975])
    return {
        "share": below / len(others), "share_low": exact.low, "share_high": exact.high,
        "winner": winner.mean(), "random": others.mean(), "best": others.mean(1).max(),
        "above": winner.mean() - others.mean(), "above_low": low, "above_high": high,
    }  # fmt: skip


def remember(
    path: Path | None, architectures: list[Architecture], score: Callable[[int], np.ndarray]
) -> np.ndarray:
    """Return the scores of networks (network, site), those that a file holds not made again."""
    known = {}
    if path is not None and path.is_file():
        whole, end, cut = path.read_text(encoding="utf-8").rpartition("\n")
        if cut:  # half a line of a process that was killed, which nothing may be written behind
            path.write_text(whole + end, encoding="utf-8")
        known = {made["key"]: made["scores"] for made in map(json.loads, whole.splitlines())}
    for number, one in enumerate(architectures):
        if one.key not in known:
            known[one.key] = score(number).tolist()
            if path is not None:
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": one.key, "scores": known[one.key]}) + "\n")
    return np.array([known[one.key] for one in architectures], dtype=float)


def run(
    data: xr.Dataset, stimuli: xr.Dataset, area: str, given: argparse.Namespace, seed: int = 0
) -> dict[str, float]:
    """Search, and compare the winner with random networks on the other images."""
    used, others = divide(data, given.share, seed)
    parts = [(select(data, names), stimuli.sel(stimulus=names)) for names in (used, others)]
    task = make_task(*parts[0], area, given.size)
    space = kuhn2025_space(given.max_depth, filters=tuple(given.filters))
    limits = Limits(max_multiply_adds=given.max_multiply_adds, n_classes=8, image_size=given.size)
    controller = RegularizedEvolution(space, seed=seed, limits=limits, crossover=0.5)
    with (
        tempfile.TemporaryDirectory() as scratch,
        local_pool(given.workers) if given.workers else nullcontext() as pool,
    ):
        out = Path(scratch) if given.out is None else given.out / f"seed{seed}"
        found = run_search(
            controller, task, candidates=given.candidates, out=out, executor=pool,
            schedule=Schedule(again=Again(confirm=0, repeat=0)), evaluate=evaluate,
        )  # fmt: skip
    best = int(np.nanargmax(np.where(found["outcome"] == "done", found["reward"], np.nan)))
    winner = Architecture.from_json(str(found["architecture"].values[best]))
    judge = Judge(task, area, *parts[1])
    base = 10_000 * (seed + 1)  # of weights that the search did not have
    drawn = [winner, *draw_random(space, limits, given.random, seed, winner.canonical_key)]
    path = None if given.out is None else out / "other_images.jsonl"
    scores = remember(path, drawn, lambda k: judge.score(drawn[k], base + 10 * k))
    said = compare(scores[0], scores[1:], seed)
    measured = "similarity of RDMs" if judge.other is not None else "predictivity"
    print(
        f"seed {seed}: {len(used)} images searched on, {len(others)} others, "
        + (f"RDM of {area}" if judge.other else f"{scores.shape[1]} sites of {area}")
    )
    print(f"winner: {winner.to_json()}")
    print(
        "{measured} (Pearson r) on the other images: winner {winner:.3f}, random networks "
        "{random:.3f}, the best of them {best:.3f}".format(measured=measured, **said)
    )
    print(
        "the winner exceeds {share:.1%} of the random networks ({share_low:.0%} to "
        "{share_high:.0%}), and their mean by {above:.3f} ({above_low:.3f} to "
        "{above_high:.3f})".format(**said)
    )
    controls = judge.control(winner, base)
    print(", ".join(f"{name} {value:.3f}" for name, value in controls.items()), flush=True)
    return said | controls


def say_seeds(told: list[dict[str, float]]) -> str:
    """Return means over seeds, with t intervals."""
    lines = [f"over {len(told)} searches, mean (95 % interval):"]
    for name in told[0]:
        if name.endswith(("_low", "_high")):
            continue
        values = np.array([one[name] for one in told])
        half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
        mean = values.mean()
        lines.append(f"  {name} {mean:.3f} ({mean - half:.3f} to {mean + half:.3f})")
    return "\n".join(lines)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recording", type=Path, help="default: a simulated macaque")
    parser.add_argument("--rdm", type=Path, help="in place of a recording")
    parser.add_argument("--stimuli", type=Path)
    parser.add_argument("--views", type=int, default=10, help="of each simulated object")
    parser.add_argument("--area", default="V4")
    parser.add_argument("--candidates", type=int, default=120)
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--filters", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--max-depth", type=int, default=10)
    parser.add_argument("--max-multiply-adds", type=int, default=500_000_000)
    parser.add_argument("--size", type=int, default=32, help="pixels, 32 or more")
    parser.add_argument("--share", type=float, default=0.5, help="of images, not searched on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="one search each")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of run folders, which resume")
    given = parser.parse_args(arguments)
    sources = [given.recording, given.rdm]
    if None not in sources or (sources == [None, None]) != (given.stimuli is None):
        parser.error("--stimuli and one of --recording and --rdm belong together")
    return given


def main() -> None:
    given = parse()
    if given.recording is not None:
        data = load_recording(given.recording)
    elif given.rdm is not None:
        data = load_dissimilarities(given.rdm)
    told = []
    for seed in given.seeds:
        if given.stimuli is None:
            data, stimuli = simulate_macaque(simulate_objects(given.views, seed=seed), seed=seed)
        else:
            stimuli = load_stimuli(given.stimuli)
        told.append(run(data, stimuli, given.area, given, seed))
    if len(told) > 1:
        print(say_seeds(told))


if __name__ == "__main__":
    main()
