"""Versions on which the result of an evaluation depends."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

SAME = ("brainguided", "torch")  # that a search and its workers need


def list_versions() -> dict[str, str]:
    """Return the versions of what results depend on, in this process.

    Returns
    -------
    dict of str to str
        Of python, brainguided, torch and numpy; "unknown" for what is not installed.
    """
    versions = {"python": platform.python_version()}
    for name in ("brainguided", "torch", "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "unknown"
    return versions


def say_differences(there: Mapping[str, Any], here: Mapping[str, str]) -> str:
    """Return the versions that have to be the same and are not; "" where all are.

    Parameters
    ----------
    there, here : mapping of str to str
        As returned by `list_versions`.

    Returns
    -------
    str
        For instance "torch 2.4.0 (here 2.5.1)".
    """
    return ", ".join(
        f"{name} {there.get(name)} (here {here[name]})"
        for name in SAME
        if there.get(name) != here[name]
    )
