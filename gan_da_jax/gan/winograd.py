"""The two convolutions of a DCGAN with 9 products of matrices in place of 16, and so 9/16 of the multiplications.

Winograd 1980, "Arithmetic Complexity of Computations"; for convolutional networks Lavin and Gray 2016, "Fast Algorithms
for Convolutional Neural Networks". Seen in blocks of 2x2 pixels, a 4x4 convolution of stride 2 and padding 1 is a 2x2
convolution of stride 1. Along one side, two neighbouring results y of blocks d and taps g are

    y0 = d0 g0 + d1 g1 = (d0 - d1) g0 + d1 (g0 + g1)
    y1 = d1 g0 + d2 g1 = d1 (g0 + g1) - (d1 - d2) g1

three products instead of four, and along both sides nine instead of sixteen. All else is sums, so only the
rounding of float32 remains: results differ from the exact ones by about 2e-6 of the largest.

The products multiply three things that are each combined in their own way: the tiles of the larger image, the tiles of
the smaller one, and the kernel. Given two of them, the transposed combination gives the third: the convolution, the
transposed convolution, and the gradient of the kernel. Images are [b, H, W, channels] and float; a kernel is
[F, 4, 4, C], with F channels of the smaller image and C channels of the larger, whose sides must be multiples of 4.
"""

import jax
import jax.numpy as jnp

# How each is combined along one side, products x parts: the larger image's 3 blocks of a tile, the smaller one's 2
# pixels, the kernel's 2 taps.
_LARGE = ((1, -1, 0), (0, 1, 0), (0, 1, -1))
_SMALL = ((1, 0), (1, 1), (0, -1))
_KERNEL = ((1, 0), (1, 1), (0, 1))


@jax.custom_vjp
@jax.jit
def halve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve [b, H, W, C] to [b, H / 2, W / 2, F]; it can be differentiated once, in reverse."""
    products = _products(_combine(_LARGE, _blocks(x)), _combine(_KERNEL, _taps(kernel)), contract=(1, 1))
    return _small_image(_combine(_transpose(_SMALL), products), (len(x), x.shape[1] // 2, x.shape[2] // 2))


@jax.custom_vjp
@jax.jit
def double(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolve, transposed, [b, H, W, F] to [b, 2H, 2W, C]; it can be differentiated once, in reverse."""
    products = _products(_combine(_SMALL, _pixels(x)), _combine(_KERNEL, _taps(kernel)), contract=(1, 0))
    return _large_image(_combine(_transpose(_LARGE), products), (len(x), 2 * x.shape[1], 2 * x.shape[2]))


@jax.jit
def _kernel_gradient(small, large):
    products = _products(_combine(_SMALL, _pixels(small)), _combine(_LARGE, _blocks(large)), contract=(0, 0))
    return _kernel(_combine(_transpose(_KERNEL), products), (small.shape[-1], large.shape[-1]))


def _halve_backward(saved, gradient):
    x, kernel = saved
    return double(gradient, kernel), _kernel_gradient(small=gradient, large=x)


def _double_backward(saved, gradient):
    x, kernel = saved
    return halve(gradient, kernel), _kernel_gradient(small=x, large=gradient)


halve.defvjp(lambda x, kernel: (halve(x, kernel), (x, kernel)), _halve_backward)
double.defvjp(lambda x, kernel: (double(x, kernel), (x, kernel)), _double_backward)


# Parts and products are lists of lists of matrices, by their place along the height and the width.


def _transpose(matrix):
    return tuple(zip(*matrix, strict=True))


def _combine(matrix, parts):
    """Combine parts along both sides: the (p, q)-th is the sum of matrix[p][i] * matrix[q][j] * parts[i][j]."""

    def entry(down, right):
        terms = [(a * b, part) for a, row in zip(down, parts, strict=True) for b, part in zip(right, row, strict=True)]
        (sign, total), *others = sorted((term for term in terms if term[0]), key=lambda term: -term[0])
        total = total if sign > 0 else -total
        for sign, part in others:
            total = total + part if sign > 0 else total - part
        return total

    return [[entry(down, right) for right in matrix] for down in matrix]


