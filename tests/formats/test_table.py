"""One table of formats: opening, importing and data sets walk its rows."""

from __future__ import annotations

import argparse
import inspect
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainguided.commands import imports
from neural_data import RecordingError, load_dataset, load_recording, open_source
from neural_data.catalog import load as catalog
from neural_data.catalog.entries import find_dataset, read_catalog
from neural_data.formats import open_any, table
from neural_data.formats.table import FORMATS, Format, find_function

MADE_UP = '''
"""A format of one line of numbers a site."""
import numpy as np
from neural_data import recording_from_arrays

def is_lines(path):
    return path.read_bytes().startswith(b"lines") if path.is_file() else False

def read_lines(path, *, area):
    rows = [line.split() for line in path.read_text().splitlines()[1:]]
    values = np.array(rows, dtype=float).T
    return recording_from_arrays(values, stimulus=list("abc"), site=["s1", "s2"], area=area,
                                 units="spikes/s", source=path.name)

def open_lines(path):
    return "recording", read_lines(path, area="V4")

def load_lines(fetched):
    data = read_lines(fetched.files["responses"], area="IT")
    return data.assign_attrs(source=fetched.source), None
'''
ROW = Format(
    "lines", files="lines of numbers", sniff="lines_format:is_lines",
    open="lines_format:open_lines", read="lines_format:read_lines",
    options={"--area": {"required": True}}, about="Import lines.", example="x --out y",
    load="lines_format:load_lines",
)  # fmt: skip


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a format that a module and a row add."""
    (tmp_path / "lines_format.py").write_text(MADE_UP, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for module in (table, open_any, imports):
        monkeypatch.setattr(module, "FORMATS", (ROW, *FORMATS))
    path = tmp_path / "rates.xyz"
    path.write_text("lines\n1 2 3\n4 5 6\n", encoding="utf-8")
    yield path
    sys.modules.pop("lines_format", None)


def test_a_module_and_a_row_make_a_format_that_opens_and_is_imported(lines: Path) -> None:
    kind, recording = open_source(lines)
    assert (kind, recording.sizes["site"]) == ("recording", 2)
    parser = argparse.ArgumentParser()
    imports.add_verbs(parser.add_subparsers())
    out = lines.with_name("it.nc")
    words = ["import", "lines", str(lines), "--area", "IT", "--out", str(out)]
    arguments = parser.parse_args(words)
    arguments.verb(arguments)
    loaded = load_recording(out)
    np.testing.assert_array_equal(loaded["response"].values[:, 0], [[1, 4], [2, 5], [3, 6]])
    assert set(loaded["area"].values) == {"IT"}


def test_a_data_set_of_a_new_format_is_loaded(lines: Path, monkeypatch) -> None:
    entry = find_dataset("MajajHong2015.public")
    file = replace(entry.files[0], name=lines.name)
    made = replace(entry, format="lines", files=(file,))
    monkeypatch.setattr(catalog, "find_dataset", lambda name: made)
    recording, stimuli = load_dataset("made up", lines.parent)
    assert stimuli is None
    assert recording.attrs["source"] == f"{entry.reference} ({entry.name})"


def test_every_row_names_functions_that_are_there_and_options_that_they_take() -> None:
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    for form in FORMATS:
        for reference in (form.sniff, form.open, form.load, form.open_large):
            assert not reference or callable(find_function(reference))
        taken = list(inspect.signature(find_function(form.read)).parameters)
        parser = argparse.ArgumentParser()
        for flag, settings in (form.options or {}).items():
            assert parser.add_argument(flag, **settings).dest in taken[1:]
        assert not form.extra or form.extra in extras["project"]["optional-dependencies"]
    assert len({form.name for form in FORMATS}) == len(FORMATS)


def test_every_data_set_is_of_a_format_of_the_table_or_said_to_be_no_recording() -> None:
    loaded = {form.name for form in FORMATS if form.load}
    assert {entry.format for entry in read_catalog().values()} <= loaded | {"other", "described"}


def test_what_is_of_no_format_is_refused_with_all_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(RecordingError, match=r"a.docx is of no format.*NWB \(.nwb\)"):
        open_source(tmp_path / "a.docx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match="empty is a folder with nothing in it"):
        open_source(tmp_path / "empty")
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(RecordingError, match=r"does not say what its axes are.*import arrays"):
        open_source(tmp_path / "a.npy")
    (tmp_path / "shown" / "faces").mkdir(parents=True)
    (tmp_path / "shown" / "faces" / "a.PNG").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"shown is a folder with images.*import images"):
        open_source(tmp_path / "shown")
