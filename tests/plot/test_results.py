"""Figures: what they show, not how they look."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from rsatoolbox.rdm import RDMs

from brainguided import (
    bootstrap_similarity,
    compute_rdms,
    dissimilarities_from_rdms,
    rdms_from_dissimilarities,
)
from brainguided.plot import (
    plot_correspondence,
    plot_front,
    plot_rdm_mds,
    plot_rdms,
    plot_reliability,
    plot_responses,
    plot_search,
    plot_stimulus_mds,
)
from neural_data import (
    Macaque,
    TimeCourse,
    load_dissimilarities,
    save_dissimilarities,
    simulate_macaque,
)
from neural_data.errors import AlignmentError

KINDS = ("faces", "fruits", "cars")


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def make_rdms(
    names: list[str], *, n: int = 12, descriptor: str = "area", **descriptors: object
) -> RDMs:
    """RDMs of stimuli im0, im1, ... whose kinds take turns."""
    rng = np.random.default_rng(0)
    matrices = [1 - np.corrcoef(rng.normal(size=(n, 20))) for _ in names]
    return RDMs(
        np.array([m[np.triu_indices(n, 1)] for m in matrices]),
        dissimilarity_measure="correlation",
        descriptors={"conditions": "stimulus", "source": "a lab, once simulated", **descriptors},
        rdm_descriptors={descriptor: names},
        pattern_descriptors={
            "stimulus": [f"im{k}" for k in range(n)],
            "category": [KINDS[k % 3] for k in range(n)],
        },
    )


def drawn(panel: pyplot.Axes) -> np.ndarray:
    return np.asarray(panel.get_images()[0].get_array())


def texts(panel: pyplot.Axes) -> list[str]:
    return [text.get_text() for text in panel.texts]


def make_run(n: int = 6) -> xr.Dataset:
    reward = np.array([0.3, 0.5, 0.4, np.nan, 0.7, 0.6])[:n]
    outcome = np.where(np.isnan(reward), "failed", "done")
    told = np.where(np.isnan(reward), 0.3, reward)  # a failure is told the lowest reward
    variables = {
        "reward": told,
        "performance": reward - 0.2,
        "guidance": np.where(np.isnan(reward), np.nan, 0.2),
        "best_so_far": np.fmax.accumulate(reward),
        "outcome": outcome,
    }
    return xr.Dataset(
        {name: ("candidate", values) for name, values in variables.items()},
        coords={"candidate": np.arange(n)},
        attrs={"simulated": 1},
    )


def test_rdms_are_titled_by_area_and_share_one_colour_scale() -> None:
    panels = plot_rdms(make_rdms(["V4", "IT"]))
    assert [panel.get_title() for panel in panels] == ["V4", "IT"]
    limits = {panel.get_images()[0].get_clim() for panel in panels}
    assert len(limits) == 1


def test_no_rdm_stands_alone_in_the_last_row() -> None:
    for number in (5, 6, 9, 13, 17):
        panels = plot_rdms(make_rdms([f"layer{k}" for k in range(number)], descriptor="layer"))
        rows = [panel.get_subplotspec().rowspan.start for panel in panels]
        assert rows.count(max(rows)) > 1, number
        pyplot.close("all")


def test_rdms_of_layers_are_titled_by_layer() -> None:
    panels = plot_rdms(make_rdms(["layer1", "layer2"], descriptor="layer"))
    assert [panel.get_title() for panel in panels] == ["layer1", "layer2"]


def test_rdms_of_time_bins_are_titled_by_area_and_time(tmp_path) -> None:
    course = TimeCourse(start=0, end=200, bin_width=50)
    recording, _ = simulate_macaque(n_v4=0, n_it=12, repetitions=3, macaque=Macaque(time=course))
    rdms = compute_rdms(recording, by="object_name")
    expected = ["IT, 0-50 ms", "IT, 50-100 ms", "IT, 100-150 ms", "IT, 150-200 ms"]
    assert [panel.get_title() for panel in plot_rdms(rdms)] == expected
    assert [text.get_text() for text in plot_rdm_mds(rdms).texts] == expected
    assert plot_stimulus_mds(rdms, number=2).get_xlabel().startswith("simulated IT, 100-150 ms, ")
    unlabelled = make_rdms(["IT", "IT"])
    unlabelled.rdm_descriptors["time_bin"] = [0, 1]
    assert [p.get_title() for p in plot_rdms(unlabelled)] == ["IT, time bin 0", "IT, time bin 1"]
    drawn_again = bootstrap_similarity(rdms, rdms, draws=2)
    assert drawn_again["area"].values.tolist() == expected
    assert drawn_again["layer"].values.tolist() == expected
    save_dissimilarities(dissimilarities_from_rdms(rdms), tmp_path / "it.nc")
    again = rdms_from_dissimilarities(load_dissimilarities(tmp_path / "it.nc"))
    assert [panel.get_title() for panel in plot_rdms(again)] == expected


def test_stimuli_are_grouped_by_category_and_keep_their_order_within() -> None:
    rdms = make_rdms(["IT"])
    panel = plot_rdms(rdms)[0]
    order = [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
    expected = rdms.get_matrices()[0][np.ix_(order, order)]
    np.testing.assert_allclose(drawn(panel), expected)
    assert texts(panel) == list(KINDS)


def test_an_order_of_labels_is_followed() -> None:
    rdms = make_rdms(["IT"])
    order = [f"im{k}" for k in reversed(range(12))]
    panel = plot_rdms(rdms, order=order)[0]
    np.testing.assert_allclose(drawn(panel), rdms.get_matrices()[0][::-1, ::-1])


@pytest.mark.parametrize("order", [["im0"], [f"im{k}" for k in range(11)] + ["im99"]])
def test_an_order_that_is_no_permutation_is_refused(order: list[str]) -> None:
    with pytest.raises(AlignmentError, match="Not in order"):
        plot_rdms(make_rdms(["IT"]), order=order)


def test_percentiles_run_from_0_to_100_and_keep_the_ranks() -> None:
    rdms = make_rdms(["IT"])
    panel = plot_rdms(rdms, scale="percentile", order=[f"im{k}" for k in range(12)])[0]
    upper = np.triu_indices(12, 1)
    shown, values = drawn(panel)[upper], rdms.get_matrices()[0][upper]
    assert (np.argsort(shown) == np.argsort(values)).all()
    assert shown.max() == 100
    np.testing.assert_allclose(drawn(panel), drawn(panel).T)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="'dissimilarity', 'percentile'"):
        plot_rdms(make_rdms(["IT"]), scale="rank")


@pytest.mark.parametrize("number", [1, 2, 5, 12])
def test_any_number_of_rdms_fits_and_no_text_overlaps(number: int) -> None:
    panels = plot_rdms(make_rdms([f"layer{k}" for k in range(number)], descriptor="layer"))
    assert len(panels) == number
    assert not overlaps(panels[0].figure)


def extent(text: Text) -> Bbox:
    """Where a text is drawn, without the line that leads from it."""
    return Text.get_window_extent(text)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of a figure that cover each other."""
    figure.canvas.draw()
    found = []
    for axes in [axes for axes in figure.axes if axes.axison]:
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += [*axes.get_xticklabels(), *axes.get_yticklabels()]
        legend = axes.get_legend()
        found += [] if legend is None else legend.get_texts()
    shown = [t for t in found if t.get_text() and t.get_visible()]
    boxes = [(t.get_text(), extent(t).shrunk(0.95, 0.95)) for t in shown]
    return [
        (a, b)
        for k, (a, first) in enumerate(boxes)
        for b, second in boxes[k + 1 :]
        if first.overlaps(second)
    ]


