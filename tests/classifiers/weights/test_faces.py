import numpy as np
import pytest

from gan_da_jax.classifiers.weights import faces
from gan_da_jax.errors import UserError


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """An empty cache, and training that takes no time; gives the list of its calls."""
    calls = []

    def train():
        calls.append(1)
        return {"params": {"Conv_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}}, 0.25

    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path))
    monkeypatch.setattr(faces, "train", train)
    return calls


def test_training_is_deterministic_and_its_digest_tells_weights_apart():
    one, two = (faces.train(count=192, epochs=1)[0] for _ in range(2))
    assert faces.digest(one) == faces.digest(two)
    two["params"]["logits"]["bias"] = np.nextafter(two["params"]["logits"]["bias"], np.float32(1))
    assert faces.digest(one) != faces.digest(two)


def test_is_trained_once_and_kept(quick, capsys):
    first, accuracy = faces.load()
    assert "trained" in capsys.readouterr().out
    second, again = faces.load()
    assert capsys.readouterr().out == ""
    assert len(quick) == 1
    assert accuracy == again == 0.25
    assert faces.digest(first) == faces.digest(second) == faces.digest(first)
    assert [path.name for path in faces.path().parent.iterdir()] == [faces.path().name]


def test_another_version_of_the_faces_has_other_weights(quick, monkeypatch, tmp_path):
    before = faces.path()
    changed = tmp_path / "faces.py"
    changed.write_text("VERSION = 2")
    monkeypatch.setattr(faces.faces, "__file__", str(changed))
    assert faces.path() != before


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 99])
def test_a_damaged_file_is_named(quick, damage):
    faces.load()
    path = faces.path()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="delete it") as error:
        faces.load()
    assert str(path) in str(error.value)
