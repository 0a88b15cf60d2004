"""What a candidate network is compared with: areas of the brain, or layers of another network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.guidance._sources import (
    targets_from_network,
    targets_from_rdms,
    targets_from_recording,
)
from brainguided.guidance.similarities import find_similarity
from brainguided.guidance.target import Target, fingerprint, is_weighed
from brainguided.journal.facts import Shown
from brainguided.rdms.compute import average_conditions, select_rdm
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.measures import DEFAULT
from brainguided.rdms.units import UnitName, refuse_few
from neural_data.errors import check_type, format_names
from neural_data.model.origin import is_simulated
from neural_data.model.recording import average_repetitions

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False, repr=False)
class Teacher(Shown):
    """Areas that candidates are compared with, each with its own stimuli and RDM.

    Teachers are added to put areas recorded with different images side by side::

        teacher = Teacher.from_recording(v4, v4_images) + Teacher.from_rdms(it, it_images)

    Attributes
    ----------
    targets : tuple of Target
        The areas, each with a name of its own.
    """

    targets: tuple[Target, ...]

    def __post_init__(self) -> None:
        names = [t.area for t in self.targets]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                f"A teacher needs at least one area, each with a name of its own; got {names}. Of "
                "several animals, pool_recordings (in a file: recording = ['a.nc', 'b.nc']) makes "
                "one area, Teacher.rename (name = 'V4 (WE)') puts them side by side."
            )

    def __add__(self, other: Teacher) -> Teacher:
        return Teacher(self.targets + other.targets)

    def __iter__(self) -> Iterator[Target]:
        return iter(self.targets)

    @property
    def areas(self) -> tuple[str, ...]:
        """Names of the areas."""
        return tuple(t.area for t in self.targets)

    def _list_facts(self) -> dict[str, str]:
        return {target.area: _say_target(target) for target in self.targets}

    @classmethod
    def from_recording(
        cls,
        recording: xr.Dataset | xr.DataArray,
        stimuli: xr.Dataset,
        *,
        areas: str | Sequence[str] | None = None,
        by: str = "stimulus",
        measure: str = "correlation",
        noise: Noise = "shrinkage",
        zscore: bool = False,
    ) -> Teacher:
        """Make a teacher of the areas of a recording.

        Responses are averaged over repetitions, and over the stimuli of a condition if `by` is
        given; all sites of an area are used. Images are joined to responses by ``stimulus``. A
        stimulus that no site of an area was shown, as in recordings pooled side by side, is none of
        this area.

        Parameters
        ----------
        recording : xr.Dataset or xr.DataArray
            Responses; or mean responses (stimulus, site), see ``neural_data.as_recording``.
        stimuli : xr.Dataset
            Images of exactly the recorded stimuli, in any order.
        areas : str or sequence of str, optional
            Which areas; by default all.
        by : str, optional
            ``"stimulus"`` (image-level RDM) or a coordinate over stimuli such as
            ``"object_name"`` (object-averaged RDM, as in Bashivan et al. 2019, figure 1).
        measure, noise : optional
            As for ``rdm.compute_rdms``. Layers are compared by the same measure, or by squared
            Euclidean distances where the measure is one of noisy responses only.
        zscore : bool, optional
            Bring each site to mean 0 and standard deviation 1 over stimuli first, for RDMs and
            ceilings; see ``neural_data.zscore_sites``.

        Raises
        ------
        RecordingError
            If the recording or the images are not valid, an RDM is undefined, or the recording
            has several time bins.
        AlignmentError
            If stimuli lack images or images lack responses.
        """
        return cls(
            targets_from_recording(
                recording, stimuli, areas, by=by, measure=measure, noise=noise, zscore=zscore
            )
        )

    @classmethod
    def from_rdms(
        cls, rdms: RDMs, stimuli: xr.Dataset, *, area: str | None = None, by: str = "stimulus"
    ) -> Teacher:
        """Make a teacher of published RDMs, for which no responses are at hand.

        Parameters
        ----------
        rdms : rsatoolbox.rdm.RDMs
            One RDM an area, with condition labels; named by ``rdm_descriptors["area"]``.
        stimuli : xr.Dataset
            Images of exactly these conditions, in any order.
        area : str, optional
            Name of the area of a single RDM without that descriptor.
        by : str, optional
            Coordinate of `stimuli` that holds the RDM's condition labels.

        Raises
        ------
        AlignmentError
            If conditions lack images or images lack conditions.
        ValueError
            If the RDMs name a dissimilarity measure that is unknown: layers are compared by the
            same one. Usual spellings are understood ("1 - r", "pearson", "squared mahalanobis").
        """
        return cls(targets_from_rdms(rdms, stimuli, area, by=by))

    @classmethod
    def from_network(
        cls,
        network: nn.Module,
        stimuli: xr.Dataset,
        *,
        layers: Layers,
        by: str = "stimulus",
        subset_size: int = 1000,
        preprocessing: Preprocessing | None = None,
        seed: int = 0,
    ) -> Teacher:
        """Make a teacher of layers of any torch module.

        Each layer's RDM is the mean over 10 RDMs, each of a random subset of its units
        [1]_; where a layer has no more than `subset_size` units, all are used once. Every image is
        shown once.

        Parameters
        ----------
        network : torch.nn.Module
            Maps (stimulus, channel, y, x) images in -1..1 to an output.
        stimuli : xr.Dataset
            Stimulus set.
        layers : str, sequence of str or Observation
            Names as in ``named_modules()`` or patterns; they become the areas.
        by : str, optional
            ``"stimulus"`` or a coordinate over stimuli, such as ``"object_name"``, whose values
            are the conditions: activations are averaged over the stimuli of each.
        subset_size : int, optional
            Units in a subset.
        preprocessing : Preprocessing, optional
            What is done to the images; by default they keep their size and are scaled to -1..1.
        seed : int, optional
            Seed of the subsets.

        References
        ----------
        .. [1] Bashivan, Tensen & DiCarlo (2019), ICCV, section 4.1.
        """
        targets = targets_from_network(
            network, stimuli, layers,
            by=by, subset_size=subset_size, preprocessing=preprocessing, seed=seed,
        )  # fmt: skip
        return cls(targets)

    def rename(self, areas: Mapping[str, str]) -> Teacher:
        """Return the teacher with areas under other names, such as {"V4": "V4 (WE)"}.

        Raises
        ------
        ValueError
            An area is unknown, or a name is taken twice.
        """
        unknown = sorted(set(areas) - set(self.areas))
        if unknown:
            raise ValueError(f"No area {unknown}; the teacher has {list(self.areas)}.")
        return Teacher(tuple(_rename_target(t, areas.get(t.area, t.area)) for t in self.targets))

    def without_recordings(self) -> Teacher:
        """Return the teacher with its RDMs alone: all that a search needs, and sends to workers."""
        bare = [replace(t, recording=None, noise="shrinkage") for t in self.targets]
        return Teacher(tuple(bare))

    def shuffled(self, *, seed: int, unit: UnitName = None, within: bool = False) -> Teacher:
        """Return a control teacher: the same RDMs with their conditions permuted at random.

        Units (categories, say) change places as wholes, and within them what is nested in them.
        What a network has in common with any area since both tell categories apart thus stays; a
        search guided by the control can gain nothing else from the brain, and the similarity of
        any network to it is the null distribution of TG. It holds no recordings.

        Parameters
        ----------
        seed : int
        unit : str or tuple of str, optional
            As for ``Inference``: by default the coarsest of ``session``, ``category`` and
            ``object_name`` that the data name; ``"stimulus"`` for a control without any structure.
        within : bool, optional
            Leave units in their places and permute within them: the control keeps what the area
            says of whole units, and loses what it says of single stimuli.

        Raises
        ------
        ValueError
            If the unit is no coordinate of the stimuli, there are fewer than 6, or most differ in
            size, so that they cannot change places.
        """
        from rsatoolbox.rdm import RDMs

        generator = np.random.default_rng(seed)
        targets = []
        for target in self.targets:
            units = target.units(unit)
            order = (units if within else refuse_few(units)).shuffle(generator, within=within)
            matrix = target.rdm.get_matrices()[0][np.ix_(order, order)]
            how = "" if units.name == target.by else f", unit={units.name!r}"
            step = f"shuffled(seed={seed}{how}{', within=True' if within else ''})"
            descriptors = {
                **target.rdm.descriptors,
                "source": f"shuffled conditions of {target.source}",
                "history": "\n".join([*target.history, step]),
            }
            rdm = RDMs(
                matrix[None],
                dissimilarity_measure=target.rdm.dissimilarity_measure,
                descriptors=descriptors,
                rdm_descriptors=dict(target.rdm.rdm_descriptors),
                pattern_descriptors=dict(target.rdm.pattern_descriptors),
            )
            patterns = None if target.patterns is None else target.patterns[order]
            bare = replace(target, recording=None, noise="shrinkage")
            targets.append(replace(bare, rdm=rdm, patterns=patterns))
        return Teacher(tuple(targets))

    def with_similarity(self, name: str) -> Teacher:
        """Return the teacher with its areas compared by another similarity.

        Parameters
        ----------
        name : str
            A comparison of RDMs as for ``compare_rdms``, "cka" (linear, debiased) or "ridge"
            (cross-validated predictivity, mean over sites). The last two need recordings.

        Raises
        ------
        ValueError
            If there is no such similarity, or an area has no responses for it.
        """
        find_similarity(name)
        return Teacher(
            tuple(replace(t, similarity=name, patterns=average_patterns(t)) for t in self.targets)
        )

    def describe(self) -> list[dict[str, Any]]:
        """Return what identifies each area's data, ready for JSON."""
        return [
            {
                "area": t.area,
                "by": t.by,
                "conditions": int(t.rdm.n_cond),
                "stimuli": int(t.stimuli.sizes["stimulus"]),
                "source": t.source,
                **_describe_simulated(t),
                **({"history": t.history} if t.history else {}),
                **({} if t.measure == DEFAULT.name else {"measure": t.measure}),
                **describe_similarity(t),
                "rdm_sha256": fingerprint(np.asarray(t.rdm.dissimilarities[0], dtype=float)),
                "stimuli_sha256": fingerprint(t.stimuli["image"].values),
                "conditions_sha256": fingerprint(np.array(t.stimuli[t.by].values.astype(str))),
            }
            for t in self.targets
        ]


