import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.metrics import distances, memorisation

SHARED = Path(os.environ.get("GAN_DA_SHARED", "../shared")) / "data"


def rows(images: np.ndarray) -> np.ndarray:
    """Images of 64 px at half size, by the mean of 2 x 2 pixels."""
    return images.reshape(len(images), 32, 2, 32, 2, 3).mean(axis=(2, 4)).reshape(len(images), -1)


def known(images: np.ndarray) -> memorisation.Training:
    return memorisation.training(rows(images), rows(images[:, :, ::-1]))


def share(images: np.ndarray, training: memorisation.Training) -> float:
    return memorisation.share(memorisation.nearest(rows(images), training), training)


def altered(images: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    noisy = images + rng.normal(0, 5, images.shape)
    return {
        "as they are": images,
        "mirrored": images[:, :, ::-1],
        "noisy": np.clip(noisy.round(), 0, 255).astype(np.uint8),
        "blurred": gaussian_filter(images.astype(np.float32), (0, 2, 2, 0)),
    }


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return faces.render(5, np.arange(700), 64)[0]


@pytest.mark.parametrize("block", [2**24, 40])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), mirrored=st.booleans())
def test_nearest_is_what_all_distances_say(seed, mirrored, block):
    rng = np.random.default_rng(seed)
    real, samples = rng.normal(size=(12, 4)), rng.normal(size=(9, 4))
    mirror = real[:, ::-1]
    near = np.minimum(cdist(real, real), cdist(real, mirror)) if mirrored else cdist(real, real)
    np.fill_diagonal(near, np.inf)
    near.sort(axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "BLOCK", block)
        training = memorisation.training(real, *([mirror] if mirrored else []))
        found = memorisation.nearest(samples, training)
    assert training.threshold == pytest.approx(np.min(near[:, 0] / near[:, 1]), rel=1e-6)
    assert training.expected == 1 / 13

    plain, flipped = cdist(samples, real), cdist(samples, mirror)
    best = np.minimum(plain, flipped) if mirrored else plain
    np.testing.assert_array_equal(found.image, best.argmin(axis=1))
    np.testing.assert_array_equal(found.variant, (best < plain)[np.arange(9), best.argmin(axis=1)])
    best.sort(axis=1)
    np.testing.assert_allclose(found.ratio, best[:, 0] / best[:, 1], rtol=1e-6)


def test_planted_copies_are_found_and_named(people):
    training = known(people[:400])
    for name, images in altered(people[100:200]).items():
        found = memorisation.nearest(rows(images), training)
        assert memorisation.share(found, training) >= (0.97 if name == "blurred" else 1), name
        np.testing.assert_array_equal(found.image, np.arange(100, 200))
        assert (found.variant == (name == "mirrored")).all(), name


def test_copies_of_what_was_made_from_an_image_are_found(people):
    """A negative is no copy of anything that was searched without negatives, and one where they were trained on."""
    training = memorisation.training(rows(people[:400]), rows(people[:400, :, ::-1]), rows(255 - people[:400]))
    found = memorisation.nearest(rows(255 - people[100:200]), training)
    assert memorisation.share(found, training) == 1 and (found.variant == 2).all()
    assert share(255 - people[100:200], known(people[:400])) < 0.1
    assert share(people[400:], training) <= 0.03


def test_other_faces_are_not_taken_for_copies(people):
    training = known(people[:400])
    assert training.expected == 4 / 401
    for name, images in altered(people[400:]).items():
        assert share(images, training) <= 0.03, name  # 300 images of which about 1% are expected


def test_as_many_real_images_are_taken_for_copies_as_expected():
    """Of independent draws, over many sets: the threshold is a random number, its rank is not."""
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(60):
        training = memorisation.training(rng.normal(size=(149, 8)))
        shares.append(memorisation.share(memorisation.nearest(rng.normal(size=(200, 8)), training), training))
    assert training.expected == pytest.approx(2 / 150)
    assert np.mean(shares) == pytest.approx(2 / 150, abs=0.005)


def test_a_mixture_of_copies_reads_its_share(people):
    training = known(people[:400])
    mixed = np.concatenate([people[:30], people[400:670]])
    assert share(mixed, training) == pytest.approx(0.1, abs=0.03)


def test_blank_images_and_doubles_are_no_copies_by_themselves():
    real = np.random.default_rng(0).normal(size=(10, 3))
    real[1] = real[0]
    training = memorisation.training(real)
    assert memorisation.nearest(real[:1], training).ratio == 1
    assert memorisation.training(np.zeros((5, 3))).threshold == 1


@pytest.mark.parametrize(
    ("images", "said"), [(np.ones((2, 3)), "2 images are too few"), (np.full((4, 3), np.nan), "not finite")]
)
def test_what_cannot_be_searched_is_an_error(images, said):
    with pytest.raises(UserError, match=said):
        memorisation.training(images)


def test_samples_are_as_wide_as_the_training_images():
    with pytest.raises(UserError, match="3 features"):
        memorisation.nearest(np.ones((2, 3)), memorisation.training(np.eye(4)))


@pytest.mark.parametrize(("source", "count"), [("celeba_1000", 700), ("pomeranian_197", 120)])
def test_photographs(source, count):
    if not (SHARED / source).is_dir():
        pytest.skip(f"no {source} in {SHARED} (GAN_DA_SHARED)")
    paths = sorted((SHARED / source).glob("*.jpg"))
    photographs = np.stack([np.asarray(Image.open(path).convert("RGB").resize((64, 64))) for path in paths])
    np.random.default_rng(0).shuffle(photographs)
    training = known(photographs[:count])
    for name, images in altered(photographs[:count:5]).items():
        assert share(images, training) >= (0.97 if name == "blurred" else 1), name
    for name, images in altered(photographs[count:]).items():
        assert share(images, training) <= 0.06, name
