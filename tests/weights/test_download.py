import os

os.environ["KERAS_BACKEND"] = "jax"

import hashlib
import http.server
import socket
import threading

import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.weights import download, registry

CONTENT = bytes(range(256)) * 10_000  # more than one chunk


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        if self.path == "/absent.h5":
            self.send_error(404)
            return
        content = {"/wrong.h5": CONTENT[::-1], "/longer.h5": CONTENT * 2}.get(self.path, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path == "/truncated.h5" else content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = 0
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "weights"


@pytest.fixture
def publish(monkeypatch):
    def publish(port, name):
        published = registry.Published(
            address=f"http://127.0.0.1:{port}/{name}",
            hash=f"md5:{hashlib.md5(CONTENT).hexdigest()}",
            size=len(CONTENT),
            licence="",
            purpose="",
        )
        monkeypatch.setitem(registry.PUBLISHED, "x", published)

    return publish


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_good_file_is_fetched_once(server, folder, publish):
    publish(server.server_port, "good.h5")
    assert download.fetch("x") == folder / "good.h5"
    assert (folder / "good.h5").read_bytes() == CONTENT
    assert download.fetch("x") == folder / "good.h5"
    assert names(folder) == ["good.h5"]
    assert server.requests == 1


def test_a_file_put_there_by_hand_is_used_if_it_is_the_published_one(server, folder, publish):
    publish(server.server_port, "good.h5")
    folder.mkdir()
    (folder / "good.h5").write_bytes(CONTENT)
    assert download.fetch("x") == folder / "good.h5"
    (folder / "good.h5").write_bytes(CONTENT[1:])
    with pytest.raises(UserError, match=r"good\.h5 has md5:\w+, but md5:\w+ is published"):
        download.fetch("x")
    assert server.requests == 0


@pytest.mark.parametrize("name", ["wrong.h5", "longer.h5"])
def test_another_file_is_refused_and_kept_aside(server, folder, publish, name):
    publish(server.server_port, name)
    with pytest.raises(UserError, match=rf"is published.*{name}\.refused"):
        download.fetch("x")
    assert names(folder) == [f"{name}.refused"]


def test_a_transfer_that_breaks_off_leaves_nothing(server, folder, publish):
    publish(server.server_port, "truncated.h5")
    with pytest.raises(UserError, match=f"broke off after {len(CONTENT) // 2} of {len(CONTENT)} bytes"):
        download.fetch("x")
    assert names(folder) == []


def test_without_a_file_or_a_connection_the_error_says_what_to_do(server, folder, publish):
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    for port, name, reason in ((server.server_port, "absent.h5", "404"), (closed, "good.h5", "refused")):
        publish(port, name)
        with pytest.raises(UserError, match=reason) as error:
            download.fetch("x")
        for part in (f"http://127.0.0.1:{port}/{name}", str(folder / name), "--config.evaluate.weights=FILE"):
            assert part in str(error.value)
        assert "\n" not in str(error.value)
        assert names(folder) == []


def test_the_table_names_what_keras_publishes():
    pytest.importorskip("keras")
    from keras.src.applications import inception_v3

    published = registry.PUBLISHED["inception_v3"]
    assert published.address == inception_v3.WEIGHTS_PATH
    with open(inception_v3.__file__) as source:
        assert f'file_hash="{published.hash.removeprefix("md5:")}"' in source.read()
