"""The scripts of the study: what is planted is found, nothing else; portions are gone on with."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

STUDIES = Path(__file__).parents[1] / "studies"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, STUDIES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_pool(generator: np.random.Generator, effect: float, shuffles: int, n: int = 60):
    """Return similarity, shuffles, P, covariates, mature accuracy and neighbours of made networks.

    What is hidden goes with accuracy and, with its effect, with similarity; P knows a part of the
    rest. Shuffled similarity is as much alike between seeds as the real one.
    """
    known, hidden = generator.standard_normal((2, n, 2)), generator.standard_normal(n)
    mature = known[0, :, 0] + hidden + 0.5 * generator.standard_normal(n)
    performance = known[0, :, 1] + generator.standard_normal((2, n))
    noise = generator.standard_normal((shuffles + 1, 1, n))
    noise = noise + 0.5 * generator.standard_normal((shuffles + 1, 2, n))
    similarity = effect * hidden + noise[0]
    near = np.equal.outer(np.arange(n) // 3, np.arange(n) // 3)
    return similarity, noise[1:], performance, known[0], mature, near


def test_a_planted_effect_is_found_and_p_is_of_other_seeds() -> None:
    primary = load("primary")
    pool = make_pool(np.random.default_rng(0), effect=1.5, shuffles=39)
    real, null, p = primary.rank_gain(*pool)
    assert p == 1 / 40
    assert real > null.max() + 0.1
    with pytest.raises(ValueError, match="at least two weight seeds"):
        primary.compute_gains(pool[1][:, :1], pool[2][:1], *pool[3:])


@pytest.mark.slow
def test_without_an_effect_one_in_twenty_is_significant_at_5_per_cent() -> None:
    primary = load("primary")
    generator = np.random.default_rng(1)
    pools = [make_pool(generator, effect=0.0, shuffles=19, n=30) for _ in range(200)]
    found = sum(primary.rank_gain(*pool)[2] <= 0.05 for pool in pools)
    assert 3 <= found <= 19  # 99.5 % of binomial draws with a rate of .05


def test_what_a_portion_holds_is_not_run_again(tmp_path: Path) -> None:
    run = load("run")
    text = (STUDIES / "b.toml").read_text("utf-8")
    listed = tomllib.loads(text)["controller"]["architectures"]
    assert len(set(listed)) == 132
    xr.Dataset(coords={"network": listed[:100]}).to_netcdf(tmp_path / "portion.nc")
    left = tomllib.loads(run.write_rest(text, [tmp_path / "portion.nc"]))
    assert left["controller"]["architectures"] == listed[100:]
    assert left["candidates"] == 32
    xr.Dataset(coords={"network": listed}).to_netcdf(tmp_path / "all.nc")
    with pytest.raises(SystemExit, match="All 132"):
        run.write_rest(text, [tmp_path / "all.nc"])


def test_a_table_of_some_portions_says_that_it_is_partial(tmp_path: Path) -> None:
    table = load("table")
    networks = ["003303", "333313"]
    xr.Dataset(
        {"performance": (("network", "rung"), [[0.3], [0.4]]), "seed": ("network", [7, 8])},
        {"network": networks, "rung": [100]},
    ).to_netcdf(tmp_path / "b_seed1.nc")
    rows = [f"{name},{90 + k},{60 + k},80" for k, name in enumerate(["030330", *networks])]
    published = tmp_path / "published.csv"
    published.write_text("\n".join(["ops,c10_test_200,c10_val_12,c10_cost_12", *rows]))
    found = table.build_table([tmp_path / "b_seed1.nc"], published)
    assert found["network"].values.tolist() == networks
    assert found["weight_seed"].values.tolist() == [1, 1]
    assert found["test_200"].sel(row=1) == 92
    assert found.attrs["state"].startswith("PARTIAL")
    assert "part b: 2 of 528 rows" in found.attrs["counts"]
    with pytest.raises(SystemExit, match="no portions yet"):
        table.build_table([], published)
