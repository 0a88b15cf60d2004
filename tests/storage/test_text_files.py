"""Text, JSON and tables that are damaged are named, whatever is wrong with them."""

from __future__ import annotations

import pytest

from brainguided.__main__ import main
from neural_data.storage.text_files import read_json, read_text, read_text_table

DAMAGED = {
    "empty": b"",
    "latin": "\xe9".encode("latin-1"),
    "utf16": "a,b\n1,2\n".encode("utf-16"),
    "ragged": b"a,b\n1,2\n1,2,3\n",
    "deep": b"[" * 100_000,
    "list": b"[1]",
    "other": b'{"b": 1}',
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_named(tmp_path, what):
    path = tmp_path / "mine.file"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(ValueError, match=r"mine\.file .*copy or write it again"):
        read_json(path, "a")
    if what in ("empty", "latin", "utf16", "ragged"):
        with pytest.raises(ValueError, match=r"mine\.file cannot be read as a CSV table \("):
            read_text_table(path)
    if what in ("latin", "utf16"):
        with pytest.raises(ValueError, match=r"mine\.file is no text in UTF-8"):
            read_text(path)


def test_intact_files_are_read(tmp_path):
    path = tmp_path / "mine"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')  # with the mark that some editors write
    assert read_json(path, "a") == {"a": 1}
    path.write_text("a,b\n1,NA\n")
    assert read_text_table(path).to_dict("list") == {"a": ["1"], "b": ["NA"]}


@pytest.mark.parametrize(
    "given",
    [
        "select r.nc --stimuli mine.txt --out x.nc",
        "select r.nc --sites mine.txt --out x.nc",
        "replay mine.txt --space pnas --architecture a --reward b --cost c --score d --budget 1 "
        "--controller random",
    ],
)
def test_verbs_name_a_damaged_file(tmp_path, monkeypatch, capsys, given):
    from neural_data import save_recording
    from neural_data.simulation.simulate import simulate_macaque

    monkeypatch.chdir(tmp_path)
    save_recording(simulate_macaque(seed=1)[0], "r.nc")
    (tmp_path / "mine.txt").write_bytes(DAMAGED["latin"])
    assert main(given.split()) == 1
    assert "mine.txt" in capsys.readouterr().err
