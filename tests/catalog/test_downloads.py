"""Downloads that fail: one clear error, nothing half done, and the next call goes on."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from file_server import (
    CONTENT,
    HALF,
    Handler,
    checksum,
    drop_once,
    file_of,
    listing,
    make_publish,
    run_server,
)

from neural_data.catalog import _downloads as downloads, fetch
from neural_data.catalog.fetch import fetch_dataset
from neural_data.errors import RecordingError

rng = np.random.default_rng(1)


@pytest.fixture
def server(monkeypatch):
    yield from run_server(monkeypatch)


@pytest.fixture
def publish(monkeypatch):
    return make_publish(monkeypatch)


# ---------------------------------------------------------------- faults, and going on


def test_a_wrong_checksum_leaves_nothing(server, publish, tmp_path):
    publish(file_of(server, checksum=checksum(b"another", "sha1"), size=4_000_000))
    with pytest.raises(RecordingError) as caught:
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    message = str(caught.value)
    assert checksum(CONTENT["responses.nc"], "sha1") in message  # found
    assert checksum(b"another", "sha1") in message  # expected
    assert "3,145,745 bytes (expected 4,000,000)" in message
    assert listing(tmp_path) == []


def test_a_truncated_file_leaves_nothing_and_the_next_call_gets_it(server, publish, tmp_path):
    publish(file_of(server))
    server.content["responses.nc"] = CONTENT["responses.nc"][:HALF]
    with pytest.raises(RecordingError, match="truncated"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert listing(tmp_path) == []
    server.content["responses.nc"] = CONTENT["responses.nc"]
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("validators", [False, True])
def test_a_dropped_connection_is_one_error_and_the_next_call_goes_on(
    server, publish, tmp_path, chunked, validators
):
    publish(file_of(server))
    server.drop_after, server.chunked, server.validators = HALF, chunked, validators
    with pytest.raises(OSError, match=r"connection was lost after [\d,]+ of .*call again"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert listing(tmp_path) == [".responses.nc.part", ".responses.nc.part.json"]
    kept = (tmp_path / ".responses.nc.part").stat().st_size
    assert kept <= HALF
    assert CONTENT["responses.nc"].startswith((tmp_path / ".responses.nc.part").read_bytes())
    server.drop_after = None
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert listing(tmp_path) == ["responses.nc"]
    if not chunked:
        assert kept == HALF
        assert server.requests[-1][1] == f"bytes={HALF}-"


def test_a_download_dropped_many_times_arrives_whole(server, publish, tmp_path):
    publish(file_of(server))
    server.drop_after = 2**20
    for _ in range(3):
        with pytest.raises(OSError, match="connection was lost"):
            fetch_dataset("Made2024", to=tmp_path, progress=False)
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert [asked for _, asked in server.requests] == [
        None, *(f"bytes={n * 2**20}-" for n in (1, 2, 3))
    ]  # fmt: skip


def test_a_connection_that_is_reset_is_one_error_and_the_next_call_goes_on(
    server, publish, tmp_path
):
    publish(file_of(server))
    server.drop_after, server.reset = HALF, True
    with pytest.raises(OSError, match=r"connection was lost after|cannot be reached"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert "responses.nc" not in listing(tmp_path)
    server.drop_after, server.reset = None, False
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


def test_a_server_that_ignores_ranges_sends_all_again(server, publish, tmp_path):
    publish(file_of(server))
    drop_once(server, tmp_path)
    server.ranges = False
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert server.requests[-1][1] == f"bytes={HALF}-"


@pytest.mark.parametrize("validators", [False, True])
def test_a_file_that_changed_meanwhile_is_downloaded_from_its_beginning(
    server, publish, tmp_path, validators
):
    server.validators = validators
    new = rng.bytes(2 * 2**20)
    publish(file_of(server, checksum=checksum(new)))
    drop_once(server, tmp_path)
    server.content["responses.nc"] = new
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == new


def test_a_file_of_the_same_size_that_changed_is_seen_by_its_etag(server, publish, tmp_path):
    new = rng.bytes(len(CONTENT["responses.nc"]))
    publish(file_of(server, checksum=checksum(new)))
    drop_once(server, tmp_path)
    old_etag = f'"{hashlib.md5(CONTENT["responses.nc"]).hexdigest()}"'
    server.content["responses.nc"] = new
    server.if_range = False  # the server sends the rest of another file
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == new
    assert server.if_ranges == [None, old_etag, None]


def test_an_answer_that_starts_elsewhere_is_not_appended(server, publish, tmp_path):
    publish(file_of(server))
    drop_once(server, tmp_path)
    server.wrong_start = True
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert [asked for _, asked in server.requests] == [None, f"bytes={HALF}-", None]


def test_a_partial_download_of_another_address_is_not_continued(server, publish, tmp_path):
    publish(file_of(server))
    drop_once(server, tmp_path)
    (path,) = fetch_dataset("Made2024", to=tmp_path, mirror=server.address, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert server.requests[-1] == ("/data/responses.nc", None)


@pytest.mark.parametrize("note", [None, "{", "[]", '{"address": 1}'])
def test_a_partial_download_of_unknown_origin_is_not_continued(server, publish, tmp_path, note):
    publish(file_of(server))
    (tmp_path / ".responses.nc.part").write_bytes(b"rubbish")
    if note is not None:
        (tmp_path / ".responses.nc.part.json").write_text(note)
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert listing(tmp_path) == ["responses.nc"]


@pytest.mark.parametrize("extra", [0, 5])
def test_a_partial_download_that_is_complete_or_too_long_ends_well(
    server, publish, tmp_path, extra
):
    publish(file_of(server))
    content = CONTENT["responses.nc"]
    (tmp_path / ".responses.nc.part").write_bytes(content + bytes(extra))
    note = {"address": file_of(server).addresses[0], "validator": None, "size": len(content)}
    (tmp_path / ".responses.nc.part.json").write_text(json.dumps(note))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == content
    assert len(server.requests) == (1 if extra else 0)


def test_a_range_past_the_end_starts_over(server, publish, tmp_path):
    publish(file_of(server))
    (tmp_path / ".responses.nc.part").write_bytes(bytes(len(CONTENT["responses.nc"]) + 1))
    note = {"address": file_of(server).addresses[0], "validator": None, "size": None}
    (tmp_path / ".responses.nc.part.json").write_text(json.dumps(note))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


def test_a_process_that_is_killed_leaves_only_a_partial_download(server, publish, tmp_path):
    server.chunk_pause = 0.2
    code = (
        "import pathlib, sys\n"
        "from neural_data.catalog._downloads import download_part\n"
        "import neural_data.catalog._downloads as d\n"
        "d.CHUNK = 2**16\n"
        "download_part(sys.argv[1], pathlib.Path(sys.argv[2]), checked=True, progress=False)\n"
    )
    part = tmp_path / ".responses.nc.part"
    address = file_of(server).addresses[0]
    process = subprocess.Popen([sys.executable, "-c", code, address, str(part)])
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    server.chunk_pause = None
    kept = part.stat().st_size
    assert 0 < kept < len(CONTENT["responses.nc"])
    publish(file_of(server))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert server.requests[-1][1] == f"bytes={kept}-"
    assert listing(tmp_path) == ["responses.nc"]


def test_an_interrupted_check_keeps_what_was_downloaded(server, publish, tmp_path, monkeypatch):
    publish(file_of(server))
    with monkeypatch.context() as patch:

        def interrupt(*_args, **_options):
            raise KeyboardInterrupt

        patch.setattr(fetch, "hash_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert listing(tmp_path) == [".responses.nc.part", ".responses.nc.part.json"]
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert len(server.requests) == 1


def test_a_server_that_sends_more_than_the_published_size_is_cut_off(server, publish, tmp_path):
    for server.chunked in (False, True):
        publish(file_of(server, size=HALF))
        with pytest.raises(
            RecordingError, match=f"more than the {HALF:,} bytes that are published"
        ):
            fetch_dataset("Made2024", to=tmp_path, progress=False)
        assert listing(tmp_path) == []


def test_an_address_that_does_not_exist_is_one_error(server, publish, tmp_path):
    publish(file_of(server, addresses=(f"{server.address}/none.nc",)))
    with pytest.raises(FileNotFoundError, match=r"responses\.nc was not found.*none\.nc.* 404 "):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert listing(tmp_path) == []


def test_a_server_that_fails_keeps_what_came_before(server, publish, tmp_path):
    publish(file_of(server))
    drop_once(server, tmp_path)
    server.status = 503
    with pytest.raises(OSError, match=r"503.*Try again later"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    server.status = 200
    fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert server.requests[-1][1] == f"bytes={HALF}-"


def test_a_server_that_cannot_be_reached_is_one_error(server, publish, tmp_path):
    server.socket.close()
    publish(file_of(server))
    with pytest.raises(OSError, match=r"cannot be reached.*mirror"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_a_server_that_hangs_is_given_up(server, publish, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_S", 0.2)
    event = threading.Event()
    monkeypatch.setattr(Handler, "do_GET", lambda _self: event.wait(5))
    publish(file_of(server))
    with pytest.raises(OSError, match=r"cannot be reached.*timed out"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    event.set()


def test_a_server_that_is_slower_than_a_limit_is_given_up(server, publish, tmp_path, monkeypatch):
    """It never falls silent for long."""
    monkeypatch.setattr(downloads, "WATCH_S", 0.2)
    monkeypatch.setattr(downloads, "SLOWEST", 2.0**20)
    server.content["responses.nc"] = server.content["responses.nc"][:6400]
    server.chunk_pause, server.chunk = 0.05, 64
    publish(file_of(server))
    with pytest.raises(OSError, match=r"given up after \d+ of 6,400 .* bytes/s .*call again"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_compressed_answers_are_refused(server, publish, tmp_path):
    server.headers = {"Content-Encoding": "gzip"}
    publish(file_of(server))
    with pytest.raises(OSError, match="encoding 'gzip'"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


# ---------------------------------------------------------------- full disks


def test_a_disk_without_room_is_seen_before_the_download(server, publish, tmp_path, monkeypatch):
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: real._replace(free=1000))
    publish(file_of(server))
    with pytest.raises(OSError, match=r"responses\.nc needs 3,145,745 more bytes.* has 1,000"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert not (tmp_path / "responses.nc").exists()
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")


def test_sizes_that_are_known_are_compared_with_the_room_before_any_request(
    server, publish, tmp_path, monkeypatch
):
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: real._replace(free=1000))
    publish(file_of(server, size=600), file_of(server, "stimuli.csv", size=600))
    with pytest.raises(OSError, match="Made2024 needs 1,200 more bytes"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert server.requests == []


def test_only_the_rest_of_a_partial_download_needs_room(server, publish, tmp_path, monkeypatch):
    publish(file_of(server))
    drop_once(server, tmp_path)
    real = shutil.disk_usage(tmp_path)
    left = len(CONTENT["responses.nc"]) - HALF
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: real._replace(free=left))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


def test_room_is_not_asked_for_what_is_here_already(server, publish, tmp_path, monkeypatch):
    publish(file_of(server, size=len(CONTENT["responses.nc"])))
    drop_once(server, tmp_path)
    real = shutil.disk_usage(tmp_path)
    left = len(CONTENT["responses.nc"]) - HALF
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda _: real._replace(free=left))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


class FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def __getattr__(self, name: str):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_args: object) -> None:
        self.file.close()

    def write(self, chunk) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self.file.write(chunk[: min(self.room, 2**19 + 1)])
        self.room -= written
        return written


def test_a_disk_that_fills_up_is_one_error_and_the_next_call_goes_on(
    server, publish, tmp_path, monkeypatch
):
    publish(file_of(server))
    with monkeypatch.context() as patch:
        real = downloads._open_part
        patch.setattr(downloads, "_open_part", lambda part: FullDisk(real(part), HALF))
        with pytest.raises(OSError, match=r"disk of .* is full.*call again to go on"):
            fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert listing(tmp_path) == [".responses.nc.part", ".responses.nc.part.json"]
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert server.requests[-1][1] == f"bytes={HALF}-"


def test_writes_that_take_only_a_part_are_repeated(server, publish, tmp_path, monkeypatch):
    publish(file_of(server))
    real = downloads._open_part
    monkeypatch.setattr(downloads, "_open_part", lambda part: FullDisk(real(part), 2**30))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
