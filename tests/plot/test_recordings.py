"""Figures of recordings: what they show, not how they look."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot

from brainguided.plot.recordings import (
    plot_recording_summary,
    plot_reliability,
    plot_reliability_over_time,
    plot_repetitions,
    plot_responses,
)
from neural_data.model.recording import open_recording, recording_from_arrays, save_recording
from neural_data.reliability.estimates import compute_site_reliability
from neural_data.reliability.intervals import bootstrap_site_reliability


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def make_recording(n_repetitions: int = 6, n_bins: int = 0) -> xr.Dataset:
    """Two V4 and three IT sites; the first stimulus lacks the last repetition."""
    rng = np.random.default_rng(0)
    shape = (20, n_repetitions, 5)
    response = 5 + rng.normal(size=shape) + 2 * rng.normal(size=(20, 1, 5))
    if n_repetitions > 2:
        response[0, -1] = np.nan
    recording = recording_from_arrays(
        response,
        stimulus=[f"im{k}" for k in range(20)],
        site=list("abcde"),
        area=["V4", "V4", "IT", "IT", "IT"],
        units="spikes/s",
        source="made up",
    )
    if not n_bins:
        return recording
    gain = np.linspace(0, 1, n_bins)
    values = response[..., np.newaxis] * gain + rng.normal(size=(*shape, n_bins))
    dims = ("stimulus", "repetition", "site", "time_bin")
    starts = 10.0 * np.arange(n_bins)
    return recording.assign(response=(dims, values, {"units": "spikes/s"})).assign_coords(
        time_bin_start=("time_bin", starts), time_bin_end=("time_bin", starts + 10)
    )


def legend(axes: pyplot.Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def outlines(axes: pyplot.Axes) -> list[np.ndarray]:
    """Heights of the outlined histograms."""
    return [patch.get_data().values for patch in axes.patches if hasattr(patch, "get_data")][1::2]


def test_the_histogram_holds_every_site_and_the_interval_of_the_median() -> None:
    recording = make_recording()
    reliability = compute_site_reliability(recording)
    draws = bootstrap_site_reliability(recording, draws=50, splits=5)
    axes = plot_reliability(reliability, draws=draws)
    assert [heights.sum() for heights in outlines(axes)] == [2, 3]
    low, high = np.quantile(np.median(draws.values[:, 2:], axis=1), [0.025, 0.975])
    median = np.median(reliability.values[2:])
    assert legend(axes)[1] == f"IT: 3 sites, median {median:.2f} ({low:.2f} to {high:.2f})"
    with pytest.raises(ValueError, match=r"draws have shape \(50, 4\).*same sites"):
        plot_reliability(reliability, draws=draws[:, :4])


def test_what_is_counted_has_no_fractions_on_its_axis() -> None:
    recording = make_recording(n_repetitions=2)
    figure = plot_recording_summary(recording)
    figure.canvas.draw()
    counted = {"sites", "stimuli", "repetitions of a stimulus"}
    axes = [axis for one in figure.axes for axis in (one.xaxis, one.yaxis)
            if axis.get_label_text() in counted]  # fmt: skip
    assert len(axes) == 4
    for axis in axes:
        assert [tick for tick in axis.get_majorticklocs() if tick != round(tick)] == []


def test_reliability_over_time_is_the_median_of_each_bin() -> None:
    reliability = compute_site_reliability(make_recording(n_bins=4))
    axes = plot_reliability_over_time(reliability)
    for line, sites in zip(axes.lines[:2], (slice(0, 2), slice(2, 5))):
        assert line.get_xdata().tolist() == [5, 15, 25, 35]
        np.testing.assert_allclose(line.get_ydata(), np.median(reliability.values[sites], axis=0))
    assert legend(axes) == [
        "V4: 2 sites, median and quartiles",
        "IT: 3 sites, median and quartiles",
    ]
    untimed = reliability.drop_vars(["time_bin_start", "time_bin_end"])
    assert plot_reliability_over_time(untimed).get_xlabel() == "time bin"


def test_each_figure_refuses_time_that_it_does_not_draw() -> None:
    binned, plain = make_recording(n_bins=4), make_recording()
    with pytest.raises(ValueError, match="4 time bins and one is drawn"):
        plot_responses(binned)
    with pytest.raises(ValueError, match=r"4 time bins.*plot_reliability_over_time"):
        plot_reliability(compute_site_reliability(binned))
    with pytest.raises(ValueError, match="no time bins: draw it with plot_reliability"):
        plot_reliability_over_time(compute_site_reliability(plain))


def test_repetitions_are_counted_by_stimulus() -> None:
    axes = plot_repetitions(make_recording())
    np.testing.assert_allclose(outlines(axes), [[1, 19], [1, 19]])
    assert legend(axes) == ["V4: median 6, 5 to 6", "IT: median 6, 5 to 6"]
    assert axes.get_ylabel() == "stimuli"
    assert all(tick == round(tick) for tick in axes.get_yticks())
    recording = make_recording()
    recording["response"][3, 2:, 0] = np.nan  # one of the two V4 sites
    axes = plot_repetitions(recording)
    np.testing.assert_allclose(outlines(axes)[0], [0.5, 0, 0, 1, 18.5])
    assert axes.get_ylabel() == "stimuli (mean over sites)"


def test_what_a_site_did_not_see_is_grey_in_the_responses() -> None:
    recording = make_recording()
    recording["response"][4, :, 1] = np.nan
    image = plot_responses(recording).get_images()[0].get_array()
    assert np.ma.getmaskarray(image).sum() == 1
    assert np.ma.getmaskarray(image)[4, 1]


@pytest.mark.parametrize(
    ("recording", "labels"),
    [
        (make_recording(), ["split-half reliability of a site", "mean response of a site"]),
        (
            make_recording(n_bins=3),
            ["split-half reliability, mean over time bins", "time from stimulus onset"],
        ),
    ],
    ids=["plain", "time-binned"],
)
def test_the_summary_has_four_panels(recording: xr.Dataset, labels: list[str]) -> None:
    figure = plot_recording_summary(recording)
    panels = figure.axes[:4]
    assert panels[0].get_xlabel() == labels[0]
    assert panels[1].get_images()[0].get_array().shape == (20, 5)
    assert panels[2].get_xlabel() == "repetitions of a stimulus"
    assert panels[3].get_xlabel().startswith(labels[1])
    assert panels[1].get_title() == ("mean over time bins" if "time_bin" in recording.dims else "")


@pytest.mark.parametrize("n_bins", [0, 3])
def test_the_summary_says_where_reliability_is_not_defined(n_bins: int) -> None:
    figure = plot_recording_summary(make_recording(1, n_bins))
    said = "reliability is not drawn:\nno stimulus was shown twice"
    assert figure.axes[0].texts[0].get_text() == said
    assert len(figure.axes[1].get_images()) == 1
    assert bool(figure.axes[3].texts) == bool(n_bins)


def test_a_file_is_drawn_as_the_recording_in_memory(tmp_path) -> None:
    recording = make_recording()
    path = save_recording(recording, tmp_path / "r.nc")
    with open_recording(path) as lazy:
        drawn = plot_recording_summary(lazy).axes
    expected = plot_recording_summary(recording).axes
    for k in (0, 2, 3):
        np.testing.assert_allclose(outlines(drawn[k]), outlines(expected[k]))
    images = [axes[1].get_images()[0].get_array() for axes in (drawn, expected)]
    np.testing.assert_allclose(*images)
