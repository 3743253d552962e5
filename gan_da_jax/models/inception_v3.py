"""Inception v3 (Szegedy et al., 2015, arXiv:1512.00567) as Keras publishes it: for inference, with BatchNorm folded in.

The network is a table: a sequence of steps, each a convolution, a pooling, or branches side by side. Its convolutions
are numbered in the order in which the table names them, which is the order in which Keras creates them.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

SIZE = 299
CLASSES = 1000
EPSILON = 1e-3  # of every BatchNorm


class Conv(NamedTuple):
    """A step: convolution, BatchNorm and ReLU."""

    features: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"


class Pool(NamedTuple):
    """A step: 3x3 pooling; `kind` is `max` or `average`, whose mean leaves the padding out."""

    kind: str
    stride: int = 1
    padding: str = "SAME"


class Parallel(NamedTuple):
    """A step: branches, each a sequence of steps from the same input, concatenated along the channels."""

    branches: tuple


def _block_a(pooled):
    return Parallel(
        (
            (Conv(64, (1, 1)),),
            (Conv(48, (1, 1)), Conv(64, (5, 5))),
            (Conv(64, (1, 1)), Conv(96, (3, 3)), Conv(96, (3, 3))),
            (Pool("average"), Conv(pooled, (1, 1))),
        )
    )


def _block_c(n):
    return Parallel(
        (
            (Conv(192, (1, 1)),),
            (Conv(n, (1, 1)), Conv(n, (1, 7)), Conv(192, (7, 1))),
            (Conv(n, (1, 1)), Conv(n, (7, 1)), Conv(n, (1, 7)), Conv(n, (7, 1)), Conv(192, (1, 7))),
            (Pool("average"), Conv(192, (1, 1))),
        )
    )


STEM = (
    Conv(32, (3, 3), 2, "VALID"),
    Conv(32, (3, 3), 1, "VALID"),
    Conv(64, (3, 3)),
    Pool("max", 2, "VALID"),
    Conv(80, (1, 1)),
    Conv(192, (3, 3), 1, "VALID"),
    Pool("max", 2, "VALID"),
)
BLOCK_B = Parallel(
    (
        (Conv(384, (3, 3), 2, "VALID"),),
        (Conv(64, (1, 1)), Conv(96, (3, 3)), Conv(96, (3, 3), 2, "VALID")),
        (Pool("max", 2, "VALID"),),
    )
)
BLOCK_D = Parallel(
    (
        (Conv(192, (1, 1)), Conv(320, (3, 3), 2, "VALID")),
        (Conv(192, (1, 1)), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, (3, 3), 2, "VALID")),
        (Pool("max", 2, "VALID"),),
    )
)
_SPLIT = Parallel(((Conv(384, (1, 3)),), (Conv(384, (3, 1)),)))
BLOCK_E = Parallel(
    (
        (Conv(320, (1, 1)),),
        (Conv(384, (1, 1)), _SPLIT),
        (Conv(448, (1, 1)), Conv(384, (3, 3)), _SPLIT),
        (Pool("average"), Conv(192, (1, 1))),
    )
)
KERAS = (
    *STEM,
    *(_block_a(32), _block_a(64), _block_a(64)),
    *(BLOCK_B, _block_c(128), _block_c(160), _block_c(160), _block_c(192)),
    *(BLOCK_D, BLOCK_E, BLOCK_E),
)


@jax.jit
def prepare(images: jax.Array) -> jax.Array:
    """Turns uint8 [b, H, W, 3] of any size into the network's input, float32 [b, 299, 299, 3] in -1..1.

    The resize is `jax.image.resize(..., "bilinear")`: half-pixel centres, and a triangle widened against aliasing when
    the image shrinks. Images of 299x299 pixels keep their pixels.
    """
    resized = jax.image.resize(images.astype(jnp.float32), (images.shape[0], SIZE, SIZE, 3), "bilinear")
    return resized / 127.5 - 1


def fold(
    kernel: np.ndarray, beta: np.ndarray, moving_mean: np.ndarray, moving_variance: np.ndarray
) -> dict[str, np.ndarray]:
    """Folds a BatchNorm without scale into the convolution before it.

    Args:
        kernel: float [h, w, in, out].
        beta: float [out]; like `moving_mean` and `moving_variance` (>= 0), which have the same shape.
        moving_mean: see `beta`.
        moving_variance: see `beta`.

    Returns:
        The parameters of one `ConvBN`: `kernel` float32 [h, w, in, out] and `bias` float32 [out], computed in float64.
    """
    scale = 1 / np.sqrt(moving_variance.astype(np.float64) + EPSILON)
    return {
        "kernel": (kernel * scale).astype(np.float32),
        "bias": (beta - moving_mean * scale).astype(np.float32),
    }


def _convolve(x, kernel, stride, padding):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


class ConvBN(nn.Module):
    """Convolution, folded BatchNorm and ReLU: float32 [b, H, W, in] to [b, H', W', features]."""

    step: Conv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        features, (height, width), stride, padding = self.step
        kernel = self.param("kernel", nn.initializers.he_normal(), (height, width, x.shape[-1], features))
        bias = self.param("bias", nn.initializers.zeros, (features,))
        # The first two cases are the same sums in a form that XLA's CPU backend runs two to six times faster: a 1x1
        # convolution as a matrix product, and a VALID one at stride 1 as the inside of a SAME one.
        if (height, width) == (1, 1):
            y = x @ kernel[0, 0]
        elif (stride, padding) == (1, "VALID"):
            top, left = height // 2, width // 2
            y = _convolve(x, kernel, 1, "SAME")[:, top : x.shape[1] - top, left : x.shape[2] - left]
        else:
            y = _convolve(x, kernel, stride, padding)
        return nn.relu(y + bias)


def _pool(x, step):
    shape = {"window_shape": (3, 3), "strides": (step.stride, step.stride), "padding": step.padding}
    return nn.max_pool(x, **shape) if step.kind == "max" else nn.avg_pool(x, **shape, count_include_pad=False)


def _run(steps, x):
    for step in steps:
        if isinstance(step, Parallel):
            x = jnp.concatenate([_run(branch, x) for branch in step.branches], axis=-1)
        else:
            x = _pool(x, step) if isinstance(step, Pool) else ConvBN(step)(x)
    return x


class InceptionV3(nn.Module):
    """The network of a table of steps; its parameters are `ConvBN_0`, `ConvBN_1`, ... and the last layer `logits`."""

    steps: tuple = KERAS
    classes: int = CLASSES

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps prepared images, float32 [b, 299, 299, 3] in -1..1, to logits, float32 [b, classes]; no softmax."""
        with jax.default_matmul_precision("highest"):  # a GPU would use TF32, a TPU bfloat16
            pooled = jnp.mean(_run(self.steps, x), axis=(1, 2))
            return nn.Dense(self.classes, name="logits")(pooled)
