"""The bootstrap against drawing one by one, and against the truth."""

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

from brainguided.correspondence.bootstrap import (
    bootstrap_similarity,
    bootstrap_sites,
    draw_times,
    share_of_sum,
    weigh_similarity,
)
from brainguided.rdms.distances import square_matrix
from brainguided.rdms.measures import pattern_distances
from neural_data.errors import AlignmentError


def make_rdms(patterns: list[np.ndarray], key: str) -> RDMs:
    vectors = np.stack([pattern_distances(p, "correlation") for p in patterns])
    return RDMs(
        vectors,
        rdm_descriptors={key: [f"{key}{k}" for k in range(len(patterns))]},
        pattern_descriptors={"stimulus": [f"im{k}" for k in range(len(patterns[0]))]},
    )


def make_patterns(seed: int, n: int, number: int, *, noise: float = 1.0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(n, 15))
    return [shared + noise * generator.normal(size=(n, 15)) for _ in range(number)]


@pytest.mark.parametrize("method", ["pearson", "cosine", "spearman"])
def test_draws_equal_subsampling_and_comparing_one_by_one(method) -> None:
    layers = make_rdms(make_patterns(0, 20, 3), "layer")
    areas = make_rdms(make_patterns(1, 20, 2), "area")
    found = bootstrap_similarity(layers, areas, draws=7, method=method, seed=3)
    times = draw_times(20, 7, 3)
    for draw, weights in enumerate(times):
        drawn = np.repeat(np.arange(20), weights.astype(int))
        rows, columns = np.triu_indices(len(drawn), 1)
        kept = drawn[rows] != drawn[columns]
        pairs = drawn[rows[kept]], drawn[columns[kept]]
        x = np.stack([square_matrix(v)[pairs] for v in layers.dissimilarities])
        y = np.stack([square_matrix(v)[pairs] for v in areas.dissimilarities])
        if method == "spearman":
            from scipy.stats import rankdata

            x, y = rankdata(x, axis=1), rankdata(y, axis=1)
        if method != "cosine":
            x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
        size = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
        np.testing.assert_allclose(found[draw], x @ y.T / size, atol=1e-8)
    assert found.dims == ("bootstrap", "layer", "area")
    assert found["layer"].values.tolist() == ["layer0", "layer1", "layer2"]


def test_weights_of_one_give_the_similarity_itself_and_zeros_leave_conditions_out() -> None:
    from brainguided.rdms.compare import compare_rdms

    layers = make_rdms(make_patterns(0, 20, 3), "layer")
    areas = make_rdms(make_patterns(1, 20, 2), "area")
    vectors = [list(r.dissimilarities) for r in (layers, areas)]
    everything = weigh_similarity(*vectors, np.ones((1, 20)))[0]
    np.testing.assert_allclose(everything, compare_rdms(layers, areas), atol=1e-12)
    half = np.arange(20) < 10
    parts = [r.subset_pattern("index", np.flatnonzero(half)) for r in (layers, areas)]
    found = weigh_similarity(*vectors, half[None].astype(float))[0]
    np.testing.assert_allclose(found, compare_rdms(*parts), atol=1e-12)


def test_the_same_seed_gives_the_same_draws_and_another_one_others() -> None:
    layers, areas = (
        make_rdms(make_patterns(0, 12, 2), "layer"),
        make_rdms(make_patterns(1, 12, 1), "area"),
    )
    one, same = (bootstrap_similarity(layers, areas, draws=9, seed=1) for _ in range(2))
    other = bootstrap_similarity(layers, areas, draws=9, seed=2)
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_drawing_each_site_once_changes_nothing() -> None:
    patterns = make_patterns(0, 20, 2)
    layers = [pattern_distances(patterns[1], "correlation")]
    area = pattern_distances(patterns[0], "correlation")
    expected = weigh_similarity(layers, [area], np.ones((1, 20)))[0, :, 0]
    once = bootstrap_sites(layers, patterns[0], np.ones((1, 15)))
    np.testing.assert_allclose(once[0], expected, atol=1e-12)
    times = draw_times(20, 4, 0)
    both = bootstrap_sites(layers, patterns[0], np.ones((4, 15)), times)
    np.testing.assert_allclose(
        both[:, 0], weigh_similarity(layers, [area], times)[:, 0, 0], atol=1e-12
    )


@pytest.mark.filterwarnings("ignore:Conditions are grouped:UserWarning")
@pytest.mark.parametrize("method", ["pearson", "cosine", "spearman"])
def test_units_are_drawn_with_all_their_stimuli_and_copies_are_not_compared(method) -> None:
    layers = make_rdms(make_patterns(0, 20, 2), "layer")
    areas = make_rdms(make_patterns(1, 20, 1), "area")
    kinds = ["abcdefg"[k % 7] for k in range(20)]
    areas.pattern_descriptors["category"] = kinds
    found = bootstrap_similarity(layers, areas, draws=7, method=method, seed=3)
    assert found.attrs["unit"] == "category"
    plain = bootstrap_similarity(layers, areas, draws=7, method=method, seed=3, unit="stimulus")
    assert plain.attrs["unit"] == "stimulus"
    assert not np.allclose(plain, found)
    for draw, times in enumerate(draw_times(7, 7, 3)):
        rows = [  # (stimulus, unit, copy), one for each time it came up
            (k, kind, copy)
            for k, kind in enumerate(kinds)
            for copy in range(int(times["abcdefg".index(kind)]))
        ]
        pairs = [
            (a[0], b[0])
            for n, a in enumerate(rows)
            for b in rows[n + 1 :]
            if a[1] != b[1] or (a[2] == b[2] and a[0] != b[0])
        ]
        assert len(pairs) > 20
        x, y = (
            np.stack([square_matrix(v)[tuple(zip(*pairs, strict=True))] for v in r.dissimilarities])
            for r in (layers, areas)
        )
        if method == "spearman":
            from scipy.stats import rankdata

            x, y = rankdata(x, axis=1), rankdata(y, axis=1)
        if method != "cosine":
            x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
        size = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
        np.testing.assert_allclose(found[draw], x @ y.T / size, atol=1e-8)


def test_what_belongs_to_stimuli_and_sites_at_once_is_counted_once() -> None:
    generator = np.random.default_rng(0)
    a, b, rest = generator.normal(0, 1, (3, 20000, 1))
    # each factor's draws hold what belongs to both once, joint draws three times
    share = share_of_sum(a + rest, b + rest, a + b + np.sqrt(3) * rest, np.array([2.0]))
    assert share[0] == pytest.approx(3 / 4, abs=0.02)


def test_what_cannot_be_drawn_is_refused() -> None:
    layers = make_rdms(make_patterns(0, 12, 2), "layer")
    other = make_rdms(make_patterns(0, 13, 1), "area")
    with pytest.raises(AlignmentError, match="13"):
        bootstrap_similarity(layers, other)
    with pytest.raises(ValueError, match="whitening is not defined"):
        bootstrap_similarity(layers, layers, method="whitened cosine")
    with pytest.raises(ValueError, match="1 or more"):
        bootstrap_similarity(layers, layers, draws=0)
    layers.pattern_descriptors["session"] = ["a", "b", "c"] * 4
    with pytest.raises(ValueError, match=r"3 units \(session\); 6 or more"):
        bootstrap_similarity(layers, layers)
    with pytest.raises(ValueError, match="measure of mean responses"):
        bootstrap_sites([], np.zeros((3, 3)), np.ones((1, 3)), measure="crossnobis")
