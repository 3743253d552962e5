"""Augmentations: pure functions on the accelerator, and the policies that are made of them.

To add one, write a function of a float32 [H, W, 3] image in [0, 1] with keyword-only parameters that have defaults, and
name it in `OPS`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_da_jax.augment import colour, geometry

_BLOCK = 64  # images on the device at once, as float32 four times as large


def identity(image: jax.Array) -> jax.Array:
    """Return the image as it is."""
    return image


class Op(NamedTuple):
    """What a policy's word does.

    Attributes:
        function: float32 [H, W, 3] in [0, 1] -> the same; runs under jit and vmap. It need not clip.
        pool: where its input comes from: `originals`, `generated` (a GAN's images) or `more` (further real images).
    """

    function: Callable[..., jax.Array]
    pool: str = "originals"


OPS: dict[str, Op] = {
    "contrast": Op(colour.contrast),
    "invert": Op(colour.invert),
    "hflip": Op(geometry.hflip),
    "vflip": Op(geometry.vflip),
    "generated": Op(identity, pool="generated"),
    "duplicate": Op(identity),
    "more": Op(identity, pool="more"),
}


def apply(op: str, arguments: tuple[tuple[str, float], ...], images: np.ndarray) -> np.ndarray:
    """Run one op over any number of images on the device, which holds a block of them at a time.

    Args:
        op: a key of `OPS`.
        arguments: the op's parameters by name, as in `(("factor", 1.5),)`.
        images: uint8 [n, H, W, 3], on the host.

    Returns:
        uint8 [n, H, W, 3], on the host; levels are rounded to the nearest and clipped to 0..255.
    """
    made = np.empty_like(images, subok=False)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        # Filled up with copies of the last image: one shape, and so one compilation, serves every number of images.
        whole = np.concatenate([block, np.repeat(block[-1:], _BLOCK - len(block), axis=0)])
        made[start : start + _BLOCK] = np.asarray(_apply(op, arguments, whole))[: len(block)]
    return made


@functools.partial(jax.jit, static_argnames=("op", "arguments"))
def _apply(op: str, arguments: tuple[tuple[str, float], ...], images: jax.Array) -> jax.Array:
    function = functools.partial(OPS[op].function, **dict(arguments))

    def levels(image: jax.Array) -> jax.Array:
        return jnp.clip(jnp.round(function(image.astype(jnp.float32) / 255) * 255), 0, 255).astype(jnp.uint8)

    return jax.vmap(levels)(images)


def signature(op: str) -> Mapping[str, float]:
    """Return the parameters of an op and their default values."""
    return OPS[op].function.__kwdefaults__ or {}
