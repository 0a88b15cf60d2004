"""Dissimilarity matrices as labelled data."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.model.dissimilarities import (
    load_dissimilarities,
    save_dissimilarities,
    validate_dissimilarities,
)


@pytest.fixture
def dissimilarities() -> xr.Dataset:
    rng = np.random.default_rng(0)
    names = ["im10", "im2", "im1", "im3"]
    return xr.Dataset(
        {
            "dissimilarity": (
                ("area", "stimulus", "other_stimulus"),
                np.stack([1 - np.corrcoef(rng.normal(size=(4, 9))) for _ in range(2)]),
                {"units": "1 - Pearson r"},
            )
        },
        coords={
            "area": ["V4", "IT"],
            "stimulus": names,
            "other_stimulus": names,
            "category": ("stimulus", ["face", "face", "car", "car"]),
        },
        attrs={"source": "made up"},
    )


def test_dissimilarities_survive_their_file_identically(dissimilarities, tmp_path):
    path = save_dissimilarities(dissimilarities, tmp_path / "rdms.nc")
    xr.testing.assert_identical(load_dissimilarities(path), dissimilarities)


def test_validate_dissimilarities_returns_the_same_object(dissimilarities):
    assert validate_dissimilarities(dissimilarities) is dissimilarities


def test_validate_dissimilarities_lists_every_problem_at_once(dissimilarities):
    dissimilarities["dissimilarity"][0, 0, 1] = 5.0
    dissimilarities["dissimilarity"][1, 2, 2] = 1.0
    dissimilarities["dissimilarity"][1, 0, 3] = np.nan
    dissimilarities["dissimilarity"].attrs = {}
    broken = dissimilarities.assign_attrs(source=None).isel(other_stimulus=slice(None))
    broken = broken.assign_coords(other_stimulus=["im10", "im2", "im3", "im1"])
    with pytest.raises(RecordingError) as error:
        validate_dissimilarities(broken, name="rdms.nc")
    message = str(error.value)
    assert message.startswith("rdms.nc does not follow the schema of dissimilarities:")
    assert "no attrs['units'], e.g. '1 - Pearson r'" in message
    assert "'stimulus' and 'other_stimulus' differ in labels or order" in message
    assert "NaN or infinite at 1 places, in 'IT'" in message
    assert "not symmetric in 'V4'" in message
    assert "not zero on the diagonal in 'IT'" in message
    assert "no attrs['source']" in message


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d["dissimilarity"], "is a DataArray; expected an xarray.Dataset"),
        (lambda d: d.rename(dissimilarity="rdm"), "no variable 'dissimilarity'"),
        (lambda d: d.isel(area=0), r"has dims \('stimulus', 'other_stimulus'\)"),
        (lambda d: d.astype(int), "holds int64; expected floats"),
        (lambda d: d.isel(stimulus=slice(3)), "expected square matrices"),
        (lambda d: d.isel(area=[]), "is empty"),
        (lambda d: d.drop_vars("area"), "no coordinate 'area'"),
        (lambda d: d.assign_coords(area=["IT", "IT"]), "'area' repeats 'IT'"),
        (lambda d: 1 - d, "similarities r become dissimilarities as 1 - r"),
        (
            lambda d: d.assign_coords(pair=(("stimulus", "other_stimulus"), np.ones((4, 4)))),
            "'pair' has dims",
        ),
    ],
)
def test_validate_dissimilarities_refuses(dissimilarities, spoil, message):
    with pytest.raises(RecordingError, match=message):
        validate_dissimilarities(spoil(dissimilarities))


def test_invalid_dissimilarities_are_never_written(dissimilarities, tmp_path):
    with pytest.raises(RecordingError):
        save_dissimilarities(1 - dissimilarities, tmp_path / "rdms.nc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_rounding_is_no_asymmetry_in_any_unit(dissimilarities, scale):
    """Squared distances from a program that computed both triangles in single precision."""
    large = dissimilarities.copy(deep=True)
    large["dissimilarity"].attrs["units"] = "spikes^2/s^2"
    large["dissimilarity"] *= scale
    large["dissimilarity"][0, 0, 1] *= 1 + 1e-7
    assert validate_dissimilarities(large) is large
    large["dissimilarity"][0, 0, 1] *= 1 + 1e-5
    with pytest.raises(RecordingError, match="not symmetric in 'V4'"):
        validate_dissimilarities(large)
