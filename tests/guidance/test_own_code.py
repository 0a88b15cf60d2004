"""Python files of the user's own run as Python would run them."""

from __future__ import annotations

import pickle

from brainguided.guidance.own_code import run_source

_CLASS = "class Kept:\n    file = __file__\n"


def test_annotations_of_a_file_are_what_the_file_says_and_not_their_text() -> None:
    assert run_source("notes.py", "x: int = 1\n")["__annotations__"] == {"x": int}


def test_files_of_the_same_text_have_classes_of_their_own() -> None:
    for found in [run_source(file, _CLASS) for file in ("a/task.py", "b/task.py")]:
        made = pickle.loads(pickle.dumps(found["Kept"]()))
        assert type(made) is found["Kept"]
        assert made.file == found["__file__"]
