"""The primary test of hypothesis.md, on the portions of part b.

    python studies/primary.py NASBENCH201.csv.gz studies/portions/b_seed*.nc

NASBENCH201.csv.gz has a row for each cell: `ops`, six digits, and `c10_test_200`, the published
test accuracy after 200 epochs. At least two weight seeds are needed: P of one never stands beside
the similarity of the same. For each seed the similarity of that seed joins the mean P of the
others, and the gain is the mean over seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr

from brainguided.architectures.graph_counts import GRAPH_COUNTS
from brainguided.candidates.ridge import rank_columns
from brainguided.replays._out_of_fold import find_neighbours, predict_out_of_fold
from brainguided.spaces import nasbench201_space

DEAD = 10.5  # per cent of ten classes: at chance
RUNG = 100
AREAS = ("IT", "V4")
NULLS = ("", ":shuffled-within-category")
LEVEL = 0.025


def compute_gains(
    similarity: np.ndarray,
    performance: np.ndarray,
    known: np.ndarray,
    mature: np.ndarray,
    near: np.ndarray,
) -> np.ndarray:
    """Return by how much similarities raise the rank prediction of mature accuracy, out of fold.

    Parameters
    ----------
    similarity : ndarray (case, seed, network)
        The real one and those to shuffled teachers, with at least two weight seeds.
    performance : ndarray (seed, network)
    known : ndarray (network, covariate)
        Parameters, multiply-adds and the counts of the graph.
    mature : ndarray (network,)
    near : ndarray (network, network) of bool
        Neighbours, itself included, from none of which a network is predicted.

    Returns
    -------
    ndarray (case,)
    """
    if len(performance) < 2 or similarity.shape[1:] != performance.shape:
        raise ValueError(
            f"similarity {similarity.shape} and P {performance.shape}; expected both of the same "
            "networks with at least two weight seeds, since P comes from the others."
        )
    truth = rank_columns(mature[:, np.newaxis])

    def predict(*columns: np.ndarray) -> float:
        predicted = predict_out_of_fold(rank_columns(np.column_stack(columns)), truth, near)[:, 0]
        return float(spearmanr(predicted, mature).statistic)

    gains = np.empty(similarity.shape[:2])
    for seed in range(len(performance)):
        others = np.delete(performance, seed, axis=0).mean(0)
        beside = [predict(known, others, own) for own in similarity[:, seed]]
        gains[:, seed] = np.array(beside) - predict(known, others)
    return gains.mean(1)


def rank_gain(
    similarity: np.ndarray, shuffled: np.ndarray, *given: np.ndarray
) -> tuple[float, np.ndarray, float]:
    """Return the gain, those of shuffles (shuffle, seed, network), and p, one-sided."""
    found = compute_gains(np.concatenate([similarity[np.newaxis], shuffled]), *given)
    real, null = float(found[0]), found[1:]
    return real, null, float((1 + (null >= real - 1e-12).sum()) / (1 + len(null)))


def main() -> None:
    """Print both tests, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("portions", type=Path, nargs="+")
    arguments = parser.parse_args()
    seeds: dict[str, list[xr.Dataset]] = {}
    for path in arguments.portions:
        seeds.setdefault(path.stem.split("_")[1], []).append(xr.load_dataset(path))
    runs = [xr.concat(ones, "network", data_vars="minimal") for ones in seeds.values()]
    common = sorted(set.intersection(*(set(one["network"].values.tolist()) for one in runs)))
    mature = read_mature(arguments.table, common)
    live = [name for name in common if mature[name] > DEAD]
    runs = [one.sel(network=live) for one in runs]
    complete = "" if len(common) == 132 else " THE POOL IS NOT COMPLETE: this is no result."
    print(f"{len(live)} live networks of {len(common)} of 132, {len(runs)} seeds.{complete}")
    space = nasbench201_space(n_cells=1, filters=8)
    names = ["parameters", "multiply_adds", *GRAPH_COUNTS]
    known = runs[0]["statistics"].sel(statistic=names).values
    actions = [space.encode(space.parse(name)) for name in live]
    near = find_neighbours(actions, runs[0]["statistics"].sel(statistic=[*GRAPH_COUNTS]).values)
    performance = np.stack([one["performance"].sel(rung=RUNG).values for one in runs])
    truth = np.array([mature[name] for name in live])
    for area in AREAS:
        own = np.stack([one["committed"].sel(rung=RUNG, target=area).values for one in runs])
        for kind in NULLS:
            name = f"committed at {RUNG} of all shuffles of {area}{kind}"
            if name not in runs[0]:
                continue
            null = np.moveaxis(np.stack([one[name].values for one in runs]), -1, 0)
            found = rank_gain(fill(own), fill(null), performance, known, truth, near)
            print(
                f"{area}{kind}: gain {found[0]:+.4f}, of shuffles {np.mean(found[1]):+.4f} "
                f"(95 %: {np.quantile(found[1], 0.95):+.4f}), p = {found[2]:.4f} at {LEVEL}"
            )


def fill(values: np.ndarray) -> np.ndarray:
    """Return similarities with 0, as in rewards, where a layer is dead."""
    return np.nan_to_num(values)


def read_mature(path: Path, networks: list[str]) -> dict[str, float]:
    """Return the published test accuracy of networks, mean over isomorphic copies."""
    space = nasbench201_space()
    frame = pd.read_csv(path, dtype={"ops": str})
    keys = [space.parse(text).canonical_key for text in frame["ops"]]
    mean = frame["c10_test_200"].groupby(keys).mean()
    return {name: float(mean[space.parse(name).canonical_key]) for name in networks}


if __name__ == "__main__":
    main()
