"""Docstrings of all public names, by numpydoc's own validation."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

ROOT = Path(__file__).resolve().parents[1]
LAYOUT = {"GL01", "GL02", "GL03", "GL05", "GL06", "GL07", "GL08", "GL09", "GL10", "YD01"}
SUMMARY = {"SS01", "SS02", "SS04", "SS05", "SS06"}
PARAMETERS = {"PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR07", "PR10"}
RETURNS = {"RT01", "RT02", "RT03"}


def public_objects() -> dict[str, object]:
    """Return what users import: every name of a room or a face, under where it is written."""
    found: dict[str, object] = {}
    for package in ("brainguided", "neural_data"):
        stub = ast.parse((ROOT / package / "__init__.pyi").read_text(encoding="utf-8"))
        names = [
            (package, alias.name)
            for node in stub.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        for room in sorted((ROOT / package).glob("*/__init__.py")):
            module = f"{package}.{room.parent.name}"
            names += [(module, n) for n in getattr(importlib.import_module(module), "__all__", ())]
        for module, name in names:
            value = getattr(importlib.import_module(module), name)
            if inspect.isfunction(value) or inspect.isclass(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


OBJECTS = public_objects()
FUNCTIONS = sorted(name for name, value in OBJECTS.items() if inspect.isfunction(value))
CLASSES = sorted(set(OBJECTS) - set(FUNCTIONS))


def problems(name: str, codes: set[str]) -> list[str]:
    return [f"{name}: {text}" for code, text in validate(name)["errors"] if code in codes]


def raises(function: object) -> bool:
    """Whether a function itself raises an error, rather than what it calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_has_parameters_returns_and_raises(name: str) -> None:
    function = OBJECTS[name]
    assert not problems(name, LAYOUT | SUMMARY | PARAMETERS | RETURNS)
    if raises(function):
        assert get_doc_object(function)["Raises"], f"{name} does not say when it raises"


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_documents_what_it_is_made_of_and_its_methods(name: str) -> None:
    value = OBJECTS[name]
    assert not problems(name, LAYOUT | (SUMMARY - {"SS05"}) | {"PR02"})
    given = inspect.signature(value).parameters if "__init__" in vars(value) else {}
    documented = get_doc_object(value)
    said = {
        part.lstrip("*").strip()
        for section in ("Parameters", "Attributes")
        for entry in documented[section]
        for part in entry.name.split(",")
    }
    if not issubclass(value, BaseException):
        assert set(given) - {"args", "kwargs"} <= said, f"{name} does not say all of {set(given)}"
    for attribute, member in vars(value).items():
        if not attribute.startswith("_") and inspect.isfunction(member):
            assert not problems(f"{name}.{attribute}", LAYOUT | SUMMARY | {"PR02", "PR03"})
