"""How often intervals hold the truth, and how often tests find what is not there.

    OMP_NUM_THREADS=1 python benchmarks/inference.py --out ROWS.csv [--simulations 1000]
    python benchmarks/inference.py --out ROWS.csv --table        # what is in ROWS.csv, as markdown

A row is written as soon as it is done; rows that are there are not made again. What is simulated
is in `inference_worlds.py`; ceilings, animals and time in `inference_recordings.py`.

`interval`: 95 % intervals of the similarity of one layer; the truth is the similarity that very
many stimuli of the same design give, for these sites or ("over site") for very many of them.
`best layer`: p-values, corrected for six layers, of layers and an area that share nothing but which
stimuli belong together. `layers`: corrected p-values of differences between layers that are equally
similar by symmetry. `committed`: similarity of the committed layer of twenty, none of which has
more in common with the area than another.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from inference_recordings import list_recordings
from inference_worlds import (
    LATENT,
    WORLDS,
    Design,
    add_noise,
    draw_points,
    find_truth,
    make_pair,
    make_world,
)

from brainguided.correspondence import Inference, compare_layers
from brainguided.correspondence._intervals import SiteResponses, draw_similarity
from brainguided.correspondence.committed_layers import (
    commit_layer,
    compare_halves,
    compare_vectors,
)
from brainguided.correspondence.permutation import exceed_maximum, permute_vectors
from brainguided.correspondence.standard_errors import measure_spread
from brainguided.rdms.halves import draw_halves
from brainguided.rdms.measures import pattern_distances

FIELDS = ("what", "design", "stimuli", "units", "detail", "truth", "mean", "rate", "simulations")


def main() -> None:
    """Make the rows that are lacking, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument(
        "--only", default="", help="cells whose name holds one of these texts, e.g. a|b"
    )
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    done = read_rows(arguments.out)
    if arguments.table:
        print(format_rows(done))
        return
    names = {(row["what"], row["design"], row["stimuli"], row["detail"]) for row in done}
    seen = set()
    for what, design, detail, make in list_cells():
        key = (what, design.kind, str(design.stimuli), detail)
        if key in names | seen or not any(
            text in " ".join(key) for text in arguments.only.split("|")
        ):
            continue
        seen.add(key)
        truth, mean, rate = make(arguments.simulations)
        row = dict(
            zip(
                FIELDS,
                (*key[:3], design.units.number, detail, truth, mean, rate, arguments.simulations),
                strict=True,
            )
        )
        write_row(arguments.out, row)
        print(*row.values(), sep=", ", flush=True)


def list_cells() -> list[tuple[str, Design, str, Callable[[int], tuple[str, str, str]]]]:
    """Return what is simulated: name, design, detail and the function that does it."""
    cells: list = []

    def add(design: Design, detail: str) -> None:
        cells.append(("interval", design, detail, partial(cover, design)))

    sizes = {
        "8 x 8 objects": (64,),
        "8 sessions": (64,),
        "independent": (16, 64, 200),
        "heavy tails": (16, 64, 200),
    }
    strengths = {"unrelated": -1.0, "random": 0.0, "alike": 0.9}
    for kind, numbers in sizes.items():
        for stimuli in numbers:
            for said, shared in strengths.items():
                add(Design(kind, stimuli, shared), said)
    for repetitions in (2, 3, 5, 7):
        add(Design(repetitions=repetitions), f"alike, {repetitions} repetitions")
    for kind, numbers in sizes.items():
        for stimuli in numbers[:2]:
            design = Design(kind, stimuli)
            for layers in (2, 6):
                how = partial(differ, design, layers)
                cells.append(("layers", design, f"{layers} layers", how))
            if kind != "8 sessions":  # the same as 8 x 8 objects
                cells.append(("best layer", design, "6 layers", partial(find_best, design, 6)))
                cells.append(("committed", design, "20 layers", partial(commit, design, 20)))
    for resample in (("site",), ("stimulus", "site")):
        for kind in ("independent", "8 x 8 objects"):
            how = partial(cover_sites, Design(kind), resample)
            cells.append(("interval", Design(kind), f"alike, over {' and '.join(resample)}", how))
    for kind in ("independent", "8 x 8 objects", "8 sessions"):
        for said in ("unrelated", "alike"):
            shared = strengths[said]
            add(Design(kind, shared=shared, method="spearman"), f"{said}, spearman")
            for method in ("pearson", "cosine")[: 2 if kind == "independent" else 1]:
                add(
                    Design(kind, shared=shared, measure="squared euclidean", method=method),
                    f"{said}, squared euclidean, {method}",
                )
    for kind in ("independent", "8 sessions", "8 x 8 objects"):
        for repetitions in (2, 7):
            add(Design(kind, repetitions=repetitions), f"alike, {repetitions} repetitions")
    add(Design("heavy tails", shared=0.9, method="spearman"), "alike, spearman")
    return [*cells, *list_recordings()]


