"""Every format that is read here, a row each: how it is known, opened, imported and loaded."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARRAYS = (".npy", ".npz", ".mat", ".csv", ".tsv")


@dataclass(frozen=True)
class Fetched:
    """Files of a data set of the catalogue that lie in a folder, and what is asked of them.

    Attributes
    ----------
    folder : pathlib.Path
    files : dict of str to pathlib.Path
        By kind, such as "responses" and "images"; those that are there.
    source : str
    units : str or None
        Where the files do not say them.
    session, per_repetition, size
        See `neural_data.load_dataset`.
    """

    folder: Path
    files: Mapping[str, Path]
    source: str
    units: str | None = None
    session: str | None = None
    per_repetition: bool = False
    size: int | None = None


@dataclass(frozen=True)
class Format:
    """One format; functions are named "module:function" and imported when they are needed.

    Attributes
    ----------
    name : str
        In the catalogue and on the command line.
    files : str
        Its files, in words.
    suffixes : tuple of str
        Of files that are of no other format.
    sniff : str
        ``sniff(path)``: whether a file or folder of another ending is of this format.
    open : str
        ``open(path)`` returns (kind, data), as `open_source`.
    read : str
        ``read(path, **options)`` returns data of the kinds that are in `gives`.
    gives : tuple of str
        "recording", "dissimilarities", "stimulus set".
    options : dict of str to dict
        The options of ``brainguided import NAME`` with their argparse settings; each is a
        parameter of ``read``.
    path, about, example : str
        What the help of the command line says.
    load, open_large : str
        ``load(fetched)`` returns (data, stimuli or None); ``open_large(fetched)`` a recording that
        stays in its file.
    extra : str
        What is to be installed as ``brainguided[extra]``.
    more : str
        ``more()`` returns further lines of help.
    """

    name: str
    files: str = ""
    suffixes: tuple[str, ...] = ()
    sniff: str = ""
    open: str = ""
    read: str = ""
    gives: tuple[str, ...] = ("recording",)
    options: Mapping[str, Mapping[str, Any]] | None = None
    path: str = ""
    about: str = ""
    example: str = ""
    load: str = ""
    open_large: str = ""
    extra: str = ""
    more: str = ""

    def matches(self, path: Path) -> bool:
        """Return whether a file or folder is of this format, as far as can be told unopened."""
        if path.suffix.lower() in self.suffixes and path.is_file():
            return True
        return bool(self.sniff) and bool(find_function(self.sniff)(path))


def find_function(reference: str) -> Callable[..., Any]:
    """Import the function that a row names."""
    function: Callable[..., Any] = pkgutil.resolve_name(reference)
    return function


def find_format(name: str) -> Format | None:
    """Return the row of a name, None if there is none."""
    return next((one for one in FORMATS if one.name == name), None)


_NAMES = "one name a line, or a .csv with a column {!r}; other columns are kept"
_VARIABLE = {"help": "which array, where the file holds several, e.g. data.images"}
_AREA = {"help": "of all sites, where the file names none"}
_SOURCE = {"required": True, "help": "where the data come from"}

# The first row that matches opens a file: those that know their files by name come first.
FORMATS = (
    Format(
        "cowley2023",
        files="a session of cowley2023 (responses_SESSION.npy, or a folder with one)",
        sniff="neural_data.formats.cowley2023:is_cowley2023",
        open="neural_data.formats.cowley2023:open_cowley2023",
        read="neural_data.formats.cowley2023:read_cowley2023",
        gives=("recording", "stimulus set"),
        options={
            "--session": {"required": True, "help": "six digits, e.g. 201025"},
            "--per-repetition": {"action": "store_true", "help": "keep every repetition"},
        },
        path="folder with responses_SESSION.npy and images_SESSION.zip",
        about="Import V4 responses and images of Cowley et al. 2023.",
        example="data/ --session 201025 --out v4.nc --stimuli-out images.nc",
        load="neural_data.formats.cowley2023:load_cowley2023",
    ),
    Format(
        "kriegeskorte2008",
        files="kriegeskorte2008 (its supplementary .mat, or a folder with it)",
        sniff="neural_data.formats.kriegeskorte2008:is_kriegeskorte2008",
        open="neural_data.formats.kriegeskorte2008:open_kriegeskorte2008",
        read="neural_data.formats.kriegeskorte2008:read_kriegeskorte2008",
        gives=("dissimilarities", "stimulus set"),
        options={"--species": {"choices": ("monkey", "human"), "default": "monkey"}},
        path="folder with the supplementary .mat file",
        about="Import the IT dissimilarities of 92 images of Kriegeskorte et al. 2008.",
        example="data/ --out it.nc --stimuli-out it_images.nc",
        load="neural_data.formats.kriegeskorte2008:load_kriegeskorte2008",
    ),
    Format(
        "brainio",
        files="netCDF of this package or of BrainIO (.nc)",
        suffixes=(".nc", ".nc4", ".cdf", ".h5", ".hdf5", ""),
        open="neural_data.formats.brainio.sources:open_netcdf_source",
        read="neural_data.formats.brainio.reader:open_brainio",
        options={
            "--table": {
                "type": Path,
                "dest": "stimuli",
                "help": "the stimulus set's .csv, joined by stimulus",
            },
            "--area": _AREA,
            "--units": {"help": "of the responses, e.g. spikes/s"},
            "--group": {"help": "of the file, where the data do not lie at its top"},
        },
        path="netCDF assembly, of any BrainIO version",
        about="Import a BrainIO assembly, as Brain-Score distributes recordings.",
        example="assy_dicarlo_MajajHong2015_public.nc \\\n"
        "      --table stimulus_hvm-public.csv --out hvm.nc",
        load="neural_data.formats.brainio.sources:load_brainio",
        open_large="neural_data.formats.brainio.sources:open_large_brainio",
    ),
    Format(
        "nwb",
        files="NWB (.nwb)",
        suffixes=(".nwb",),
        open="neural_data.formats.nwb.reader:open_nwb",
        read="neural_data.formats.nwb.reader:read_nwb",
        options={
            "--bins": {
                "type": float,
                "nargs": "+",
                "required": True,
                "metavar": "MS",
                "help": "edges in ms after onset: two are one window, more are time bins",
            },
            "--table": {"help": "of presentations, e.g. trials; found if it is obvious"},
            "--stimulus-column": {"help": "of the presentations; found if it is obvious"},
            "--onset-column": {"help": "of onsets in s; start_time if there is no other"},
            "--where": {"help": "a column of true and false, or COLUMN=VALUE: rows that are kept"},
            "--area": {"help": "of all units, where the electrodes name none"},
        },
        path="NWB file with units and a table of presentations",
        about="Import the units and presentations of an NWB file.",
        example="session.nwb --bins 70 170 --out it.nc",
        extra="nwb",
    ),
    Format(
        "nwb-images",
        read="neural_data.formats.nwb.images:read_nwb_images",
        gives=("stimulus set",),
        options={
            "--axes": {
                "required": True,
                "choices": ("yx", "xy"),
                "help": "rows first (yx), as most programs write images, or as NWB's schema (xy)",
            },
            "--container": {"help": "of images, if there are several"},
        },
        path="NWB file with images among its stimuli",
        about="Import the images that an NWB file holds.",
        example="session.nwb --axes yx --out images.nc",
        extra="nwb",
    ),
    Format(
        "described",
        files="a description of arrays or tables (.toml)",
        suffixes=(".toml",),
        open="neural_data.formats.described:open_described",
        read="neural_data.formats.described:read_described",
        path="names the files, their axes, the area (.toml); 'inspect FILE --toml' proposes one",
        about="Import arrays, tables or spikes (.npy, .mat, .csv ...) described by a TOML file.",
        example="recording.toml --out it.nc",
        more="neural_data.formats._described_keys:describe_keys",
    ),
    Format(
        "arrays",
        suffixes=ARRAYS,
        open="neural_data.formats.described:refuse_undescribed",
        read="neural_data.formats.described:read_arrays",
        options={
            "--stimuli": {"type": Path, "required": True, "help": _NAMES.format("stimulus")},
            "--sites": {"type": Path, "required": True, "help": _NAMES.format("site")},
            "--area": {
                "help": "of all sites, or a .txt with one a line; or a column 'area' in the table "
                "of sites"
            },
            "--units": {"required": True, "help": "e.g. spikes/s"},
            "--variable": _VARIABLE,
            "--source": _SOURCE,
        },
        path=".npy: (stimulus, site) or (stimulus, repetition, site)",
        about="Import a .npy array of responses with lists of stimulus and site names.",
        example="responses.npy --stimuli stimuli.csv --sites sites.txt \\\n"
        "      --area IT --units spikes/s --source 'our lab, monkey M' --out it.nc",
    ),
    Format(
        "images",
        read="neural_data.formats.image_arrays:read_images",
        gives=("stimulus set",),
        options={
            "--table": {
                "type": Path,
                "help": ".csv with a column 'stimulus', maybe 'filename'; of an array, in its "
                "order, also a text file with one name a line",
            },
            "--size": {"type": int, "help": "scale to this many pixels, square"},
            "--subset": {"action": "store_true", "help": "pass over images without a row"},
            "--axes": {
                "nargs": "+",
                "choices": ("image", "y", "x", "channel"),
                "help": "of an array, in its order; y are rows, as MATLAB's first axis is",
            },
            "--variable": _VARIABLE,
            "--source": _SOURCE,
        },
        path="folder or .zip of images; or .npy, .npz, .mat or .h5 with all of them",
        about="Import a folder or zip of images, or an array, as a stimulus set.",
        example="images.zip --table stimuli.csv --size 64 --source 'our lab' --out images.nc\n"
        "  brainguided import images stack.mat --axes y x image --table names.txt \\\n"
        "      --source 'our lab' --out images.nc",
    ),
    Format(
        "rdm",
        read="neural_data.formats.rdm_files:read_rdm",
        gives=("dissimilarities",),
        options={
            "--stimuli": {
                "type": Path,
                "help": _NAMES.format("stimulus") + "; not where the table has the names itself",
            },
            "--area": {"nargs": "+", "required": True, "help": "or one for each of several"},
            "--measure": {"required": True, "help": "e.g. '1 - Pearson r'"},
            "--variable": _VARIABLE,
            "--source": _SOURCE,
        },
        path="a matrix, several, or all pairs: .npy, .npz, .mat, .h5, .csv, .tsv",
        about="Import RDMs, as square matrices or lists of pairs, with the names of stimuli.",
        example="rdm.mat --variable 'RDMs(1).RDM' --stimuli names.txt --area IT \\\n"
        "      --measure '1 - Pearson r' --source 'Author et al. 2008' --out it.nc",
    ),
)
