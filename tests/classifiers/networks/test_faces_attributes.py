import dataclasses

import jax
import numpy as np
import pytest

from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.networks import faces_attributes, small_cnn
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError

# By FORMAT: logits of three faces after a short training. If these numbers change, so do the weights that every cache
# holds: raise `faces_attributes.FORMAT`, and pin the new numbers under it.
PINNED = {
    1: [
        [-0.05524, -0.62396, -0.2078, 0.58272],
        [0.18751, -0.50997, -0.0254, 0.30633],
        [-0.4982, 0.02946, 0.12364, -0.02616],
    ]
}


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """An empty cache, and training that takes no time; gives the list of its calls."""
    calls = []

    def train():
        calls.append(1)
        return {"params": {"Conv_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}}, 0.25

    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path))
    monkeypatch.setattr(faces_attributes, "train", train)
    return calls


@pytest.fixture(scope="module")
def short():
    """The variables after a short training."""
    return faces_attributes.train(count=192, epochs=1)[0]


def test_training_is_deterministic(short):
    again = faces_attributes.train(count=192, epochs=1)[0]
    jax.tree.map(np.testing.assert_array_equal, short, again)


def test_other_numbers_need_another_format(short):
    pixels, _ = faces.render(7, np.arange(3), 48)
    logits = faces_attributes.NETWORK.apply(short, small_cnn.prepare(pixels))["logits"]
    # Processors round otherwise, by up to 3e-4 here.
    np.testing.assert_allclose(logits[:, :4], PINNED[faces_attributes.FORMAT], rtol=0, atol=5e-3)


def test_is_trained_once_and_kept(quick, capsys):
    first = registry.load("faces_attributes", "")
    assert "trained" in capsys.readouterr().out
    second = registry.load("faces_attributes", "")
    assert capsys.readouterr().out == ""
    assert len(quick) == 1
    assert first.accuracy == second.accuracy == 0.25
    assert first.weights_sha256 == second.weights_sha256
    assert [path.name for path in faces_attributes.path().parent.iterdir()] == [faces_attributes.path().name]


def test_the_hash_tells_weights_apart(quick, monkeypatch):
    first = registry.load("faces_attributes", "")
    variables = {"params": {"Conv_0": {"kernel": np.nextafter(first.variables["params"]["Conv_0"]["kernel"], 9)}}}
    faces_attributes.path().unlink()
    monkeypatch.setattr(faces_attributes, "train", lambda: (variables, 0.25))
    second = registry.load("faces_attributes", "")
    assert second.weights_sha256 != first.weights_sha256 and second != first
    assert dataclasses.replace(second, weights_sha256=first.weights_sha256) == first


@pytest.mark.parametrize("setting", ["FORMAT", "SEED", "TRAINED_ON", "EPOCHS", "BATCH", "LEARNING_RATE"])
def test_another_training_has_another_file(monkeypatch, setting):
    before = faces_attributes.path()
    monkeypatch.setattr(faces_attributes, setting, getattr(faces_attributes, setting) * 2)
    assert faces_attributes.path() != before


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 99])
def test_a_damaged_file_is_named(quick, damage):
    registry.load("faces_attributes", "")
    path = faces_attributes.path()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="delete it") as error:
        registry.load("faces_attributes", "")
    assert str(path) in str(error.value)
