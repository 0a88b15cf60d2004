"""What a candidate network is compared with: areas of the brain, or layers of another network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from brainguided.networks.grams import distances_from_moments
from brainguided.rdms.compute import (
    build_rdms,
    compute_rdms,
    condition_index,
    select_rdm,
    standardise,
)
from brainguided.rdms.crossnobis import Noise
from brainguided.rdms.labels import check_alignment, condition_labels
from brainguided.rdms.measures import DEFAULT, read_measure
from brainguided.rdms.units import UnitName, Units, find_target_units, refuse_few
from neural_data.errors import AlignmentError, RecordingError, check_type
from neural_data.model.origin import is_simulated
from neural_data.model.patterns import as_recording, zscore_sites
from neural_data.model.recording import check_structure, select_recording
from neural_data.model.stimuli import align_stimuli, validate_stimuli
from neural_data.rounding import is_flat

if TYPE_CHECKING:
    from rsatoolbox.rdm import RDMs
    from torch import nn

    from brainguided.networks.layers import Layers
    from brainguided.networks.preprocessing import Preprocessing


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
    """

    area: str
    stimuli: xr.Dataset
    rdm: RDMs
    by: str = "stimulus"
    recording: xr.Dataset | None = None
    noise: Noise = "shrinkage"

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


@dataclass(frozen=True, eq=False)
class Teacher:
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
        recording = as_recording(recording)
        check_structure(recording)
        recording = zscore_sites(recording) if zscore else recording
        n_bins = recording.sizes.get("time_bin", 1)
        if n_bins > 1:
            raise RecordingError(
                f"The recording has {n_bins} time bins; a teacher has one RDM an area. Choose the "
                "window that is to guide: average_window(recording, start, end)."
            )
        images = align_stimuli(stimuli, recording["stimulus"].values.astype(str).tolist())
        if by != "stimulus" and by in recording.coords and by in images.coords:
            pairs = zip(recording[by].values.tolist(), images[by].values.tolist(), strict=True)
            differ = [n for n, (a, b) in enumerate(pairs) if str(a) != str(b)]
            if differ:
                raise AlignmentError(
                    f"The recording and the images disagree on {by!r} of {len(differ)} stimuli, "
                    f"e.g. {images['stimulus'].values[differ[0]]!r}: "
                    f"{recording[by].values[differ[0]]!r} and {images[by].values[differ[0]]!r}. "
                    "Correct one, or drop the coordinate of the recording with drop_vars."
                )
        if by not in recording.coords and by in images.coords:
            recording = recording.assign_coords({by: ("stimulus", images[by].values)})
        elif by != "stimulus" and by not in images.coords and by in recording.coords:
            images = images.assign_coords({by: ("stimulus", recording[by].values)})
        found = list(dict.fromkeys(recording["area"].values.tolist()))
        chosen = found if areas is None else [areas] if isinstance(areas, str) else list(areas)
        targets = []
        for part in _split_by_stimuli(recording, chosen):
            own = list(dict.fromkeys(part["area"].values.astype(str).tolist()))
            rdms = compute_rdms(part, by=by, measure=measure, noise=noise)
            shown = images
            if part.sizes["stimulus"] < images.sizes["stimulus"]:
                shown = images.sel(stimulus=part["stimulus"].values)
            for number, area in enumerate(own):
                single = select_recording(part, area=area)
                targets.append(Target(area, shown, select_rdm(rdms, number), by, single, noise))
        return cls(tuple(sorted(targets, key=lambda target: chosen.index(target.area))))

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
        labels = condition_labels(rdms)
        if by == "stimulus":
            images = align_stimuli(stimuli, labels, name="RDM")
        else:
            images = validate_stimuli(stimuli)
            index, groups = condition_index(images["image"], by)
            if sorted(groups) != sorted(labels):
                check_alignment(groups, labels, names=("The stimulus set", "the RDM"))
            rank = np.array([labels.index(g) for g in groups])[index]
            images = images.isel(stimulus=np.argsort(rank, kind="stable"))
        names = rdms.rdm_descriptors.get("area")
        if area is not None:
            if rdms.n_rdm != 1:
                raise ValueError(
                    f"area={area!r} names one RDM, but there are {rdms.n_rdm}; set "
                    "rdm_descriptors['area'] instead."
                )
            names = [area]
        if names is None:
            raise AlignmentError(
                f"The {rdms.n_rdm} RDMs have no descriptor 'area'; set rdm_descriptors["
                "'area'], or give area= for a single RDM."
            )
        return cls(
            tuple(
                Target(str(name), images, select_rdm(rdms, k), by) for k, name in enumerate(names)
            )
        )

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
        from brainguided.networks.passes import stream_subsets
        from brainguided.networks.probe import probe_layers
        from brainguided.networks.streamed import averaging_weights, condition_coords

        validate_stimuli(stimuli)
        group = None if by == "stimulus" else condition_index(stimuli["image"], by)[0]
        images = stimuli["image"].values
        found = probe_layers(network, images, layers, preprocessing=preprocessing)
        subsets = {}
        for k, (layer, units) in enumerate(found.units.items()):
            generator = np.random.default_rng((seed, k))
            number = 10 if units > subset_size else 1
            subsets[layer] = [
                np.sort(generator.permutation(units)[:subset_size]) for _ in range(number)
            ]
        streamed = stream_subsets(
            network, images, subsets, found,
            preprocessing=preprocessing, average=averaging_weights(group),
        )  # fmt: skip
        origin = {"source": f"network {type(network).__name__}"}
        coords = condition_coords(stimuli, by)
        targets = []
        for layer, moments in streamed:
            vector = np.mean([distances_from_moments(one) for one in moments], axis=0)
            rdm = build_rdms(
                vector, conditions=coords, by=by, rdm_descriptors={"area": [layer]}, origin=origin
            )
            rdm.descriptors.update(found.describe())
            targets.append(Target(layer, stimuli, rdm, by))
        return cls(tuple(targets))

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
            targets.append(Target(target.area, target.stimuli, rdm, target.by))
        return Teacher(tuple(targets))

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
                "rdm_sha256": fingerprint(np.asarray(t.rdm.dissimilarities[0], dtype=float)),
                "stimuli_sha256": fingerprint(t.stimuli["image"].values),
                "conditions_sha256": fingerprint(np.array(t.stimuli[t.by].values.astype(str))),
            }
            for t in self.targets
        ]


