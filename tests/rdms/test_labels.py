"""Comparisons of computed RDMs: only what carries the same labels is compared."""

from __future__ import annotations

import numpy as np
import pytest
from made_responses import make_responses

from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms
from neural_data.errors import AlignmentError


def test_comparing_with_itself_gives_one_and_with_an_affine_image_of_itself_too() -> None:
    rdms = compute_rdms(make_responses())
    assert compare_rdms(rdms, rdms) == pytest.approx(1)
    scaled = compute_rdms(make_responses())
    scaled.dissimilarities = 0.3 * scaled.dissimilarities + 0.1
    assert compare_rdms(rdms, scaled) == pytest.approx(1)


def test_compare_rdms_equals_rsatoolbox_and_is_symmetric() -> None:
    from rsatoolbox.rdm import compare, concat

    rdms = [compute_rdms(make_responses(seed=k)) for k in range(4)]
    a, b = concat(rdms[:2]), concat(rdms[1:])
    np.testing.assert_allclose(compare_rdms(a, b), compare(a, b, method="corr"), atol=1e-12)
    np.testing.assert_allclose(compare_rdms(a, b), compare_rdms(b, a).T, atol=1e-12)


def test_compare_rdms_refuses_stimuli_in_another_order() -> None:
    responses = make_responses()
    with pytest.raises(AlignmentError, match=r"same stimuli in another order: select with"):
        compare_rdms(compute_rdms(responses), compute_rdms(responses[::-1]))


def test_compare_rdms_refuses_other_stimuli_and_says_how_many_are_shared() -> None:
    a = make_responses()
    b = a.isel(stimulus=slice(0, 11))
    with pytest.raises(
        AlignmentError, match=r"12 stimuli and the second 11.* 11 stimuli in common"
    ):
        compare_rdms(compute_rdms(a), compute_rdms(b))
    strange = a.assign_coords(stimulus=[f"other {k}" for k in range(12)])
    with pytest.raises(AlignmentError, match=r"They have 0 stimuli in common: give both the same"):
        compare_rdms(compute_rdms(a), compute_rdms(strange))


def test_compare_rdms_refuses_unlabelled_rdms() -> None:
    from rsatoolbox.rdm import RDMs

    bare = RDMs(np.random.default_rng(0).random((1, 66)))
    with pytest.raises(AlignmentError, match="carry no labels"):
        compare_rdms(bare, bare)


def test_compare_rdms_refuses_constant_and_missing_dissimilarities() -> None:
    good, bad = compute_rdms(make_responses()), compute_rdms(make_responses())
    bad.dissimilarities = np.ones_like(bad.dissimilarities)
    with pytest.raises(ValueError, match=r"second RDMs .* constant"):
        compare_rdms(good, bad)
    bad.dissimilarities = np.full_like(bad.dissimilarities, np.nan)
    with pytest.raises(ValueError, match=r"first RDMs .* NaN"):
        compare_rdms(bad, good)
