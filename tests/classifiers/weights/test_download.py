import os

os.environ["KERAS_BACKEND"] = "jax"

import hashlib
import http.server
import socket
import threading

import pytest

from gan_da_jax.classifiers.registry import CLASSIFIERS
from gan_da_jax.classifiers.weights import download
from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.errors import UserError

CONTENT = bytes(range(256)) * 10_000  # more than one chunk


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT or something near it, by the file's name; `server.cuts` says where the next transfers end."""

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.server.starts.append(start)
        if self.path == "/absent.h5":
            self.send_error(404)
            return
        content = {"/wrong.h5": CONTENT[::-1], "/longer.h5": CONTENT * 2, "/short.h5": CONTENT[:9]}.get(
            self.path, CONTENT
        )
        if start >= len(content):
            self.send_error(416)
            return
        if self.path == "/whole.h5":  # a server that knows no ranges
            start = 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.cuts.pop(0) if self.server.cuts else None])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.starts, server.cuts = [], []
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


def publish(port, name):
    """A published file that nobody has but a server on this port."""
    digest = hashlib.md5(CONTENT).hexdigest()
    return Published(f"http://127.0.0.1:{port}/{name}", f"md5:{digest}", len(CONTENT), licence="", purpose="")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_good_file_is_fetched_once(server, folder):
    published = publish(server.server_port, "good.h5")
    assert download.fetch("x", published) == folder / "good.h5"
    assert (folder / "good.h5").read_bytes() == CONTENT
    assert download.fetch("x", published) == folder / "good.h5"
    assert names(folder) == ["good.h5"]
    assert server.starts == [0]


def test_a_file_put_there_by_hand_is_used_if_it_is_the_published_one(server, folder):
    published = publish(server.server_port, "good.h5")
    folder.mkdir()
    (folder / "good.h5").write_bytes(CONTENT)
    assert download.fetch("x", published) == folder / "good.h5"
    (folder / "good.h5").write_bytes(CONTENT[1:])
    with pytest.raises(UserError, match=r"good\.h5 has md5:\w+, but md5:\w+ is published"):
        download.fetch("x", published)
    assert server.starts == []


@pytest.mark.parametrize("name", ["wrong.h5", "longer.h5"])
def test_another_file_is_refused_and_kept_aside(server, folder, name):
    published = publish(server.server_port, name)
    with pytest.raises(UserError, match=rf"is published.*{name}\.refused"):
        download.fetch("x", published)
    assert names(folder) == [f"{name}.refused"]


def test_a_transfer_that_breaks_off_goes_on_from_there(server, folder):
    published = publish(server.server_port, "good.h5")
    server.cuts = [1_000_000, 2_000_001]
    for cut in list(server.cuts):
        with pytest.raises(UserError, match=f"broke off after {cut} of {len(CONTENT)} bytes: try again"):
            download.fetch("x", published)
        assert names(folder) == ["good.h5.part"]
        assert (folder / "good.h5.part").read_bytes() == CONTENT[:cut]
    assert download.fetch("x", published).read_bytes() == CONTENT
    assert names(folder) == ["good.h5"]
    assert server.starts == [0, 1_000_000, 2_000_001]


def test_a_server_without_ranges_sends_it_all_again(server, folder):
    published = publish(server.server_port, "whole.h5")
    server.cuts = [1_000_000]
    with pytest.raises(UserError, match="broke off"):
        download.fetch("x", published)
    assert download.fetch("x", published).read_bytes() == CONTENT
    assert names(folder) == ["whole.h5"]


def test_an_interrupted_transfer_goes_on_from_there(server, folder, monkeypatch):
    def interrupt(self, count):
        raise KeyboardInterrupt

    published = publish(server.server_port, "good.h5")
    with monkeypatch.context() as patch:
        patch.setattr(download.Progress, "advance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download.fetch("x", published)
    assert names(folder) == ["good.h5.part"]
    assert download.fetch("x", published).read_bytes() == CONTENT
    assert server.starts == [0, 1 << 20]


@pytest.mark.parametrize("beginning", [CONTENT[1:1_000_000], CONTENT + b"more", CONTENT[::-1]])
def test_a_wrong_beginning_is_refused_and_the_next_call_starts_anew(server, folder, beginning):
    published = publish(server.server_port, "good.h5")
    folder.mkdir()
    (folder / "good.h5.part").write_bytes(beginning)
    with pytest.raises(UserError, match=r"is published.*good\.h5\.refused"):
        download.fetch("x", published)
    assert names(folder) == ["good.h5.refused"]
    assert download.fetch("x", published).read_bytes() == CONTENT


def test_a_beginning_longer_than_the_servers_file_is_not_kept(server, folder):
    published = publish(server.server_port, "short.h5")
    folder.mkdir()
    (folder / "short.h5.part").write_bytes(CONTENT[:1000])
    with pytest.raises(UserError, match="416"):
        download.fetch("x", published)
    assert names(folder) == []


def test_an_endless_file_is_cut_off(server, folder):
    published = publish(server.server_port, "longer.h5")
    with pytest.raises(UserError, match=r"longer\.h5\.refused"):
        download.fetch("x", published)
    assert (folder / "longer.h5.refused").stat().st_size < len(CONTENT) * 2


def test_a_cache_that_cannot_be_written_to_is_named(server, folder):
    published = publish(server.server_port, "good.h5")
    folder.write_text("a file")
    with pytest.raises(UserError, match="weights cannot be written to .*GAN_DA_CACHE"):
        download.fetch("x", published)


def test_without_a_file_or_a_connection_the_error_says_what_to_do(server, folder):
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    for port, name, reason in ((server.server_port, "absent.h5", "404"), (closed, "good.h5", "refused")):
        published = publish(port, name)
        with pytest.raises(UserError, match=reason) as error:
            download.fetch("x", published)
        ways = ("--weights=FILE (score)", "--config.evaluate.weights=FILE (evaluate)")
        for part in (f"http://127.0.0.1:{port}/{name}", str(folder / name), *ways):
            assert part in str(error.value)
        assert "\n" not in str(error.value)
        assert names(folder) == []


def test_the_table_names_what_keras_publishes():
    pytest.importorskip("keras")
    from keras.src.applications import inception_v3, resnet

    published = CLASSIFIERS["inception_v3"].origin
    assert published.address == inception_v3.WEIGHTS_PATH
    with open(inception_v3.__file__) as source:
        assert f'file_hash="{published.hash.removeprefix("md5:")}"' in source.read()
    published = CLASSIFIERS["resnet50"].origin
    file = "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
    assert published.address == resnet.BASE_WEIGHTS_PATH + file
    assert published.hash == f"md5:{resnet.WEIGHTS_HASHES['resnet50'][0]}"
