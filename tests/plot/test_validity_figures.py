"""Figures of validity: what they show, not how they look."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from made_pools import RUNGS, make_pool
from matplotlib.axes import Axes

from brainguided.plot import plot_alpha, plot_scores, plot_validity
from brainguided.replays.validity import compute_validity


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    return compute_validity(make_pool(16, shuffles=5), draws=10)


def _lines(axes: Axes) -> dict[str, np.ndarray]:
    """Return y of the lines of every error-bar series by its label."""
    return {
        str(c.get_label()): np.asarray(c.lines[0].get_ydata(), dtype=float)  # type: ignore[index]
        for c in axes.containers
    }


def test_every_area_stands_beside_its_own_shuffles_and_controls(found: xr.Dataset) -> None:
    axes = plot_validity(found)
    assert axes.shape == (2, 3)
    assert [one.get_title() for one in axes[0]] == ["V4", "IT", "TG"]
    for row, statistic in enumerate(("pearson", "partial")):
        for column, area in enumerate(("V4", "IT", "TG")):
            lines = _lines(axes[row, column])
            for label, score in (("P", "P"), ("best layer", area)):
                expected = found["value"].sel(score=score, statistic=statistic)
                np.testing.assert_allclose(lines[label], expected)
            band = axes[row, column].collections[0].get_paths()[0].vertices[:, 1]
            drawn = found["shuffled"].sel(score=area, tested=statistic)
            low = np.nanquantile(drawn, 0.025, axis=-1)
            assert np.isclose(band[:, None], low[None]).any(0).all()
    assert {"categories", "pixels"} <= set(_lines(axes[0, 0]))
    assert not {"categories", "pixels"} & set(_lines(axes[0, 1]))
    legend = [text.get_text() for text in axes[0, 0].figure.legends[0].get_texts()]
    assert {"P", "best layer", "committed layer", "95 % of shuffles", "P + TG"} <= set(legend)


def test_a_control_has_the_same_line_beside_every_area(monkeypatch) -> None:
    monkeypatch.setattr("made_pools.CONTROLS", ("V4:categories", "V4:pixels", "IT:pixels"))
    axes = plot_validity(compute_validity(make_pool(16, shuffles=5), draws=10))

    def dashes(one: Axes, name: str) -> object:
        (found,) = [c.lines[0] for c in one.containers if c.get_label() == name]
        return found._unscaled_dash_pattern  # Matplotlib calls all of them "--"

    assert dashes(axes[0, 0], "pixels") == dashes(axes[0, 1], "pixels")
    assert dashes(axes[0, 0], "pixels") != dashes(axes[0, 0], "categories")


def test_the_gain_of_every_rung_is_drawn_over_alpha(found: xr.Dataset) -> None:
    axes = plot_alpha(found)
    lines = _lines(axes)
    assert list(lines) == [f"{rung} steps" for rung in RUNGS]
    axes.figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1  # covers nothing
    np.testing.assert_allclose(lines["50 steps"], found["gain"].sel(rung=50))
    assert [text.get_text() for text in axes.get_xticklabels()][:3] == ["0", "0.1", "0.5"]
    with pytest.raises(ValueError, match="no teacher"):
        plot_alpha(found.drop_vars("gain"))


def test_all_scores_of_a_rung_stand_under_each_other(found: xr.Dataset) -> None:
    axes = plot_scores(found, rung=50)
    names = [text.get_text() for text in axes[0].get_yticklabels()]
    assert names[:2] == ["P", "P + TG"]
    assert {"V4", "committed V4", "V4:pixels", "graph counts", "parameters"} <= set(names)
    assert len(axes) == 2
    with pytest.raises(ValueError, match=r"no rung 7; there are \[0, 50\]"):
        plot_scores(found, rung=7)


def test_a_run_of_one_rung_without_shuffles_is_drawn(found: xr.Dataset) -> None:
    one = found.isel(rung=[-1])
    assert plot_validity(one).shape == (2, 3)
    without = one.drop_vars(["shuffled", "p_value", "corrected_p_value"])
    assert plot_validity(without).shape == (2, 3)
    assert len(plot_scores(without)) == 2


def test_simulated_recordings_are_called_so(found: xr.Dataset) -> None:
    said = found.assign_attrs(simulated=1)
    for axes in (plot_validity(said)[1, 0], plot_alpha(said), plot_scores(said)[0]):
        assert "(simulated recordings)" in axes.get_xlabel()
    assert plot_validity(found)[1, 0].get_xlabel() == "training steps"