def cover(design: Design, simulations: int) -> tuple[str, str, str]:
    """Return the truth, the mean similarity, and how often 95 % intervals hold the truth."""
    held, found, truths = [], [], []
    for number in range(WORLDS):
        world = make_world(number, design.shared)
        truth = find_truth(design, world, number)
        for k in range(simulations // WORLDS):
            generator = np.random.default_rng([1, number, k, design.stimuli])
            x, y = make_pair(generator, design, world, design.stimuli)
            spread = measure_spread([x], y, design.units, method=design.method)
            lower, upper = spread.interval()[0]
            held.append(lower <= truth <= upper)
            found.append(np.tanh(spread.centre[0]))
            truths.append(truth)
    return f"{np.mean(truths):.3f}", f"{np.mean(found):.3f}", f"{np.mean(held):.3f}"


def cover_sites(
    design: Design, resample: tuple[str, ...], simulations: int
) -> tuple[str, str, str]:
    """Return as `cover`, of intervals over samples of sites, for these stimuli or others too."""
    held, found, truths = [], [], []
    for number in range(WORLDS):
        others = [make_world(number, design.shared, (0, k)) for k in range(40)]
        truth = 0.0
        if "stimulus" in resample:
            truth = float(np.mean([find_truth(design, w, number, (600, 1)) for w in others]))
        for k in range(simulations // WORLDS):
            world = make_world(number, design.shared, (1, k))
            generator = np.random.default_rng([5, number, k, design.stimuli])
            points = draw_points(generator, design, design.stimuli)
            layer = pattern_distances(np.maximum(points @ world[0], 0), design.measure)
            of_sites = [
                add_noise(generator, np.maximum(points @ w[1], 0), design) for w in (world, *others)
            ]
            vectors = [pattern_distances(p, design.measure) for p in of_sites]
            r = compare_vectors(np.array(vectors), layer, design.method)
            if "stimulus" not in resample:
                truth = float(np.mean(r[1:]))
            interval = draw_similarity(
                [layer],
                vectors[0],
                Inference(resample, draws=300),
                units=design.units,
                responses=SiteResponses(of_sites[0], np.full(40, ""), design.measure),
                seed=k,
            ).interval
            held.append(interval[0, 0] <= truth <= interval[0, 1])
            found.append(r[0])
            truths.append(truth)
    return f"{np.mean(truths):.3f}", f"{np.mean(found):.3f}", f"{np.mean(held):.3f}"


def differ(design: Design, layers: int, simulations: int) -> tuple[str, str, str]:
    """Return how often any of several equally similar layers differs significantly.

    The area treats the latent dimensions alike; layers are cyclic shifts of one another.
    """
    found, rejected = [], []
    for seed in range(simulations):
        generator = np.random.default_rng([2, seed, layers, design.stimuli])
        points = draw_points(generator, design, design.stimuli)
        one, other = (generator.normal(size=(LATENT, n)) for n in (12, 60))
        other *= np.exp(-np.arange(LATENT) / 3)[:, None]
        step = LATENT // layers
        turned = [
            [np.maximum(points @ np.roll(w, k * step, 0), 0) for k in range(layers)]
            for w in (one, other)
        ]
        area = add_noise(generator, np.concatenate(turned[0], axis=1), design)
        area = pattern_distances(area, "correlation")
        vectors = [pattern_distances(p, "correlation") for p in turned[1]]
        how = Inference(draws=400)
        draws = draw_similarity(vectors, area, how, units=design.units, seed=seed).draws
        similarity = compare_vectors(np.array(vectors), area, "pearson")
        tested = compare_layers(
            xr.Dataset(
                {
                    "similarity": (("layer", "area"), similarity[:, None]),
                    "similarity_draws": (("bootstrap", "layer", "area"), draws[:, :, None]),
                },
                coords={
                    "layer": [f"layer{k}" for k in range(layers)],
                    "area": ["IT"],
                    "degrees_of_freedom": ("area", [design.units.number - 1]),
                },
            )
        )
        rejected.append(np.nanmin(tested["corrected_p_value"]) <= 0.05)
        found.append(similarity.mean())
    return "", f"{np.mean(found):.3f}", f"{np.mean(rejected):.3f}"


def make_unrelated(
    generator: np.random.Generator, design: Design, layers: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return layers and an area that share nothing but which stimuli belong to one unit."""

    def respond(units: int) -> np.ndarray:
        own = draw_points(generator, Design("heavy tails" if heavy else "", 0), design.stimuli)
        if design.grouped:
            own = own + generator.normal(size=(design.units.number, LATENT))[design.units.index]
        patterns = np.maximum(own @ generator.normal(size=(LATENT, units)), 0)
        return pattern_distances(patterns, "correlation")

    heavy = design.kind == "heavy tails"
    return np.array([respond(60) for _ in range(layers)]), respond(40)


def find_best(design: Design, layers: int, simulations: int) -> tuple[str, str, str]:
    """Return how often the best of several unrelated layers is significant."""
    found, rejected = [], []
    for seed in range(simulations):
        generator = np.random.default_rng([3, seed, design.stimuli])
        vectors, area = make_unrelated(generator, design, layers)
        similarity = compare_vectors(vectors, area, "pearson")
        null = permute_vectors(vectors, area, 199, seed=seed, units=design.units)
        rejected.append(exceed_maximum(similarity, null).min() <= 0.05)
        found.append(similarity.max())
    return "", f"{np.mean(found):.3f}", f"{np.mean(rejected):.3f}"


def commit(design: Design, layers: int, simulations: int) -> tuple[str, str, str]:
    """Return the mean similarity of one layer, and how far that of committed ones is above it."""
    one, committed = [], []
    for seed in range(simulations):
        generator = np.random.default_rng([4, seed, design.stimuli])
        vectors, area = make_unrelated(generator, design, layers)
        halves = compare_halves(
            list(vectors),
            area,
            draw_halves(design.units, 10, seed),
            method="pearson",
            units=design.units,
        )
        chosen = commit_layer(halves)
        assert chosen is not None
        committed.append(chosen.similarity)
        one.append(compare_vectors(vectors, area, "pearson").mean())
    difference = np.array(committed) - one
    error = difference.std() / np.sqrt(simulations)
    return (
        f"{np.mean(one):.3f}",
        f"{np.mean(committed):.3f}",
        f"{difference.mean():+.4f} ± {error:.4f}",
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows that are there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_row(path: Path, row: dict[str, object]) -> None:
    """Add a row to the file."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


TABLES = {
    "interval": ("true similarity", "mean estimate", "intervals that hold the truth"),
    "ceiling": ("true ceiling", "mean estimate", "intervals that hold the truth"),
    "corrected": ("true similarity", "mean estimate", "intervals that hold the truth"),
    "layers": ("", "mean similarity", "samples with a significant difference"),
    "best layer": ("", "mean best similarity", "samples with a significant layer"),
    "committed": ("mean similarity", "of committed layers", "difference ± standard error"),
}


def format_rows(rows: list[dict[str, str]]) -> str:
    """Return a markdown table of each kind of row."""
    lines = []
    for what, names in TABLES.items():
        fields = [f for f, name in zip(FIELDS[5:8], names, strict=True) if name]
        head = ["stimuli", "number", "units", "", *filter(None, names), "simulations"]
        lines += ["", f"**{what}**", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for row in rows:
            if row["what"] == what:
                cells = [row[f] for f in (*FIELDS[1:5], *fields, "simulations")]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines[1:])


if __name__ == "__main__":
    main()
