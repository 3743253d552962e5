"""Scores of any images, by a network whose features are an image's mean colour."""

import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax.classifiers import extract
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation import any_images

SHADES = np.random.default_rng(0).integers(50, 200, (40, 1, 1, 3), np.uint8)


def forward(variables, x, taps):
    mean = x.mean((1, 2))
    found = {"colour": mean, "logits": jnp.stack([mean[:, 0], -mean[:, 0]], 1)}
    return {tap: found[tap] for tap in taps}


def reaching(*taps) -> Classifier:
    return Classifier(
        name="colour",
        prepare=lambda images: jnp.asarray(images, jnp.float32),
        forward=forward,
        variables={},
        taps=taps,
        default_tap="colour",
        classes=("red", "not red") if "logits" in taps else (),
        weights_sha256="ab" * 32,
        accuracy=None,
    )


def seen(shades) -> extract.Seen:
    return extract.see(lambda: [np.broadcast_to(shade, (8, 8, 3)) for shade in shades])


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path))


def score(images, reference, *, classifier=None, tap=None, splits=2, probabilities=False):
    classifier = classifier or reaching("colour", "logits")
    return any_images.score(
        images, reference, classifier=classifier, tap=tap, splits=splits, probabilities=probabilities
    )


def test_a_set_has_no_distance_from_itself():
    found, features = score(seen(SHADES), seen(SHADES))
    assert found["fid"] == pytest.approx(0, abs=1e-3)
    assert [found[name] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    np.testing.assert_array_equal(features["colour"], SHADES[:, 0, 0])
    assert (found["classifier"], found["tap"], found["seed"]) == ("colour", "colour", any_images.SEED)


def test_the_distance_of_a_set_that_is_shifted_is_the_square_of_the_shift():
    # Equal covariances: of the Fréchet distance, the means' is left.
    found, _ = score(seen(SHADES + np.array([3, 0, 4], np.uint8)), seen(SHADES))
    assert found["fid"] == pytest.approx(3**2 + 4**2, rel=1e-4)


def test_without_a_reference_there_is_the_inception_score_alone():
    red, other = np.full((1, 1, 3), (250, 0, 0), np.uint8), np.zeros((1, 1, 3), np.uint8)
    found, features = score(seen([red] * 6), None, splits=1)
    assert found["tap"] is None and found["fid"] is None and list(features) == ["logits"]
    assert found["inception_score"]["mean"] == pytest.approx(1, abs=1e-6)  # all images are of one class
    # Half are surely of one class, half of either: exp of the mean divergence from (3/4, 1/4).
    found, _ = score(seen([red, other] * 6), None, splits=1)
    sure, torn = np.log(4 / 3), np.log((1 / 2) / (3 / 4)) / 2 + np.log((1 / 2) / (1 / 4)) / 2
    assert found["inception_score"]["mean"] == pytest.approx(np.exp((sure + torn) / 2), rel=1e-5)


def test_layers_that_the_weights_do_not_reach_are_refused():
    images, some = seen(SHADES[:4]), reaching("colour")
    with pytest.raises(UserError, match="do not reach 'dense'; they reach: colour$"):
        score(images, images, classifier=some, tap="dense")
    with pytest.raises(UserError, match="do not reach 'logits'"):
        score(images, images, classifier=some, probabilities=True)
    with pytest.raises(UserError, match="do not reach logits.*without a --reference.*a --tap of colour$"):
        score(images, None, classifier=some)
    found, _ = score(images, images, classifier=some)
    assert found["inception_score"] is None and found["fid"] is not None
