import os

os.environ["KERAS_BACKEND"] = "jax"

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import folding
from helpers import equations

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def shapes():
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    return jax.eval_shape(inception_v3.KERAS.init, jax.random.key(0), image)["params"]


def test_has_the_published_number_of_parameters(shapes):
    # Keras counts 23,851,784, three for each channel of a BatchNorm; folded there is one, the bias.
    channels = sum(layer["bias"].size for name, layer in shapes.items() if name != "logits")
    assert len(shapes) == 95
    assert set(shapes) == {step.name for _, step in inception_v3.KERAS.convolutions()} | {"logits"}
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 23_851_784 - 2 * channels


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((1, 1), 1, "SAME"),
        ((3, 3), 1, "VALID"),
        ((3, 3), 2, "VALID"),
        ((1, 5), 2, "VALID"),
        ((5, 5), 1, "SAME"),
        ((1, 7), 1, "SAME"),
        ((7, 1), 1, "VALID"),
    ],
)
def test_a_folded_unit_is_convolution_and_batchnorm(monkeypatch, backend, kernel, stride, padding):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 11, 12, 5)).astype(np.float32)
    convolution = keras.layers.Conv2D(6, kernel, strides=stride, padding=padding.lower(), use_bias=False)
    norm = keras.layers.BatchNormalization(scale=False)
    norm(convolution(x))
    # A variance of the size of epsilon shows whether epsilon is the same.
    norm.set_weights([rng.normal(size=6), rng.normal(size=6), 10.0 ** rng.uniform(-4, 1, 6)])
    beta, moving_mean, moving_variance = norm.get_weights()
    params = folding.fold(
        convolution.get_weights()[0],
        epsilon=inception_v3.EPSILON,
        beta=beta,
        moving_mean=moving_mean,
        moving_variance=moving_variance,
    )
    found = inception_v3.convolve(x, params["kernel"], stride, padding) + params["bias"]
    np.testing.assert_allclose(found, norm(convolution(x), training=False), rtol=1e-5, atol=1e-4)


def test_a_scale_of_the_batchnorm_is_folded_too():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 5, 3)).astype(np.float32)
    convolution, norm = keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization()
    norm(convolution(x))
    norm.set_weights([*rng.normal(size=(3, 4)), rng.uniform(0, 1, 4)])
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    params = folding.fold(
        convolution.get_weights()[0], epsilon=inception_v3.EPSILON, **dict(zip(names, norm.get_weights(), strict=True))
    )
    found = inception_v3.convolve(x, params["kernel"], 1, "VALID") + params["bias"]
    np.testing.assert_allclose(found, norm(convolution(x), training=False), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("size", [(7, 8), (8, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", ["max", "average", "average_padded"])
def test_pools_are_those_of_flax(kind, stride, size):
    x = np.random.default_rng(0).normal(size=(2, *size, 5)).astype(np.float32)
    shape = {"window_shape": (3, 3), "strides": (stride, stride), "padding": {1: "SAME", 2: "VALID"}[stride]}
    if kind == "max":
        expected = nn.max_pool(x, **shape)
    else:
        expected = nn.avg_pool(x, **shape, count_include_pad=kind == "average_padded")
    np.testing.assert_allclose(inception_v3.pool(x, inception_v3.Pool(kind, stride)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (128, 96), (109, 89)])
def test_enlarging_is_pillows_bilinear(size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    planes = [Image.fromarray(image[..., c].astype(np.float32), "F").resize((299, 299), 2) for c in range(3)]
    expected = np.stack(planes, -1) / 127.5 - 1
    np.testing.assert_allclose(inception_v3.prepare(image[None])[0], expected, atol=5e-5)


def test_shrinking_is_pillows_bilinear():
    image = np.random.default_rng(2).integers(0, 256, (512, 400, 3), np.uint8)
    planes = [Image.fromarray(image[..., c].astype(np.float32), "F").resize((299, 299), 2) for c in range(3)]
    np.testing.assert_allclose(inception_v3.prepare(image[None])[0], np.stack(planes, -1) / 127.5 - 1, atol=5e-5)


def test_native_images_are_only_scaled():
    image = np.random.default_rng(3).integers(0, 256, (1, 299, 299, 3), np.uint8)
    expected = keras.applications.inception_v3.preprocess_input(image.astype(np.float32))
    np.testing.assert_allclose(inception_v3.prepare(image), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (109, 89), (299, 299), (310, 400), (640, 2)])
def test_the_resize_of_2015_takes_pixel_i_from_i_times_the_ratio(size):
    image = np.random.default_rng(4).integers(0, 256, (*size, 3), np.uint8)
    places = np.meshgrid(*(np.arange(299) * (side / 299) for side in size), indexing="ij")
    planes = [
        ndimage.map_coordinates(image[..., c].astype(np.float64), places, order=1, mode="nearest") for c in range(3)
    ]
    found = inception_v3.prepare_2015(image[None])
    np.testing.assert_allclose(found[0], (np.stack(planes, -1) - 128) / 128, rtol=0, atol=1e-4)
    assert found.dtype == np.float32


def test_the_resize_of_2015_keeps_the_pixels_of_native_images():
    image = np.random.default_rng(3).integers(0, 256, (2, 299, 299, 3), np.uint8)
    np.testing.assert_array_equal(inception_v3.prepare_2015(image), (image - np.float32(128)) / 128)


@pytest.mark.parametrize(("taps", "convolutions"), [(("64",), 3), (("192", "64"), 5), (("768",), 70), (("2048",), 94)])
def test_nothing_is_computed_beyond_what_is_asked_for(shapes, taps, convolutions):
    needed = {step.name for tap, step in inception_v3.KERAS.convolutions() if int(tap) <= max(map(int, taps))}
    assert len(needed) == convolutions
    params = {name: layer for name, layer in shapes.items() if name in needed}  # without the others, flax cannot go on
    image = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    found = jax.eval_shape(lambda params, x: inception_v3.KERAS.apply({"params": params}, x, taps), params, image)
    assert {tap: array.shape for tap, array in found.items()} == {tap: (2, int(tap)) for tap in taps}


def test_every_product_has_the_highest_precision(shapes):
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    jaxpr = jax.make_jaxpr(inception_v3.KERAS.apply)({"params": shapes}, image)
    products = [eqn for eqn in equations(jaxpr.jaxpr) if eqn.primitive.name in ("dot_general", "conv_general_dilated")]
    assert len(products) > 50
    assert {eqn.params["precision"] for eqn in products} == {(jax.lax.Precision.HIGHEST,) * 2}
