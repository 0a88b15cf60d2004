"""The scripts of the study: what is planted is found, nothing else; portions are gone on with."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from brainguided.replays.benchmark import read_measurements

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


def make_portion(path: Path, networks: list[str], *, part: str = "b", seed: int = 0) -> None:
    """Write a portion of made numbers, like those of export.py."""
    generator = np.random.default_rng(seed)
    coords = {
        "network": networks,
        "rung": [0, 2000] if part == "c" else [0, 100],
        "area": ["V4"],
        "layer": ["stem", "cell1"],
        "target": ["V4", "V4:pixels"],
        "shuffled": ["V4"],
        "statistic": ["parameters"],
    }
    sizes = {name: len(values) for name, values in coords.items()} | {"shuffle": 4, "step": 2000}
    dims = {
        "performance": ("rung",),
        "cross_entropy": ("rung",),
        "similarity": ("rung", "target", "layer"),
        "committed": ("rung", "target"),
        "statistics": ("statistic",),
        "loss": ("step",),
        "shuffled_best": ("rung", "shuffled", "shuffle"),
        "shuffled_committed": ("rung", "shuffled", "shuffle"),
    }
    made = {
        name: (("network", *of), generator.random([len(networks), *(sizes[d] for d in of)]))
        for name, of in dims.items()
    }
    made["seed"] = "network", generator.integers(2**31, size=len(networks))
    space = {"kind": "nasbench201", "name": "n", "n_cells": 1, "filters": 8}
    attrs = {"config": json.dumps({"space": space}), "made_with": "torch 2"}
    xr.Dataset(made, coords, attrs).to_netcdf(path)


def test_a_table_of_some_portions_says_that_it_is_partial(tmp_path: Path) -> None:
    table = load("table")
    networks = ["003303", "333313"]
    make_portion(tmp_path / "b_seed0.nc", networks)
    make_portion(tmp_path / "b_seed1.nc", networks[1:], seed=1)
    rows = [f"{name},{90 + k},{60 + k},80" for k, name in enumerate(["030330", *networks])]
    published = tmp_path / "published.csv"
    published.write_text("\n".join(["ops,c10_test_200,c10_val_12,c10_cost_12", *rows]))
    found = table.build_table("trained", sorted(tmp_path.glob("b_*.nc")), published)
    assert found["network"].values.tolist() == networks
    assert found["weight_seed"].sel(network="003303", seed=1) == -1
    assert found["part"].values.tolist() == [["b", ""], ["b", "b"]]
    second = xr.load_dataset(tmp_path / "b_seed1.nc")
    for name in ("similarity", "shuffled_best", "loss"):
        kept = found[name].isel(seed=1).sel(network="333313")
        kept = kept.isel(shuffle=slice(4), missing_dims="ignore")
        wanted = second[name].isel(network=0).transpose(*kept.dims)
        np.testing.assert_allclose(kept.values, wanted.values, atol=table.STEP / 2 + 1e-6)
    assert found["test_200"].values.tolist() == [91, 92]
    assert found.attrs["state"].startswith("PARTIAL")
    assert found.attrs["counts"] == "part b: 3 of 528 trainings"
    assert [len(one) for one in read_measurements(found)] == [2, 2]
    assert read_measurements(found)[0][1] is None


def test_what_a_network_matured_to_is_no_rung_of_its_table(tmp_path: Path) -> None:
    table = load("table")
    make_portion(tmp_path / "c_seed0.nc", ["003303", "333313"], part="c")
    found = table.build_table("plain", [tmp_path / "c_seed0.nc"], tmp_path / "none.csv")
    assert found["rung"].values.tolist() == [0]
    one = xr.load_dataset(tmp_path / "c_seed0.nc")
    wanted = 100 * one["performance"].sel(rung=2000)
    np.testing.assert_allclose(found["mature"].values, wanted.values, rtol=1e-6)
    assert found.attrs["counts"] == "part c: 2 of 100 trainings"


def test_every_part_goes_on_after_its_portions(tmp_path: Path) -> None:
    run = load("run")
    for part, wanted in {"a": 6040, "c": 100, "e": 132}.items():
        text = (STUDIES / f"{part}.toml").read_text("utf-8")
        listed = run.list_networks(tomllib.loads(text))
        assert (listed is None) == (part == "c")
        assert listed is None or len(set(listed)) == wanted
        done = ["{}", "[]"] if listed is None else listed[:2]
        xr.Dataset(coords={"network": done}).to_netcdf(tmp_path / f"{part}.nc")
        left = tomllib.loads(run.write_rest(text, [tmp_path / f"{part}.nc"]))
        assert left["candidates"] == wanted - 2
        assert listed is None or left["controller"]["architectures"] == listed[2:]
