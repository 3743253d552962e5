import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.files import checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Orbax closes no loops


def state(value: float = 0.0):
    arrays = {"kernel": jnp.arange(12.0).reshape(3, 4) + value, "step": jnp.int32(value)}
    return parallel.replicate(arrays)


def test_saves_and_loads_bit_for_bit(tmp_path):
    assert checkpoint.steps(tmp_path / "none") == []
    for step in (10, 2, 300):
        checkpoint.save(tmp_path, step, state(step + 0.1))
    assert checkpoint.steps(tmp_path) == [2, 10, 300]
    loaded = checkpoint.load(tmp_path, 10, state())
    jax.tree.map(np.testing.assert_array_equal, loaded, state(10.1))
    assert loaded["kernel"].sharding == state()["kernel"].sharding


def test_half_written_checkpoints_do_not_count(tmp_path):
    checkpoint.save(tmp_path, 5, state())
    half = tmp_path / "7.orbax-checkpoint-tmp"
    half.mkdir()
    (half / "data").write_bytes(b"half")
    assert checkpoint.steps(tmp_path) == [5]


def test_another_network_is_refused(tmp_path):
    checkpoint.save(tmp_path, 1, state())
    other = parallel.replicate({"kernel": jnp.zeros((5, 5)), "step": jnp.int32(0)})
    with pytest.raises(UserError, match=f"{tmp_path}/1 cannot be read"):
        checkpoint.load(tmp_path, 1, other)


def test_digest_sees_every_bit_name_shape_and_dtype():
    base = parallel.host(state())
    assert checkpoint.digest(base) == checkpoint.digest(parallel.host(state()))
    bit = {**base, "kernel": np.nextafter(base["kernel"], 1, dtype=np.float32)}
    shape = {**base, "kernel": base["kernel"].reshape(4, 3)}
    dtype = {**base, "step": base["step"].view(np.uint32)}
    name = {"weight": base["kernel"], "step": base["step"]}
    assert len({checkpoint.digest(tree) for tree in (base, bit, shape, dtype, name)}) == 5


def test_what_is_left_of_killed_saves_and_deletions_is_cleaned_up(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, state(step))
    for left in ("3.orbax-checkpoint-tmp", "3.orbax-checkpoint-tmp-17", "0.deleted"):
        (tmp_path / left / "state").mkdir(parents=True)
    checkpoint.clean(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    checkpoint.delete(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
    checkpoint.clean(tmp_path / "none")


def test_a_damaged_one_is_kept_aside_until_a_good_one_replaces_it(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, state(step))
        checkpoint.set_aside(tmp_path, step)
    checkpoint.save(tmp_path, 1, state(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2.damaged"]
    checkpoint.save(tmp_path, 2, state(2))
    checkpoint.set_aside(tmp_path, 2)
    assert checkpoint.steps(tmp_path) == [1]
    checkpoint.save(tmp_path, 2, state(2))
    checkpoint.save(tmp_path, 3, state(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]


@pytest.mark.parametrize("harm", ["emptied", "cut", "changed", "removed"])
def test_whatever_file_is_damaged_it_is_noticed(tmp_path, harm):
    checkpoint.save(tmp_path, 1, state(1))
    good = checkpoint.digest(parallel.host(state(1)))
    files = sorted(path for path in (tmp_path / "1").rglob("*") if path.is_file())
    noticed = []
    for path in files:
        data = path.read_bytes()
        half = len(data) // 2
        changed = data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
        path.unlink()
        if harm != "removed":
            path.write_bytes({"emptied": b"", "cut": data[:half], "changed": changed}[harm])
        try:
            noticed.append(checkpoint.digest(parallel.host(checkpoint.load(tmp_path, 1, state()))) != good)
        except checkpoint.Damaged as error:
            assert "\n" not in str(error)
            noticed.append(True)
        path.write_bytes(data)
    assert len(files) > 5 and any(noticed)  # some files are only there to be read by people
    data = max(files, key=lambda path: path.stat().st_size)
    assert noticed[files.index(data)]


def test_a_full_disk_is_told_of_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: type("", (), {"free": 20}))
    with pytest.raises(UserError, match=f"{tmp_path}/1 takes 0.0 MB"):
        checkpoint.save(tmp_path, 1, state())
    assert list(tmp_path.iterdir()) == []
