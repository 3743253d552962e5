"""Augmentations that change colours and leave every pixel where it is."""

import math

import jax
import jax.numpy as jnp


def contrast(image: jax.Array, *, factor: float = 1.5) -> jax.Array:
    """Move every value away from (factor > 1) or towards (factor < 1) the image's mean brightness.

    The same function as Pillow's `ImageEnhance.Contrast`: the mean is taken of the ITU-R 601-2 luma in whole levels and
    rounded to a whole level. Pillow truncates its result where this rounds: one level of difference at most.

    Args:
        image: float32 [H, W, 3] in [0, 1].
        factor: 0 gives the uniform mean grey, 1 the image itself; the paper states none.

    Returns:
        float32 [H, W, 3], not clipped.

    Raises:
        ValueError: factor is negative or not finite.
    """
    if not (math.isfinite(factor) and factor >= 0):
        raise ValueError(f"factor must be a finite number of at least 0, not {factor}")
    red, green, blue = jnp.moveaxis(jnp.round(jnp.clip(image, 0, 1) * 255).astype(jnp.int32), -1, 0)
    luma = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16  # 0.299, 0.587, 0.114 in 16-bit fixed point
    mean = (2 * jnp.sum(luma) + luma.size) // (2 * luma.size)  # rounded half up, in whole numbers: exact
    grey = mean.astype(jnp.float32) / 255
    return grey + jnp.float32(factor) * (image - grey)


def invert(image: jax.Array) -> jax.Array:
    """Turn an image into its photographic negative (negative-positive inversion), as Pillow's `ImageOps.invert`.

    Args:
        image: float32 [H, W, 3] in [0, 1].

    Returns:
        float32 [H, W, 3] in [0, 1].
    """
    return 1 - image
