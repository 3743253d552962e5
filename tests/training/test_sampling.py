import jax
import numpy as np
from scipy import stats

from gan_da_jax import gan
from gan_da_jax.training import sampling


def test_latents_are_standard_normal_and_do_not_depend_on_their_number():
    few = sampling.latents(seed=1, stream="grid", count=5, latent_dim=100)
    many = sampling.latents(seed=1, stream="grid", count=200, latent_dim=100)
    np.testing.assert_array_equal(few, many[:5])
    assert many.dtype == np.float32 and stats.kstest(many.ravel(), "norm").pvalue > 1e-3
    assert (few != sampling.latents(seed=2, stream="grid", count=5, latent_dim=100)).any()
    assert (few != sampling.latents(seed=1, stream="evaluate", count=5, latent_dim=100)).any()


def test_samples_are_those_of_the_generator():
    network = gan.create(image_size=32, latent_dim=6, width=4)
    generator = gan.init(network, jax.random.key(0)).generator
    vectors = sampling.latents(seed=0, stream="x", count=70, latent_dim=6)
    images = sampling.sampler(network)(generator, vectors)
    raw = np.asarray(network.generator.apply(generator, vectors, train=False), np.float64)
    assert images.shape == (70, 32, 32, 3) and images.dtype == np.uint8
    assert np.abs(images - np.clip(raw * 127.5 + 127.5, 0, 255)).max() <= 1


def test_grid_puts_images_row_by_row():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    sheet = sampling.grid(images, columns=3)
    assert sheet.shape == (10, 14, 3)
    np.testing.assert_array_equal(sheet[2::4, 2::4, 0], [[0, 1, 2], [3, 4, 255]])
    assert (sheet[:2] == 255).all() and (sheet[:, 4:6] == 255).all()