def test_simulated_recordings_are_called_simulated() -> None:
    assert "simulated" in plot_rdms(make_rdms(["IT"], simulated=1))[0].get_xlabel()
    assert "simulated" not in plot_rdms(make_rdms(["IT"]))[0].get_xlabel()
    assert "simulated" in plot_search(make_run()).get_ylabel()


def test_rdms_are_drawn_into_given_axes_even_outside_a_grid() -> None:
    figure = Figure()
    given = [figure.add_axes((0.1, 0.1, 0.3, 0.8)), figure.add_axes((0.5, 0.1, 0.3, 0.8))]
    panels = plot_rdms(make_rdms(["V4", "IT"]), axes=given)
    assert list(panels) == given
    with pytest.raises(ValueError, match="2 RDMs and 1 axes"):
        plot_rdms(make_rdms(["V4", "IT"]), axes=given[0])


def test_figures_are_as_wide_as_a_column_or_a_page() -> None:
    for number, width in ((1, 85), (2, 85), (4, 180), (12, 180)):
        panels = plot_rdms(make_rdms([f"a{k}" for k in range(number)]))
        assert panels[0].figure.get_figwidth() * 25.4 == pytest.approx(width)


def test_the_best_layer_of_each_area_is_boxed_and_numbers_are_printed() -> None:
    values = [[0.1, 0.4], [0.3, np.nan], [-0.2, 0.2]]
    table = xr.DataArray(
        values,
        dims=("layer", "area"),
        coords={"layer": ["layer1", "layer2", "layer3"], "area": ["V4", "IT"]},
    )
    axes = plot_correspondence(table.transpose("area", "layer"))
    cells = {(round(p.get_x() + 0.5), round(p.get_y() + 0.5)) for p in axes.patches}
    assert cells == {(0, 1), (1, 0)}
    assert texts(axes) == ["0.10", "0.40", "0.30", "undefined", "\N{MINUS SIGN}0.20", "0.20"]
    assert not overlaps(axes.figure)


