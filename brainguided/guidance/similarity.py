"""How similar each layer of a network is to each area of a teacher, and what that earns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.guidance.scoring import Scorer
from brainguided.guidance.similarities import find_similarity
from brainguided.guidance.teacher import Teacher, check_teacher
from brainguided.networks.layers import Layers
from brainguided.networks.preprocessing import Preprocessing
from neural_data.errors import check_type
from neural_data.model.origin import origin_of

if TYPE_CHECKING:
    from torch import nn


def compute_similarity(
    network: nn.Module,
    teacher: Teacher,
    *,
    layers: Layers = None,
    preprocessing: Preprocessing | None = None,
) -> xr.DataArray:
    """Return the similarity of every layer of a network to every area of a teacher.

    The similarity is the Pearson correlation between the upper triangles of the layer's and the
    area's RDM, ``r_ij`` of [1]_. The network sees each area's own stimuli; areas that share
    their stimuli share one forward pass.

    Parameters
    ----------
    network : torch.nn.Module
        Maps (stimulus, channel, y, x) images, by default in -1..1, to an output.
    teacher : Teacher
        The areas.
    layers : str, sequence of str or Observation, optional
        Names as in ``named_modules()`` or patterns; see ``layers.select_layers``.
    preprocessing : Preprocessing, optional
        What is done to the teacher's images; by default they keep their size.

    Returns
    -------
    xr.DataArray (layer, area)
        Pearson r in [-1, 1]; NaN for a layer whose RDM is constant or not finite (a dead
        layer), which cannot resemble anything.

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.2.
    """
    check_teacher(teacher)
    scores = Scorer(teacher, splits=0).score(network, layers=layers, preprocessing=preprocessing)
    columns = list(scores.similarity.values())
    names = list(columns[0])
    table = [[np.nan if (r := column[name]) is None else r for column in columns] for name in names]
    label = {find_similarity(t.similarity).label for t in teacher}
    return xr.DataArray(
        np.array(table, dtype=float),
        dims=("layer", "area"),
        coords={"layer": names, "area": list(teacher.areas)},
        name="similarity",
        attrs={
            "long_name": "RDM similarity (Pearson r)" if label == {"Pearson r"} else "similarity",
            **origin_of(*(t.rdm for t in teacher)),
            **scores.described,
        },
    )


def compute_guidance(similarity: xr.DataArray) -> float:
    """Return TG: the mean over areas of the best layer's similarity.

    ``S_i = max_j r_ij``, ``TG = mean_i S_i`` [1]_. Layers without a defined similarity are left
    out of the maximum; an area to which no layer has one counts as 0.

    Parameters
    ----------
    similarity : xr.DataArray (layer, area)
        As from :func:`compute_similarity`.

    Returns
    -------
    float
        In [-1, 1].

    References
    ----------
    .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 3.2.
    """
    check_type(
        isinstance(similarity, xr.DataArray),
        similarity,
        name="The similarity",
        wanted="an xarray.DataArray (layer, area), as compute_similarity returns it",
    )
    return float(similarity.max("layer", skipna=True).fillna(0.0).mean("area"))


def best_layers(similarity: xr.DataArray) -> dict[str, str]:
    """Return, for each area, the layer that resembles it most (absent where none is defined).

    Parameters
    ----------
    similarity : xr.DataArray (layer, area)
        As of `compute_similarity`; NaN where it is undefined.

    Returns
    -------
    dict of str to str
        Name of the layer, by area.
    """
    best = {}
    for area in similarity["area"].values.tolist():
        column = similarity.sel(area=area).values
        if np.isfinite(column).any():
            best[str(area)] = str(similarity["layer"].values[np.nanargmax(column)])
    return best
