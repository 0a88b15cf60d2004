"""Maps of stimuli and RDMs, thumbnails, and courses over time."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.offsetbox import AnnotationBbox
from rsatoolbox.rdm import RDMs

from brainguided.correspondence.time_courses import compute_similarity_over_time
from brainguided.plot import (
    plot_rdm_mds,
    plot_rdms,
    plot_similarity_over_time,
    plot_stimulus_mds,
)
from brainguided.plot.mds import scale_distances
from brainguided.rdms.compare import compare_rdms
from brainguided.rdms.compute import compute_rdms
from brainguided.rdms.distances import upper_triangle
from neural_data import (
    Macaque,
    TimeCourse,
    select_recording,
    simulate_macaque,
    simulate_objects,
    stimuli_from_arrays,
)
from neural_data.errors import AlignmentError, RecordingError


@pytest.fixture(autouse=True)
def no_figures_left():
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def make_rdms(number: int = 3, n: int = 12, **more) -> RDMs:
    generator = np.random.default_rng(0)
    return RDMs(
        np.stack([upper_triangle(1 - np.corrcoef(generator.normal(size=(n, 9))))] * number)
        + generator.random((number, n * (n - 1) // 2)),
        dissimilarity_measure="correlation",
        descriptors={"conditions": "stimulus", "source": "a lab"},
        rdm_descriptors=more or {"area": [f"area{k}" for k in range(number)]},
        pattern_descriptors={
            "stimulus": [f"im{k}" for k in range(n)],
            "category": ["face" if k % 2 else "house" for k in range(n)],
        },
    )


def make_images(n: int = 12) -> xr.Dataset:
    shades = np.arange(n, dtype=np.uint8) * 10
    images = np.broadcast_to(shades[:, None, None, None], (n, 8, 8, 3))
    order = np.random.default_rng(0).permutation(n)
    return stimuli_from_arrays(
        np.ascontiguousarray(images[order]), stimulus=[f"im{k}" for k in order], source="grey"
    )


def test_points_in_the_plane_are_found_again_but_for_rotation() -> None:
    points = np.random.default_rng(0).normal(size=(30, 2)) * [3, 1]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    places, stress = scale_distances(distances)
    again = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.testing.assert_allclose(again, distances, atol=1e-2)
    assert stress < 1e-3
    assert places[:, 0].std() > places[:, 1].std()
    np.testing.assert_array_equal(scale_distances(distances)[0], places)


def test_stimuli_are_drawn_where_their_dissimilarities_put_them_with_their_own_image() -> None:
    rdms, images = make_rdms(), make_images()
    axes = plot_stimulus_mds(rdms, images, number=1)
    boxes = [a for a in axes.artists if isinstance(a, AnnotationBbox)]
    assert len(boxes) == 12
    shades = [int(box.offsetbox.get_data()[0, 0, 0]) for box in boxes]
    assert shades == [10 * k for k in range(12)]  # joined by label, not by position
    assert "area1, 12 conditions; stress" in axes.get_xlabel()
    legend = [t.get_text() for t in axes.get_legend().get_texts()]
    assert sorted(legend) == ["face", "house"]
    assert not plot_stimulus_mds(rdms).artists
    with pytest.raises(ValueError, match=r"have no image, e.g. \['im3'\]"):
        plot_stimulus_mds(rdms, images.isel(stimulus=images["stimulus"] != "im3"))
    with pytest.raises(IndexError, match="there are 3 RDMs"):
        plot_stimulus_mds(rdms, number=3)


def test_rdms_that_are_alike_are_near_and_layers_are_joined_in_order() -> None:
    rdms = make_rdms(5, area=[f"layer{k}" for k in range(3)] + ["V4", "IT"],
                     kind=["layer"] * 3 + ["area"] * 2)  # fmt: skip
    axes = plot_rdm_mds(rdms)
    assert len(axes.lines) == 1
    assert len(axes.lines[0].get_xdata()) == 3
    assert {t.get_text() for t in axes.texts} == {"layer0", "layer1", "layer2", "V4", "IT"}
    angles = np.arccos(compare_rdms(rdms, rdms).clip(-1, 1))
    through = angles[:, :, None] + angles[None, :, :]
    assert (angles[:, None, :] <= through + 1e-6).all()
    with pytest.raises(ValueError, match="three RDMs or more"):
        plot_rdm_mds(make_rdms(2))


def test_thumbnails_below_an_rdm_are_those_of_the_conditions_above_them() -> None:
    axes = plot_rdms(make_rdms(1), thumbnails=make_images())[0]
    shown = [panel.get_images()[0].get_array()[0, 0, 0] for panel in axes.child_axes
             if panel.get_images() and panel.get_images()[0].get_array().ndim == 3]  # fmt: skip
    by_category = [k for k in range(12) if k % 2 == 0] + [k for k in range(12) if k % 2]
    assert shown == [10 * k for k in by_category]
    many = plot_rdms(make_rdms(1, 20), thumbnails=make_images(20))[0]
    small = [
        p for p in many.child_axes if p.get_images() and p.get_images()[0].get_array().ndim == 3
    ]
    assert len(small) == 2  # one a category


@pytest.fixture(scope="module")
def course():
    stimuli = simulate_objects(1, seed=0)
    macaque = Macaque(time=TimeCourse(start=-50, end=200, bin_width=50))
    return simulate_macaque(stimuli, repetitions=6, n_v4=20, n_it=20, macaque=macaque)[0]


def test_similarity_over_time_is_that_of_each_bin_and_rises_after_onset(course) -> None:
    late = course.isel(time_bin=[3, 4]).mean("time_bin")["response"]
    it = late.isel(site=course["area"].values == "IT").mean("repetition")
    layers = compute_rdms(it.transpose("stimulus", "site"))
    layers.rdm_descriptors["layer"] = ["late"]
    found = compute_similarity_over_time(layers, course)
    assert found.dims == ("area", "layer", "time_bin")
    assert found["time_bin_start"].values.tolist() == [-50, 0, 50, 100, 150]
    one = select_recording(course, area="IT").isel(time_bin=[4])
    expected = compare_rdms(layers, compute_rdms(one))[0, 0]
    assert found.sel(area="IT", layer="late").values[4] == pytest.approx(expected)
    values = found.sel(area="IT", layer="late").values
    assert values[4] > 0.8 > 0.4 > np.nan_to_num(values[0])
    panels = plot_similarity_over_time(found)
    assert [panel.get_title() for panel in panels] == ["simulated V4", "simulated IT"]
    np.testing.assert_allclose(panels[1].lines[0].get_ydata(), values)
    np.testing.assert_allclose(panels[1].lines[0].get_xdata(), [-25, 25, 75, 125, 175])
    with pytest.raises(RecordingError, match="no time bins"):
        compute_similarity_over_time(layers, course.isel(time_bin=0, drop=True))
    with pytest.raises(AlignmentError):
        compute_similarity_over_time(make_rdms(1), course)
    with pytest.raises(ValueError, match="were expected"):
        plot_similarity_over_time(found.isel(layer=0))