def test_a_similarity_of_many_candidates_is_refused() -> None:
    table = xr.DataArray(np.zeros((2, 2, 2)), dims=("candidate", "layer", "area"))
    with pytest.raises(ValueError, match=r"run\.similarity\.sel"):
        plot_correspondence(table)


def test_tg_is_said_to_be_of_rdms_only_where_it_is() -> None:
    for similarities, label in (
        ({}, "TG (RDM similarity)"),
        ({"V4": "spearman"}, "TG (RDM similarity)"),
        ({"V4": "cka", "IT": "ridge"}, "TG (similarity: cka, ridge)"),
    ):
        teacher = [{"area": area, "similarity": name} for area, name in similarities.items()]
        run = make_run().assign_attrs(config=json.dumps({"task": {"teacher": teacher}}))
        labels = [text.get_text() for text in plot_search(run).get_legend().get_texts()]
        assert label in labels


def test_a_search_shows_its_best_so_far_and_its_failures() -> None:
    run = make_run()
    axes = plot_search(run)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "failed (1)" in labels
    points = {c.get_label(): np.asarray(c.get_offsets()) for c in axes.collections}
    assert points["failed (1)"][:, 0].tolist() == [3]
    assert points["reward"][:, 0].tolist() == [0, 1, 2, 4, 5]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), run["best_so_far"])
    assert not overlaps(axes.figure)


def test_a_search_without_teacher_shows_no_guidance() -> None:
    run = make_run()
    run["guidance"] = run["guidance"] * np.nan
    labels = [text.get_text() for text in plot_search(run).get_legend().get_texts()]
    assert not [label for label in labels if label.startswith("TG")]


def test_a_search_shows_the_accuracy_of_guessing() -> None:
    run = make_run()
    assert not find_levels(plot_search(run))
    run.attrs["config"] = '{"task": {"images": {"classes": 8}}}'
    assert find_levels(plot_search(run)) == {"P by chance 0.125": 0.125}


def find_levels(axes: pyplot.Axes) -> dict[str, float]:
    """What dotted and dashed lines across a figure are, and where."""
    return {
        str(line.get_label()): next(iter(set(line.get_ydata())))
        for line in axes.lines
        if line.get_linestyle() != "-"
    }


def test_chance_and_ceiling_stand_beside_tg() -> None:
    axes = plot_search(make_run(), chance=0.12, ceiling=0.81)
    assert find_levels(axes) == {"TG by chance 0.12": 0.12, "TG: noise ceiling 0.81": 0.81}
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named[-3:] == ["TG by chance 0.12", "TG: noise ceiling 0.81", "failed (1)"]
    assert axes.get_ylim()[1] > 0.81
    assert not overlaps(axes.figure)
    run = make_run()
    run["objectives"] = (
        ("candidate", "objective"),
        [[0.1, 0.2], [0.2, 0.4], [0.3, 0.1], [np.nan] * 2, [0.2, 0.3], [0.1, 0.1]],
    )
    run = run.assign_coords(objective=["performance", "TG"])
    run["front"] = ("candidate", [False, True, True, False, False, False])
    axes = plot_front(run, levels={"TG": (0.2, 0.9)})
    assert axes.get_xlabel().endswith("recordings\n(by chance 0.2, noise ceiling 0.9)")
    assert [line.get_xdata() for line in axes.lines if line.get_linestyle() == ":"] == [[0.2, 0.2]]
    assert axes.get_xlim()[1] < 0.5  # the ceiling is far off
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]
    axes = plot_front(run, y="TG", x="performance", levels={"TG": (None, 0.3)})
    assert axes.get_ylabel().endswith("\n(noise ceiling 0.3)")
    assert [line.get_ydata() for line in axes.lines if line.get_linestyle() == "--"] == [[0.3, 0.3]]


def test_a_search_of_failures_only_is_drawn() -> None:
    run = make_run().isel(candidate=[3])
    run["best_so_far"] = run["best_so_far"] * np.nan
    labels = [text.get_text() for text in plot_search(run).get_legend().get_texts()]
    assert labels == ["failed (1)"]


