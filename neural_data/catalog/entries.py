"""Named public data sets: what they are, how to cite them, what is odd about them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from neural_data.errors import RecordingError

CATALOG = Path(__file__).with_name("catalog.toml")
# What a data set takes from the one that it is `like`.
SHARED = ("reference", "format", "licence", "areas", "animals", "units", "bibtex")


@dataclass(frozen=True)
class PublishedFile:
    """One file of a data set.

    Attributes
    ----------
    name : str
        What it is called here, without a folder.
    kind : str
        "responses", "repetitions" (responses to each one), "stimulus table", "images", or
        "dissimilarities and images".
    addresses : tuple of str
        Where it is published, by preference.
    path : str
        Where it lies below the folder in which it was published.
    checksum : str or None
        "sha1:..." or "sha256:...", in lower case; None where none is known.
    size : int or None
        In bytes, where known.
    access : {"public", "credentials"}
    session : str or None
        The session it belongs to, if the data set has sessions.
    """

    name: str
    kind: str
    addresses: tuple[str, ...]
    path: str
    checksum: str | None = None
    size: int | None = None
    access: str = "public"
    session: str | None = None


@dataclass(frozen=True)
class Dataset:
    """One data set of the catalogue; what is not known is None or empty.

    Attributes
    ----------
    name, title, reference, licence, bibtex : str
    access : {"public", "credentials", "elsewhere"}
        Of the responses; "elsewhere" is what is not fetched.
    format : str
        "brainio", "cowley2023", "kriegeskorte2008"; "other", which is no recording; or "described",
        which is not fetched and has no reader here: see `page`.
    files : tuple of PublishedFile
        The responses first.
    page : str
        Where a data set that is not fetched is found.
    areas, animals : tuple of str
    sites : dict of str to int
        By area.
    images : int or None
    repetitions, time_bins : str
        In words.
    units : str or None
        Where they are known and the files do not say them.
    oddities : tuple of str
        What one should know before use, a sentence each.
    sessions : dict of str to dict
        By session: ``animal``, ``sites``, ``images``, ``repetitions``, ``shown``.
    """

    name: str
    title: str
    reference: str
    licence: str
    bibtex: str
    access: str
    format: str
    files: tuple[PublishedFile, ...]
    page: str = ""
    areas: tuple[str, ...] = ()
    animals: tuple[str, ...] = ()
    sites: dict[str, int] = field(default_factory=dict)
    images: int | None = None
    repetitions: str = ""
    time_bins: str = ""
    units: str | None = None
    oddities: tuple[str, ...] = ()
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)


@cache
def read_catalog() -> dict[str, Dataset]:
    """Read every data set of the catalogue, by name, in the order of its file."""
    contents = tomllib.loads(CATALOG.read_text(encoding="utf-8"))
    datasets = contents["datasets"]
    return {name: _make_dataset(name, datasets, contents["stimuli"]) for name in datasets}


def _make_dataset(name: str, datasets: dict[str, Any], stimuli: dict[str, Any]) -> Dataset:
    entry = datasets[name]
    template = datasets.get(entry.get("like"), {})
    values = {key: template[key] for key in SHARED if key in template} | entry
    files = [_make_file(file, entry["access"]) for file in entry.get("files", [])]
    if "stimuli" in entry:
        images = stimuli[entry["stimuli"]]
        files += [_make_file(file, images["access"]) for file in images["files"]]
    for session in entry.get("sessions", {}):
        for pattern in entry["files_of_sessions"]:
            filled = {
                key: [text.format(session=session) for text in value]
                if isinstance(value, list)
                else value.format(session=session)
                for key, value in pattern.items()
            }
            checked = entry["checksums"].get(filled["name"], {})
            files.append(_make_file(filled | checked, entry["access"], session))
    return Dataset(
        name=name,
        title=values["title"],
        reference=values["reference"],
        licence=values["licence"],
        bibtex=values["bibtex"].strip(),
        access=values["access"],
        format=values["format"],
        files=tuple(files),
        page=entry.get("page", ""),
        areas=tuple(values.get("areas", ())),
        animals=tuple(values.get("animals", ())),
        sites=dict(values.get("sites", {})),
        images=values.get("images"),
        repetitions=values.get("repetitions", ""),
        time_bins=values.get("time_bins", ""),
        units=values.get("units"),
        oddities=tuple(values.get("oddities", ())),
        sessions=dict(values.get("sessions", {})),
    )


def _make_file(entry: dict[str, Any], access: str, session: str | None = None) -> PublishedFile:
    algorithm = next((a for a in ("sha256", "sha1") if a in entry), None)
    return PublishedFile(
        name=entry["name"],
        kind=entry["kind"],
        addresses=tuple(entry["addresses"]),
        path=entry.get("path", entry["name"]),
        checksum=f"{algorithm}:{entry[algorithm]}" if algorithm else None,
        size=entry.get("size"),
        access=entry.get("access", access),
        session=session,
    )


def find_dataset(name: str) -> Dataset:
    """Find a data set of the catalogue by its name.

    Parameters
    ----------
    name : str
        Such as "MajajHong2015.public"; upper and lower case are the same.

    Returns
    -------
    Dataset

    Raises
    ------
    RecordingError
        No data set has that name; all names are listed.

    Examples
    --------
    >>> find_dataset("Rust2012.single").areas
    ('V4', 'IT')
    """
    known = read_catalog()
    by_lower = {key.lower(): dataset for key, dataset in known.items()}
    dataset = by_lower.get(str(name).strip().lower())
    if dataset is None:
        raise RecordingError(
            f"There is no data set {str(name)!r} in the catalogue; it has {', '.join(known)}."
        )
    return dataset


def say_elsewhere(dataset: Dataset) -> str:
    """Say what to do about a data set that is not fetched and has no reader."""
    return (
        f"Get its files from {dataset.page}; then describe them in a small .toml file, which "
        "'brainguided inspect FILE --toml' proposes, with the area of the sites, and import that: "
        f"'brainguided import described'. {' '.join(dataset.oddities)}"
    )


def describe_datasets() -> list[dict[str, str]]:
    """Describe every data set of the catalogue in one row of a table.

    Returns
    -------
    list of dict
        Keys ``name``, ``areas`` (with their number of sites where known), ``animals``,
        ``images``, ``repetitions``, ``time bins``, ``size`` (of all files), ``checksums``,
        ``access``, ``title``; what is not known is "unknown".

    Examples
    --------
    >>> next(row for row in describe_datasets() if row["name"] == "MajajHong2015")["areas"]
    'V4 128, IT 168'
    """
    rows = []
    for dataset in read_catalog().values():
        full = describe_dataset(dataset.name)
        columns = (
            "name", "areas", "animals", "images", "repetitions", "time bins", "size",
            "checksums", "access", "title",
        )  # fmt: skip
        rows.append({column: full[column] for column in columns})
    return rows


def describe_dataset(name: str) -> dict[str, Any]:
    """Describe one data set of the catalogue in full.

    Parameters
    ----------
    name : str
        Such as "cowley2023".

    Returns
    -------
    dict
        The text of `describe_datasets`, and ``reference``, ``licence``, ``units``,
        ``oddities`` (list of str), ``files`` (list of str), ``sessions`` (dict).

    Raises
    ------
    RecordingError
        No data set has that name; all names are listed.

    Examples
    --------
    >>> describe_dataset("cowley2023")["sessions"]["210325"]["sites"]
    50
    """
    dataset = find_dataset(name)
    files = dataset.files
    checked = sum(file.checksum is not None for file in files)
    sizes = [file.size for file in files]
    known = [size for size in sizes if size is not None]
    access = "public"
    if dataset.page:
        access = f"not fetched: see {dataset.page}"
    elif dataset.access != "public":
        access = "needs credentials"
    elif any(file.access != "public" for file in files):
        access = "public; stimuli need credentials"
    n_images = dataset.images
    if n_images is None and dataset.sessions:
        n_images = sum(session["images"] for session in dataset.sessions.values())
    of_all = "all" if checked == len(files) else f"{checked} of {len(files)} files"
    return {
        "name": dataset.name,
        "title": dataset.title,
        "areas": ", ".join(f"{a} {dataset.sites.get(a, '')}".strip() for a in dataset.areas),
        "animals": ", ".join(dataset.animals) or "unknown",
        "images": "unknown" if n_images is None else str(n_images),
        "repetitions": dataset.repetitions or "unknown",
        "time bins": dataset.time_bins or "unknown",
        "size": format_size(sum(known)) if files and len(known) == len(sizes) else "unknown",
        "checksums": of_all if files else "none",
        "access": access,
        "reference": dataset.reference,
        "licence": dataset.licence,
        "units": dataset.units or "unknown",
        "oddities": list(dataset.oddities),
        "files": [file.name for file in files],
        "sessions": {key: dict(value) for key, value in dataset.sessions.items()},
    }


def cite(name: str) -> str:
    """Return the BibTeX of the papers to cite for a data set.

    Parameters
    ----------
    name : str
        Such as "MajajHong2015".

    Returns
    -------
    str
        One or more BibTeX entries.

    Raises
    ------
    RecordingError
        No data set has that name; all names are listed.

    Examples
    --------
    >>> print(cite("MajajHong2015.public").splitlines()[0])
    @article{majaj2015simple,
    """
    return find_dataset(name).bibtex


def format_size(n_bytes: int) -> str:
    """Write a number of bytes for people, such as "3.4 MiB"."""
    size = float(n_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
