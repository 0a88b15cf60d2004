"""What the catalogue of public data sets holds, read from its file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    access : {"public", "credentials"}
        Of the responses.
    format : str
        "brainio", "cowley2023", "kriegeskorte2008", or "other", which is no recording.
    files : tuple of PublishedFile
        The responses first.
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
