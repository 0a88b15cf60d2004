"""Ceilings over other sites and other animals: known truth, agreement, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from brainguided.correspondence import (
    compute_animal_ceiling,
    compute_site_ceiling,
)
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms
from neural_data import recording_from_arrays, select_recording
from neural_data.errors import RecordingError

NAMES = [f"im{k}" for k in range(40)]


def make_sites(seed: int, n_sites: int, *, noise: float = 0.5, animals: int = 1):
    """Sites drawn from a population with random tuning to six features of the stimuli."""
    rng = np.random.default_rng([seed, 1])
    features = np.random.default_rng(seed).normal(size=(40, 6))
    signal = 5 + features @ rng.normal(size=(6, n_sites))
    response = signal[:, None] + noise * rng.normal(size=(40, 4, n_sites))
    return recording_from_arrays(
        response,
        stimulus=NAMES,
        site=[f"s{k}" for k in range(n_sites)],
        area="IT",
        units="z",
        source="made up",
        animal=[f"m{k % animals}" for k in range(n_sites)],
    )


@pytest.mark.parametrize("n_sites", [15, 20, 40])
@pytest.mark.parametrize("measure", ["squared euclidean", "correlation"])
def test_the_ceiling_over_sites_is_the_similarity_to_the_whole_population(measure, n_sites) -> None:
    found, reached = [], []
    for seed in range(12):
        recording = make_sites(seed, 3000)
        sample = recording.isel(site=slice(n_sites))
        ceiling = compute_site_ceiling(sample, measure=measure, splits=10, seed=seed)
        found.append(float(ceiling.sel(area="IT")))
        rdms = [compute_rdms(r, measure=measure) for r in (sample, recording)]
        reached.append(compare_rdms(*rdms)[0, 0])
    assert np.mean(found) == pytest.approx(np.mean(reached), abs=0.04)
    assert 0.5 < np.mean(reached) < 0.99


def test_few_sites_or_noise_have_no_ceiling_over_sites() -> None:
    assert np.isnan(compute_site_ceiling(make_sites(0, 5))).all()
    noise = [
        float(compute_site_ceiling(make_sites(seed, 20, noise=1e3), splits=4)[0])
        for seed in range(6)
    ]
    assert np.isnan(noise).any()
    assert np.nanmax([0.0, *noise]) < 0.5
    with pytest.raises(ValueError, match="splits is 0"):
        compute_site_ceiling(make_sites(0, 20), splits=0)


def test_a_given_noise_is_that_of_the_sites_of_each_half() -> None:
    recording = make_sites(0, 20)
    weights = np.r_[np.ones(10), np.full(10, 1e-9)]
    given = compute_site_ceiling(
        recording, measure="mahalanobis", noise={"IT": np.diag(weights)}, splits=20
    )
    equal = compute_site_ceiling(recording, measure="mahalanobis", noise="identity", splits=20)
    assert float(given[0]) < float(equal[0])


def test_the_ceiling_over_animals_is_that_of_their_rdms() -> None:
    recording = make_sites(0, 30, animals=3)
    found = compute_animal_ceiling(recording, method="pearson")
    rdms = [
        compute_rdms(select_recording(recording, animal=f"m{k}")).dissimilarities[0]
        for k in range(3)
    ]
    rdms = [(v - v.mean()) / np.linalg.norm(v - v.mean()) for v in rdms]
    upper = np.mean([np.corrcoef(v, sum(rdms))[0, 1] for v in rdms])
    lower = np.mean([np.corrcoef(v, sum(w for w in rdms if w is not v))[0, 1] for v in rdms])
    np.testing.assert_allclose(found.sel(area="IT"), [lower, upper])
    assert np.isnan(compute_animal_ceiling(make_sites(0, 30))).all()
    with pytest.raises(RecordingError, match="No coordinate 'animal'"):
        compute_animal_ceiling(recording.drop_vars("animal"))
