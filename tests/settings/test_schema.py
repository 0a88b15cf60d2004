"""The JSON Schema of a run file says what the loader says."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from brainguided.__main__ import main
from brainguided.settings import list_keys
from brainguided.settings.run_file import load_run, write_demo
from brainguided.settings.schema import DRAFT, TYPES, build_schema
from brainguided.settings.toml import KINDS

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    *(ROOT / "studies").glob("*.toml"),
    *(ROOT / "notebooks").glob("*.toml"),
    ROOT / "tests/earlier/run.toml",
    *(ROOT / "tests/earlier/paper").glob("*.toml"),
]


@pytest.fixture(scope="module")
def validator():
    schema = build_schema()
    jsonschema.Draft4Validator.check_schema(schema)
    assert schema["$schema"] == DRAFT == jsonschema.Draft4Validator.META_SCHEMA["$schema"]
    return jsonschema.Draft4Validator(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_file_of_the_project_is_valid(file, validator):
    validator.validate(tomllib.loads(file.read_text(encoding="utf-8")))


def test_the_demonstration_and_the_examples_of_the_pages_are_valid(tmp_path, validator):
    validator.validate(tomllib.loads(write_demo(tmp_path / "RUN.toml").read_text("utf-8")))
    block = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    validator.validate(tomllib.loads(block[1]))


def test_the_file_that_explains_every_key_is_valid(validator):
    text = inspect.getdoc(load_run).partition(" TOML file::\n")[2].partition("\nseed : int")[0]
    assert "[task]" in text
    validator.validate(tomllib.loads(text))


WRONG = {
    "candidatess = 3\ncandidates = 3": "candidatess",
    "candidates = 3.5": "3.5",
    "seed = 1": "candidates",
    "candidates = 3\n[taskk]\nsteps = 1": "taskk",
    "candidates = 3\n[task]\nstpes = 1": "stpes",
    "candidates = 3\n[task]\nsteps = 'many'": "many",
    "candidates = 3\n[task]\nbatch_norm = 'some'": "some",
    "candidates = 3\n[space]\npreset = 'smal'": "smal",
    "candidates = 3\n[space]\nmax_dept = 3": "max_dept",
    "candidates = 3\n[controller]\nname = 'random'\nlearning_rate = 0.1": "learning_rate",
    "candidates = 3\n[reward]\npreset = 'paper'\nalphaa = 1.0": "alphaa",
    "candidates = 3\n[reward]\nalpha = 1.0": "preset",
    "candidates = 3\n[[teacher]]\nrecording = 'a.nc'\nstimulus = 'b.nc'": "stimulus",
    "candidates = 3\n[[control]]\nkind = 'pixel'": "pixel",
    "candidates = 3\n[[control]]\nkind = 'network'": "model",
    "candidates = 3\norder = 'rounds'": "rounds",
    "candidates = 3\norder = {lag = 8}": "lag",
    "candidates = 3\n[heldout]\nstimulus = 0.5": "stimulus",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_misspelt_is_refused_by_the_schema_and_by_the_loader(text, validator, tmp_path):
    assert not validator.is_valid(tomllib.loads(text))
    (tmp_path / "RUN.toml").write_text(text)
    with pytest.raises(ValueError, match=WRONG[text]):
        load_run(tmp_path / "RUN.toml")


def test_every_kind_of_value_has_a_type_that_accepts_what_the_loader_accepts():
    assert TYPES.keys() == KINDS.keys()
    values = [0, -3, 1.5, True, False, "a", "shift", [], [1, 2], [1.5, 2], ["a"], [70, 170], {},
              {"a": 1.5}, {"a": "b"}]  # fmt: skip
    for kind, (check, _) in KINDS.items():
        schema = jsonschema.Draft4Validator(TYPES[kind])
        for value in values:
            assert schema.is_valid(value) == check(value), (kind, value)


def test_every_key_that_is_listed_is_in_the_schema():
    schema = build_schema()["properties"]
    for table, keys in list_keys().items():
        name = re.match(r"\[*(\w+)", table)[1] if table.startswith("[") else None
        text = json.dumps(schema if name is None else schema[name])
        assert all(f'"{key}"' in text for key in keys), table


def test_the_verb_writes_the_schema(tmp_path, capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == build_schema()
