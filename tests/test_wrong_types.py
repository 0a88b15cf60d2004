"""What is given in the wrong place is named in one line, with what is wanted; no AttributeError."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from torch import nn

import brainguided
import neural_data
from brainguided.plot import plot_rdms
from brainguided.rdms import compute_rdms

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU())


@pytest.fixture(scope="module")
def given():
    stimuli = neural_data.simulate_objects(1, size=32, seed=0)
    recording, _ = neural_data.simulate_macaque(stimuli, repetitions=2, n_v4=4, n_it=4)
    return {
        "recording": recording,
        "stimuli": stimuli,
        "rdms": compute_rdms(recording),
        "teacher": brainguided.Teacher.from_recording(recording, stimuli),
        "array": np.ones((30, 4)),
        "path": "it.nc",
        "nothing": None,
    }


RDMS, RECORDING = "RDMs: got a .*; expected rsatoolbox.rdm.RDMs", "a recording is an xarray.Dataset"
CALLS = {
    "compute_rdms": (lambda x, _: compute_rdms(x), {"recording"}, RECORDING),
    "site reliability": (
        lambda x, _: neural_data.compute_site_reliability(x), {"recording"}, RECORDING,
    ),
    "teacher": (
        lambda x, g: brainguided.Teacher.from_recording(x, g["stimuli"]), {"recording"}, RECORDING,
    ),
    "plot_rdms": (lambda x, _: plot_rdms(x), {"rdms"}, RDMS),
    "compare_rdms": (lambda x, g: brainguided.compare_rdms(x, g["rdms"]), {"rdms"}, RDMS),
    "noise ceiling": (lambda x, _: brainguided.compute_noise_ceiling(x), {"rdms"}, RDMS),
    "teacher of RDMs": (
        lambda x, g: brainguided.Teacher.from_rdms(x, g["stimuli"]), {"rdms"}, RDMS,
    ),
    "similarity": (
        lambda x, _: brainguided.compute_similarity(NETWORK, x), {"teacher"}, "expected a Teacher",
    ),
    "correspondence": (
        lambda x, _: brainguided.compute_correspondence(NETWORK, x), {"teacher"},
        "expected a Teacher",
    ),
    "network": (
        lambda x, g: brainguided.compute_correspondence(x, g["teacher"]), set(),
        "expected a torch module",
    ),
    "cka": (lambda x, _: brainguided.compute_cka(x, x), set(), "expected an xarray.DataArray"),
    "predictivity": (
        lambda x, g: brainguided.compute_predictivity(x, g["recording"]), set(),
        "expected an xarray.DataArray",
    ),
    "guidance": (lambda x, _: brainguided.compute_guidance(x), set(), r"DataArray \(layer, area"),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_type_is_named_in_one_line_with_what_is_wanted(given, call) -> None:
    function, right, wanted = CALLS[call]
    for kind, value in given.items():
        if kind in right or (kind == "stimuli" and right == {"recording"}):
            continue
        said = r"is a path, 'it.nc': load it first" if kind == "path" else wanted
        with pytest.raises((TypeError, ValueError)) as refusal:
            function(value, given)
        message = str(refusal.value)
        assert "\n" not in message
        assert re.search(f"{said}|{wanted}", message), f"{kind}: {message}"


def test_a_labelled_array_of_mean_responses_is_taken_where_a_recording_is(given) -> None:
    recording, stimuli = given["recording"], given["stimuli"]
    v4 = neural_data.select_recording(recording, area="V4")
    values = neural_data.average_repetitions(v4)
    bare = xr.DataArray(
        values.values,
        dims=("stimulus", "unit"),
        coords={"stimulus": values["stimulus"].values},
        name="V4",
    )
    made = neural_data.as_recording(bare)
    assert made["response"].dims == ("stimulus", "repetition", "site")
    assert made["site"].values.tolist() == ["unit 1", "unit 2", "unit 3", "unit 4"]
    (expected,) = brainguided.Teacher.from_recording(v4, stimuli)
    (found,) = brainguided.Teacher.from_recording(bare, stimuli)
    assert found.area == "V4"
    np.testing.assert_allclose(found.rdm.dissimilarities, expected.rdm.dissimilarities)
    features = bare + 0.1 * np.random.default_rng(0).normal(size=bare.shape)
    ours = brainguided.compute_predictivity(features, bare, folds=3)
    theirs = brainguided.compute_predictivity(features, v4.drop_vars("object_name"), folds=3)
    np.testing.assert_allclose(ours["correlation"], theirs["correlation"])
    cka = brainguided.compute_layer_cka(NETWORK, stimuli, bare)
    np.testing.assert_allclose(cka, brainguided.compute_layer_cka(NETWORK, stimuli, v4))
    with pytest.raises(neural_data.RecordingError, match=r"labels \[\]; expected dims"):
        neural_data.as_recording(bare.drop_vars("stimulus"))
    assert neural_data.as_recording(recording) is recording
