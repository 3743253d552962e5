"""Augmentations that move pixels and leave their colours as they are."""

import jax


def hflip(image: jax.Array) -> jax.Array:
    """Mirror [H, W, C] left to right, as Pillow's `ImageOps.mirror`."""
    return image[:, ::-1]


def vflip(image: jax.Array) -> jax.Array:
    """Turn [H, W, C] upside down, as Pillow's `ImageOps.flip`."""
    return image[::-1]
