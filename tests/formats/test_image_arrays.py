"""Arrays that hold all images of a set, in whatever order their axes are."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from brainguided.__main__ import main
from neural_data import load_stimuli, read_images
from neural_data.errors import RecordingError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3)).astype(np.uint8)
ORDER = ("image", "y", "x", "channel")
SOURCE = {"source": "made up"}


@pytest.fixture
def names(tmp_path: Path) -> Path:
    (tmp_path / "names.csv").write_text("stimulus,category\ncow,animal\ncar,thing\ncup,thing\n")
    return tmp_path / "names.csv"


@pytest.mark.parametrize("axes", list(permutations(ORDER)))
def test_axes_in_any_order_give_the_same_images(tmp_path: Path, names: Path, axes: Any) -> None:
    values = IMAGES.transpose([ORDER.index(axis) for axis in axes])
    savemat(tmp_path / "a.mat", {"images": values.astype(float), "more": np.ones(3)})
    said = {"axes": axes, "table": names, "variable": "images"}
    stimuli = read_images(tmp_path / "a.mat", **said, **SOURCE)
    np.testing.assert_array_equal(stimuli["image"], IMAGES)
    assert stimuli["category"].values.tolist() == ["animal", "thing", "thing"]


def test_images_without_channels_are_grey(tmp_path: Path, names: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES[..., 0].transpose(1, 2, 0))
    stimuli = read_images(tmp_path / "a.npy", axes=["y", "x", "image"], table=names, **SOURCE)
    np.testing.assert_array_equal(stimuli["image"], np.repeat(IMAGES[..., :1], 3, axis=-1))
    assert "grey, as red, green and blue" in stimuli.attrs["history"]


@pytest.mark.parametrize(
    ("values", "change", "message"),
    [
        (IMAGES / 255, {}, r"0 to 1; expected whole ones, 0 to 255; from 0 to 1, save uint8"),
        (IMAGES // 200, {}, r"nothing but 0 and 1"),
        (IMAGES.astype(int) + 1, {}, "from .* to 256; expected"),
        (IMAGES, {"axes": ["image", "y", "x"]}, r"expected 3 axes"),
        (IMAGES, {"axes": ["image", "y", "y", "channel"]}, "axes are"),
        (IMAGES, {"axes": ["y", "image", "x", "channel"]}, "3 names for the 4 images"),
        (IMAGES, {"axes": None}, r"shape \(3, 4, 5, 3\), which does not say.*--axes image y x"),
        (IMAGES, {"table": None}, "--table names.txt"),
        (IMAGES, {"size": 3}, "'size' goes only with image files"),
        (np.array(["a"]), {}, "expected pixels"),
    ],
)
def test_arrays_that_are_no_images_are_refused(
    tmp_path: Path, names: Path, values: np.ndarray, change: dict[str, Any], message: str
) -> None:
    np.save(tmp_path / "a.npy", values)
    said = {"axes": ORDER, "table": names, **change}
    with pytest.raises(RecordingError, match=message):
        read_images(tmp_path / "a.npy", **said, **SOURCE)


def test_axes_do_not_go_with_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is no array, and 'axes' goes only with an array"):
        read_images(tmp_path, axes=ORDER, **SOURCE)


def test_the_command_line_imports_an_array(tmp_path: Path, names: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    words = ["import", "images", tmp_path / "a.npy", "--axes", *ORDER, "--table", names]
    out = tmp_path / "images.nc"
    assert main([str(w) for w in [*words, "--source", "made up", "--out", out]]) == 0
    np.testing.assert_array_equal(load_stimuli(out)["image"], IMAGES)
