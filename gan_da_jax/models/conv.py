"""The two convolutions of a DCGAN: 4x4, stride 2, padding 1, without bias; one halves an image, the other doubles it.

Images are NHWC. The kernel of both is [coarse channels, 4, 4, fine channels], fine being those of the larger image, so
that either is the transpose of the other with the same kernel. A torch weight, Conv2d's [out, in, 4, 4] as well as
ConvTranspose2d's [in, out, 4, 4], becomes such a kernel by the transpose (0, 2, 3, 1), and back by (0, 3, 1, 2).

Each has two forms of the same sums. A GPU or a TPU wants XLA's own convolution. On a CPU, XLA runs the gradients of
strided convolutions many times slower than products of matrices, so there each layer and each gradient is one product
among the matrices [positions, coarse channels], [positions, 16 * fine channels] and the kernel: the larger image is
taken as the 4x4 patches that the positions of the smaller one see. In this layout no product needs the kernel, or its
gradient, transposed, which costs as much as a product where a kernel has millions of numbers.
"""

import jax
import jax.numpy as jnp


def conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Halves an image, [b, H, W, C] by [F, 4, 4, C] to [b, H // 2, W // 2, F], in the form for the default backend."""
    return (conv_matmul if jax.default_backend() == "cpu" else conv_native)(x, kernel)


def conv_transpose(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Doubles an image, [b, H, W, F] by [F, 4, 4, C] to [b, 2H, 2W, C], in the form for the default backend."""
    return (conv_transpose_matmul if jax.default_backend() == "cpu" else conv_transpose_native)(x, kernel)


def conv_native(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv` as XLA's convolution."""
    return jax.lax.conv_general_dilated(
        x, kernel, window_strides=(2, 2), padding=((1, 1), (1, 1)), dimension_numbers=("NHWC", "OHWI", "NHWC")
    )


def conv_transpose_native(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv_transpose` as XLA's convolution of the image spread apart by zeros."""
    return jax.lax.conv_general_dilated(
        x,
        kernel[:, ::-1, ::-1],
        window_strides=(1, 1),
        padding=((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "IHWO", "NHWC"),
    )


@jax.custom_vjp
def conv_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv` as a product of matrices; it can be differentiated once, in reverse."""
    return _patches(x) @ kernel.reshape(len(kernel), -1).T


@jax.custom_vjp
def conv_transpose_matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`conv_transpose` as a product of matrices; it can be differentiated once, in reverse."""
    return _image(x @ kernel.reshape(len(kernel), -1), 2 * x.shape[1], 2 * x.shape[2])


def _conv_backward(saved, gradient):
    x, kernel = saved
    x_gradient = _image(gradient @ kernel.reshape(len(kernel), -1), x.shape[1], x.shape[2])
    return x_gradient, _kernel_gradient(fine=x, coarse=gradient)


def _conv_transpose_backward(saved, gradient):
    x, kernel = saved
    return conv_matmul(gradient, kernel), _kernel_gradient(fine=gradient, coarse=x)


def _kernel_gradient(fine, coarse):
    patches = _patches(fine)
    # Both flattened to matrices first: contracting over three dimensions, XLA copies and transposes the patches.
    product = jax.lax.dot_general(
        coarse.reshape(-1, coarse.shape[-1]), patches.reshape(-1, patches.shape[-1]), (((0,), (0,)), ((), ()))
    )
    return product.reshape(coarse.shape[-1], 4, 4, fine.shape[-1])


conv_matmul.defvjp(lambda x, kernel: (conv_matmul(x, kernel), (x, kernel)), _conv_backward)
conv_transpose_matmul.defvjp(
    lambda x, kernel: (conv_transpose_matmul(x, kernel), (x, kernel)), _conv_transpose_backward
)


# A padded image is [b, rows + 1, 2, columns + 1, 2, C], blocks of 2x2 pixels, and a patch is 2x2 neighbouring blocks.
# The two pixels of a block's row lie side by side in memory, as 2 * C channels. Where a side of the image is odd, no
# patch sees its last pixels, and they take the place of the padding.


def _patches(image):
    """[b, H, W, C] to [b, H // 2, W // 2, 16 * C], ordered within a patch as a kernel is: height, width, channel."""
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
    """The transpose of `_patches`: the image [b, height, width, C] whose pixels sum what all patches hold of them."""
    batch, rows, columns, depth = patches.shape
    patches = patches.reshape(batch, rows, columns, 2, 2, 2, depth // 8)
    blocks = jnp.zeros((batch, rows + 1, 2, columns + 1, depth // 8), patches.dtype)
    for down in range(2):
        for right in range(2):
            share = patches[:, :, :, down, :, right].swapaxes(2, 3)
            blocks = blocks.at[:, down : down + rows, :, right : right + columns].add(share)
    image = blocks.reshape(batch, 2 * rows + 2, 2 * columns + 2, depth // 16)
    return image[:, 1 : height + 1, 1 : width + 1]
