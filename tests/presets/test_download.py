import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tfpanoptic.errors import InputError, WorkFailed
from tfpanoptic.presets import download as module
from tfpanoptic.presets.download import download, sha256_of

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server:
    """Serves `content`; its rules are attributes that a test changes.

    Attributes:
        breaks: lengths after which the next answers break off.
        ranges: whether parts can be asked for.
        status: errors that the next requests get.
        believes: whether a part is sent whatever the file has become.
        asked: the `Range` of each request.
    """

    def __init__(self):
        self.content, self.breaks, self.ranges, self.status, self.asked = CONTENT, [], True, [], []
        self.believes = False
        rules = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                rules.asked.append(self.headers["Range"])
                if rules.status:
                    self.send_error(rules.status.pop(0))
                    return
                tag = hashlib.sha256(rules.content).hexdigest()
                start = 0
                if self.headers["Range"] and rules.ranges and (rules.believes or self.headers["If-Range"] == tag):
                    start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                self.send_response(206 if start else 200)
                self.send_header("ETag", tag)
                if start:
                    last = len(rules.content) - 1
                    self.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
                self.send_header("Content-Length", str(len(rules.content) - start))
                self.end_headers()
                stop = start + rules.breaks.pop(0) if rules.breaks else None
                self.wfile.write(rules.content[start:stop])

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def closed_address():
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_the_file_arrives_with_its_checksum(server, tmp_path):
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert sha256_of(tmp_path / "a.bin") == hashlib.sha256(CONTENT).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_broken_transfer_goes_on_where_it_broke_off(server, tmp_path):
    server.breaks = [1_200_000, 500_000]
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1200000-", "bytes=1700000-"]


def test_what_came_is_kept_for_the_next_call(server, tmp_path):
    server.breaks = [1_048_576, 0, 0, 0]
    with pytest.raises(WorkFailed, match=r"broke off .*1\.0 MiB are kept"):
        download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert server.asked[-1] == "bytes=1048576-" and (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    server.breaks, server.ranges = [1_200_000], False
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_the_rest_of_another_file_is_never_appended(server, tmp_path):
    server.breaks = [1_200_000, 0, 0, 0]
    with pytest.raises(WorkFailed):
        download(f"{server.address}/a.bin", tmp_path / "a.bin")
    server.content = CONTENT[::-1]
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_part_of_another_file_is_not_believed(server, tmp_path):
    server.breaks = [1_200_000, 0, 0, 0]
    with pytest.raises(WorkFailed):
        download(f"{server.address}/a.bin", tmp_path / "a.bin")
    server.content, server.believes = CONTENT[::-1], True
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    server.status = [503, 503]
    download(f"{server.address}/a.bin", tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_what_is_no_address_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: expected an address"):
        download("nowhere", tmp_path / "a.bin")


def test_the_answer_of_a_server_that_refuses_is_named(server, tmp_path):
    server.status = [404]
    with pytest.raises(WorkFailed, match=rf"{server.address}/a.bin: the server answers 404 \(Not Found\)"):
        download(f"{server.address}/a.bin", tmp_path / "a.bin")


def test_without_a_network_nothing_is_left(tmp_path):
    with pytest.raises(WorkFailed, match="cannot be reached .*refused"):
        download(f"{closed_address()}/a.bin", tmp_path / "a.bin")
    assert not list(tmp_path.iterdir())
