import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_da_jax.models import inception_v3

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def shapes():
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    return jax.eval_shape(inception_v3.InceptionV3().init, jax.random.key(0), image)["params"]


def test_has_the_published_number_of_parameters(shapes):
    # Keras counts 23,851,784, three for each channel of a BatchNorm; folded there is one, the bias.
    channels = sum(shapes[f"ConvBN_{i}"]["bias"].size for i in range(94))
    assert len(shapes) == 95
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 23_851_784 - 2 * channels


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((1, 1), 1, "SAME"),
        ((3, 3), 1, "VALID"),
        ((3, 3), 2, "VALID"),
        ((5, 5), 1, "SAME"),
        ((1, 7), 1, "SAME"),
        ((7, 1), 1, "VALID"),
    ],
)
def test_a_folded_unit_is_convolution_batchnorm_and_relu(kernel, stride, padding):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 11, 12, 5)).astype(np.float32)
    convolution = keras.layers.Conv2D(6, kernel, strides=stride, padding=padding.lower(), use_bias=False)
    norm = keras.layers.BatchNormalization(scale=False)
    norm(convolution(x))
    # A variance of the size of epsilon shows whether epsilon is the same.
    norm.set_weights([rng.normal(size=6), rng.normal(size=6), 10.0 ** rng.uniform(-4, 1, 6)])
    beta, moving_mean, moving_variance = norm.get_weights()
    params = inception_v3.fold(convolution.get_weights()[0], beta, moving_mean, moving_variance)
    unit = inception_v3.ConvBN(inception_v3.Conv(6, kernel, stride, padding))
    expected = keras.ops.relu(norm(convolution(x), training=False))
    np.testing.assert_allclose(unit.apply({"params": params}, x), expected, rtol=1e-5, atol=1e-4)


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


def test_every_product_has_the_highest_precision(shapes):
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    jaxpr = jax.make_jaxpr(inception_v3.InceptionV3().apply)({"params": shapes}, image)
    products = [eqn for eqn in _equations(jaxpr.jaxpr) if eqn.primitive.name in ("dot_general", "conv_general_dilated")]
    assert len(products) == 95
    assert {eqn.params["precision"] for eqn in products} == {(jax.lax.Precision.HIGHEST,) * 2}


def _equations(jaxpr):
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda it: hasattr(it, "jaxpr")):
            if hasattr(inner, "jaxpr"):
                yield from _equations(inner.jaxpr)
