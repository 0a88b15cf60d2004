"""The scripts of the study: what is planted is found, nothing else; portions are gone on with."""

from __future__ import annotations

import importlib.util
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from brainguided import build_network
from brainguided.candidates.kept_weights import keep_weights
from brainguided.replays.benchmark import load_benchmark, read_measurements
from brainguided.replays.fitted_weights import FittedWeights
from brainguided.replays.table import Table
from brainguided.spaces import nasbench201_space, small_space

STUDIES = Path(__file__).parents[1] / "studies"


def load(name: str, *, beside: bool = False):
    """Import a script; `beside` others that it imports."""
    if beside:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(STUDIES))
            return load(name)
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
    table = load("table", beside=True)
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
    table = load("table", beside=True)
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


def test_the_page_is_filled_between_its_markers_and_judges_nothing(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(STUDIES))
    page = load("page")
    assert page._number(-0.304) == "-.30"
    text = "before\n<!-- begin: a -->\nold\n<!-- end: a -->\nafter"
    filled = page.fill(text, "a", r"new \1")
    assert filled == "before\n<!-- begin: a -->\nnew \\1\n<!-- end: a -->\nafter"
    assert page.fill(filled, "a", "old") == text
    with pytest.raises(SystemExit, match="no place for 'b'"):
        page.fill(text, "b", "new")
    found = load("figures").compute_correlations(load_benchmark(), draws=20)
    rows = page.write_claims(found).splitlines()[2:]
    assert len(rows) == len(page.CLAIMS)
    assert all("| cannot be told" in row for row in rows)
    drawn = found["shuffled"].sel(brain="committed IT")
    assert drawn.sizes["shuffle"] >= 20
    assert np.isfinite(drawn).all()
    changed = page.write_change(found)
    assert "0 steps |" not in changed.replace("00 steps", "").replace("50 steps", "")
    assert changed.count("*its shuffles*") == 10
    assert page.write_sites(found).count("| committed V4") == 6


def test_the_change_since_step_0_of_what_does_not_change_is_0(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(STUDIES))
    figures = load("figures")
    pool = figures.choose_pool(load_benchmark()).isel(network=slice(12))
    first = pool.isel(rung=[0] * pool.sizes["rung"]).assign_coords(rung=pool["rung"])
    still = figures.read_scores(first)
    assert (still[f"IT{figures.CHANGE}"] == 0).all()
    scores, shuffles = figures.read_scores(pool), figures.read_shuffles(pool)
    gained = scores["committed V4"][..., -1] - scores["committed V4"][..., 0]
    np.testing.assert_array_equal(scores[f"committed V4{figures.CHANGE}"][..., -1], gained)
    assert shuffles[f"V4{figures.CHANGE}"].shape == shuffles["V4"].shape


