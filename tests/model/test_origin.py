"""Simulated data are known by their flag, whatever is done to them, never by a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from brainguided import (
    Teacher,
    build_network,
    compute_rdms,
    dissimilarities_from_rdms,
)
from brainguided.guidance.similarity import compute_similarity
from brainguided.plot import plot_rdms, plot_responses
from brainguided.rdms.compute import rdms_from_dissimilarities
from brainguided.spaces import small_space
from neural_data import (
    average_repetitions,
    average_window,
    compute_site_reliability,
    is_simulated,
    load_recording,
    save_recording,
    select_complete,
    select_recording,
    simulate_macaque,
    simulate_objects,
    simulate_rates,
    write_brainio,
)
from neural_data.formats import read_brainio
from neural_data.model.origin import origin_of
from neural_data.simulation import Macaque, TimeCourse

EARLIER = Path(__file__).parents[1] / "earlier"
REAL = "our lab; compared with simulated macaque (brainguided neural_data.simulate_macaque)"


@pytest.fixture(scope="module")
def simulated() -> tuple[xr.Dataset, xr.Dataset]:
    return simulate_macaque(simulate_objects(1), repetitions=3, n_v4=6, n_it=6)


def recorded(simulated: xr.Dataset) -> xr.Dataset:
    """The same numbers as a lab would keep them, with a source that speaks of simulations."""
    return simulated.drop_attrs(deep=False).assign_attrs(source=REAL)


def test_a_figure_of_a_real_recording_does_not_call_it_simulated(simulated) -> None:
    for recording, said in ((simulated[0], True), (recorded(simulated[0]), False)):
        assert ("simulated" in plot_responses(recording).get_title()) is said
        assert ("simulated" in plot_rdms(compute_rdms(recording))[0].get_xlabel()) is said


def test_the_flag_stays_with_all_that_is_made_of_the_recording(simulated, tmp_path) -> None:
    recording, stimuli = simulated
    real = recorded(recording)
    for data, said in ((real.assign_attrs(simulated=1), True), (real, False)):
        rdms = compute_rdms(data)
        stored = dissimilarities_from_rdms(rdms)
        teacher = Teacher.from_recording(data, stimuli)
        network = build_network(small_space(2).sample(0), n_classes=8, seed=0)
        brainio = write_brainio(
            data, tmp_path / "assembly.nc", identifier="a.B", stimulus_set_identifier="a.b"
        )
        made = [
            load_recording(save_recording(data, tmp_path / "it.nc")),
            read_brainio(brainio),
            select_recording(data, area="IT"),
            select_complete(data),
            average_repetitions(data),
            compute_site_reliability(data),
            rdms,
            stored,
            rdms_from_dissimilarities(stored),
            *(target.rdm for target in teacher.shuffled(seed=0)),
            compute_similarity(network, teacher),
        ]
        assert [is_simulated(one) for one in made] == [said] * len(made)
        assert is_simulated(*teacher.describe()) is said


def test_a_window_of_a_simulated_time_course_is_simulated() -> None:
    macaque = Macaque(time=TimeCourse(start=0, end=200, bin_width=50))
    course, _ = simulate_macaque(simulate_objects(1), n_v4=0, n_it=3, macaque=macaque)
    assert is_simulated(average_window(course, 50, 150))
    assert is_simulated(simulate_rates(simulate_objects(1), n_v4=0, n_it=3))


def test_results_of_one_recorded_and_one_simulated_area_are_marked() -> None:
    both = origin_of({"source": "our lab"}, {"source": "a model", "simulated": 1})
    assert both == {"source": "our lab; a model", "simulated": 1}
    assert origin_of({"source": "our lab", "history": "a\nb"}, {"history": "b\nc"}) == {
        "source": "our lab; unknown", "history": "a\nb\nc",
    }  # fmt: skip


def test_recordings_from_before_the_flag_are_still_known() -> None:
    earlier = load_recording(EARLIER / "recording.nc")
    assert "simulated" not in earlier.attrs
    assert is_simulated(earlier, {"source": "our lab"})
    assert is_simulated(compute_rdms(earlier))
    assert is_simulated({"source": f"shuffled conditions of {earlier.attrs['source']}"})
    assert is_simulated({"source": f"our lab; {earlier.attrs['source']}"})
    for source in (REAL, "simulated macaque", "neurons near a simulated lesion", ""):
        assert not is_simulated({"source": source})
    assert not is_simulated({"source": earlier.attrs["source"], "simulated": np.int64(0)})
