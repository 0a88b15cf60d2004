"""Dissimilarities: theorems, oracles, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_responses import make_binned, make_responses

from brainguided.networks.grams import add_patterns, distances_from_moments, start_moments
from brainguided.rdms.compute import compute_rdms, upper_triangle
from brainguided.rdms.distances import square_matrix
from neural_data.errors import RecordingError
from neural_data.formats.cowley2023 import read_cowley2023
from neural_data.model.recording import (
    average_repetitions,
    open_recording,
    recording_from_arrays,
    save_recording,
    select_recording,
)


def distances(responses: xr.DataArray, **options: str) -> np.ndarray:
    return compute_rdms(responses, **options).get_matrices()[0]


def test_compute_rdms_equals_one_minus_corrcoef() -> None:
    responses = make_responses()
    np.testing.assert_allclose(distances(responses), 1 - np.corrcoef(responses.values), atol=1e-12)


def test_compute_rdms_equals_rsatoolbox() -> None:
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    responses = make_responses(20, 57, seed=3)
    oracle = calc_rdm(Dataset(responses.values), method="correlation")
    np.testing.assert_allclose(
        compute_rdms(responses).dissimilarities, oracle.dissimilarities, atol=1e-12
    )


def test_distances_do_not_change_with_the_order_of_sites_scale_or_a_constant_per_pattern() -> None:
    responses = make_responses()
    expected = distances(responses)
    order = np.random.default_rng(1).permutation(responses.sizes["site"])
    pattern_shift = xr.DataArray(np.arange(12.0), dims="stimulus")
    for changed in (responses[:, order], 3.5 * responses, responses + pattern_shift):
        np.testing.assert_allclose(distances(changed), expected, atol=1e-12)


def test_distances_change_when_each_site_is_centred() -> None:
    responses = make_responses()
    centred = responses - responses.mean("stimulus")
    assert np.abs(distances(centred) - distances(responses)).max() > 0.1


def test_distances_follow_the_order_of_stimuli() -> None:
    responses = make_responses()
    order = np.random.default_rng(2).permutation(12)
    shuffled = compute_rdms(responses[order])
    np.testing.assert_allclose(
        shuffled.get_matrices()[0], distances(responses)[np.ix_(order, order)], atol=1e-12
    )
    assert shuffled.pattern_descriptors["stimulus"] == responses["stimulus"].values[order].tolist()


def test_gram_in_chunks_of_single_precision_agrees_with_corrcoef_to_1e_5() -> None:
    patterns = np.random.default_rng(4).random((40, 20_001)).astype(np.float32) + 3
    moments = start_moments(40)
    add_patterns(moments, patterns, chunk=777)
    expected = upper_triangle(1 - np.corrcoef(patterns.astype(float)))
    np.testing.assert_allclose(distances_from_moments(moments), expected, atol=1e-5)


def test_a_silent_pattern_is_at_distance_one_from_all_others() -> None:
    patterns = np.random.default_rng(5).random((5, 9))
    patterns[2] = 0.7
    moments = start_moments(5)
    add_patterns(moments, patterns)
    matrix = square_matrix(distances_from_moments(moments))
    np.testing.assert_allclose(matrix[2], [1, 1, 0, 1, 1])


def test_object_rdm_is_the_rdm_of_object_means_in_order_of_appearance() -> None:
    responses = make_responses()
    rdms = compute_rdms(responses, by="object_name")
    means = responses.values.reshape(4, 3, -1).mean(1)
    np.testing.assert_allclose(rdms.get_matrices()[0], 1 - np.corrcoef(means), atol=1e-12)
    assert rdms.pattern_descriptors["object_name"] == [f"object{k}" for k in range(4)]
    assert rdms.pattern_descriptors["category"] == ["category0"] * 2 + ["category1"] * 2
    assert "stimulus" not in rdms.pattern_descriptors


def test_object_labels_are_not_sorted_alphabetically() -> None:
    responses = make_responses(6)
    names = ["im10", "im10", "im2", "im2", "im1", "im1"]
    rdms = compute_rdms(responses.assign_coords(object_name=("stimulus", names)), by="object_name")
    assert rdms.pattern_descriptors["object_name"] == ["im10", "im2", "im1"]


def test_a_recording_gives_one_rdm_an_area_from_its_own_sites() -> None:
    responses = make_responses(10, 20)
    recording = recording_from_arrays(
        responses.values,
        stimulus=responses["stimulus"].values,
        site=[f"s{k}" for k in range(20)],
        area=["V4"] * 8 + ["IT"] * 12,
        units="spikes/s",
        source="made up",
    )
    rdms = compute_rdms(recording)
    assert list(rdms.rdm_descriptors["area"]) == ["V4", "IT"]
    assert list(rdms.rdm_descriptors["n_sites"]) == [8, 12]
    np.testing.assert_allclose(
        rdms.get_matrices()[1], 1 - np.corrcoef(responses.values[:, 8:]), atol=1e-12
    )


def test_compute_rdms_lists_every_problem_at_once() -> None:
    responses = make_responses(6, 30)
    responses[1] = 4.0
    responses = responses.assign_coords(stimulus=["a", "b", "c", "d", "e", "a"])
    with pytest.raises(RecordingError, match="same response at every site") as caught:
        compute_rdms(responses)
    assert "labels repeat" in str(caught.value)
    responses[2, 3] = np.nan
    with pytest.raises(RecordingError, match="missing or infinite"):
        compute_rdms(responses)


def test_compute_rdms_refuses_repetitions_too_few_sites_and_unknown_conditions() -> None:
    with pytest.raises(RecordingError, match=r"'repetition'.*Average or select"):
        compute_rdms(make_responses().expand_dims(repetition=2))
    with pytest.raises(RecordingError, match="at least 3 x 3"):
        compute_rdms(make_responses(12, 2))
    with pytest.raises(RecordingError, match=r"'pose'.*object_name"):
        compute_rdms(make_responses(), by="pose")


def test_upper_triangle_is_in_the_order_of_rsatoolbox() -> None:
    from scipy.spatial.distance import squareform

    matrix = np.corrcoef(np.random.default_rng(0).random((7, 5)))
    np.testing.assert_array_equal(upper_triangle(matrix), squareform(matrix, checks=False))


@pytest.mark.data
def test_the_rdm_of_a_v4_recording_equals_numpy(shared_data) -> None:
    recording, _ = read_cowley2023(shared_data / "cowley2023", "201025")
    oracle = 1 - np.corrcoef(average_repetitions(recording).values)
    np.testing.assert_allclose(compute_rdms(recording).get_matrices()[0], oracle, atol=1e-6)


@pytest.mark.data
def test_object_means_of_hvm_it_reproduce_the_published_object_rdm(shared_data) -> None:
    import pandas as pd

    folder = shared_data / "hvm_it"
    assembly = xr.load_dataset(folder / "assy_dicarlo_MajajHong2015_IT-V6-animals-boats.nc")
    (variable,) = assembly.data_vars
    data = assembly[variable].transpose("presentation", "neuroid", ...)
    values = data.values.reshape(data.sizes["presentation"], data.sizes["neuroid"])
    ids = next(assembly[k].values for k in ("stimulus_id", "image_id") if k in assembly)
    table = pd.read_csv(next(folder.glob("stimulus_*.csv")), dtype=str)
    key = "stimulus_id" if "stimulus_id" in table else "image_id"
    names = table.set_index(key)["object_name"].loc[ids.astype(str)].tolist()
    recording = recording_from_arrays(
        values,
        stimulus=[f"{k}" for k in ids],
        site=[f"site{k}" for k in range(values.shape[1])],
        area="IT",
        units="spikes/s",
        source="MajajHong2015, IT, variation 6, Animals and Boats",
    ).assign_coords(object_name=("stimulus", names))
    rdms = compute_rdms(recording, by="object_name")
    oracle = pd.read_csv(folder / "it_object_rdm_64.csv", index_col=0)
    labels = pd.read_csv(folder / "it_object_rdm_64_labels.csv")
    original = labels.set_index("object_name")["original"]
    where = original.loc[rdms.pattern_descriptors["object_name"]]
    np.testing.assert_allclose(rdms.get_matrices()[0], oracle.loc[where, where].values, atol=1e-6)


def test_stimuli_without_a_condition_are_refused_not_averaged() -> None:
    names = ["a", "b", "c", "", "", ""] * 2
    with pytest.raises(RecordingError, match="6 of 12 stimuli have no 'object_name'"):
        compute_rdms(
            make_responses().assign_coords(object_name=("stimulus", names)), by="object_name"
        )


def test_responses_that_know_their_areas_give_one_rdm_an_area() -> None:
    responses = make_responses().assign_coords(area=("site", ["V4"] * 10 + ["IT"] * 20))
    rdms = compute_rdms(responses)
    assert list(rdms.rdm_descriptors["area"]) == ["V4", "IT"]
    np.testing.assert_allclose(
        rdms.get_matrices()[0], 1 - np.corrcoef(responses.values[:, :10]), atol=1e-12
    )


def test_lazily_opened_and_loaded_recordings_give_the_same_rdms(tmp_path) -> None:
    recording = make_binned()
    path = save_recording(recording, tmp_path / "binned.nc")
    with open_recording(path) as lazy:
        a, b = compute_rdms(lazy), compute_rdms(recording)
    np.testing.assert_array_equal(a.dissimilarities, b.dissimilarities)
    assert a.descriptors == b.descriptors


def test_sites_that_lack_stimuli_are_named_with_the_remedy() -> None:
    recording = make_binned()
    recording["response"][2, :, 11] = np.nan
    with pytest.raises(RecordingError, match=r"1 of 12 sites \('s11'\).*select_complete"):
        compute_rdms(recording)
    assert compute_rdms(select_recording(recording, area="V4")).n_rdm == 4