def test_examples_are_counted_until_one_of_the_five_best_is_good(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(STUDIES))
    examples = load("examples")
    space = nasbench201_space(operations=("none", "nor_conv_3x3"))
    actions = np.array([[a, b, c, 0, 0, 0] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    score = np.arange(90.0, 98.0)
    zero = np.zeros(8)
    known = Table(space, actions, reward=score, cost=zero + 1, score=score)
    regrets = examples.draw_regrets(known, searches=200)
    assert (np.diff(regrets, axis=1) <= 0).all()  # with the truth as reward nothing good is lost
    assert (regrets[:, -1] == 0).all()
    assert examples.find_arrival(regrets) in (4, 5)  # the best is among the first half in half
    wrong = examples.draw_regrets(replace(known, reward=-score), searches=50)
    assert (wrong[:, -1] == 3).all()  # of the five worst the best
    assert examples.find_arrival(np.full((3, 4), 0.6)) == np.inf
    assert examples.count_examples(3, 100, 128, ()) == 3 * (12_800 + 5000 / 3)
    assert examples.count_examples(3, 100, 128, ("IT",)) == pytest.approx(3 * (12_800 + 5092 / 3))


@pytest.mark.parametrize(
    ("correlation", "partial", "ships", "why"),
    [
        (0.9, False, True, "The fitted weights ship: better"),
        (0.9, True, False, "the table is partial"),
        (0.3, False, False, "no better than shuffled teachers"),
    ],
)
def test_fitted_weights_ship_only_if_they_beat_those_of_shuffles(
    correlation, partial, ships, why
) -> None:
    fitted = FittedWeights({}, 1.0, correlation, 0.1, of_shuffles=tuple(np.linspace(0, 0.5, 99)))
    decided = load("fit").decide(fitted, partial=partial)
    assert decided[0] == ships
    assert why in decided[1]


def test_kept_weights_make_the_network_again_and_no_other(tmp_path: Path) -> None:
    kept = load("kept")
    architecture = kept.parse("313303")
    network = build_network(architecture, n_classes=10, seed=3).eval()
    path = keep_weights(network, tmp_path, "7_100")
    again = kept.load_kept(architecture, path)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(again(images), network(images), atol=1e-2, rtol=1e-2)
    with pytest.raises(ValueError, match="weights of another network"):
        kept.load_kept(kept.parse("111111"), path)


def test_weights_are_looked_up_among_networks_of_their_own_part(tmp_path: Path) -> None:
    find = load("kept").find_network
    for part, name in (("b", "003303"), ("e", "333313")):
        portion = xr.Dataset({"seed": ("network", [7])}, {"network": [name]})
        portion.to_netcdf(tmp_path / f"{part}_seed0.nc")
    assert find(tmp_path / "b" / "7_100.npz", tmp_path) == "003303"
    assert find(tmp_path / "e" / "7_100.npz", tmp_path) == "333313"
    with pytest.raises(ValueError, match="No portion of part 'g'"):
        find(tmp_path / "g" / "7_100.npz", tmp_path)


def test_no_two_trainings_keep_their_weights_in_the_same_file() -> None:
    run, table = load("run"), load("table", beside=True)
    kept = {}
    for part, seeds in table.SEEDS.items():
        file = tomllib.loads(run.find_file(part).read_text("utf-8"))
        if "weights" not in file["task"]:
            continue
        # Any number of portions up to 5 may have come before
        for seed in {s + n * run.NEXT for s in seeds for n in range(6)}:
            for candidate in range(file["candidates"]):
                own = np.random.SeedSequence((seed, candidate)).generate_state(1)[
                    0
                ]  # see run_search
                path = (file["task"]["weights"], int(own))
                assert kept.setdefault(path, (part, seed, candidate)) == (part, seed, candidate)
    assert {part for part, _, _ in kept.values()} == set("bcefg")


def test_asking_that_goes_on_keeps_what_was_found_before(tmp_path: Path) -> None:
    ask = load("ask", beside=True)
    first = {("003303", 0, "stem"): 2.0, ("003303", 100, "cell1"): 3.0}
    second = {("333313", 0, "stem"): 4.0}
    for found in (first, second, {("003303", 0, "stem"): 2.5}):
        ask.add_dimensionality(found, tmp_path / "dimensionality.nc")
    kept = ask.read_dimensionality(tmp_path / "dimensionality.nc")
    assert kept == {**first, **second, ("003303", 0, "stem"): 2.5}


def test_every_search_with_a_shuffled_teacher_counts_once() -> None:
    replays = load("replays", beside=True)
    space = small_space(1)
    actions = np.array([space.encode(space.sample(k)) for k in range(40)])
    _, first = np.unique(actions, axis=0, return_index=True)
    actions, number = actions[first], len(first)
    values = np.random.default_rng(0).random((4, number))
    ones = [Table(space, actions, row, np.ones(number), values[0]) for row in values[:3]]
    tables = {"P": ones[:1], "shuffled": ones}
    found = replays.find_regrets(tables, "random", 7, None)
    assert {name: one.shape for name, one in found.items()} == {
        "P": (7, len(replays.BUDGETS)), "shuffled": (7, len(replays.BUDGETS))
    }  # fmt: skip


def test_a_row_that_differs_from_the_table_is_named() -> None:
    compare = load("rebuild", beside=True).compare
    one, *_ = (m for m in read_measurements(load_benchmark().isel(network=[0]))[0] if m)
    compared, lines = compare(one, one)
    assert compared > 1000
    assert lines == []
    rung = replace(one.rungs[0], cross_entropy=one.rungs[0].cross_entropy + 0.001)
    _, lines = compare(one, replace(one, rungs=(rung, *one.rungs[1:])))
    assert len(lines) == 1
    assert lines[0].startswith("cross_entropy@0 is ")
