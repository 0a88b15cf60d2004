"""Runs as event files: records with checksums, of which each is a message of TensorBoard."""

from __future__ import annotations

import struct
import sys

import pytest
from fake_task import run_eight

from brainguided.__main__ import main
from brainguided.journal.journal import Journal

pytest.importorskip("tensorboardX")


def read_records(content):
    """Records of a file, whose checksums are held to the definition, bit by bit."""

    def crc(data):
        value = 0xFFFFFFFF
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        value ^= 0xFFFFFFFF
        return ((value >> 15 | (value << 17 & 0xFFFFFFFF)) + 0xA282EAD8) % 2**32

    place = 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        data = content[place + 12 : place + 12 + length]
        assert struct.unpack_from("<I", content, place + 8)[0] == crc(content[place : place + 8])
        assert struct.unpack_from("<I", content, place + 12 + length)[0] == crc(data)
        yield data
        place += 16 + length


def read_fields(data):
    """Fields of a protocol-buffer message: number, and value."""

    def varint(place):
        value = shift = 0
        while True:
            byte = data[place]
            value |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                return value, place

    place = 0
    while place < len(data):
        key, place = varint(place)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, place = varint(place)
        elif kind == 2:
            size, place = varint(place)
            value, place = data[place : place + size], place + size
        else:
            form, size = {1: ("<d", 8), 5: ("<f", 4)}[kind]
            (value,), place = struct.unpack_from(form, data, place), place + size
        yield field, value


def test_every_candidate_is_an_event_with_its_numbers(tmp_path, capsys):
    run_eight(tmp_path / "run")
    words = ["export", "tensorboard", str(tmp_path / "run"), "--out", str(tmp_path / "tb")]
    assert main(words) == 0
    path = next((tmp_path / "tb").iterdir())
    assert capsys.readouterr().out == f"{path}\n"
    assert "tfevents" in path.name
    first, *events = [dict(read_fields(data)) for data in read_records(path.read_bytes())]
    assert first[3] == b"brain.Event:2"
    with Journal.read(tmp_path / "run") as journal:
        results = journal.results()
        timings = journal.timings_of_attempts()
    shown, best = {}, []
    for event in events:
        candidate = event.get(2, 0)  # zero is not written
        values = [dict(read_fields(value)) for _, value in read_fields(event[5])]
        shown[candidate] = {value[1].decode(): value.get(2, 0.0) for value in values}
        assert event[1] == timings[candidate, 1].finished
    assert len(shown) == 8
    for result in results:
        one = shown.get(result.candidate, {})
        if result.outcome != "done":
            assert "reward" not in one
            continue
        best.append(result.reward)
        assert one["reward"] == pytest.approx(result.reward, rel=1e-6)
        assert one["best reward so far"] == pytest.approx(max(best), rel=1e-6)
        assert one["P"] == pytest.approx(result.performance, rel=1e-6)
        layer = result.best_layers["IT"]
        assert one["similarity/IT"] == pytest.approx(result.similarity["IT"][layer], rel=1e-6)
        assert one["parameters"] == result.n_parameters
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_without_its_extra_the_command_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX.record_writer", None)
    run_eight(tmp_path / "run")
    words = ["export", "tensorboard", str(tmp_path / "run"), "--out", str(tmp_path / "tb")]
    assert main(words) == 1
    assert "pip install 'brainguided[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "tb").exists()
