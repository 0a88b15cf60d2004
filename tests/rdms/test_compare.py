"""Comparisons of RDMs against rsatoolbox, and what theory says of them."""

import numpy as np
import pytest
import xarray as xr
from reordered_rdms import reorder
from rsatoolbox.rdm import RDMs, compare

from brainguided.rdms.compare import align_rdms, compare_rdms, prepare_rdms
from brainguided.rdms.comparisons import COMPARISONS
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.distances import square_matrix
from brainguided.rdms.whitening import condition_sums
from neural_data.errors import AlignmentError

THEIRS = {
    "pearson": "corr",
    "cosine": "cosine",
    "spearman": "spearman",
    "rho-a": "rho-a",
    "kendall": "kendall",
    "tau-a": "tau-a",
    "whitened pearson": "corr_cov",
    "whitened cosine": "cosine_cov",
}


def make_rdms(generator: np.random.Generator, number: int, n: int, *, ties: bool) -> RDMs:
    vectors = generator.gamma(2.0, 1.0, (number, n * (n - 1) // 2))
    vectors += generator.gamma(2.0, 1.0, vectors.shape[1])
    if ties:
        vectors = np.round(vectors)
        vectors[:, :2] = [0.0, 5.0]  # never constant
    return RDMs(vectors, pattern_descriptors={"stimulus": [f"im{k}" for k in range(n)]})


@pytest.mark.parametrize("method", COMPARISONS)
@pytest.mark.parametrize("seed", range(20))
def test_every_comparison_equals_rsatoolbox(seed, method) -> None:
    generator = np.random.default_rng(seed)
    n = int(generator.integers(3, 40)) if seed else 3
    a, b = (make_rdms(generator, k, n, ties=seed % 2 == 1) for k in (3, 4))
    theirs = compare(a, b, method=THEIRS[method])
    np.testing.assert_allclose(compare_rdms(a, b, method=method), theirs, atol=1e-10)
    once = prepare_rdms(a, method=method)
    np.testing.assert_allclose(compare_rdms(once, b, method=method), theirs, atol=1e-10)


@pytest.mark.parametrize("method", ["pearson", "cosine", "whitened pearson", "whitened cosine"])
@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("dtype", [np.float32, float])
def test_rdms_of_more_than_one_tile_equal_rsatoolbox(method, number, dtype) -> None:
    generator = np.random.default_rng(number)
    a, b = (make_rdms(generator, k, 190, ties=False) for k in (number, 9))
    for rdms in (a, b):
        rdms.dissimilarities = rdms.dissimilarities.astype(dtype)
    theirs = compare(a, b, method=THEIRS[method])
    digits = 1e-10 if dtype is float else 1e-5
    np.testing.assert_allclose(compare_rdms(a, b, method=method), theirs, atol=digits)
    np.testing.assert_allclose(compare_rdms(b, a, method=method), theirs.T, atol=digits)


@pytest.mark.parametrize("n", [2, 3, 4, 50])
def test_sums_over_the_pairs_of_a_condition_are_those_of_the_square_matrix(n) -> None:
    vectors = np.random.default_rng(n).normal(size=(3, n * (n - 1) // 2))
    squares = [square_matrix(vector).sum(0) for vector in vectors]
    np.testing.assert_allclose(condition_sums(vectors), squares, atol=1e-12)
    np.testing.assert_allclose(condition_sums(vectors[:, ::-1])[:, ::-1].sum(1), np.sum(squares, 1))


@pytest.mark.parametrize("method", ["whitened pearson", "whitened cosine"])
@pytest.mark.parametrize("seed", range(20))
def test_whitening_with_a_covariance_equals_rsatoolbox(seed, method) -> None:
    generator = np.random.default_rng(seed)
    n = int(generator.integers(4, 20))
    a, b = (make_rdms(generator, k, n, ties=False) for k in (2, 3))
    root = generator.normal(size=(n, 3 * n))
    covariance = root @ root.T / (3 * n)
    theirs = explicit_whitening(a, b, method, covariance)
    ours = compare_rdms(a, b, method=method, covariance=covariance)
    np.testing.assert_allclose(ours, theirs, atol=1e-10)
    toolbox = compare(a, b, method=THEIRS[method], sigma_k=covariance)
    np.testing.assert_allclose(ours, toolbox, atol=1e-4)  # conjugate gradients there
    once = prepare_rdms(b, method=method, covariance=covariance)
    found = compare_rdms(a, once, method=method, covariance=covariance)
    np.testing.assert_allclose(found, theirs, atol=1e-10)


def explicit_whitening(a: RDMs, b: RDMs, method: str, covariance: np.ndarray) -> np.ndarray:
    """By the matrix of pairs x pairs that is never formed otherwise."""
    n = a.n_cond
    i, j = np.triu_indices(n, 1)
    contrasts = np.eye(n)[i] - np.eye(n)[j]
    v = (contrasts @ covariance @ contrasts.T) ** 2
    x, y = a.dissimilarities, b.dissimilarities
    if method.endswith("pearson"):
        x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    inner = x @ np.linalg.solve(v, y.T)
    size = [np.sqrt(np.sum(z.T * np.linalg.solve(v, z.T), 0)) for z in (x, y)]
    return inner / np.outer(*size)


@pytest.mark.parametrize("method", COMPARISONS)
def test_an_rdm_resembles_itself_perfectly_and_comparison_is_symmetric(method) -> None:
    rdms = make_rdms(np.random.default_rng(0), 3, 12, ties=False)
    found = compare_rdms(rdms, rdms, method=method)
    np.testing.assert_allclose(np.diag(found), 1.0, atol=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert (np.abs(found) <= 1).all()


@pytest.mark.parametrize("method", COMPARISONS)
def test_scaling_and_permuting_all_conditions_changes_no_comparison(method) -> None:
    generator = np.random.default_rng(1)
    a, b = (make_rdms(generator, 2, 10, ties=True) for _ in range(2))
    expected = compare_rdms(a, b, method=method)
    scaled = RDMs(a.dissimilarities * 3, pattern_descriptors=a.pattern_descriptors)
    np.testing.assert_allclose(compare_rdms(scaled, b, method=method), expected, atol=1e-12)
    order = generator.permutation(10)
    moved = [reorder(x, order) for x in (a, b)]
    np.testing.assert_allclose(compare_rdms(*moved, method=method), expected, atol=1e-12)
    if "cosine" not in method:
        shifted = RDMs(a.dissimilarities + 3, pattern_descriptors=a.pattern_descriptors)
        np.testing.assert_allclose(compare_rdms(shifted, b, method=method), expected, atol=1e-10)


def test_shuffled_stimuli_with_true_labels_are_refused_and_aligned_to_1() -> None:
    rdms = make_rdms(np.random.default_rng(0), 2, 30, ties=False)
    moved = reorder(rdms, np.random.default_rng(1).permutation(30))
    assert compare(rdms, moved, method="corr")[0, 0] < 0.5  # what rsatoolbox says, silently
    with pytest.raises(AlignmentError, match="same stimuli in another order"):
        compare_rdms(rdms, moved)
    aligned = align_rdms(moved, rdms)
    assert aligned.pattern_descriptors["stimulus"] == rdms.pattern_descriptors["stimulus"]
    np.testing.assert_allclose(np.diag(compare_rdms(rdms, aligned)), 1.0)
    np.testing.assert_array_equal(aligned.dissimilarities, rdms.dissimilarities)


def test_conditions_in_an_order_that_is_not_alphabetical_stay_with_their_labels() -> None:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    patterns = np.random.default_rng(0).normal(size=(12, 8))
    labels = [f"im{k}" for k in range(12)]  # sorted by rsatoolbox: im0, im1, im10, im11, im2
    responses = xr.DataArray(
        patterns, dims=("stimulus", "site"), coords={"stimulus": labels}, name="IT"
    )
    ours = compute_rdms(responses)
    data = Dataset(patterns, obs_descriptors={"stimulus": labels})
    theirs = calc_rdm(data, method="correlation", descriptor="stimulus")
    assert compare(ours, theirs, method="corr")[0, 0] < 0.9
    with pytest.raises(AlignmentError, match="another order"):
        compare_rdms(ours, theirs)
    assert compare_rdms(ours, align_rdms(theirs, ours)) == pytest.approx(1)


def test_align_rdms_refuses_other_stimuli() -> None:
    a = make_rdms(np.random.default_rng(0), 1, 5, ties=False)
    b = RDMs(a.dissimilarities, pattern_descriptors={"stimulus": list("abcde")})
    with pytest.raises(AlignmentError, match="0 stimuli in common"):
        align_rdms(a, b)


def test_what_cannot_be_compared_is_named() -> None:
    good = make_rdms(np.random.default_rng(0), 3, 5, ties=False)
    vectors = good.dissimilarities.copy()
    vectors[1] = 2.0
    flat = RDMs(vectors, pattern_descriptors=good.pattern_descriptors)
    for method in set(COMPARISONS) - {"cosine", "whitened cosine", "rho-a"}:
        with pytest.raises(ValueError, match=r"second RDMs .*numbers \[1\] are constant"):
            compare_rdms(good, flat, method=method)
    assert np.isfinite(compare_rdms(good, flat, method="cosine")).all()
    vectors = good.dissimilarities.copy()
    vectors[2, 0] = np.nan
    gap = RDMs(vectors, pattern_descriptors=good.pattern_descriptors)
    for method in COMPARISONS:
        with pytest.raises(ValueError, match=r"first RDMs .*numbers \[2\] hold NaN"):
            compare_rdms(gap, good, method=method)
    with pytest.raises(ValueError, match="it is one of 'pearson', 'cosine'"):
        compare_rdms(good, good, method="corr")
    with pytest.raises(ValueError, match="prepared for 'spearman'"):
        compare_rdms(prepare_rdms(good, method="spearman"), good)
    with pytest.raises(ValueError, match="whitened comparisons, not for 'pearson'"):
        compare_rdms(good, good, covariance=np.eye(5))
    with pytest.raises(ValueError, match="not positive definite"):
        compare_rdms(good, good, method="whitened cosine", covariance=np.zeros((5, 5)))
    once = prepare_rdms(good, method="whitened cosine", covariance=np.eye(5))
    with pytest.raises(ValueError, match="another covariance"):
        compare_rdms(once, good, method="whitened cosine")


def test_single_precision_rdms_are_compared_in_double_precision() -> None:
    generator = np.random.default_rng(0)
    a = make_rdms(generator, 2, 60, ties=False)
    b = make_rdms(generator, 2, 60, ties=False)
    single = RDMs(b.dissimilarities.astype(np.float32), pattern_descriptors=b.pattern_descriptors)
    double = RDMs(single.dissimilarities.astype(float), pattern_descriptors=b.pattern_descriptors)
    for method in ("pearson", "whitened pearson", "spearman"):
        found = compare_rdms(a, single, method=method)
        np.testing.assert_allclose(found, compare_rdms(a, double, method=method), atol=1e-12)
