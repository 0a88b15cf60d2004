"""Fetching the files of a data set: from a server, from mirrors, with and without checksums."""

from __future__ import annotations

import subprocess
import sys

import pytest
from file_server import (
    CONTENT,
    HALF,
    checksum,
    drop_once,
    file_of,
    listing,
    make_publish,
    run_server,
)

from neural_data.catalog import entries as catalog, fetch
from neural_data.catalog.fetch import fetch_dataset
from neural_data.errors import RecordingError


@pytest.fixture
def server(monkeypatch):
    yield from run_server(monkeypatch)


@pytest.fixture
def publish(monkeypatch):
    return make_publish(monkeypatch)


# ---------------------------------------------------------------- all is well


def test_files_arrive_whole_in_a_folder_of_the_name_of_the_set(
    server, publish, tmp_path, monkeypatch
):
    publish(file_of(server), file_of(server, "stimuli.csv", checksum=checksum(
        CONTENT["stimuli.csv"], "sha1")))  # fmt: skip
    monkeypatch.chdir(tmp_path)
    paths = fetch_dataset("made2024", progress=False)
    assert paths == [tmp_path / "Made2024" / name for name in CONTENT]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert listing(tmp_path / "Made2024") == ["responses.nc", "stimuli.csv"]


def test_files_that_are_there_and_right_are_not_downloaded_again(server, publish, tmp_path, capsys):
    publish(file_of(server))
    fetch_dataset("Made2024", to=tmp_path, progress=False)
    fetch_dataset("Made2024", to=tmp_path)
    assert len(server.requests) == 1
    assert "responses.nc: here already (3,145,745 bytes, checked)" in capsys.readouterr().err


def test_nothing_is_downloaded_before_it_is_asked_for(server, publish, tmp_path):
    publish(file_of(server))
    catalog.describe_datasets()
    catalog.cite("Made2024")
    assert server.requests == []


def test_the_bar_is_drawn_on_standard_error(server, publish, tmp_path, capsys):
    publish(file_of(server))
    fetch_dataset("Made2024", to=tmp_path)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "responses.nc: 100%" in captured.err


def test_nothing_is_written_when_progress_is_off(server, publish, tmp_path, capsys):
    publish(file_of(server))
    fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert capsys.readouterr() == ("", "")


def test_redirections_are_followed(server, publish, tmp_path):
    publish(file_of(server))
    server.redirect = f"{server.address}/moved/responses.nc"
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.name == "responses.nc"
    assert path.read_bytes() == CONTENT["responses.nc"]


def test_a_redirection_to_another_kind_of_address_is_not_followed(server, publish, tmp_path):
    publish(file_of(server))
    server.redirect = "file:///etc/hostname"
    with pytest.raises(OSError, match="302"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_kinds_names_and_sessions_choose_files(server, publish, tmp_path):
    publish(
        file_of(server, session="240101"),
        file_of(server, "stimuli.csv", session="240102"),
        sessions={"240101": {}, "240102": {}},
    )
    for files in (["responses"], "responses.nc", ["240101"]):
        (path,) = fetch_dataset("Made2024", to=tmp_path, files=files, progress=False)
        assert path.name == "responses.nc"
    with pytest.raises(RecordingError, match=r"'240103'(.|\n)*240101, 240102"):
        fetch_dataset("Made2024", to=tmp_path, files=["240103"], progress=False)
    with pytest.raises(RecordingError, match="empty list"):
        fetch_dataset("Made2024", to=tmp_path, files=[], progress=False)


def test_a_second_address_is_tried_where_the_first_does_not_exist(server, publish, tmp_path):
    there = file_of(server).addresses
    publish(file_of(server, addresses=(f"{server.address}/gone.nc", *there)))
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


def test_a_chunked_answer_without_a_length_is_taken(server, publish, tmp_path):
    publish(file_of(server))
    server.chunked = True
    (path,) = fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]


# ---------------------------------------------------------------- mirrors


