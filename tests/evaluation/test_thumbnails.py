"""Thumbnails, against a triangle filter in NumPy and against Pillow's."""

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.evaluation.thumbnails import thumbnails


def triangle(size: int, to: int) -> np.ndarray:
    """The weights float64 [to, size] of a bilinear resize that widens its triangle when it shrinks."""
    scale = size / to
    centres = (np.arange(to) + 0.5) * scale - 0.5
    weights = np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size)) / max(scale, 1))
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [16, 32, 64, 50])
def test_they_are_the_images_by_a_triangle_filter(size):
    images = np.random.default_rng(size).integers(0, 256, (3, size, size, 3), np.uint8)
    images[0], images[1] = 0, 255
    found = np.asarray(thumbnails(images))
    assert found.shape == (3, 32, 32, 3) and found.dtype == np.float32
    weights = triangle(size, 32)
    expected = np.einsum("ih,jw,nhwc->nijc", weights, weights, images) / 127.5 - 1
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.all(found[0] == -1) and found[1] == pytest.approx(1, abs=1e-6)
    by_pillow = np.asarray(Image.fromarray(images[2]).resize((32, 32), Image.Resampling.BILINEAR), float)
    np.testing.assert_allclose((found[2] + 1) * 127.5, by_pillow, atol=1.5)  # it rounds, once each way


def test_more_images_than_a_batch_keep_their_order():
    images = np.repeat(np.arange(70, dtype=np.uint8), 32 * 32 * 3).reshape(70, 32, 32, 3)
    found = np.asarray(thumbnails(images))
    np.testing.assert_allclose(found[:, 5, 7, 1], np.arange(70) / 127.5 - 1, atol=1e-6)
