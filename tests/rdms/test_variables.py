"""Results say what their variables are, and keep what they said already."""

from __future__ import annotations

import numpy as np
import xarray as xr

from brainguided.correspondence.compute import VARIABLES as OF_A_CORRESPONDENCE
from brainguided.rdms.variables import VARIABLES, name_results


def test_a_result_has_names_and_units_and_keeps_its_own():
    result = xr.Dataset(
        {
            "similarity": (("layer", "area"), np.ones((2, 1)), {"long_name": "mine"}),
            "other": ("layer", [0, 1]),
        },
        coords={"layer": ["a", "b"], "area": ["IT"], "depth": ("layer", [0.0, 1.0])},
    )
    named = name_results(result)
    assert named is result
    assert named["similarity"].attrs == {"long_name": "mine", "units": "1"}
    assert named["depth"].attrs["long_name"] == "relative depth"
    assert named["layer"].attrs == {"long_name": "layer"}
    assert named["other"].attrs == {}


def test_everything_a_correspondence_says_has_a_name():
    assert OF_A_CORRESPONDENCE.keys() <= VARIABLES.keys()
