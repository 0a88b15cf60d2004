"""Dissimilarities: theorems, oracles, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from brainguided.comparisons import compare_rdms
from brainguided.rdm import (
    accumulate_gram,
    compute_rdms,
    correlation_distances,
    dissimilarities_from_rdms,
    gram_to_distances,
    rdms_from_dissimilarities,
    upper_triangle,
)
from neural_data.cowley2023 import read_cowley2023
from neural_data.dissimilarities import load_dissimilarities, save_dissimilarities
from neural_data.errors import AlignmentError, RecordingError
from neural_data.recording import (
    average_repetitions,
    open_recording,
    recording_from_arrays,
    save_recording,
    select_recording,
)
from neural_data.windows import assign_time_bins, average_window, select_window


def make_responses(n: int = 12, sites: int = 30, seed: int = 0) -> xr.DataArray:
    values = np.random.default_rng(seed).gamma(2.0, 5.0, (n, sites))
    labels = [f"im{k}" for k in range(n)]
    return xr.DataArray(
        values,
        dims=("stimulus", "site"),
        coords={
            "stimulus": labels,
            "object_name": ("stimulus", [f"object{k // 3}" for k in range(n)]),
            "category": ("stimulus", [f"category{k // 6}" for k in range(n)]),
        },
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
    gram = np.zeros((40, 40), dtype=np.float32)
    accumulate_gram(gram, patterns, chunk=777)
    expected = 1 - np.corrcoef(patterns.astype(float))
    np.testing.assert_allclose(gram_to_distances(gram), expected, atol=1e-5)


def test_a_silent_pattern_is_at_distance_one_from_all_others() -> None:
    patterns = np.random.default_rng(5).random((5, 9))
    patterns[2] = 0.7
    matrix = correlation_distances(patterns)
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


def test_rdms_survive_the_way_to_a_dissimilarities_dataset_and_back() -> None:
    rdms = compute_rdms(make_responses())
    back = rdms_from_dissimilarities(dissimilarities_from_rdms(rdms))
    np.testing.assert_allclose(back.dissimilarities, rdms.dissimilarities, atol=1e-12)
    assert back.pattern_descriptors["category"] == rdms.pattern_descriptors["category"]
    assert compare_rdms(rdms, back) == pytest.approx(1)


def test_upper_triangle_is_in_the_order_of_rsatoolbox() -> None:
    from scipy.spatial.distance import squareform

    matrix = correlation_distances(np.random.default_rng(0).random((7, 5)))
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


def make_binned() -> xr.Dataset:
    """Ten stimuli, three repetitions, 8 sites of V4 and 12 of IT, four time bins."""
    rng = np.random.default_rng(9)
    response = rng.gamma(2.0, 5.0, (10, 3, 20, 4))
    response[4, 1, :5] = np.nan
    recording = recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(10)],
        site=[f"s{k}" for k in range(20)],
        area=["V4"] * 8 + ["IT"] * 12,
        units="spikes/s",
        source="made up",
    )
    return assign_time_bins(recording, [-50, 0, 70, 120, 170])


def test_a_recording_with_time_bins_gives_one_rdm_an_area_and_bin() -> None:
    recording = make_binned()
    rdms = compute_rdms(recording)
    assert rdms.n_rdm == 8
    assert list(rdms.rdm_descriptors["area"]) == ["V4"] * 4 + ["IT"] * 4
    assert list(rdms.rdm_descriptors["time_bin_start"]) == [-50, 0, 70, 120] * 2
    assert list(rdms.rdm_descriptors["time_bin_end"]) == [0, 70, 120, 170] * 2
    assert list(rdms.rdm_descriptors["n_sites"]) == [8] * 4 + [12] * 4
    means = np.nanmean(recording["response"].values, axis=1)
    oracle = [1 - np.corrcoef(means[:, s, k]) for s in (slice(8), slice(8, 20)) for k in range(4)]
    np.testing.assert_allclose(rdms.get_matrices(), oracle, atol=1e-12)
    assert rdms.descriptors["history"] == (
        "compute_rdms(by='stimulus'): 10 conditions, V4 over 8 sites, IT over 12 sites, "
        "in each of 4 time bins"
    )


def test_the_rdm_of_a_bin_is_that_of_the_recording_of_that_bin_alone() -> None:
    recording = make_binned()
    rdms = compute_rdms(recording)
    for k in range(4):
        alone = compute_rdms(recording.isel(time_bin=k))
        one_bin = compute_rdms(recording.isel(time_bin=[k]))
        assert alone.n_rdm == one_bin.n_rdm == 2
        for other in (alone, one_bin):
            np.testing.assert_allclose(
                other.dissimilarities, rdms.dissimilarities[[k, 4 + k]], atol=1e-12
            )


def test_bins_without_times_are_numbered_and_averages_over_time_note_their_window() -> None:
    recording = make_binned()
    nameless = compute_rdms(recording.drop_vars(["time_bin_start", "time_bin_end"]))
    assert list(nameless.rdm_descriptors["time_bin"]) == [0, 1, 2, 3] * 2
    averaged = compute_rdms(average_window(recording, 70, 170))
    assert averaged.descriptors["window"] == "70-170 ms"
    assert averaged.descriptors["history"].startswith("average_window(70-170 ms): 2 of 4 time bins")
    assert "time_bin_start" not in averaged.rdm_descriptors


def test_responses_with_time_bins_give_the_rdms_of_their_recording() -> None:
    recording = make_binned()
    rdms = compute_rdms(average_repetitions(recording))
    np.testing.assert_allclose(
        rdms.dissimilarities, compute_rdms(recording).dissimilarities, atol=1e-12
    )
    assert "average_repetitions" in rdms.descriptors["history"]


def test_a_silent_bin_is_refused_by_its_time() -> None:
    recording = make_binned()
    recording["response"][..., 0] *= 0.0
    with pytest.raises(RecordingError, match=r"for V4, -50-0 ms:\n.*same response at every site"):
        compute_rdms(recording)


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


def test_rdms_over_time_survive_their_file(tmp_path) -> None:
    rdms = compute_rdms(select_window(make_binned(), 0, 170))
    dataset = dissimilarities_from_rdms(rdms)
    assert dataset["area"].values.tolist()[:2] == ["V4, 0-70 ms", "V4, 70-120 ms"]
    loaded = load_dissimilarities(save_dissimilarities(dataset, tmp_path / "rdms.nc"))
    back = rdms_from_dissimilarities(loaded)
    np.testing.assert_allclose(back.dissimilarities, rdms.dissimilarities, atol=1e-12)
    for key in ("area", "time_bin_start", "time_bin_end"):
        assert list(back.rdm_descriptors[key]) == list(rdms.rdm_descriptors[key])
    assert back.descriptors["history"] == rdms.descriptors["history"]
    assert back.descriptors["source"] == "made up"


def test_the_unit_of_dissimilarities_is_the_measure_of_their_rdms() -> None:
    rdms = compute_rdms(make_responses())
    assert dissimilarities_from_rdms(rdms)["dissimilarity"].attrs["units"] == "1 - Pearson r"
    rdms.dissimilarity_measure = "squared euclidean"
    dataset = dissimilarities_from_rdms(rdms)
    assert dataset["dissimilarity"].attrs["units"] == "squared euclidean"
    assert rdms_from_dissimilarities(dataset).dissimilarity_measure == "squared euclidean"
    rdms.dissimilarity_measure = None
    with pytest.raises(RecordingError, match=r"set rdms\.dissimilarity_measure"):
        dissimilarities_from_rdms(rdms)


def test_two_rdms_of_one_name_are_not_made_into_one_dataset() -> None:
    rdms = compute_rdms(make_binned().drop_vars(["time_bin_start", "time_bin_end"]))
    assert dissimilarities_from_rdms(rdms)["area"].values[1] == "V4, time bin 1"
    del rdms.rdm_descriptors["time_bin"]
    with pytest.raises(RecordingError, match=r"several have the name \['IT', 'V4'\]"):
        dissimilarities_from_rdms(rdms)
