"""Images from a trained generator, by seed."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_da_jax import gan, prng
from gan_da_jax.devices import parallel

_GAP = 2  # pixels between the images of a grid


def latents(*, seed: int, stream: str, count: int, latent_dim: int) -> np.ndarray:
    """Draw standard normal float32 [count, latent_dim]; the i-th is the same for every count."""
    return np.asarray(_draw(prng.stream(seed, "latents", stream), jnp.arange(count), latent_dim))


@functools.partial(jax.jit, static_argnames="latent_dim")
def _draw(key: jax.Array, numbers: jax.Array, latent_dim: int) -> jax.Array:
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (latent_dim,)))(numbers)


@functools.lru_cache(maxsize=4)
def sampler(network: gan.Gan) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Compile the generator for all local devices.

    Returns:
        A function of the generator's variables, as from `gan.shown`, and latents float32 [n, latent_dim]; it returns
        images uint8 [n, S, S, 3].
    """
    run = parallel.batches(lambda variables, z: {"images": gan.sample(network, variables, z)}, batch_size=64)
    return lambda generator, vectors: run(generator, vectors)["images"]


def grid(images: np.ndarray, *, columns: int) -> np.ndarray:
    """Lay uint8 [n, S, S, 3] out row by row on white, two pixels apart: uint8 [H, W, 3]."""
    count, size = images.shape[:2]
    rows, pitch = -(-count // columns), size + _GAP
    sheet = np.full((rows * pitch + _GAP, columns * pitch + _GAP, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = _GAP + i // columns * pitch, _GAP + i % columns * pitch
        sheet[top : top + size, left : left + size] = image
    return sheet
