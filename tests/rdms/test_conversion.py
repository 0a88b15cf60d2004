"""RDMs turned into labelled datasets, through files and back."""

from __future__ import annotations

import numpy as np
import pytest
from made_responses import make_binned, make_responses

from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import (
    compute_rdms,
    dissimilarities_from_rdms,
    rdms_from_dissimilarities,
)
from neural_data.errors import RecordingError
from neural_data.model.dissimilarities import load_dissimilarities, save_dissimilarities
from neural_data.model.windows import select_window


def test_rdms_survive_the_way_to_a_dissimilarities_dataset_and_back() -> None:
    rdms = compute_rdms(make_responses())
    back = rdms_from_dissimilarities(dissimilarities_from_rdms(rdms))
    np.testing.assert_allclose(back.dissimilarities, rdms.dissimilarities, atol=1e-12)
    assert back.pattern_descriptors["category"] == rdms.pattern_descriptors["category"]
    assert compare_rdms(rdms, back) == pytest.approx(1)


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
