import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax import checkpoint, parallel
from gan_da_jax.errors import UserError


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
