"""Teachers from recordings, from RDMs and from networks."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from torch import nn

from brainguided.guidance.teacher import Teacher
from brainguided.networks.streamed import compute_layer_rdms
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms
from neural_data.errors import AlignmentError, RecordingError
from neural_data.model.recording import recording_from_arrays
from neural_data.model.stimuli import stimuli_from_arrays
from neural_data.model.windows import assign_time_bins, average_window

NAMES = [f"im{k}" for k in range(18)]


def make_stimuli(names=NAMES, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (len(names), 12, 12, 3), dtype=np.uint8)
    return stimuli_from_arrays(
        images,
        stimulus=names,
        source="noise",
        object_name=[f"object{int(n[2:]) // 3}" for n in names],
    )


def make_recording(names=NAMES, seed=0):
    response = np.random.default_rng(seed).gamma(2, 5, (len(names), 2, 20))
    return recording_from_arrays(
        response,
        stimulus=names,
        site=[f"s{k}" for k in range(20)],
        area=["V4"] * 10 + ["IT"] * 10,
        units="spikes/s",
        source="made up",
    )


def test_a_recording_gives_one_target_an_area_with_the_images_in_its_order() -> None:
    order = np.random.default_rng(1).permutation(18)
    teacher = Teacher.from_recording(make_recording(), make_stimuli().isel(stimulus=order))
    assert teacher.areas == ("V4", "IT")
    for target, rdm in zip(teacher, compute_rdms(make_recording())):
        assert target.stimuli["stimulus"].values.tolist() == NAMES
        assert compare_rdms(target.rdm, rdm) == pytest.approx(1)


def test_areas_are_chosen_by_name_and_in_the_order_asked() -> None:
    teacher = Teacher.from_recording(make_recording(), make_stimuli(), areas=["IT", "V4"])
    assert teacher.areas == ("IT", "V4")
    oracle = compute_rdms(make_recording())
    np.testing.assert_allclose(teacher.targets[0].rdm.dissimilarities[0], oracle.dissimilarities[1])
    with pytest.raises(RecordingError, match=r"V1.*V4"):
        Teacher.from_recording(make_recording(), make_stimuli(), areas=["V1"])


def test_object_conditions_come_from_the_stimulus_set_if_the_recording_has_none() -> None:
    teacher = Teacher.from_recording(make_recording(), make_stimuli(), by="object_name")
    assert teacher.targets[0].conditions == [f"object{k}" for k in range(6)]
    assert teacher.targets[0].rdm.n_cond == 6


def test_stimuli_without_images_and_images_without_responses_are_refused() -> None:
    with pytest.raises(AlignmentError, match="im17"):
        Teacher.from_recording(make_recording(), make_stimuli(NAMES[:-1]))
    with pytest.raises(AlignmentError, match="im17"):
        Teacher.from_recording(make_recording(NAMES[:-1]), make_stimuli())


def test_an_rdm_alone_is_a_teacher_once_its_images_are_known() -> None:
    rdms = compute_rdms(make_recording())
    order = np.random.default_rng(2).permutation(18)
    teacher = Teacher.from_rdms(rdms, make_stimuli().isel(stimulus=order))
    assert teacher.areas == ("V4", "IT")
    assert teacher.targets[1].conditions == NAMES
    grouped = compute_rdms(
        make_recording().assign_coords(
            object_name=("stimulus", make_stimuli()["object_name"].values)
        ),
        by="object_name",
    )
    by_object = Teacher.from_rdms(
        grouped, make_stimuli().isel(stimulus=slice(None, None, -1)), by="object_name"
    )
    assert by_object.targets[0].conditions == [f"object{k}" for k in range(6)]
    with pytest.raises(AlignmentError, match="im17"):
        Teacher.from_rdms(rdms, make_stimuli(NAMES[:-1]))


def test_areas_with_stimuli_of_their_own_are_added_and_names_must_differ() -> None:
    other = [f"im{k}" for k in range(100, 110)]
    v4 = Teacher.from_recording(make_recording(), make_stimuli(), areas=["V4"])
    it = Teacher.from_recording(make_recording(other), make_stimuli(other), areas=["IT"])
    both = v4 + it
    assert both.areas == ("V4", "IT")
    assert [t.rdm.n_cond for t in both] == [18, 10]
    with pytest.raises(ValueError, match=r"name of its own.*'V4', 'V4'"):
        v4 + v4


def test_a_network_teacher_equals_its_layers_rdms_when_a_subset_holds_all_units() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    for k, p in enumerate(network.parameters()):
        nn.init.constant_(p, 0.1 * (k + 1)) if p.ndim == 1 else nn.init.dirac_(p)
    stimuli = make_stimuli()
    teacher = Teacher.from_network(network, stimuli, layers=["0", "2"], subset_size=10_000)
    rdms = compute_layer_rdms(network, stimuli, layers=["0", "2"])
    for target, row in zip(teacher, rdms.dissimilarities):
        np.testing.assert_allclose(target.rdm.dissimilarities[0], row, atol=1e-5)


def test_a_network_teacher_is_the_mean_over_ten_seeded_subsets() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    nn.init.dirac_(network[0].weight)
    nn.init.zeros_(network[0].bias)
    stimuli = make_stimuli()
    one, same, other = (
        Teacher.from_network(network, stimuli, layers=["0"], subset_size=20, seed=s)
        for s in (0, 0, 1)
    )
    full = compute_layer_rdms(network, stimuli)
    assert 0.3 < compare_rdms(one.targets[0].rdm, full)[0, 0] < 0.999
    a, b, c = (t.targets[0].rdm.dissimilarities for t in (one, same, other))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)


def test_a_shuffled_teacher_keeps_the_dissimilarities_but_not_their_places() -> None:
    teacher = Teacher.from_recording(make_recording(), make_stimuli())
    control = teacher.shuffled(seed=0)
    for before, after in zip(teacher, control):
        np.testing.assert_allclose(
            np.sort(before.rdm.dissimilarities), np.sort(after.rdm.dissimilarities)
        )
        assert abs(compare_rdms(before.rdm, after.rdm)[0, 0]) < 0.5
        assert "shuffled" in after.source


def test_describe_changes_with_the_data_and_only_with_it() -> None:
    make = lambda seed: Teacher.from_recording(make_recording(seed=seed), make_stimuli())  # noqa: E731
    assert make(0).describe() == make(0).describe()
    assert make(0).describe() != make(1).describe()


def test_rdms_in_another_order_keep_their_areas() -> None:
    rdms = compute_rdms(make_recording())
    teacher = Teacher.from_rdms(rdms[[1, 0]], make_stimuli())
    assert teacher.areas == ("IT", "V4")
    np.testing.assert_allclose(teacher.targets[0].rdm.dissimilarities[0], rdms.dissimilarities[1])
    alone = Teacher.from_rdms(rdms.subset("area", "IT"), make_stimuli())
    assert alone.areas == ("IT",)


def test_a_recording_and_images_that_group_stimuli_differently_are_refused() -> None:
    stimuli = make_stimuli()
    groups = stimuli["object_name"].values.copy()
    groups[7] = groups[0]
    recording = make_recording().assign_coords(object_name=("stimulus", groups))
    with pytest.raises(AlignmentError, match=r"disagree on 'object_name' of 1 stimuli.*im7"):
        Teacher.from_recording(recording, stimuli, by="object_name")


def test_an_image_given_twice_is_refused() -> None:
    stimuli = make_stimuli()
    twice = stimuli.isel(stimulus=[*range(18), 0])
    with pytest.raises(RecordingError, match="repeats 'im0'"):
        Teacher.from_recording(make_recording(), twice)


def test_areas_may_be_given_as_one_name() -> None:
    assert Teacher.from_recording(make_recording(), make_stimuli(), areas="IT").areas == ("IT",)


def test_a_recording_over_time_is_refused_until_one_window_is_chosen() -> None:
    recording = make_recording()
    offsets = xr.DataArray(np.random.default_rng(1).random((18, 3)), dims=("stimulus", "time_bin"))
    binned = recording.assign(
        response=(recording["response"] + offsets).assign_attrs(units="spikes/s")
    )
    binned = assign_time_bins(binned, [20, 70, 120, 170])
    with pytest.raises(RecordingError, match=r"3 time bins; .* average_window\(recording"):
        Teacher.from_recording(binned, make_stimuli())
    teacher = Teacher.from_recording(average_window(binned, 70, 170), make_stimuli())
    assert teacher.areas == ("V4", "IT")
    assert teacher.describe()[1]["history"] == [
        "average_window(70-170 ms): 2 of 3 time bins",
        "select_recording(area=['V4', 'IT']): 20 of 20 sites, 18 of 18 stimuli",
        "compute_rdms(by='stimulus'): 18 conditions, V4 over 10 sites, IT over 10 sites",
    ]


def test_a_control_says_what_was_done_to_its_data_and_rdms_without_history_say_nothing() -> None:
    rdms = compute_rdms(make_recording())
    assert Teacher.from_rdms(rdms, make_stimuli()).shuffled(seed=3).targets[0].history == [
        "compute_rdms(by='stimulus'): 18 conditions, V4 over 10 sites, IT over 10 sites",
        "shuffled(seed=3, unit='object_name')",
    ]
    del rdms.descriptors["history"]
    assert "history" not in Teacher.from_rdms(rdms, make_stimuli()).describe()[0]