def test_a_mirror_folder_is_copied_from_and_checked(server, publish, tmp_path):
    publish(file_of(server))
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "responses.nc").write_bytes(CONTENT["responses.nc"])
    (path,) = fetch_dataset("Made2024", to=tmp_path / "here", mirror=mirror, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert listing(tmp_path / "here") == ["responses.nc"]
    assert server.requests == []
    (mirror / "responses.nc").write_bytes(b"another")
    with pytest.raises(RecordingError, match="7 bytes"):
        fetch_dataset("Made2024", to=tmp_path / "there", mirror=mirror, progress=False)
    assert listing(tmp_path / "there") == []


def test_a_mirror_may_have_the_folders_of_where_the_files_were_published(server, publish, tmp_path):
    publish(file_of(server, path="raw/r.nc"))
    (tmp_path / "mirror" / "raw").mkdir(parents=True)
    (tmp_path / "mirror" / "raw" / "r.nc").write_bytes(CONTENT["responses.nc"])
    (path,) = fetch_dataset(
        "Made2024", to=tmp_path / "here", mirror=tmp_path / "mirror", progress=False
    )
    assert path.name == "responses.nc"


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirror_may_be_an_address(server, publish, tmp_path, end):
    publish(file_of(server, addresses=("https://nowhere.invalid/responses.nc",)))
    (path,) = fetch_dataset("Made2024", to=tmp_path, mirror=server.address + end, progress=False)
    assert path.read_bytes() == CONTENT["responses.nc"]
    assert server.requests == [("/data/responses.nc", None)]


def test_a_mirror_without_the_file_or_of_another_kind_is_refused(server, publish, tmp_path):
    publish(file_of(server))
    with pytest.raises(FileNotFoundError, match=r"responses\.nc was not found.*give a mirror"):
        fetch_dataset("Made2024", to=tmp_path / "a", mirror=tmp_path, progress=False)
    with pytest.raises(FileNotFoundError, match="is no folder"):
        fetch_dataset("Made2024", to=tmp_path / "a", mirror=tmp_path / "none", progress=False)
    for mirror in ("ftp://host/data", "file:///etc"):
        with pytest.raises(RecordingError, match="neither a folder nor an http"):
            fetch_dataset("Made2024", to=tmp_path / "a", mirror=mirror, progress=False)


# ---------------------------------------------------------------- what is in the way


def test_a_file_that_is_not_public_says_what_to_do(server, publish, tmp_path):
    publish(file_of(server, access="credentials"))
    server.status = 403
    with pytest.raises(PermissionError, match=r"403.*credentials.*mirror="):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    publish(file_of(server))
    with pytest.raises(PermissionError, match=r"403.*Give a mirror"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_a_file_that_is_there_and_wrong_is_never_replaced(server, publish, tmp_path):
    (tmp_path / "responses.nc").write_bytes(b"mine")
    publish(file_of(server))
    with pytest.raises(RecordingError, match=r"is there but does not have its checksum.*delete it"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert (tmp_path / "responses.nc").read_bytes() == b"mine"
    assert server.requests == []


def test_a_file_in_place_of_the_folder_or_a_folder_in_place_of_a_file(server, publish, tmp_path):
    publish(file_of(server))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="expected a folder"):
        fetch_dataset("Made2024", to=tmp_path / "file", progress=False)
    with pytest.raises(OSError, match="cannot be made"):
        fetch_dataset("Made2024", to=tmp_path / "file" / "below", progress=False)
    (tmp_path / "responses.nc").mkdir()
    with pytest.raises(RecordingError, match="in the way"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_a_folder_that_may_not_be_written_is_one_error(server, publish, tmp_path, monkeypatch):
    publish(file_of(server))
    monkeypatch.setattr(fetch.os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="may not be written"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_two_processes_do_not_write_one_file(server, publish, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    publish(file_of(server))
    with open(tmp_path / ".responses.nc.part", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process"):
            fetch_dataset("Made2024", to=tmp_path, progress=False)
    fetch_dataset("Made2024", to=tmp_path, progress=False)


# ---------------------------------------------------------------- no published checksum


def test_files_without_a_checksum_are_refused_before_any_request(server, publish, tmp_path):
    publish(file_of(server), file_of(server, "stimuli.csv", checksum=None))
    with pytest.raises(RecordingError, match=r"1 of the 2 files .*stimuli\.csv.*unverified=True"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)
    assert server.requests == []
    fetch_dataset("Made2024", to=tmp_path, files="responses", progress=False)


def test_an_unverified_file_is_recorded_and_compared_at_later_calls(server, publish, tmp_path):
    publish(file_of(server, checksum=None))
    (path,) = fetch_dataset("Made2024", to=tmp_path, unverified=True, progress=False)
    record = (tmp_path / "checksums.toml").read_text()
    assert f'checksum = "{checksum(CONTENT["responses.nc"])}"' in record
    assert server.address in record
    fetch_dataset("Made2024", to=tmp_path, progress=False)  # no longer unverified
    assert len(server.requests) == 1
    path.unlink()
    fetch_dataset("Made2024", to=tmp_path, progress=False)
    path.write_bytes(b"changed")
    with pytest.raises(RecordingError, match="does not have its checksum"):
        fetch_dataset("Made2024", to=tmp_path, unverified=True, progress=False)
    path.unlink()
    server.content["responses.nc"] = b"changed on the server"
    with pytest.raises(RecordingError, match="does not have its checksum"):
        fetch_dataset("Made2024", to=tmp_path, unverified=True, progress=False)
    assert listing(tmp_path) == ["checksums.toml"]


def test_an_unverified_download_is_only_continued_if_the_server_vouches_for_it(
    server, publish, tmp_path
):
    publish(file_of(server, checksum=None))
    for validators, asked in ((False, None), (True, f"bytes={HALF}-")):
        server.validators = validators
        folder = tmp_path / str(validators)
        drop_once(server, folder, unverified=True)
        (path,) = fetch_dataset("Made2024", to=folder, unverified=True, progress=False)
        assert path.read_bytes() == CONTENT["responses.nc"]
        assert server.requests[-1][1] == asked


def test_an_unverified_file_that_is_there_is_taken_and_recorded(server, publish, tmp_path, capsys):
    publish(file_of(server, checksum=None))
    (tmp_path / "responses.nc").write_bytes(b"copied by hand")
    fetch_dataset("Made2024", to=tmp_path, unverified=True)
    assert server.requests == []
    assert "taken as it is" in capsys.readouterr().err
    assert checksum(b"copied by hand") in (tmp_path / "checksums.toml").read_text()


@pytest.mark.parametrize("text", ["[", '"responses.nc" = 1', '["a"]\nchecksum = "sha256:12"'])
def test_a_damaged_record_is_refused(server, publish, tmp_path, text):
    publish(file_of(server))
    (tmp_path / "checksums.toml").write_text(text)
    with pytest.raises(RecordingError, match=r"checksums\.toml"):
        fetch_dataset("Made2024", to=tmp_path, progress=False)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(RecordingError, match=r"'hvm'.*MajajHong2015, .*cowley2023"):
        fetch_dataset("hvm")


def test_importing_loads_nothing_that_can_download():
    code = (
        "import sys, neural_data.catalog.fetch, neural_data.catalog.entries\n"
        "print([m for m in ('urllib.request', 'tqdm') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.data
def test_a_session_is_fetched_from_a_folder_of_files_and_has_its_checksums(shared_data, tmp_path):
    paths = fetch_dataset(
        "cowley2023", to=tmp_path, files="210325", mirror=shared_data / "cowley2023", progress=False
    )
    assert sorted(path.name for path in paths) == listing(tmp_path)
    assert listing(tmp_path) == [
        "images_210325.zip", "responses_210325.npy", "responses_raw_210325.npy"
    ]  # fmt: skip
    with pytest.raises(RecordingError, match="checksum is published for 1 of the 3"):
        fetch_dataset("cowley2023", to=tmp_path, files="201025", progress=False)
