import json
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.files import torch_file

TENSORS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([0.5, -1])}


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def same(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], expected[name])


def test_what_is_written_is_read(tmp_path):
    torch_file.write(tmp_path / "x.safetensors", TENSORS | {"a.weight": TENSORS["a.weight"].T})
    same(torch_file.read(tmp_path / "x.safetensors"), TENSORS | {"a.weight": TENSORS["a.weight"].T})


@pytest.mark.parametrize("zipped", [True, False])
def test_reads_what_torch_saves(torch, tmp_path, zipped):
    state = {name: torch.from_numpy(array) for name, array in TENSORS.items()}
    state["b"] = torch.nn.Parameter(state["b"].double())
    state["bn.num_batches_tracked"] = torch.tensor(3)
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    same(torch_file.read(tmp_path / "x.pth"), TENSORS)


def test_reads_what_the_safetensors_of_torch_users_hold(torch, tmp_path):
    library = pytest.importorskip("safetensors.torch")
    state = {name: torch.from_numpy(array).half() for name, array in TENSORS.items()}
    library.save_file(state | {"bn.num_batches_tracked": torch.tensor(3)}, tmp_path / "x.safetensors")
    same(torch_file.read(tmp_path / "x.safetensors"), TENSORS)


def test_without_torch_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "x.pth").write_bytes(b"")
    with pytest.raises(UserError, match="x.pth .* PyTorch, which is not installed: pip install") as error:
        torch_file.read(tmp_path / "x.pth")
    assert "\n" not in str(error.value)


def header(entries, *, length=None, data=b""):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape, start, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"PK\x03\x04 a zip", "damaged"),
        (header({}, length=2**63), "damaged"),
        (header({"a": entry([1 << 40], 0, 1 << 42)}), "damaged"),
        (header({"a": entry([2], 0, 4)}, data=bytes(4)), "damaged"),
        (header({"a": entry([2], 0, 8)}, data=bytes(7)), "damaged"),
        (header({"a": entry([1 << 62, 4], 0, 8)}, data=bytes(8)), "damaged"),
        (header({"a": entry([1], 0, 4, "I32")}, data=bytes(4)), "a is not an array of floats"),
        (header({"a": entry([2], 0, 4, "BF16")}, data=bytes(4)), "a is not an array of floats"),
        (header({"a": entry([1], 0, 4)}, data=struct.pack("<f", np.nan)), "a holds values that are not finite"),
    ],
)
def test_a_hostile_safetensors_file_is_refused(tmp_path, content, reason):
    refused(tmp_path / "x.safetensors", content, reason)


def refused(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        torch_file.read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_does_not_run(torch, tmp_path, zipped):
    mark = tmp_path / "it ran"
    pickle.loads(pickle.dumps(Code(mark))).close()  # else the rest would show nothing
    assert mark.exists()
    mark.unlink()
    torch.save({"a": torch.ones(2), "b": Code(mark)}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "y.pth", (tmp_path / "x.pth").read_bytes(), "nothing in it was run")
    refused(tmp_path / "z.pth", pickle.dumps(Code(mark), protocol=2), "nothing in it was run")
    assert not mark.exists()


def test_a_hostile_torch_file_is_refused(torch, tmp_path):
    def saved(content, **options):
        torch.save(content, tmp_path / "x.pth", **options)
        return (tmp_path / "x.pth").read_bytes()

    path = tmp_path / "wrong.pth"
    for zipped in (True, False):
        whole = saved({"a": torch.ones(1000)}, _use_new_zipfile_serialization=zipped)
        for part in (0, 10, len(whole) // 2, len(whole) - 1):
            refused(path, whole[:part], "damaged")
    refused(path, b"<!DOCTYPE html>", "damaged")
    refused(path, saved([torch.ones(2)]), "no state dict")
    refused(path, saved({1: torch.ones(2)}), "no state dict")
    refused(path, saved({"state": {"a": torch.ones(2)}}), "state is not an array of floats")
    refused(path, saved({"a": torch.ones(2, dtype=torch.int32)}), "a is not an array of floats")
    refused(path, saved({"a": torch.ones(2, 2).to_sparse()}), "a is not an array of floats")
    refused(path, saved({"a": torch.ones(1).expand(1 << 40)}), "a is not an array of floats")
    shared = torch.ones(1000)
    refused(path, saved({f"{i}": shared for i in range(100)}), "not an array of floats stored in this file")
    refused(path, saved({"a": torch.tensor([1.0, np.inf])}), "a holds values that are not finite")

    source = saved({"a": torch.zeros(1 << 20)})
    path.write_bytes(source)
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in archive.namelist():
            bomb.writestr(name, archive.read(name))
    refused(path, (tmp_path / "bomb.pth").read_bytes(), "compressed")


def test_an_absent_file_is_named(tmp_path):
    for name in ("x.pth", "x.safetensors", ""):
        with pytest.raises(UserError, match="does not exist"):
            torch_file.read(tmp_path / name)
