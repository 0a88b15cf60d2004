"""The page of a running search, over its server on this machine."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from made_runs import HOSTILE
from served_runs import record, serving

from brainguided.journal.journal import FILE_NAME
from brainguided.reports.live import Address, Server, open_server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("brainguided.reports.live._PAUSE", 0.0)
    monkeypatch.setattr("brainguided.reports.live._SHARE", 0.0)
    record(tmp_path, 0, 22)
    return tmp_path


def get(
    server: Server, path: str, *, host: str = "", method: str = "GET", token: str | None = None
) -> HTTPResponse:
    port = int(server.server_address[1])
    token = server.token if token is None else token
    if token:
        path += ("&" if "?" in path else "?") + f"token={token}"
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": host or f"localhost:{port}"})
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    connection.close()
    return answer


def test_readers_get_the_page_its_data_and_the_details_of_a_candidate(folder) -> None:
    before = (folder / FILE_NAME).read_bytes()
    with serving(folder) as server:
        assert server.url.startswith("http://127.0.0.1:")
        page = get(server, "/")
        assert page.status == 200
        assert "connect-src 'self'" in page.text
        assert page.text.count("<script") == 2
        data = get(server, "/data.json")
        assert len(json.loads(data.text)["columns"][0]["values"]) == 22
        detail = json.loads(get(server, "/candidate/19.json").text)
        assert detail["architecture"].startswith("{")
        assert get(server, "/candidate/22.json").status == 404
        assert get(server, "/../journal.db").status == get(server, "/journal.db").status == 404
        assert get(server, "/", method="POST").status == 501
    assert (folder / FILE_NAME).read_bytes() == before


def test_what_is_new_is_sent_and_what_is_known_is_not(folder) -> None:
    with serving(folder) as server:
        first = get(server, "/data.json")
        version = first.headers["X-Version"]
        same = get(server, f"/data.json?known={version}")
        assert (same.status, same.text) == (204, "")
        assert "done%2021" in first.headers["X-Status"]
        record(folder, 22, 30)
        newer = get(server, f"/data.json?known={version}")
        assert newer.status == 200
        assert len(json.loads(newer.text)["columns"][0]["values"]) == 30
        assert newer.headers["X-Version"] != version


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_nobody_reads_without_the_token(folder, host) -> None:
    with serving(folder, Address(host)) as server:
        assert server.url.endswith(f"/?token={server.token}")
        assert len(server.token) >= 32
        for path in ("/", "/data.json", "/candidate/19.json"):
            for token in ("", server.token[:-1], "\u00e9".encode().hex()):
                answer = get(server, path, token=token)
                assert answer.status == 403
                assert "open the address as it was printed" in answer.text
        # By a name of its own, by a port that is forwarded, and by port 80, of which none is said
        for name in ("other.example", "localhost:9000", "localhost"):
            assert get(server, "/data.json", host=name).status == 200


def test_the_address_printed_can_be_opened(folder) -> None:
    with serving(folder, Address("0.0.0.0")) as server:
        port = server.server_address[1]
        assert server.url.startswith(f"http://{socket.gethostname()}:{port}/?token=")
    with serving(folder) as server:
        taken = server.server_address[1]
        assert server.url.startswith(f"http://127.0.0.1:{taken}/?token=")
        with pytest.raises(OSError, match=f"port {taken}: .*that is free, or none"):
            open_server(folder, Address(port=taken))
    with pytest.raises(ValueError, match="port is 70000, expected 1 to 65535, or 0"):
        Address(port=70000)


def test_a_damaged_journal_is_said_and_the_server_goes_on(folder) -> None:
    with serving(folder) as server:
        assert get(server, "/data.json").status == 200
        (folder / FILE_NAME).unlink()
        answer = get(server, "/data.json")
        assert answer.status == 503
        assert "cannot be read now" in answer.text


@pytest.mark.parametrize("error", [KeyError("layer1"), AssertionError("run"), ValueError("shape")])
def test_a_bug_is_answered_and_logged_in_one_line(folder, monkeypatch, caplog, error) -> None:
    def fail(self: object) -> None:
        raise error

    with serving(folder) as server:
        monkeypatch.setattr("brainguided.reports.live.Watched.read_page", fail)
        for _ in range(2):  # the second time it is known already
            answer = get(server, "/")
            assert answer.status == 500
            assert f"could not be made ({type(error).__name__})" in answer.text
        assert get(server, "/data.json").status == 200
    (line,) = caplog.messages
    assert f"{type(error).__name__}: {error} (test_live.py, line " in line


def test_readers_that_hang_up_are_no_fault(folder, caplog) -> None:
    with serving(folder) as server:
        for error in (ConnectionResetError(), RuntimeError("unlike")):
            try:
                raise error
            except Exception:
                server.handle_error(None, ("127.0.0.1", 1))
    assert len(caplog.messages) == 1
    assert "unlike" in caplog.text


def test_a_folder_without_journal_is_refused(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"journal\.db does not exist"):
        open_server(tmp_path)


def test_only_this_machine_is_listened_to(folder) -> None:
    with serving(folder) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"
        with socket.create_connection(server.server_address[:2], timeout=60) as one:
            one.sendall(b"nonsense\r\n\r\n")
            assert b"400" in one.recv(200)
        assert get(server, "/data.json").status == 200


def test_hostile_names_stay_text_in_what_is_sent(folder) -> None:
    with serving(folder) as server:
        page = get(server, "/").text
        assert HOSTILE not in page
        assert "<!--" not in page
