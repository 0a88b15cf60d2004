"""Python files of the user's own that a run file names: run, never imported by name."""

from __future__ import annotations

import hashlib
import sys
from types import ModuleType
from typing import Any

_LOADED: dict[tuple[str, str], ModuleType] = {}  # what files define, once a process


def run_source(file: str, source: str) -> dict[str, Any]:
    """Return what the text of a file defines; it is run once in each process.

    Parameters
    ----------
    file : str
        Path or name of the file, for messages and as its ``__file__``.
    source : str
        Its text, which travels to workers in the place of the file.

    Returns
    -------
    dict of str to object
    """
    if (file, source) not in _LOADED:
        own = digest_source(f"{file}\0{source}")[:16]
        module = ModuleType(f"brainguided_own_{own}")
        module.__file__ = file
        sys.modules[module.__name__] = module  # dataclasses look there for what they are of
        try:
            code = compile(source, file, "exec", dont_inherit=True)  # nothing of __future__ here
            exec(code, module.__dict__)
        except BaseException:
            del sys.modules[module.__name__]
            raise
        _LOADED[file, source] = module
    return vars(_LOADED[file, source])


def digest_source(source: str) -> str:
    """Return the SHA-256 of a text, in hex."""
    return hashlib.sha256(source.encode()).hexdigest()
