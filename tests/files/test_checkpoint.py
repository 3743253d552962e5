import logging
import subprocess
import sys
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_da_jax import gan
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


OTHERS = {
    "another shape": (lambda tree: tree | {"kernel": jnp.zeros((5, 5))}, r"its kernel is float32\[3, 4\], where this"),
    "another dtype": (
        lambda tree: tree | {"step": jnp.float32(0)},
        r"step is int32\[\], where .* has float32\[\]",
    ),
    "another part": (lambda tree: tree | {"extra": {"p": jnp.zeros(2)}}, r"extra/p is absent, where .* float32\[2\]"),
    "a part less": (lambda tree: {"step": tree["step"]}, "kernel is .*, where this run has nothing"),
    "an empty part": (lambda tree: tree | {"scale": optax.EmptyState()}, "scale is absent, where this run has empty"),
    "a list": (lambda tree: tree | {"kernel": [tree["kernel"]]}, "kernel is "),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_structure_is_refused_and_not_called_damaged(tmp_path, other):
    checkpoint.save(tmp_path, 1, state())
    changed, difference = OTHERS[other]
    with pytest.raises(checkpoint.Incompatible, match=difference) as error:
        checkpoint.load(tmp_path, 1, parallel.replicate(changed(state())))
    assert not isinstance(error.value, checkpoint.Damaged)
    assert "another version" in str(error.value) and "--workdir" in str(error.value) and "\n" not in str(error.value)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.load(tmp_path, 1, state()), state())


@flax.struct.dataclass
class OldState:
    """The state of a GAN as it was before it had extras."""

    step: Any
    generator: Any
    discriminator: Any
    generator_optimizer: Any
    discriminator_optimizer: Any


def test_a_state_without_extras_is_saved_and_hashed_as_it_was_before_there_were_any(tmp_path):
    network = gan.create(image_size=32, latent_dim=3, width=2)
    now = parallel.replicate(jax.jit(lambda key: gan.init(network, key))(jax.random.key(0)))
    names = [field for field in OldState.__dataclass_fields__]
    old = OldState(**{name: getattr(now, name) for name in names})
    digest = checkpoint.digest(parallel.host(old))
    assert digest == checkpoint.digest(parallel.host(now))
    checkpoint.save(tmp_path, 1, old)
    checkpoint.save(tmp_path, 2, now)
    for step, like in ((1, now), (2, old)):
        loaded = checkpoint.load(tmp_path, step, like)
        assert type(loaded) is type(like) and checkpoint.digest(parallel.host(loaded)) == digest
    assert checkpoint.load(tmp_path, 1, now).extra == {}
    averaging = now.replace(extra={"average": now.generator["params"]})
    with pytest.raises(checkpoint.Incompatible, match="its extra/average/.* is absent"):
        checkpoint.load(tmp_path, 1, averaging)
    checkpoint.save(tmp_path, 3, averaging)
    loaded = checkpoint.load(tmp_path, 3, averaging)
    jax.tree.map(np.testing.assert_array_equal, loaded.extra["average"], now.generator["params"])
    assert checkpoint.digest(parallel.host(loaded)) != digest
    with pytest.raises(checkpoint.Incompatible, match="where this run has nothing"):
        checkpoint.load(tmp_path, 3, now)


def test_the_loggers_of_the_host_are_left_alone(tmp_path):
    log = logging.getLogger("absl")
    before, levels = log.level, []
    try:
        for level in (logging.DEBUG, logging.ERROR):
            log.setLevel(level)
            checkpoint.save(tmp_path, level, state())
            levels.append(log.level)
            with pytest.raises(checkpoint.Damaged):
                checkpoint.load(tmp_path, 1, state())
            levels.append(log.level)
    finally:
        log.setLevel(before)
    assert levels == [logging.DEBUG] * 2 + [logging.ERROR] * 2


LOGGING = """
import logging
import absl.logging
names = ("", "absl", "orbax", "jax", "asyncio")
before = [(logging.getLogger(name).level, logging.getLogger(name).disabled) for name in names]
from gan_da_jax.files import checkpoint
assert before == [(logging.getLogger(name).level, logging.getLogger(name).disabled) for name in names], before
"""


def test_importing_silences_no_logger_of_the_host():
    process = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]


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
        except (checkpoint.Damaged, checkpoint.Incompatible) as error:
            assert "\n" not in str(error)
            # Only where a name is changed in the list of the arrays, it is not seen that it was damaged.
            assert isinstance(error, checkpoint.Damaged) or (harm == "changed" and path.name == "_METADATA")
            noticed.append(True)
        path.write_bytes(data)
    assert len(files) > 5 and any(noticed)  # some files are only there to be read by people
    data = max(files, key=lambda path: path.stat().st_size)
    assert noticed[files.index(data)]


def test_a_full_disk_is_told_of_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: type("", (), {"free": 20}))
    with pytest.raises(UserError, match=f"{tmp_path}/1 needs 0.0 MB"):
        checkpoint.save(tmp_path, 1, state())
    assert list(tmp_path.iterdir()) == []