def _products(left, right, contract):
    # One product at a time: XLA runs a single product with a batch dimension of nine more slowly on a CPU.
    dimensions = ((contract[:1], contract[1:]), ((), ()))
    return [
        [jax.lax.dot_general(a, b, dimensions) for a, b in zip(*rows, strict=True)]
        for rows in zip(left, right, strict=True)
    ]


# A tile is 2x2 pixels of the smaller image and the 3x3 blocks of the larger one, [2, 2, C] each, that they see: its own
# four and the five that it shares with its neighbours. The blocks' first one begins in the padding.


def _blocks(image):
    """Cut [b, H, W, C] into 3x3 matrices [tiles, 4 * C]."""
    batch, height, width, channels = image.shape
    down, right = height // 4, width // 4
    blocks = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)))
    blocks = blocks.reshape(batch, 2 * down + 1, 2, 2 * right + 1, 2 * channels)

    def part(i, j):
        chosen = blocks[:, i : i + 2 * down - 1 : 2, :, j : j + 2 * right - 1 : 2]
        return chosen.swapaxes(2, 3).reshape(batch * down * right, 4 * channels)

    return [[part(i, j) for j in range(3)] for i in range(3)]


def _large_image(parts, shape):
    """Transpose `_blocks`: sum each pixel over the tiles that hold it."""
    batch, height, width = shape
    down, right, pairs = height // 4, width // 4, parts[0][0].shape[-1] // 2
    parts = [[part.reshape(batch, down, right, 2, pairs) for part in row] for row in parts]

    def place(part, i, j):  # at tile (i, j) and on, in a grid with one more of them each way
        return jnp.pad(part, ((0, 0), (i, 1 - i), (j, 1 - j), (0, 0), (0, 0)))

    # A tile's last row of blocks is the first of the tile below it, and so with columns.
    corners = sum(place(parts[2 * i][2 * j], i, j) for i in range(2) for j in range(2))
    above = sum(place(parts[2 * i][1], i, 0) for i in range(2))
    beside = sum(place(parts[1][2 * j], 0, j) for j in range(2))
    own = place(parts[1][1], 0, 0)
    blocks = jnp.stack([jnp.stack([corners, above], 3), jnp.stack([beside, own], 3)], 2)
    # [b, tiles down, 2 blocks, tiles right, 2 blocks, 2 pixels down, pixels right and channels]
    image = blocks.transpose(0, 1, 2, 5, 3, 4, 6).reshape(batch, height + 4, width + 4, pairs // 2)
    return image[:, 1 : height + 1, 1 : width + 1]


def _pixels(image):
    """Cut [b, H, W, F] into 2x2 matrices [tiles, F]."""
    batch, height, width, channels = image.shape
    tiles = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return [[tiles[:, :, i, :, j].reshape(-1, channels) for j in range(2)] for i in range(2)]


def _small_image(parts, shape):
    """Transpose `_pixels`."""
    batch, height, width = shape
    parts = [[part.reshape(batch, height // 2, width // 2, -1) for part in row] for row in parts]
    return jnp.stack([jnp.stack(row, 3) for row in parts], 2).reshape(batch, height, width, -1)


def _taps(kernel):
    """Cut [F, 4, 4, C] into 2x2 matrices [F, 4 * C]."""
    features, _, _, channels = kernel.shape
    taps = kernel.reshape(features, 2, 2, 2, 2, channels)
    return [[taps[:, i, :, j].reshape(features, 4 * channels) for j in range(2)] for i in range(2)]


def _kernel(parts, shape):
    """Transpose `_taps`."""
    features, channels = shape
    parts = [[part.reshape(features, 2, 2, channels) for part in row] for row in parts]
    return jnp.stack([jnp.stack(row, 2) for row in parts], 1).reshape(features, 4, 4, channels)