def test_the_front_is_drawn_apart_and_joined() -> None:
    run = make_run()
    numbers = np.array([[0.1, -10], [0.3, -40], [0.2, -90], [np.nan] * 2, [0.5, -500], [0.3, -40]])
    run["objectives"] = (("candidate", "objective"), numbers)
    run["front"] = ("candidate", np.array([True, True, False, False, True, True]))
    run = run.assign_coords(objective=["performance", "-parameters"])
    axes = plot_front(run)
    points = {c.get_label(): np.asarray(c.get_offsets()).tolist() for c in axes.collections}
    assert points["exceeded (1)"] == [[90, 0.2]]
    assert points["front (4)"] == [[10, 0.1], [40, 0.3], [500, 0.5], [40, 0.3]]
    assert axes.lines[0].get_xdata().tolist() == [10, 40, 40, 500]
    assert axes.lines[0].get_drawstyle() == "steps-post"
    assert axes.get_xlabel() == "parameters (less is better)"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert not overlaps(axes.figure)
    assert plot_front(run, x="performance", y="-parameters").get_xlabel().startswith("P (val")
    run.attrs["config"] = json.dumps({"task": {"own": {"performance": "mean IoU"}}})
    assert plot_front(run, x="performance", y="-parameters").get_xlabel() == (
        "P (validation mean IoU)"
    )
    with pytest.raises(ValueError, match="'TG' is no objective of the run; it has performance"):
        plot_front(run, x="TG")
    with pytest.raises(ValueError, match=r"The run has the objectives \[\]; expected two or more"):
        plot_front(make_run())


def test_reliability_counts_undefined_sites_without_drawing_them() -> None:
    reliability = xr.DataArray(
        [0.5, 0.7, np.nan, 0.9],
        dims="site",
        coords={"area": ("site", ["V4", "V4", "V4", "IT"])},
    )
    axes = plot_reliability(reliability)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["V4: 3 sites, median 0.60 (1 undefined)", "IT: 1 site, median 0.90"]
    assert not overlaps(axes.figure)


def make_recording() -> xr.Dataset:
    response = np.random.default_rng(0).poisson(5, size=(6, 2, 4)).astype(float)
    return xr.Dataset(
        {"response": (("stimulus", "repetition", "site"), response, {"units": "spikes/s"})},
        coords={
            "stimulus": [f"im{k}" for k in range(6)],
            "category": ("stimulus", [KINDS[k % 3] for k in range(6)]),
            "site": ["a", "b", "c", "d"],
            "area": ("site", ["IT", "V4", "IT", "V4"]),
        },
        attrs={"source": "a model", "simulated": 1},
    )


def test_responses_are_grouped_by_area_and_category() -> None:
    axes = plot_responses(make_recording())
    assert [t.get_text() for t in axes.get_xticklabels()] == ["IT\n2 sites", "V4\n2 sites"]
    assert texts(axes) == list(KINDS)
    mean = make_recording()["response"].mean("repetition").values
    scores = (mean - mean.mean(0)) / mean.std(0)
    np.testing.assert_allclose(drawn(axes), scores[[0, 3, 1, 4, 2, 5]][:, [0, 2, 1, 3]])
    assert axes.get_title() == "simulated recording"
    assert not overlaps(axes.figure)


def test_importing_the_figures_leaves_pyplot_alone() -> None:
    code = "import sys, brainguided.plot; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("sizes", [(1, 1, 1, 40), (40, 1, 1, 1), (2, 30, 1, 1, 30)])
def test_names_of_small_categories_move_apart_and_stay_beside_the_rdm(
    sizes: tuple[int, ...],
) -> None:
    rdms = make_rdms(["IT"], n=sum(sizes))
    rdms.pattern_descriptors["category"] = np.repeat(
        [f"kind {k}" for k in range(len(sizes))], sizes
    )
    panel = plot_rdms(rdms)[0]
    assert not overlaps(panel.figure)
    image = panel.get_window_extent()
    for text in panel.texts:
        box = extent(text)
        assert image.y0 - box.height <= box.y0
        assert box.y1 <= image.y1 + box.height


def test_the_colour_bar_can_be_left_to_the_caller() -> None:
    assert len(plot_rdms(make_rdms(["V4", "IT"]), colour_bar=False)[0].figure.axes) == 2


def test_correspondence_says_simulated_where_the_areas_are() -> None:
    table = xr.DataArray(
        [[0.1, 0.2]], dims=("layer", "area"), coords={"layer": ["layer1"], "area": ["V4", "IT"]}
    )
    assert "simulated" not in plot_correspondence(table).get_xlabel()
    table.attrs["source"] = "a lab, after a simulated one"
    assert "simulated" not in plot_correspondence(table).get_xlabel()
    table.attrs["simulated"] = 1
    assert "simulated area" in plot_correspondence(table).get_xlabel()
