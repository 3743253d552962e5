import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_da_jax.classifiers.networks import resnet50
from gan_da_jax.classifiers.weights import folding
from helpers import equations

keras = pytest.importorskip("keras")


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (7, 2)])
def test_a_folded_unit_is_convolution_and_batchnorm(kernel, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 12, 14, 5)).astype(np.float32)
    pad = keras.layers.ZeroPadding2D(kernel // 2)
    convolution = keras.layers.Conv2D(6, kernel, strides=stride)
    norm = keras.layers.BatchNormalization(epsilon=1.001e-5)
    norm(convolution(pad(x)))
    convolution.set_weights([convolution.get_weights()[0], rng.normal(size=6)])
    # A variance of the size of epsilon shows whether epsilon is the same.
    norm.set_weights([*rng.normal(size=(3, 6)), 10.0 ** rng.uniform(-6, 1, 6)])
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    kernel_, bias = convolution.get_weights()
    statistics = dict(zip(names, norm.get_weights(), strict=True))
    params = folding.fold(kernel_, bias=bias, epsilon=resnet50.EPSILON, **statistics)
    assert {array.dtype for array in params.values()} == {np.dtype(np.float32)}
    unit = resnet50.Unit(6, kernel, stride)
    expected = np.asarray(norm(convolution(pad(x)), training=False))
    np.testing.assert_allclose(unit.apply({"params": params}, x), expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("size", [(32, 32), (109, 89), (400, 300)])
def test_preparation_is_pillows_bilinear_and_keras_means(size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    planes = [Image.fromarray(image[..., c].astype(np.float32), "F").resize((224, 224), 2) for c in range(3)]
    expected = keras.applications.resnet.preprocess_input(np.stack(planes, -1))
    np.testing.assert_allclose(resnet50.prepare(image[None])[0], expected, atol=5e-3)  # of 255


def test_native_images_keep_their_pixels():
    image = np.random.default_rng(3).integers(0, 256, (1, 224, 224, 3), np.uint8)
    expected = keras.applications.resnet.preprocess_input(image.astype(np.float32))
    np.testing.assert_allclose(resnet50.prepare(image), expected, atol=1e-5)


def test_every_product_has_the_highest_precision():
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    shapes = jax.eval_shape(resnet50.ResNet50().init, jax.random.key(0), image)
    jaxpr = jax.make_jaxpr(resnet50.ResNet50().apply)(shapes, image)
    products = [eqn for eqn in equations(jaxpr.jaxpr) if eqn.primitive.name in ("dot_general", "conv_general_dilated")]
    assert len(products) == 54
    assert {eqn.params["precision"] for eqn in products} == {(jax.lax.Precision.HIGHEST,) * 2}
