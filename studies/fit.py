"""Fit the weights of the robust reward to mature accuracy, and say whether they ship.

    python studies/fit.py --out studies/robust_weights.toml

Ridge regression with weights of 0 or more; neighbourhoods of networks are left out. The rule:
fitted weights ship if their rank correlation out of fold exceeds that of 95 % of those fitted to
shuffled teachers, on a complete table; otherwise equal weights stay. Where networks have been
measured that took no part in the fit (parts c and g), the prediction is tested on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.stats import spearmanr

from brainguided.replays.benchmark import (
    is_partial,
    list_pools,
    load_benchmark,
    pool_from_benchmark,
)
from brainguided.replays.fitted_weights import FittedWeights, fit_weights, save_weights
from brainguided.replays.pools import Pool

LEVEL = 0.05


def main() -> None:
    """Fit, decide, and write the weights that ship, if any do."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shuffles", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--out", type=Path, help="TOML file, written if the weights ship")
    arguments = parser.parse_args()
    benchmark = load_benchmark()
    is_b = (benchmark["part"] == "b").any("seed").values
    shown = benchmark.isel(
        target=benchmark["is_area"].values.astype(bool), shuffle=slice(arguments.shuffles)
    )
    pool = pool_from_benchmark(shown.isel(network=is_b))
    try:
        fitted = fit_weights(pool)
    except ValueError as error:
        raise SystemExit(f"{len(pool.candidates)} networks: no weights. {error}") from None
    print(
        f"{len(pool.candidates)} networks, {len(pool.of_seeds)} weight seeds: rank correlation out "
        f"of fold {fitted.correlation:.3f}, of P alone {fitted.of_performance:.3f}, of "
        f"{len(fitted.of_shuffles)} shuffled teachers {np.mean(fitted.of_shuffles):.3f} "
        f"(95 %: {np.quantile(fitted.of_shuffles, 1 - LEVEL):.3f})"
    )
    for name, part in list_others(benchmark, ~is_b).items():
        print(f"{name}: {check_weights(pool_from_benchmark(part), fitted.weights):.3f}")
    ships, why = decide(fitted, partial=is_partial(benchmark))
    print(why)
    if ships and arguments.out is not None:
        print(save_weights(fitted, arguments.out))


def decide(fitted: FittedWeights, *, partial: bool) -> tuple[bool, str]:
    """Return whether fitted weights ship, and why."""
    null = np.asarray(fitted.of_shuffles)
    p = (1 + (null >= fitted.correlation - 1e-12).sum()) / (1 + len(null))
    if partial:
        return False, f"Equal weights stay: the table is partial (p among shuffles {p:.3f})."
    if p > LEVEL:
        return False, f"Equal weights stay: no better than shuffled teachers (p = {p:.3f})."
    return True, f"The fitted weights ship: better than shuffled teachers (p = {p:.3f})."


def list_others(benchmark: xr.Dataset, others: np.ndarray) -> dict[str, xr.Dataset]:
    """Return networks that took no part in the fit."""
    found = {}
    if others.any():
        found["rank correlation on the networks of part g"] = benchmark.isel(network=others)
    if "plain" in list_pools():
        found["rank correlation on the plain networks of part c"] = load_benchmark("plain")
    return found


def check_weights(pool: Pool, weights: Mapping[str, float]) -> float:
    """Return the rank correlation of z(P) + sum of w * z(committed similarity) with maturity."""
    last = pool.rungs[-1]
    columns = {f"performance@{last}": 1.0}
    columns |= {f"committed {name}": w for name, w in weights.items() if w}
    total = np.zeros(len(pool.candidates))
    for name, weight in columns.items():
        values = np.array([one.value(name) or 0.0 for one in pool.measurements])
        spread = values.std()
        total += weight * (values - values.mean()) / spread if spread else 0.0
    return float(spearmanr(total, pool.mature).statistic)


if __name__ == "__main__":
    main()