def _describe_simulated(target: Target) -> dict[str, bool]:
    """Say that an area is simulated, where its source alone does not.

    Journals from before the flag know the source alone, and their searches still go on.
    """
    told = is_simulated({"source": target.source})
    return {} if told or not is_simulated(target.rdm) else {"simulated": True}


def _split_by_stimuli(recording: xr.Dataset, areas: list[str]) -> list[xr.Dataset]:
    """Return the areas together if each was shown all stimuli, else those shown the same ones."""
    part = select_recording(recording, area=areas)
    missing = part["response"].isnull()
    labels = part["area"].values.astype(str)
    dims = [dim for dim in missing.dims if dim != "stimulus"]
    groups: dict[bytes, tuple[np.ndarray, list[str]]] = {}
    for area in areas:
        shown = ~missing.isel(site=labels == area).all(dims).values
        groups.setdefault(shown.tobytes(), (shown, []))[1].append(area)
    if len(groups) == 1 and next(iter(groups.values()))[0].all():
        return [part]
    names = part["stimulus"].values
    return [select_recording(part, area=own, stimulus=names[s]) for s, own in groups.values()]


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


def fingerprint(values: np.ndarray) -> str:
    """Return the first 16 hex digits of the SHA-256 of an array's shape, type and bytes."""
    digest = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]
