"""The tables of measures and comparisons: what a row says is what happens, everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_responses import make_recording
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import cdist, pdist
from torch import nn

from brainguided import Inference, Teacher, compute_similarity, correspondence_from_rdms
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.comparisons import COMPARISONS, Comparison
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.measures import MEASURES, Measure, read_measure
from neural_data import stimuli_from_arrays
from neural_data.errors import RecordingError


@pytest.mark.parametrize("row", MEASURES.values(), ids=lambda row: row.name)
def test_every_measure_is_documented_and_says_what_layers_are_compared_by(row) -> None:
    assert f'"{row.name}"' in (compute_rdms.__doc__ or "")
    assert (row.distances is None) != (row.of_recording is None)
    assert MEASURES[row.for_layers].from_gram is not None
    assert row.source


@pytest.mark.parametrize("row", COMPARISONS.values(), ids=lambda row: row.name)
def test_every_comparison_is_documented_and_needs_as_many_conditions_as_it_says(row) -> None:
    assert f'"{row.name}"' in (compare_rdms.__doc__ or "")
    assert row.source
    few = RDMs(np.ones((1, 1)), pattern_descriptors={"stimulus": ["a", "b"]})
    with pytest.raises(ValueError, match=f"2 conditions; '{row.name}' is defined for 3 or more"):
        compare_rdms(few, few, method=row.name)


def test_no_two_measures_share_a_spelling() -> None:
    spellings = [s for row in MEASURES.values() for s in (row.name, *row.spellings)]
    assert len(set(spellings)) == len(spellings)
    for row in MEASURES.values():
        for spelling in (row.name, row.label, *row.spellings):
            assert read_measure(spelling) is row
            assert read_measure(f" {spelling.upper()} ".replace("-", "\N{MINUS SIGN}")) is row


def test_a_new_measure_is_its_row(monkeypatch) -> None:
    row = Measure(
        "city block",
        "the test",
        distances=lambda patterns: pdist(patterns, "cityblock"),
        power=1,
        fewest_sites=4,
        spellings=("L1",),
        for_layers="euclidean",
    )
    monkeypatch.setitem(MEASURES, row.name, row)
    recording = make_recording(0)
    mean = recording["response"].mean("repetition").transpose("stimulus", "site").values
    rdms = compute_rdms(recording, measure="city block")
    expected = cdist(mean, mean, "cityblock")[np.triu_indices(len(mean), 1)]
    np.testing.assert_allclose(rdms.dissimilarities[0], expected)
    with pytest.raises(RecordingError, match="3 sites: at least 3 x 4 are needed"):
        compute_rdms(recording.isel(site=slice(0, 3)), measure="city block")
    names = recording["stimulus"].values.tolist()
    images = stimuli_from_arrays(
        np.random.default_rng(0).integers(0, 256, (len(names), 8, 8, 3), dtype=np.uint8),
        stimulus=names,
        source="noise",
    )
    teacher = Teacher.from_recording(recording, images, measure="city block")
    assert teacher.targets[0].measure == "city block"
    found = compute_similarity(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), teacher)
    assert np.isfinite(found).all()
    rdms.dissimilarity_measure = "l1"
    assert Teacher.from_rdms(rdms, images).targets[0].measure == "city block"


def test_a_new_comparison_is_its_row(monkeypatch) -> None:
    def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return 1 / (1 + cdist(a, b, "cityblock"))

    row = Comparison("overlap", "the test", function=overlap, draws="anew")
    monkeypatch.setitem(COMPARISONS, row.name, row)
    recording = make_recording(0)
    names = recording["stimulus"].values.tolist()
    images = stimuli_from_arrays(
        np.random.default_rng(0).integers(0, 256, (len(names), 8, 8, 3), dtype=np.uint8),
        stimulus=names,
        source="noise",
    )
    teacher = Teacher.from_recording(recording, images)
    layer = compute_rdms(recording.isel(repetition=[0]))
    layer.rdm_descriptors["layer"] = ["one"]
    few = Inference(draws=20, permutations=20, splits=4)
    found = correspondence_from_rdms(layer, teacher, method="overlap", inference=few)
    area = compute_rdms(recording)
    expected = 1 / (1 + np.abs(layer.dissimilarities - area.dissimilarities).sum())
    assert found["similarity"].item() == pytest.approx(expected)
    assert compare_rdms(layer, area, method="overlap").item() == pytest.approx(expected)
    for name in ("similarity_interval", "p_value", "committed_similarity", "null_best"):
        assert np.isfinite(found[name]).all(), name


def test_published_rdms_are_compared_by_the_measure_that_they_name() -> None:
    from brainguided import compute_layer_rdms

    generator = np.random.default_rng(0)
    names = [f"im{k}" for k in range(20)]
    images = stimuli_from_arrays(
        generator.integers(0, 256, (20, 12, 12, 3), dtype=np.uint8), stimulus=names, source="noise"
    )
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3))
    for measure in ("correlation", "cosine", "squared euclidean", "euclidean"):
        own = compute_layer_rdms(network, images, layers="2", measure=measure)
        for spelling in (measure, *MEASURES[measure].spellings):
            rdms = RDMs(
                own.dissimilarities.astype(float),
                dissimilarity_measure=spelling,
                rdm_descriptors={"area": ["IT"]},
                pattern_descriptors={"stimulus": names},
            )
            teacher = Teacher.from_rdms(rdms, images)
            assert compute_similarity(network, teacher, layers="2").item() == pytest.approx(1)
    rdms.dissimilarity_measure = "percentile of 1 - rho"
    with pytest.raises(ValueError, match=r"'percentile of 1 - rho' is unknown.*'correlation' \(or"):
        Teacher.from_rdms(rdms, images)


def test_measures_that_need_repetitions_are_refused_where_there_are_means_only() -> None:
    from brainguided.rdms.measures import gram_distances, pattern_distances

    with pytest.raises(ValueError, match="'crossnobis', which needs single repetitions"):
        pattern_distances(np.eye(4), "crossnobis")
    with pytest.raises(ValueError, match="layers are compared by one of 'correlation'"):
        gram_distances(np.eye(4), np.ones(4), 4, "poisson")
    means = make_recording(0)["response"].mean("repetition")
    with pytest.raises(RecordingError, match="no single repetitions"):
        compute_rdms(means, measure="mahalanobis")


def test_complex_responses_are_refused_instead_of_losing_their_imaginary_part() -> None:
    from brainguided import compute_cka

    complex_ones = xr.DataArray(
        np.random.default_rng(0).normal(size=(5, 6, 2)) @ np.array([1, 1j]),
        dims=("stimulus", "unit"),
        coords={"stimulus": list("abcde")},
        name="fourier",
    )
    for statistic in (compute_rdms, lambda x: compute_cka(x, x)):
        with pytest.raises(RecordingError, match=r"fourier hold complex128; real numbers"):
            statistic(complex_ones)
    rdms = RDMs(np.ones((1, 3)) * 1j, pattern_descriptors={"stimulus": list("abc")})
    with pytest.raises(ValueError, match="dissimilarities are real numbers"):
        compare_rdms(rdms, rdms)


def test_the_number_1_and_the_text_1_are_not_one_group() -> None:
    responses = xr.DataArray(
        np.random.default_rng(0).normal(size=(6, 5)),
        dims=("stimulus", "unit"),
        coords={
            "stimulus": list("abcdef"),
            "group": ("stimulus", np.array([1, "1", 2, 2, 3, 4], dtype=object)),
        },
    )
    with pytest.raises(RecordingError, match=r"'group' holds both the text and the number \['1'\]"):
        compute_rdms(responses, by="group")
    same = responses.assign_coords(group=("stimulus", [1, 1, 2, 2, 3, 4]))
    assert compute_rdms(same, by="group").n_cond == 4
