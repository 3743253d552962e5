"""The nine products against the definition of a convolution, in float64 by NumPy and SciPy."""

import jax
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from gan_da_jax.gan import winograd
from helpers import equations


def patches(x):
    """[b, H / 2, W / 2, C, 4, 4]: what each result of a 4x4 convolution of stride 2 and padding 1 sees."""
    return sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (4, 4), (1, 2))[:, ::2, ::2]


def halved(x, kernel):
    return np.einsum("bijcuv,fuvc->bijf", patches(x), kernel)


def doubled(x, kernel):
    """The transposed convolution as SciPy has it: full, of an image with zeros between its pixels, less the padding."""
    stuffed = np.zeros((len(x), 2 * x.shape[1] - 1, 2 * x.shape[2] - 1, x.shape[3]))
    stuffed[:, ::2, ::2] = x
    full = [
        [
            [signal.convolve2d(one[..., f], kernel[f, :, :, c]) for f in range(len(kernel))]
            for c in range(kernel.shape[3])
        ]
        for one in stuffed
    ]
    return np.moveaxis(np.sum(full, 2), 1, -1)[:, 1:-1, 1:-1]


def kernel_gradient(small, large):
    return np.einsum("bijf,bijcuv->fuvc", small, patches(large))


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def assert_rounded(ours, exact):
    assert ours.shape == exact.shape and ours.dtype == np.float32
    np.testing.assert_allclose(ours, exact, rtol=0, atol=5e-6 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("batch", "tiles", "large", "small"), [(1, (1, 1), 1, 1), (2, (2, 3), 3, 5), (3, (1, 4), 4, 2)]
)
def test_both_ways_and_all_gradients_are_those_of_the_definition(batch, tiles, large, small):
    high, low, kernel = (
        normal(batch, 4 * tiles[0], 4 * tiles[1], large),
        normal(batch, 2 * tiles[0], 2 * tiles[1], small),
        normal(small, 4, 4, large),
    )
    exact = [array.astype(np.float64) for array in (high, low, kernel)]

    y, vjp = jax.vjp(winograd.halve, high, kernel)
    assert_rounded(y, halved(exact[0], exact[2]))
    of_x, of_kernel = vjp(low)  # a convolution is linear in both: its gradients are sums of products as well
    assert_rounded(of_x, doubled(exact[1], exact[2]))
    assert_rounded(of_kernel, kernel_gradient(exact[1], exact[0]))

    y, vjp = jax.vjp(winograd.double, low, kernel)
    assert_rounded(y, doubled(exact[1], exact[2]))
    of_x, of_kernel = vjp(high)
    assert_rounded(of_x, halved(exact[0], exact[2]))
    assert_rounded(of_kernel, kernel_gradient(exact[1], exact[0]))


def products(function, *arguments):
    """The multiplications in the products of matrices of a program."""
    found = 0
    for equation in equations(jax.make_jaxpr(function)(*arguments).jaxpr):
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            found += equation.outvars[0].aval.size * int(np.prod([shape[axis] for axis in contracted]))
    return found


@pytest.mark.parametrize(
    ("function", "x"), [(winograd.halve, normal(2, 8, 12, 3)), (winograd.double, normal(2, 4, 6, 5))]
)
def test_nine_sixteenths_of_the_multiplications(function, x):
    definition = 2 * 4 * 6 * 5 * 16 * 3  # each of the smaller image's values sees 4x4 pixels of 3 channels
    assert products(function, x, normal(5, 4, 4, 3)) == definition * 9 // 16
