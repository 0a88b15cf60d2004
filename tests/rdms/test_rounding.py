"""What differs by rounding alone is the same: no rank, similarity or interval is made of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from made_responses import make_recording
from rsatoolbox.rdm import RDMs
from scipy.stats import kendalltau, rankdata
from torch import nn

from brainguided import Teacher, best_layers, compute_cka, compute_layer_rdms, compute_similarity
from brainguided.correspondence import bootstrap_similarity, permute_similarity
from brainguided.rdms import compare_rdms, compute_rdms
from brainguided.rdms.comparisons import COMPARISONS
from brainguided.rdms.ranks import FEW, rank_rows
from neural_data import simulate_macaque, stimuli_from_arrays


def make_rdm(patterns: np.ndarray, measure: str = "correlation") -> RDMs:
    names = [f"im{k}" for k in range(len(patterns))]
    responses = xr.DataArray(patterns, dims=("stimulus", "unit"), coords={"stimulus": names})
    return compute_rdms(responses, measure=measure)


@pytest.mark.parametrize("measure", ["correlation", "cosine"])
@pytest.mark.parametrize("method", [m for m in COMPARISONS if m != "rho-a"])
def test_an_rdm_that_is_0_but_for_rounding_is_refused_by_every_comparison(method, measure) -> None:
    generator = np.random.default_rng(0)
    gains = np.outer(generator.uniform(0.5, 3, 30), generator.normal(size=95))
    same, other = make_rdm(gains, measure), make_rdm(generator.normal(size=(30, 40)), measure)
    with pytest.raises(ValueError, match=r"numbers \[0\] are (constant|zero throughout)"):
        compare_rdms(same, other, method=method)


@pytest.mark.parametrize("method", COMPARISONS)
def test_an_rdm_with_ties_equals_itself_when_sites_are_summed_in_another_order(method) -> None:
    generator = np.random.default_rng(0)
    groups = generator.normal(size=(6, 95))[np.arange(30) // 5]
    groups = groups * generator.uniform(0.5, 3, 30)[:, None]
    a, b = make_rdm(groups), make_rdm(groups[:, generator.permutation(95)])
    assert compare_rdms(a, b, method=method).item() == pytest.approx(
        compare_rdms(a, a, method=method).item(), abs=1e-9
    )


@pytest.mark.parametrize("measure", ["squared euclidean", "euclidean"])
def test_patterns_that_differ_by_rounding_have_distance_0(measure) -> None:
    generator = np.random.default_rng(1)
    patterns = generator.normal(50, 10, (8, 40))
    patterns[1] = patterns[0] * (1 + 1e-16 * generator.normal(size=40))
    patterns[3] = patterns[2] + 1e-9
    matrix = make_rdm(patterns, measure).get_matrices()[0]
    assert matrix[0, 1] == 0
    assert matrix[2, 3] == pytest.approx(1e-9 if measure == "euclidean" else 1e-18, rel=1e-4)


@pytest.mark.parametrize("n", [3, 100, FEW - 1, FEW, 30_000])
@pytest.mark.parametrize("kind", range(6))
def test_ranks_equal_those_of_scipy(n, kind) -> None:
    generator = np.random.default_rng(n)
    uniform = generator.random((2, n))
    rows = [
        uniform,
        generator.normal(size=(2, n)),
        np.round(uniform * 50),
        1e9 * uniform.astype(np.float32),
        -1e-12 * uniform,
        np.where(uniform > 0.01, uniform * 1e-6, uniform),  # most of them close together
    ][kind]
    assert np.abs(rank_rows(rows) - rankdata(rows, axis=1)).max() <= 0.5
    if kind != 5:
        moved = np.mean(rank_rows(rows) != rankdata(rows, axis=1))
        assert moved < 1e-3  # numbers that are as near as rounding, by chance


@pytest.mark.parametrize("n", [200, 20_000])
def test_numbers_that_differ_by_rounding_are_tied(n) -> None:
    generator = np.random.default_rng(0)
    levels = generator.integers(1, 30 if n == 200 else n, (3, n)).astype(float)
    rounded = levels * (1 + 4e-16 * generator.normal(size=levels.shape))
    np.testing.assert_array_equal(rank_rows(rounded), rankdata(levels, axis=1))
    assert np.isnan(rank_rows(np.array([[1.0, np.nan, 2.0]]))).all()


@pytest.mark.parametrize("method", ["pearson", "whitened pearson", "spearman", "kendall"])
@pytest.mark.parametrize("single", [False, True])
def test_a_spread_of_a_millionth_of_the_mean_loses_no_digits(method, single) -> None:
    generator = np.random.default_rng(0)
    narrow = np.round(generator.random((2, 190)) * 2**20)  # whole, so that shifts are exact
    other = generator.random((4, 190))
    labels = {"stimulus": [f"im{k}" for k in range(20)]}
    sides = [RDMs(v, pattern_descriptors=dict(labels)) for v in (narrow, other)]
    expected = compare_rdms(*sides, method=method)
    lifted = RDMs(narrow + 2.0**40, pattern_descriptors=dict(labels))
    pairs = (lifted, sides[1].subset("index", [0]) if single else sides[1])
    found = compare_rdms(*pairs, method=method)
    np.testing.assert_allclose(found, expected[:, : found.shape[1]], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(compare_rdms(*pairs[::-1], method=method), found.T, atol=1e-13)
    own = compare_rdms(lifted, lifted, method=method)
    np.testing.assert_allclose(np.diag(own), 1.0, rtol=1e-12)


def test_a_layer_that_gives_one_answer_to_everything_resembles_nothing() -> None:
    recording, stimuli = simulate_macaque(n_v4=0, n_it=30, repetitions=4, seed=0)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2))
    with torch.no_grad():
        network[2].weight *= 1e-8  # the bias is all that is left, but for rounding
    teacher = Teacher.from_recording(recording, stimuli)
    similarity = compute_similarity(network, teacher)
    assert np.isnan(similarity.sel(layer="2")).all()
    assert np.isfinite(similarity.sel(layer="0")).all()
    assert best_layers(similarity) == {"IT": "0"}


@pytest.mark.parametrize("measure", ["correlation", "squared euclidean"])
def test_layers_in_which_images_hardly_differ_have_the_rdm_of_double_precision(measure) -> None:
    generator = np.random.default_rng(0)
    images = stimuli_from_arrays(
        generator.integers(0, 256, (30, 16, 16, 3), dtype=np.uint8),
        stimulus=[f"im{k}" for k in range(30)],
        source="noise",
    )
    torch.manual_seed(0)
    blocks: list[nn.Module] = []
    for k in range(10):
        blocks += [nn.Conv2d(16 if k else 3, 16, 3, padding=1), nn.ReLU()]
    network = nn.Sequential(*blocks)
    single = compute_layer_rdms(network, images, layers="19", measure=measure).dissimilarities
    double = compute_layer_rdms(
        network.double(), images, layers="19", measure=measure
    ).dissimilarities
    assert single.max() < 1e-5  # of 2 at most: biases decide
    np.testing.assert_allclose(single, double, rtol=1e-4)


def test_the_cka_of_a_side_that_is_constant_but_for_rounding_is_undefined() -> None:
    generator = np.random.default_rng(0)
    names = {"stimulus": [f"im{k}" for k in range(12)]}
    varied = xr.DataArray(generator.normal(size=(12, 9)), dims=("stimulus", "unit"), coords=names)
    flat = xr.ones_like(varied) * generator.normal(size=9) * (1 + 1e-16 * generator.random((12, 9)))
    assert np.isnan(compute_cka(varied, flat))
    assert np.isnan(compute_cka(varied, flat, debiased=True))
    assert np.isfinite(compute_cka(varied, varied * 1e-9 + 1e-8))


@pytest.mark.parametrize("method", [row.name for row in COMPARISONS.values() if row.missing])
def test_missing_pairs_are_left_out_pairwise_as_plain_numpy_does(method) -> None:
    generator = np.random.default_rng(0)
    vectors = [generator.gamma(2.0, 1.0, (n, 66)) for n in (3, 4)]
    vectors[0][0, :5] = vectors[0][1, 10:20] = vectors[1][2, 3:9] = np.nan
    vectors[1][3, :5] = np.nan
    names = {"stimulus": [f"im{k}" for k in range(12)]}
    a, b = (RDMs(v, pattern_descriptors=dict(names)) for v in vectors)
    found = compare_rdms(a, b, method=method, missing="pairwise")
    for i, x in enumerate(vectors[0]):
        for k, y in enumerate(vectors[1]):
            both = np.isfinite(x) & np.isfinite(y)
            u, v = x[both], y[both]
            n = len(u)
            ranks = rankdata(u) - (n + 1) / 2, rankdata(v) - (n + 1) / 2
            expected = {
                "pearson": lambda u=u, v=v: np.corrcoef(u, v)[0, 1],
                "cosine": lambda u=u, v=v: u @ v / np.sqrt(u @ u * (v @ v)),
                "spearman": lambda r=ranks: np.corrcoef(*r)[0, 1],
                "rho-a": lambda r=ranks, n=n: 12 * (r[0] @ r[1]) / (n**3 - n),
                "kendall": lambda u=u, v=v: kendalltau(u, v).statistic,
                "tau-a": lambda u=u, v=v: kendalltau(u, v).statistic,  # there are no ties
            }[method]()
            assert found[i, k] == pytest.approx(expected, abs=1e-12)


def test_missing_pairs_are_refused_unless_asked_for_and_where_they_cannot_be_left_out() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.random((2, 15))
    vectors[1, 4] = np.nan
    names = {"stimulus": [f"im{k}" for k in range(6)]}
    gap = RDMs(vectors, pattern_descriptors=dict(names))
    good = RDMs(generator.random((2, 15)), pattern_descriptors=dict(names))
    with pytest.raises(ValueError, match=r"numbers \[1\] hold NaN.*missing='pairwise'"):
        compare_rdms(gap, good)
    with pytest.raises(ValueError, match=r"pairwise for 'whitened pearson': .*one of 'pearson'"):
        compare_rdms(gap, good, method="whitened pearson", missing="pairwise")
    with pytest.raises(ValueError, match="'refuse', 'pairwise'"):
        compare_rdms(gap, good, missing="drop")  # type: ignore[arg-type]
    hardly = RDMs(np.where(np.arange(15) < 2, vectors, np.nan), pattern_descriptors=dict(names))
    with pytest.raises(ValueError, match="share 2 dissimilarities; 3 or more"):
        compare_rdms(hardly, good, missing="pairwise")
    infinite = RDMs(np.where(np.arange(15) < 2, np.inf, 1.0 + good.dissimilarities),
                    pattern_descriptors=dict(names))  # fmt: skip
    with pytest.raises(ValueError, match="hold NaN"):
        compare_rdms(infinite, good, missing="pairwise")
    for draw in (bootstrap_similarity, permute_similarity):
        with pytest.raises(ValueError, match=r"areas' RDMs .*numbers \[1\] hold NaN"):
            draw(good, gap)


def test_sites_whose_repetitions_differ_by_rounding_have_no_noise() -> None:
    from brainguided.rdms import compute_noise_precision
    from neural_data.errors import RecordingError

    recording = make_recording(0, repetitions=4)
    copied = recording["response"].copy()
    factors = 1 + 1e-16 * np.arange(4)
    index = {"site": 1}
    copied[index] = copied[index].isel(repetition=0, drop=True) * xr.DataArray(
        factors, dims="repetition"
    )
    with pytest.raises(RecordingError, match="no noise at all"):
        compute_noise_precision(recording.assign(response=copied + 1 / 3))
