"""What the variables of results are called in figures and tables, and their units."""

from __future__ import annotations

from typing import TypeVar

import xarray as xr

from neural_data.labels import name_variables

_Result = TypeVar("_Result", xr.Dataset, xr.DataArray)
_ONE = "1"
VARIABLES: dict[str, tuple[str, str]] = {
    "area": ("area", ""),
    "layer": ("layer", ""),
    "bound": ("end of the 95 % interval", ""),
    "depth": ("relative depth", _ONE),
    "similarity": ("similarity", _ONE),
    "similarity_interval": ("95 % interval of the similarity", _ONE),
    "similarity_draws": ("similarity in bootstrap draws", _ONE),
    "similarity_by_animal": ("similarity to one animal", _ONE),
    "ceiling": ("noise ceiling", _ONE),
    "ceiling_interval": ("95 % interval of the noise ceiling", _ONE),
    "ceiling_usable": ("whether the ceiling may be divided by", ""),
    "ceiling_stimuli": ("stimuli of the ceiling", "1"),
    "ceiling_unbiased": ("whether unequal noise leaves the ceiling as it is", ""),
    "site_ceiling": ("ceiling over samples of sites", _ONE),
    "animal_ceiling": ("ceiling over animals", _ONE),
    "corrected_similarity": ("similarity divided by its ceiling", _ONE),
    "corrected_interval": ("95 % interval of the corrected similarity", _ONE),
    "p_value": ("p", _ONE),
    "corrected_p_value": ("p, corrected for multiple tests", _ONE),
    "best_layer": ("best layer", ""),
    "best_similarity": ("similarity of the best layer", _ONE),
    "null_best": ("similarity of the best layer by chance", _ONE),
    "best_above_null": ("similarity of the best layer above chance", _ONE),
    "committed_layer": ("committed layer", ""),
    "committed_share": ("share of halvings with the committed layer", _ONE),
    "committed_similarity": ("committed similarity", _ONE),
    "committed_interval": ("95 % interval of the committed similarity", _ONE),
    "unit_count": ("units of stimuli", _ONE),
    "degrees_of_freedom": ("degrees of freedom", _ONE),
    "index": ("hierarchy index", _ONE),
    "index_interval": ("95 % interval of the hierarchy index", _ONE),
    "positive_share": ("share of draws with a positive index", _ONE),
    "null_index": ("hierarchy index by chance", _ONE),
    "difference": ("difference in similarity", _ONE),
    "interval": ("95 % interval", _ONE),
    "correlation": ("cross-validated correlation", _ONE),
    "corrected": ("correlation divided by its ceiling", _ONE),
    "null": ("similarity by chance", _ONE),
    "above_null": ("similarity above chance", _ONE),
    "dimensionality": ("participation ratio", _ONE),
    "of_means": ("participation ratio of mean responses", _ONE),
    "coupling": ("coupling of layer and area", _ONE),
    "score": ("similarity under the coupling", _ONE),
    "best_layer_similarity": ("similarity of the best single layer", _ONE),
    "fold_similarity": ("similarity in a fold", _ONE),
    "fold_best_layer_similarity": ("similarity of the best single layer in a fold", _ONE),
    "weight": ("weight of the layer", _ONE),
}
"""``long_name`` and ``units`` of what the functions of `correspondence` return."""


def name_results(result: _Result) -> _Result:
    """Give the variables of a result their names and units; the same object is returned."""
    named: _Result = name_variables(result, VARIABLES)
    return named