def _say_target(target: Target) -> str:
    """Say what an area holds, from what is known of it without computing anything."""
    said = []
    if target.recording is not None:
        said.append(f"{target.recording.sizes['site']} sites")
        if "animal" in target.recording.coords:
            animals = np.unique(target.recording["animal"].values.astype(str))
            said[0] += f" of {format_names(animals)}"
        if "repetition" in target.recording.sizes:
            said.append(f"{target.recording.sizes['repetition']} repetitions")
        if "reliability" in target.recording.coords:
            known = target.recording["reliability"].values.astype(float)
            if np.isfinite(known).any():
                said.append(f"reliability {np.nanmedian(known):.2f} (median of sites, as given)")
    else:
        said.append("RDM alone")
    said.append(f"{target.stimuli.sizes['stimulus']} stimuli")
    if target.by != "stimulus":
        said.append(f"{target.rdm.n_cond} conditions by {target.by}")
    said.append(f"{target.measure} distances, compared by {target.similarity}")
    if is_simulated(target.rdm) or is_simulated({"source": target.source}):
        said.append("simulated")
    return ", ".join(said)


def average_patterns(target: Target) -> np.ndarray | None:
    """Return the mean responses (condition, site) of a target; None where there are none."""
    if target.patterns is not None or target.recording is None:
        return target.patterns
    mean = average_repetitions(target.recording).isel(time_bin=0, missing_dims="ignore", drop=True)
    values: np.ndarray = average_conditions(mean.transpose("stimulus", "site"), target.by).values
    if not np.isfinite(values).all():
        raise ValueError(
            f"Some sites of {target.area} lack responses to some stimuli; regression and CKA need "
            "all: keep what is complete with select_complete(recording)."
        )
    return values


