"""Inception v3 (Szegedy et al., 2015, arXiv:1512.00567) in its three variants: for inference, with BatchNorm folded in.

A network is a table: stages that end at a tap, each a sequence of steps, each step a convolution, a pooling, or
branches side by side. The variants differ in the pools of some branches, in the last layer, and in how they prepare
an image. Convolutions bear the names that the PyTorch ports gave them, in the order in which Keras creates them.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

SIZE = 299
EPSILON = 1e-3  # of every BatchNorm


class Conv(NamedTuple):
    """A step: convolution, BatchNorm and ReLU."""

    name: str
    features: int
    kernel: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"


class Pool(NamedTuple):
    """A step: 3x3 pooling; of stride 1 with a padding of 1, or of stride 2 without.

    The `kind` is `max`, `average`, whose mean leaves the padding out, or `average_padded`, whose mean counts it as 0.
    """

    kind: str
    stride: int = 1


class Parallel(NamedTuple):
    """A step: branches, each a sequence of steps from the same input, concatenated along the channels."""

    branches: tuple


_STEM = (
    (
        Conv("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
        Conv("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
        Conv("Conv2d_2b_3x3", 64, (3, 3)),
        Pool("max", 2),
    ),
    (
        Conv("Conv2d_3b_1x1", 80, (1, 1)),
        Conv("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
        Pool("max", 2),
    ),
)


def _a(name, pooled, kind):
    return Parallel(
        (
            (Conv(f"{name}.branch1x1", 64, (1, 1)),),
            (Conv(f"{name}.branch5x5_1", 48, (1, 1)), Conv(f"{name}.branch5x5_2", 64, (5, 5))),
            (
                Conv(f"{name}.branch3x3dbl_1", 64, (1, 1)),
                Conv(f"{name}.branch3x3dbl_2", 96, (3, 3)),
                Conv(f"{name}.branch3x3dbl_3", 96, (3, 3)),
            ),
            (Pool(kind), Conv(f"{name}.branch_pool", pooled, (1, 1))),
        )
    )


def _b(name):
    return Parallel(
        (
            (Conv(f"{name}.branch3x3", 384, (3, 3), 2, "VALID"),),
            (
                Conv(f"{name}.branch3x3dbl_1", 64, (1, 1)),
                Conv(f"{name}.branch3x3dbl_2", 96, (3, 3)),
                Conv(f"{name}.branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
            ),
            (Pool("max", 2),),
        )
    )


def _c(name, n, kind):
    return Parallel(
        (
            (Conv(f"{name}.branch1x1", 192, (1, 1)),),
            (
                Conv(f"{name}.branch7x7_1", n, (1, 1)),
                Conv(f"{name}.branch7x7_2", n, (1, 7)),
                Conv(f"{name}.branch7x7_3", 192, (7, 1)),
            ),
            (
                Conv(f"{name}.branch7x7dbl_1", n, (1, 1)),
                Conv(f"{name}.branch7x7dbl_2", n, (7, 1)),
                Conv(f"{name}.branch7x7dbl_3", n, (1, 7)),
                Conv(f"{name}.branch7x7dbl_4", n, (7, 1)),
                Conv(f"{name}.branch7x7dbl_5", 192, (1, 7)),
            ),
            (Pool(kind), Conv(f"{name}.branch_pool", 192, (1, 1))),
        )
    )


def _d(name):
    return Parallel(
        (
            (Conv(f"{name}.branch3x3_1", 192, (1, 1)), Conv(f"{name}.branch3x3_2", 320, (3, 3), 2, "VALID")),
            (
                Conv(f"{name}.branch7x7x3_1", 192, (1, 1)),
                Conv(f"{name}.branch7x7x3_2", 192, (1, 7)),
                Conv(f"{name}.branch7x7x3_3", 192, (7, 1)),
                Conv(f"{name}.branch7x7x3_4", 192, (3, 3), 2, "VALID"),
            ),
            (Pool("max", 2),),
        )
    )


def _e(name, kind):
    def split(branch):
        return Parallel(((Conv(f"{branch}a", 384, (1, 3)),), (Conv(f"{branch}b", 384, (3, 1)),)))

    return Parallel(
        (
            (Conv(f"{name}.branch1x1", 320, (1, 1)),),
            (Conv(f"{name}.branch3x3_1", 384, (1, 1)), split(f"{name}.branch3x3_2")),
            (
                Conv(f"{name}.branch3x3dbl_1", 448, (1, 1)),
                Conv(f"{name}.branch3x3dbl_2", 384, (3, 3)),
                split(f"{name}.branch3x3dbl_3"),
            ),
            (Pool(kind), Conv(f"{name}.branch_pool", 192, (1, 1))),
        )
    )


def _stages(kind, last_kind):
    middle = (
        *(_a("Mixed_5b", 32, kind), _a("Mixed_5c", 64, kind), _a("Mixed_5d", 64, kind), _b("Mixed_6a")),
        *(_c("Mixed_6b", 128, kind), _c("Mixed_6c", 160, kind), _c("Mixed_6d", 160, kind), _c("Mixed_6e", 192, kind)),
    )
    last = (_d("Mixed_7a"), _e("Mixed_7b", kind), _e("Mixed_7c", last_kind))
    return tuple(zip(("64", "192", "768", "2048"), (*_STEM, middle, last), strict=True))


@jax.jit
def prepare(images: jax.Array) -> jax.Array:
    """Turn uint8 [b, H, W, 3] into the input of `KERAS` and `TORCHVISION`, float32 [b, 299, 299, 3] in -1..1.

    The resize is `jax.image.resize(..., "bilinear")`: half-pixel centres, and a triangle widened against aliasing when
    the image shrinks; nothing is cropped. Images of 299x299 pixels keep their pixels. Torchvision's published weights
    want this same -1..1: what its transforms divide by ImageNet's deviations, its network multiplies again.
    """
    resized = jax.image.resize(images.astype(jnp.float32), (images.shape[0], SIZE, SIZE, 3), "bilinear")
    return resized / 127.5 - 1


@jax.jit
def prepare_2015(images: jax.Array) -> jax.Array:
    """Turn uint8 [b, H, W, 3] into the input of `ORIGINAL`, float32 [b, 299, 299, 3] in -1..1.

    The resize is TensorFlow 1's bilinear one: the pixel i of 299 comes from the place i * H / 299, between its two
    neighbours, however much the image shrinks. Then 128 is subtracted and the rest divided by 128.
    """
    x = images.astype(jnp.float32)
    for axis in (2, 1):
        size = x.shape[axis]
        place = np.arange(SIZE, dtype=np.float32) * np.float32(size / SIZE)
        low = place.astype(np.int32)
        share = (place - low).reshape(-1, *[1] * (3 - axis))
        a, b = (jnp.take(x, indices, axis=axis) for indices in (low, np.minimum(low + 1, size - 1)))
        x = a + (b - a) * share
    return (x - 128) / 128


class _Weights(nn.Module):
    """The parameters of a `Conv`."""

    step: Conv

    @nn.compact
    def __call__(self, channels: int) -> tuple[jax.Array, jax.Array]:
        kernel = self.param("kernel", nn.initializers.he_normal(), (*self.step.kernel, channels, self.step.features))
        return kernel, self.param("bias", nn.initializers.zeros, (self.step.features,))


def _weights(step, x):
    return _Weights(step, name=step.name)(x.shape[-1])


def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: str) -> jax.Array:
    """Convolve float32 [b, H, W, in] with [h, w, in, out], in the form that runs fastest on the default backend."""
    height, width, channels, _ = kernel.shape
    if (height, width) == (1, 1):
        return x @ kernel[0, 0]
    if jax.default_backend() == "cpu" and padding == "VALID":
        if stride == 1:  # the inside of a SAME one, which XLA runs two to six times faster
            top, left = height // 2, width // 2
            return _convolve(x, kernel, 1, "SAME")[:, top : x.shape[1] - top, left : x.shape[2] - left]
        if channels > 3:  # products of the images that every place of the kernel sees, twice as fast
            rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
            places = itertools.product(range(height), range(width))
            products = (x[:, i : i + rows : stride, j : j + columns : stride] @ kernel[i, j] for i, j in places)
            return functools.reduce(jnp.add, products)
    return _convolve(x, kernel, stride, padding)


def _convolve(x, kernel, stride, padding):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def pool(x: jax.Array, step: Pool) -> jax.Array:
    """Pool float32 [b, H, W, C]."""
    # As sums and maxima of shifted images, ten times faster on XLA's CPU backend than `lax.reduce_window`.
    combine, fill = (jnp.maximum, -np.inf) if step.kind == "max" else (jnp.add, 0)
    pixels = np.ones((1, *x.shape[1:3], 1), np.float32)
    if step.stride == 1:
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
        pixels = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=step.kind == "average_padded")

    def over_windows(array, combine):
        for axis in (2, 1):
            last = array.shape[axis] - 2
            shifted = [jax.lax.slice_in_dim(array, i, last + i, step.stride, axis) for i in range(3)]
            array = functools.reduce(combine, shifted)
        return array

    pooled = over_windows(x, combine)
    return pooled if step.kind == "max" else pooled / over_windows(pixels, jnp.add)


def _run(steps, x):
    for step in steps:
        match step:
            case Parallel():
                x = _run_parallel(step.branches, x)
            case Pool():
                x = pool(x, step)
            case Conv():
                kernel, bias = _weights(step, x)
                x = nn.relu(convolve(x, kernel, step.stride, step.padding) + bias)
    return x


def _run_parallel(branches, x):
    # The 1x1 convolutions that read the block's input are one product of matrices. An average of pixels and a 1x1
    # convolution can change places, and the convolution leaves fewer channels to be averaged.
    parts: list[tuple[Conv | None, Pool | None, Sequence]] = []  # the 1x1 convolution, the average before it, the rest
    for branch in branches:
        match branch:
            case (Conv(kernel=(1, 1)) as first, *rest):
                parts.append((first, None, rest))
            case (Pool(kind="average" | "average_padded") as before, Conv(kernel=(1, 1)) as first, *rest):
                parts.append((first, before, rest))
            case _:
                parts.append((None, None, branch))
    weights = [_weights(convolution, x) for convolution, _, _ in parts if convolution]
    products: Iterator[tuple[jax.Array, jax.Array]] = iter(())
    if weights:
        together = x @ jnp.concatenate([kernel[0, 0] for kernel, _ in weights], axis=-1)
        ends = np.cumsum([len(bias) for _, bias in weights])
        products = zip(jnp.split(together, ends[:-1], axis=-1), (bias for _, bias in weights), strict=True)
    outputs = []
    for convolution, average, others in parts:
        y = x
        if convolution:
            y, bias = next(products)
            y = nn.relu((pool(y, average) if average else y) + bias)
        outputs.append(_run(others, y))
    return jnp.concatenate(outputs, axis=-1)


class InceptionV3(nn.Module):
    """The network of a table; its parameters are the convolutions', by name, and the last layer's, `logits`.

    Attributes:
        stages: pairs of a tap, the name under which a stage's output can be had, and the stage's steps.
        classes: the number of logits.
        bias: whether the last layer has one.
    """

    stages: tuple
    classes: int
    bias: bool

    @property
    def taps(self) -> tuple[str, ...]:
        """All taps, from the input on."""
        return (*(tap for tap, _ in self.stages), "logits")

    def convolutions(self) -> Iterator[tuple[str, Conv]]:
        """Yield all convolutions in the table's order, each with the first tap that needs it."""

        def walk(steps):
            for step in steps:
                if isinstance(step, Conv):
                    yield step
                elif isinstance(step, Parallel):
                    for branch in step.branches:
                        yield from walk(branch)

        for tap, steps in self.stages:
            for step in walk(steps):
                yield tap, step

    @nn.compact
    def __call__(self, x: jax.Array, taps: tuple[str, ...] = ("logits",)) -> dict[str, jax.Array]:
        """Map prepared images to the features asked for; layers beyond them are not computed and need no weights.

        Args:
            x: float32 [b, 299, 299, 3] in -1..1.
            taps: some of `self.taps`.

        Returns:
            {tap: float32 [b, features]}: the mean over the pixels of a stage's output, and `logits` before any softmax.
        """
        found = {}
        with jax.default_matmul_precision("highest"):  # a GPU would use TF32, a TPU bfloat16
            last = max(map(self.taps.index, taps))
            for tap, steps in self.stages[: last + 1]:
                x = _run(steps, x)
                found[tap] = jnp.mean(x, axis=(1, 2))
            if "logits" in taps:
                found["logits"] = nn.Dense(self.classes, use_bias=self.bias, name="logits")(found[tap])
        return {tap: found[tap] for tap in taps}


KERAS = InceptionV3(_stages("average", "average"), classes=1000, bias=True)
# The 2015 graph's last pool is a maximum, and the Inception Score was defined on logits without their bias.
ORIGINAL = InceptionV3(_stages("average", "max"), classes=1008, bias=False)
TORCHVISION = InceptionV3(_stages("average_padded", "average_padded"), classes=1000, bias=True)
