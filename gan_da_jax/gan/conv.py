"""The two convolutions of a DCGAN: 4x4, stride 2, padding 1, without bias; one halves an image, the other doubles it.

Images are NHWC and kernels HWIO, [4, 4, channels in, channels out], both ways. A torch weight becomes such a kernel by
one transpose: Conv2d [out, in, 4, 4] by (2, 3, 1, 0) and ConvTranspose2d [in, out, 4, 4] by (2, 3, 0, 1).

Each has three forms of the same sums. A GPU or a TPU wants XLA's own convolution. On a CPU, XLA runs the gradients of
strided convolutions many times slower than products of matrices. So there each layer and each gradient is one product
among three matrices: the smaller image as [positions, channels], the larger as [positions, 16 * channels], the 4x4
patches that those positions see, and the kernel as [channels of the smaller, 16 * channels of the larger]; or, where
there are channels enough to pay for it, nine smaller products (`winograd`).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gan_da_jax.gan import winograd

# Between HWIO and the layout of the matrix, [channels of the smaller image, 4, 4, channels of the larger]. A kernel of
# millions of numbers is better kept and trained in that layout: the transposes cancel, and its gradient needs none.
CONV_FROM_MATRIX, CONV_TO_MATRIX = (1, 2, 3, 0), (3, 0, 1, 2)
CONV_TRANSPOSE_FROM_MATRIX, CONV_TRANSPOSE_TO_MATRIX = (1, 2, 0, 3), (2, 0, 1, 3)


# Below this number of channels of the larger image, one product is faster than nine. Measured on a CPU with DCGANs of
# width 4 to 64: at width 64, nine make a whole training step 1.4 times as fast; at width 4, 0.7 times.
_WINOGRAD_CHANNELS = 16


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Halve an image, [b, H, W, C] by [4, 4, C, F] to [b, H // 2, W // 2, F], in the form that is fastest here."""
    return _fastest(conv_native, conv_matmul, conv_winograd, x.shape[1:], x.dtype)(x, kernel)


def conv_transpose(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Double an image, [b, H, W, C] by [4, 4, C, F] to [b, 2H, 2W, F], in the form that is fastest here."""
    larger = (2 * x.shape[1], 2 * x.shape[2], kernel.shape[-1])
    return _fastest(conv_transpose_native, conv_transpose_matmul, conv_transpose_winograd, larger, x.dtype)(x, kernel)


def _fastest(native: Callable, matmul: Callable, winograd: Callable, larger: tuple[int, ...], dtype: Any) -> Callable:
    """Choose the form for the default backend, the larger image [H, W, C], and a dtype."""
    if jax.default_backend() != "cpu":
        return native
    height, width, channels = larger
    exact = dtype == jnp.float32  # bfloat16 has no digits to spare for sums before the products
    return winograd if exact and height % 4 == width % 4 == 0 and channels >= _WINOGRAD_CHANNELS else matmul


def conv_native(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv` as XLA's convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, window_strides=(2, 2), padding=((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def conv_transpose_native(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv_transpose` as XLA's convolution of the image spread apart by zeros."""
    return jax.lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        window_strides=(1, 1),
        padding=((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def conv_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv` as a product of matrices; it can be differentiated once, in reverse."""
    return _halve(x, kernel.transpose(CONV_TO_MATRIX))


def conv_transpose_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv_transpose` as a product of matrices; it can be differentiated once, in reverse."""
    return _double(x, kernel.transpose(CONV_TRANSPOSE_TO_MATRIX))


def conv_winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv` as nine products of matrices; it can be differentiated once, in reverse.

    H and W must be multiples of 4.
    """
    return winograd.halve(x, kernel.transpose(CONV_TO_MATRIX))


def conv_transpose_winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute `conv_transpose` as nine products of matrices; it can be differentiated once, in reverse.

    H and W must be even.
    """
    return winograd.double(x, kernel.transpose(CONV_TRANSPOSE_TO_MATRIX))


# Below, a kernel is [F, 4, 4, C], with F channels of the smaller image and C channels of the larger.


@jax.custom_vjp
def _halve(x, kernel):
    return _patches(x) @ kernel.reshape(len(kernel), -1).T


@jax.custom_vjp
def _double(x, kernel):
    return _image(x @ kernel.reshape(len(kernel), -1), 2 * x.shape[1], 2 * x.shape[2])


def _halve_backward(saved, gradient):
    x, kernel = saved
    x_gradient = _image(gradient @ kernel.reshape(len(kernel), -1), x.shape[1], x.shape[2])
    return x_gradient, _kernel_gradient(small=gradient, large=x)


def _double_backward(saved, gradient):
    x, kernel = saved
    return _halve(gradient, kernel), _kernel_gradient(small=x, large=gradient)


def _kernel_gradient(small, large):
    patches = _patches(large)
    # Both flattened to matrices first: contracting over three dimensions, XLA copies and transposes the patches.
    product = jax.lax.dot_general(
        small.reshape(-1, small.shape[-1]), patches.reshape(-1, patches.shape[-1]), (((0,), (0,)), ((), ()))
    )
    return product.reshape(small.shape[-1], 4, 4, large.shape[-1])


_halve.defvjp(lambda x, kernel: (_halve(x, kernel), (x, kernel)), _halve_backward)
_double.defvjp(lambda x, kernel: (_double(x, kernel), (x, kernel)), _double_backward)


# A padded image is [b, rows + 1, 2, columns + 1, 2, C], blocks of 2x2 pixels, and a patch is 2x2 neighbouring blocks.
# The two pixels of a block's row lie side by side in memory, as 2 * C channels. Where a side of the image is odd, no
# patch sees its last pixels, and they take the place of the padding.


def _patches(image):
    """Turn [b, H, W, C] into [b, H // 2, W // 2, 16 * C], within a patch ordered by height, width, channel."""
    batch, height, width, channels = image.shape
    rows, columns = height // 2, width // 2
    blocks = jnp.pad(image, ((0, 0), (1, 2 * rows + 1 - height), (1, 2 * columns + 1 - width), (0, 0)))
    blocks = blocks.reshape(batch, rows + 1, 2, columns + 1, 2 * channels)
    return jnp.concatenate(
        [
            blocks[:, down : down + rows, pixel_row, right : right + columns]
            for down in range(2)
            for pixel_row in range(2)
            for right in range(2)
        ],
        axis=-1,
    )


def _image(patches, height, width):
    """Transpose `_patches`: return the image [b, height, width, C] in which each pixel is summed over all patches."""
    batch, rows, columns, depth = patches.shape
    patches = patches.reshape(batch, rows, columns, 2, 2, 2, depth // 8)
    blocks = jnp.zeros((batch, rows + 1, 2, columns + 1, depth // 8), patches.dtype)
    for down in range(2):
        for right in range(2):
            share = patches[:, :, :, down, :, right].swapaxes(2, 3)
            blocks = blocks.at[:, down : down + rows, :, right : right + columns].add(share)
    image = blocks.reshape(batch, 2 * rows + 2, 2 * columns + 2, depth // 16)
    return image[:, 1 : height + 1, 1 : width + 1]
