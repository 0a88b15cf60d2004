"""A run as an event file of TensorBoard: the numbers of every candidate, in their order."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from brainguided.journal.attempts import Attempt
from brainguided.reports._rewarded import read_run
from neural_data.storage.aside import write_aside

FILE_NAME = "events.out.tfevents.0.brainguided"
"""Name of the file, as TensorBoard looks for it."""

_POLYNOMIAL = 0x82F63B78  # of CRC-32C (Castagnoli), bits reversed


def write_tensorboard_events(run: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Write a run as an event file, which TensorBoard shows as curves over candidates.

    Parameters
    ----------
    run : path
        A run folder; it is only read. A search that still runs gives what it has.
    folder : path
        Made if it is missing: ``tensorboard --logdir FOLDER``.

    Returns
    -------
    pathlib.Path
        The file written, whole or not at all. Its scalars, with the number of the candidate as
        step and the end of its evaluation as time: ``reward``, ``best reward so far``, ``P``,
        ``TG``, ``similarity/AREA`` of the best layer, ``parameters``, ``seconds``. Failed
        candidates have their seconds alone.

    Raises
    ------
    FileNotFoundError
        The folder has no journal.

    Notes
    -----
    Records and messages are written as TensorFlow's documentation of TFRecord and the definition of
    ``Event`` say; nothing of TensorBoard is needed.
    """
    known = read_run(Path(run))
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    best = None
    with write_aside(path) as aside, aside.open("wb") as file:
        for number, result in enumerate(known.results):
            timing = known.timings.get((result.candidate, result.attempt))
            moment = 0.0 if timing is None else timing.finished
            if number == 0:
                file.write(_frame(_double(1, moment) + _bytes(3, b"brain.Event:2")))
            values = dict(_list_values(result, known.seconds.get(result.candidate)))
            if "reward" in values:
                best = values["reward"] if best is None else max(best, values["reward"])
                values["best reward so far"] = best
            summary = b"".join(
                _bytes(1, _bytes(1, name.encode()) + _float(2, value))
                for name, value in values.items()
            )
            if summary:
                event = _double(1, moment) + _varint(2, result.candidate) + _bytes(5, summary)
                file.write(_frame(event))
    return path


def _list_values(result: Attempt, seconds: float | None) -> Iterator[tuple[str, float]]:
    """Yield what is known of a candidate, by name."""
    known: dict[str, float | None] = {"seconds": seconds}
    if result.outcome == "done":
        known |= {
            "reward": result.reward,
            "P": result.performance,
            "TG": result.guidance,
            "parameters": result.n_parameters,
        }
        for area, layer in result.best_layers.items():
            known[f"similarity/{area}"] = result.similarity[area][layer]
    for name, value in known.items():
        if value is not None:
            yield name, float(value)


def _frame(event: bytes) -> bytes:
    """Return a record: length, content, and a checksum of each."""
    length = struct.pack("<Q", len(event))
    return length + _mask(length) + event + _mask(event)


def _mask(content: bytes) -> bytes:
    crc = compute_crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _make_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _make_table()


def compute_crc32c(content: bytes) -> int:
    """Return the CRC-32C of bytes."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _key(field: int, kind: int) -> bytes:
    return bytes([field << 3 | kind])


def _varint(field: int, number: int) -> bytes:
    return _key(field, 0) + _size(number)


def _size(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _size(len(content)) + content


def _double(field: int, value: float) -> bytes:
    return _key(field, 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _key(field, 5) + struct.pack("<f", value)
