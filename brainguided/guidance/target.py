"""One area that candidate networks are compared with, or a layer of another network."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from brainguided.guidance.similarities import check_similarity, find_similarity
from brainguided.rdms.compute import condition_index, standardise
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.halves import choose_halved
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.measures import read_measure
from brainguided.rdms.units import UnitName, Units, find_target_units
from neural_data.errors import RecordingError
from neural_data.model.stimuli import validate_stimuli
from neural_data.rounding import is_flat

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs


@dataclass(frozen=True, eq=False)
class Target:
    """Area to be matched: the images shown and the RDM of the responses to them.

    Attributes
    ----------
    area : str
        Name of the brain area, or of the teacher network's layer.
    stimuli : xr.Dataset
        Stimulus set; its order is that of the RDM (or, for grouped conditions, its groups appear
        in the RDM's order).
    rdm : rsatoolbox.rdm.RDMs
        One RDM.
    by : str
        Coordinate of `stimuli` whose values are the conditions of the RDM.
    recording : xr.Dataset or None
        The area's responses with their repetitions, for ceilings and intervals; None where there
        is only an RDM.
    noise : str or mapping of area to ndarray
        How the noise of the responses was estimated for the RDM; see ``compute_rdms``.
    similarity : str
        What layers are compared by, a row of ``similarities.SIMILARITIES``: a comparison of RDMs
        ("pearson" by default), "cka" or "ridge".
    patterns : ndarray (condition, site) or None
        Mean responses, for similarities that need them.
    given : ndarray (control, pair) or None
        RDMs that both sides are regressed on before they are correlated: the target is what its
        RDM holds beyond these.
    """

    area: str
    stimuli: xr.Dataset
    rdm: RDMs
    by: str = "stimulus"
    recording: xr.Dataset | None = None
    noise: Noise = "shrinkage"
    similarity: str = "pearson"
    patterns: np.ndarray | None = None
    given: np.ndarray | None = None

    def __post_init__(self) -> None:
        validate_stimuli(self.stimuli, name=f"stimuli of {self.area}")
        if self.rdm.n_rdm != 1:
            raise ValueError(f"A target has one RDM; {self.area} was given {self.rdm.n_rdm}.")
        check_alignment(
            self.conditions,
            condition_labels(self.rdm, name=f"The RDM of {self.area}"),
            names=(f"The stimulus set of {self.area}", "its RDM"),
        )
        read_measure(self.rdm.dissimilarity_measure)
        vector = self.rdm.dissimilarities[0]
        if not np.isfinite(vector).all() or is_flat(vector):
            raise RecordingError(
                f"The RDM of {self.area} holds NaN or is constant; it cannot guide a search."
            )
        check_similarity(self)

    @property
    def conditions(self) -> list[str]:
        """Labels of the conditions, in the RDM's order."""
        return condition_index(self.stimuli["image"], self.by)[1]

    def units(self, unit: UnitName = None) -> Units:
        """Return what was sampled among the conditions; see ``Inference.unit``."""
        return find_target_units(
            self.stimuli, self.by, unit, descriptors=self.rdm.pattern_descriptors
        )

    @property
    def vector(self) -> np.ndarray:
        """The dissimilarities (pair,), with mean 0 and length 1."""
        return standardise(np.asarray(self.rdm.dissimilarities[0], dtype=float))

    @property
    def measure(self) -> str:
        """By which measure the RDM was made; see ``rdm.compute_rdms``."""
        return read_measure(self.rdm.dissimilarity_measure).name

    @property
    def source(self) -> str:
        """Where the responses come from."""
        return str(self.rdm.descriptors.get("source", "unknown"))

    @property
    def history(self) -> list[str]:
        """What was done to the responses since, one step an entry; empty if unknown."""
        return str(self.rdm.descriptors.get("history", "")).splitlines()


def fingerprint(values: np.ndarray) -> str:
    """Return the first 16 hex digits of the SHA-256 of an array's shape, type and bytes."""
    digest = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def find_halved(target: Target) -> Units:
    """Return the groups of a target's conditions that fall on one side of its halves."""
    with warnings.catch_warnings():  # of other groupings: halves serve a choice, no inference
        warnings.simplefilter("ignore", UserWarning)
        return choose_halved(target.units())


def is_weighed(target: Target) -> bool:
    """Return whether pairs of conditions count unequally in a target's committed similarity."""
    units = find_halved(target)
    return find_similarity(target.similarity).weighs and units.number < len(units.index)
