import json
import os
import resource
import stat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_da_jax.errors import UserError
from gan_da_jax.files import io


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.json"
    io.write_json(path, {"old": 1})
    with pytest.raises(ValueError):
        io.write_json(path, {"new": float("nan")})
    with pytest.raises(RuntimeError), io.atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert json.loads(path.read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["file.json"]


def test_files_have_the_permissions_of_the_umask(tmp_path):
    umask = os.umask(0o027)
    try:
        io.write_atomic(tmp_path / "file", b"x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.dictionaries(st.text(), st.integers() | st.text()), min_size=1), cut=st.integers(0, 200))
def test_json_lines_survive_a_torn_last_line(tmp_path_factory, rows, cut):
    path = tmp_path_factory.mktemp("jsonl") / "rows.jsonl"
    for row in rows:
        io.append_jsonl(path, row)
    assert io.read_jsonl(path) == rows
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[: last + min(cut, len(whole) - last - 2)])  # at least the closing brace is lost
    io.append_jsonl(path, {"after": 1})
    assert io.read_jsonl(path) == [*rows[:-1], {"after": 1}]


def test_a_line_that_lacks_its_end_only_is_kept_and_a_torn_one_leaves_no_trace(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b": 2}')
    io.append_jsonl(path, {"c": 3})
    assert path.read_bytes() == b'{"a": 1}\n{"b": 2}\n{"c": 3}\n'
    path.write_bytes(b'{"a": 1}\n{"b": ')
    io.append_jsonl(path, {"c": 3})
    assert path.read_bytes() == b'{"a": 1}\n{"c": 3}\n'


def test_a_line_that_does_not_fit_on_the_disk_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "rows.jsonl"
    io.append_jsonl(path, {"a": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))  # some bytes of the line are written
    try:
        with pytest.raises(OSError):
            io.append_jsonl(path, {"b": "long" * 10})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b'{"a": 1}\n'


def test_what_killed_processes_left_is_swept_and_what_living_ones_write_is_not(tmp_path):
    (tmp_path / ".a.json.12345678.partial").write_text("half")
    (tmp_path / ".hidden").write_text("the user's own")
    with io.atomic(tmp_path / "b.json") as temporary:
        temporary.write_text("{}")
        io.sweep(tmp_path, tmp_path / "absent")
        assert sorted(os.listdir(tmp_path)) == sorted([temporary.name, ".hidden"])
    assert sorted(os.listdir(tmp_path)) == [".hidden", "b.json"]


def test_absent_json_lines_are_no_rows(tmp_path):
    assert io.read_jsonl(tmp_path / "absent.jsonl") == []


def test_hashes_agree_with_sha256sum(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert io.sha256(b"abc") == io.file_sha256(tmp_path / "abc") == known
    letters = np.frombuffer(b"aXbXcX", np.uint8)[::2]  # not contiguous
    assert io.sha256(letters) == known


def test_png_keeps_every_pixel(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    io.save_png(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_arrays_round_trip_and_pickles_are_refused(tmp_path):
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    io.save_array(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(io.load_array(tmp_path / "a.npy"), array)
    np.save(tmp_path / "pickle.npy", np.array([{"code": 1}], dtype=object))
    for name in ("pickle.npy", "absent.npy"):
        with pytest.raises(UserError, match=name):
            io.load_array(tmp_path / name)


def test_cache_dir_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path))
    assert io.cache_dir() == tmp_path
    monkeypatch.delenv("GAN_DA_CACHE")
    assert io.cache_dir().name == "gan_da_jax"
