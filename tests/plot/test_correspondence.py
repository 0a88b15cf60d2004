"""Figures of correspondence: what they show."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from brainguided.plot import plot_correspondence, plot_depth
from brainguided.plot.correspondence import limit_colours


@pytest.fixture(autouse=True)
def no_figures_left():
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def make_correspondence(n_layers: int = 5) -> xr.Dataset:
    generator = np.random.default_rng(0)
    similarity = generator.uniform(0.1, 0.6, (n_layers, 2))
    similarity[0] = np.nan
    similarity[2] = [0.7, 0.2]
    similarity[3] = [0.3, 0.65]
    bounds = np.stack([similarity - 0.1, similarity + 0.1], axis=2)
    layers = [f"features.{k}" for k in range(n_layers)]
    return xr.Dataset(
        {
            "similarity": (("layer", "area"), similarity),
            "similarity_interval": (("layer", "area", "bound"), bounds),
            "ceiling": ("area", [0.9, np.nan]),
            "ceiling_interval": (("area", "bound"), [[0.85, 0.93], [np.nan, np.nan]]),
            "ceiling_usable": ("area", [True, False]),
            "corrected_similarity": (("layer", "area"), similarity / [0.9, np.nan]),
            "corrected_interval": (("layer", "area", "bound"), bounds / [[0.9], [np.nan]]),
            "committed_layer": ("area", [layers[2], layers[4]]),
        },
        coords={"layer": layers, "area": ["V4", "IT"], "bound": ["lower", "upper"]},
        attrs={"method": "pearson", "source": "a lab"},
    )


def texts(axes) -> list[str]:
    return [t.get_text() for t in axes.texts]


def test_cells_hold_similarity_and_interval_and_columns_their_ceiling() -> None:
    axes = plot_correspondence(make_correspondence())
    said = texts(axes)
    assert "0.70" in said
    assert "0.60 to 0.80" in said
    assert said.count("undefined") == 2
    above = axes.child_axes[0]
    assert [t.get_text() for t in above.get_xticklabels()] == ["ceiling 0.90", "ceiling unknown"]
    marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    assert [y for _, y in marks] == [2, 4]  # committed, not always the best
    boxes = {round(patch.get_y() + 0.47) for patch in axes.patches}
    assert boxes == {2, 3}
    assert "triangle: committed" in axes.get_xlabel()
    sizes = [t.get_fontsize() for t in axes.texts]
    assert min(sizes) >= 6


def test_many_layers_leave_out_numbers() -> None:
    axes = plot_correspondence(make_correspondence(60))
    assert texts(axes) == []
    assert len(axes.get_yticklabels()) == 60


def test_a_reliability_that_reaches_0_is_called_unreliable() -> None:
    one = make_correspondence()
    one["ceiling_usable"][:] = False
    above = plot_correspondence(one).child_axes[0]
    assert above.get_xticklabels()[0].get_text() == "ceiling unreliable"


def test_ceilings_over_animals_are_said_where_repetitions_give_none() -> None:
    one = make_correspondence()
    one["animal_ceiling"] = (("area", "bound"), [[np.nan, np.nan], [0.6, 0.7]])
    one["reliability"] = ("area", [0.8, np.nan])
    above = plot_correspondence(one).child_axes[0]
    assert above.get_xticklabels()[1].get_text() == "ceiling 0.60 to 0.70 (animals)"
    one["reliability"][1] = -0.1
    one["animal_ceiling"][1] = np.nan
    above = plot_correspondence(one).child_axes[0]
    assert above.get_xticklabels()[1].get_text() == "no ceiling: noise"


def test_maps_that_stand_together_can_share_their_colours() -> None:
    first = make_correspondence()["similarity"]
    limits = limit_colours(first, first * 2)
    assert limits == (0, pytest.approx(1.4))
    for one in (first, first * 2):
        (image,) = plot_correspondence(one, limits=limits).get_images()
        assert image.get_clim() == limits


def test_a_map_of_two_layers_has_room_for_its_labels() -> None:
    axes = plot_correspondence(make_correspondence().isel(layer=[2, 3])["similarity"])
    axes.figure.canvas.draw()
    for one in axes.figure.axes:
        box = one.yaxis.label.get_window_extent()
        assert box.y0 >= 0
        assert box.y1 <= axes.figure.bbox.y1


def test_depth_shows_a_line_and_a_band_an_area_and_the_ceilings_that_are_known() -> None:
    axes = plot_depth(make_correspondence())
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["V4"].get_ydata()[2], 0.7)
    assert np.isnan(lines["V4"].get_ydata()[0])
    ceilings = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in ceilings] == [0.9]
    assert len(axes.collections) == 2
    assert axes.get_ylim()[1] > 0.9
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [
        *("V4", "IT"), "95 % interval", "committed layer", "noise ceiling"
    ]  # fmt: skip
    none = make_correspondence()
    none["ceiling_usable"][:] = False
    none["committed_layer"][:] = ""
    said = [t.get_text() for t in plot_depth(none).get_legend().get_texts()]
    assert said == ["V4", "IT", "95 % interval"]


def test_corrected_similarities_leave_out_areas_without_a_ceiling() -> None:
    one = make_correspondence()
    axes = plot_depth(one, corrected=True)
    assert next(t.get_text() for t in axes.get_legend().get_texts()) == "V4"
    assert "IT" not in [t.get_text() for t in axes.get_legend().get_texts()]
    assert "noise ceiling" in axes.get_ylabel()
    one["corrected_similarity"][:] = np.nan
    with pytest.raises(ValueError, match="need recordings with repetitions"):
        plot_depth(one, corrected=True)


def test_names_of_controls_are_broken_into_lines() -> None:
    from brainguided.plot.correspondence import _break_names

    names = ["IT", "IT:pixels", "IT:partial-categories+pixels"]
    assert _break_names(names) == ["IT", "IT:\npixels", "IT:\npartial\ncategories\n+ pixels"]
