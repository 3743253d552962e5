"""Images as small as the meters of leakage and memorisation look at them."""

import functools

import numpy as np

from gan_da_jax.classifiers.networks import small_cnn
from gan_da_jax.devices import parallel

SIZE = small_cnn.SIZE


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Shrink (or enlarge) uint8 [n, S, S, 3], n >= 1, on all local devices: float32 [n, SIZE, SIZE, 3] in -1..1."""
    return _shrink()(None, images)["images"]


@functools.cache
def _shrink():
    return parallel.batches(lambda _, images: {"images": small_cnn.prepare(images)}, batch_size=64)
