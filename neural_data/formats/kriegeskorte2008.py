"""Dissimilarities of 92 object images in monkey and human IT, of Kriegeskorte et al. 2008."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from neural_data.errors import RecordingError
from neural_data.formats.matlab import read_mat
from neural_data.formats.table import Fetched
from neural_data.model.dissimilarities import validate_dissimilarities
from neural_data.model.stimuli import stimuli_from_arrays, validate_stimuli

FILE = "Kriegeskorte_Neuron2008_supplementalData.mat"
SPECIES = {
    "monkey": ("mIT_674neurons", "674 IT neurons of two macaques (Kiani et al. 2007)"),
    "human": ("hITvisStim_316vx", "fMRI of 316 IT voxels, mean of four subjects"),
}
FLAGS = ("human", "face", "animal", "natural")


def read_kriegeskorte2008(
    folder: str | os.PathLike[str], *, species: str = "monkey"
) -> tuple[xr.Dataset, xr.Dataset]:
    """Read the IT dissimilarities of 92 images and the images themselves.

    The dissimilarity of two images is 1 - Pearson r between the response patterns that they
    evoke in inferior temporal cortex [1]_, in the monkey over single neurons [2]_. Responses are
    not part of the data.

    Parameters
    ----------
    folder : path
        Holds ``Kriegeskorte_Neuron2008_supplementalData.mat``, or is that file.
    species : {"monkey", "human"}

    Returns
    -------
    dissimilarities : xarray.Dataset
        ``dissimilarity (area, stimulus, other_stimulus)``, float64, one area "IT".
    stimuli : xarray.Dataset
        92 images of 175 x 175 pixels on grey, named "im01" to "im92", with ``category`` (six,
        such as "human face") and ``human``, ``face``, ``animal``, ``natural`` (True, False).

    Raises
    ------
    FileNotFoundError
        There is no such folder or file in it.
    RecordingError
        The file is damaged or not this data set; or the species is neither of the two.

    References
    ----------
    .. [1] Kriegeskorte et al. (2008). Matching categorical object representations in inferior
       temporal cortex of man and monkey. Neuron 60, 1126-1141, Figure 1.
    .. [2] Kiani, Esteky, Mirpour & Tanaka (2007). Object category structure in response
       patterns of neuronal population in monkey inferior temporal cortex. J Neurophysiol 97.
    """
    if species not in SPECIES:
        raise RecordingError(f"species is {species!r}; expected 'monkey' or 'human'.")
    path = Path(folder)
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Expected a folder with {FILE}.")
    contents = _load_mat(path)
    try:
        matrix = _find_matrix(contents["RDMs_mIT_hIT_fig1"], SPECIES[species][0])
        structs = np.ravel(contents["stimuli_92objs"])
        pixels = np.stack([struct["image"] for struct in structs])
        category = [str(np.ravel(struct["category"])[0]) for struct in structs]
        flags = {flag: [bool(np.ravel(struct[flag])[0]) for struct in structs] for flag in FLAGS}
        if len(structs) != len(matrix):
            raise ValueError(f"{len(structs)} images for {len(matrix)} rows of the RDM")
    except (KeyError, IndexError, ValueError, TypeError) as cause:
        raise RecordingError(
            f"{path.name} is not the data set expected ({cause}). Expected the variables "
            "RDMs_mIT_hIT_fig1 and stimuli_92objs of the paper's supplemental data."
        ) from cause
    names = [f"im{k:02d}" for k in range(1, len(matrix) + 1)]
    source = f"Kriegeskorte et al. 2008, {species} IT: {SPECIES[species][1]}"
    stimuli = stimuli_from_arrays(
        pixels,
        stimulus=names,
        source="Kriegeskorte et al. 2008, 92 object images",
        category=category,
    ).assign_coords({flag: ("stimulus", values) for flag, values in flags.items()})
    dissimilarities = xr.Dataset(
        {
            "dissimilarity": (
                ("area", "stimulus", "other_stimulus"),
                matrix[np.newaxis],
                {"units": "1 - Pearson r"},
            )
        },
        coords={"area": ["IT"], "other_stimulus": names, **stimuli.coords},
        attrs={"source": source},
    )
    return (
        validate_dissimilarities(dissimilarities, name=path.name),
        validate_stimuli(stimuli, name=path.name),
    )


def is_kriegeskorte2008(path: Path) -> bool:
    """Whether the path is the supplementary file, or a folder with it."""
    return path.name == FILE or (path / FILE).is_file()


def open_kriegeskorte2008(path: Path) -> tuple[str, xr.Dataset]:
    """Open the dissimilarities of monkey IT."""
    return "dissimilarities", read_kriegeskorte2008(path)[0]


def load_kriegeskorte2008(fetched: Fetched) -> tuple[xr.Dataset, xr.Dataset]:
    """Load the catalogue's data set."""
    return read_kriegeskorte2008(fetched.folder)


def _load_mat(path: Path) -> dict[str, Any]:
    try:
        return {name: read_mat(path, name) for name in ("RDMs_mIT_hIT_fig1", "stimuli_92objs")}
    except KeyError as cause:
        raise RecordingError(
            f"{path.name} is not the data set expected (it has {cause}). Expected the variables "
            "RDMs_mIT_hIT_fig1 and stimuli_92objs of the paper's supplemental data."
        ) from cause
    except (ValueError, EOFError, zlib.error) as cause:
        raise RecordingError(
            f"{path} cannot be read as a MATLAB file ({path.stat().st_size} bytes; {cause}). It "
            "is truncated or of another format: copy it again."
        ) from cause


def _find_matrix(structs: Any, name: str) -> np.ndarray:
    """Find the RDM of that name, a vector of pairs or a square, and return it square."""
    from scipy.spatial.distance import squareform

    by_name = {str(np.ravel(struct["name"])[0]): struct["RDM"] for struct in np.ravel(structs)}
    if name not in by_name:
        raise KeyError(f"no RDM {name!r}, only {', '.join(by_name)}")
    matrix = np.asarray(by_name[name], dtype=np.float64)
    return squareform(matrix.ravel()) if 1 in matrix.shape else matrix