def describe_similarity(target: Target) -> dict[str, Any]:
    """Return how a target is compared with layers, where that is not the usual way."""
    said: dict[str, Any] = {}
    if target.similarity != "pearson":
        said["similarity"] = target.similarity
    if target.patterns is not None:
        said["patterns_sha256"] = fingerprint(np.asarray(target.patterns, dtype=float))
    if target.given is not None:
        said["given_sha256"] = fingerprint(np.asarray(target.given, dtype=float))
    if is_weighed(target):  # in journals of before all pairs counted alike
        said["committed"] = "pairs weighed within halves"
    return said


def _describe_simulated(target: Target) -> dict[str, bool]:
    """Say that an area is simulated, where its source alone does not.

    Journals from before the flag know the source alone, and their searches still go on.
    """
    told = is_simulated({"source": target.source})
    return {} if told or not is_simulated(target.rdm) else {"simulated": True}


def _rename_target(target: Target, area: str) -> Target:
    recording, noise, rdm = target.recording, target.noise, select_rdm(target.rdm, 0)
    rdm.rdm_descriptors["area"] = [area]
    if recording is not None:
        recording = recording.assign_coords(area=("site", [area] * recording.sizes["site"]))
    if not isinstance(noise, str):
        noise = {area: noise[target.area]}
    return replace(target, area=area, rdm=rdm, recording=recording, noise=noise)


def check_teacher(teacher: Any) -> None:
    """Raise a TypeError unless this is a teacher."""
    check_type(
        isinstance(teacher, Teacher),
        teacher,
        name="The teacher",
        wanted="a Teacher, such as Teacher.from_recording(recording, stimuli)",
    )
