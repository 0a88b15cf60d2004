"""The layout of figures: settled at the first draw, with nothing cut off."""

from __future__ import annotations

import io

import numpy as np

from brainguided import compute_rdms, plot_rdms
from neural_data import recording_from_arrays

CATEGORIES = ("animals", "boats", "cars", "chairs", "faces", "fruits", "planes", "houses")


def draw_one_rdm():
    generator = np.random.default_rng(0)
    recording = recording_from_arrays(
        generator.normal(size=(48, 30)),
        stimulus=[f"im{k}" for k in range(48)],
        site=[f"s{k}" for k in range(30)],
        area="IT",
        units="spikes/s",
        source="made up",
    ).assign_coords(category=("stimulus", np.repeat(CATEGORIES, 6)))
    return plot_rdms(compute_rdms(recording))[0].figure


def test_a_figure_is_complete_when_it_is_saved_for_the_first_time() -> None:
    figure = draw_one_rdm()
    figure.savefig(io.BytesIO(), dpi=100)
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height
