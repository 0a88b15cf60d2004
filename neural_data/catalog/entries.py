"""Named public data sets: what they are, how to cite them, what is odd about them."""

from __future__ import annotations

from typing import Any

from neural_data.catalog.catalog_entries import Dataset, read_catalog
from neural_data.errors import RecordingError


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
    if dataset.access != "public":
        access = "needs credentials"
    elif any(file.access != "public" for file in files):
        access = "public; stimuli need credentials"
    n_images = dataset.images
    if n_images is None and dataset.sessions:
        n_images = sum(session["images"] for session in dataset.sessions.values())
    return {
        "name": dataset.name,
        "title": dataset.title,
        "areas": ", ".join(f"{a} {dataset.sites.get(a, '')}".strip() for a in dataset.areas),
        "animals": ", ".join(dataset.animals) or "unknown",
        "images": "unknown" if n_images is None else str(n_images),
        "repetitions": dataset.repetitions or "unknown",
        "time bins": dataset.time_bins or "unknown",
        "size": format_size(sum(known)) if len(known) == len(sizes) else "unknown",
        "checksums": "all" if checked == len(files) else f"{checked} of {len(files)} files",
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
