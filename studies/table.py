"""Put the portions of all parts together with the published accuracies: the table of the study.

    python studies/table.py NASBENCH201.csv.gz --out studies/table.nc

The table has a row for each network and weight seed that any portion holds, and says in its
attributes how many of how many there are in each part: until these are equal it is partial.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from brainguided.spaces import nasbench201_space

HERE = Path(__file__).parent
SEEDS = {"a": 1, "b": 4, "f": 1, "g": 1}
KEPT = ("performance", "cross_entropy", "similarity", "best", "committed", "statistics", "seed")
PUBLISHED = {"test_200": "c10_test_200", "val_12": "c10_val_12", "seconds_12": "c10_cost_12"}
SOURCE = (
    "Accuracies and seconds: NAS-Bench-201 (Dong & Yang 2020), CIFAR-10, mean over isomorphic "
    "cells. Similarities: V4 of Cowley et al. 2023, IT of Kriegeskorte et al. 2008."
)


def main() -> None:
    """Write the table and print how much of it there is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("published", type=Path)
    parser.add_argument("--portions", type=Path, default=HERE / "portions", help="(%(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    table = build_table(sorted(arguments.portions.glob("?_seed*.nc")), arguments.published)
    encoding = {name: {"zlib": True, "complevel": 4} for name in table.data_vars}
    table.to_netcdf(arguments.out, encoding=encoding)
    print(f"{arguments.out}: {table.attrs['counts']}, {table.attrs['state']}")


def build_table(portions: list[Path], published: Path) -> xr.Dataset:
    """Return rows of all portions, each with its part, weight seed and published accuracies."""
    if not portions:
        raise SystemExit("There are no portions yet; see README.md.")
    rows = []
    for path in portions:
        part, seed = path.stem.split("_")[:2]
        one = xr.load_dataset(path)
        one = one[[name for name in KEPT if name in one]].rename(network="row", seed="drawn")
        n = one.sizes["row"]
        names = one["row"].values.astype(str)
        rows.append(
            one.drop_vars("row").assign(
                network=("row", names),
                part=("row", [part] * n),
                weight_seed=("row", [int(seed.removeprefix("seed"))] * n),
            )
        )
    table = xr.concat(rows, "row", join="outer")
    frame = read_published(published)
    space = nasbench201_space()
    keys = [space.parse(name).canonical_key for name in table["network"].values]
    for name, column in PUBLISHED.items():
        table[name] = "row", frame.loc[keys, column].to_numpy(float)
    counts = count_rows(table)
    complete = all(found == wanted for found, wanted in counts.values())
    table.attrs = {
        "source": SOURCE,
        "counts": "; ".join(f"part {k}: {a} of {b} rows" for k, (a, b) in counts.items()),
        "state": "complete" if complete else "PARTIAL: not to be presented as complete",
    }
    return table


def count_rows(table: xr.Dataset) -> dict[str, tuple[int, int]]:
    """Return for each part how many rows there are, and how many are wanted."""
    counts = {}
    for part, seeds in SEEDS.items():
        wanted = tomllib.loads((HERE / f"{part}.toml").read_text("utf-8"))["candidates"]
        counts[part] = int((table["part"] == part).sum()), wanted * seeds
    return counts


def read_published(path: Path) -> pd.DataFrame:
    """Return the mean over isomorphic cells of what is published, by canonical key."""
    space = nasbench201_space()
    frame = pd.read_csv(path, dtype={"ops": str})
    keys = np.array([space.parse(text).canonical_key for text in frame["ops"]])
    return frame[list(PUBLISHED.values())].groupby(keys).mean()


if __name__ == "__main__":
    main()
