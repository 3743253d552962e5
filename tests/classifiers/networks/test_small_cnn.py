import functools

import jax
import numpy as np
import pytest
from PIL import Image

from gan_da_jax.classifiers.networks import small_cnn


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (128, 128), (100, 80)])
def test_the_resize_is_pillows_bilinear(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    planes = [Image.fromarray(image[..., c].astype(np.float32), "F").resize((32, 32), 2) for c in range(3)]
    np.testing.assert_allclose(small_cnn.prepare(image[None])[0], np.stack(planes, -1) / 127.5 - 1, atol=5e-5)


def test_gives_one_row_of_logits_an_image():
    network = small_cnn.Attributes(12)
    images = jax.ShapeDtypeStruct((3, 32, 32, 3), np.float32)
    run = functools.partial(network.init_with_output, taps=network.taps)
    found, _ = jax.eval_shape(run, jax.random.key(0), images)
    assert {tap: array.shape for tap, array in found.items()} == {"64": (3, 64), "logits": (3, 12)}
    assert all(array.dtype == np.float32 for array in found.values())
