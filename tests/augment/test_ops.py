import functools
import inspect

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from gan_da_jax import augment
from gan_da_jax.augment import policy

PILLOW = {
    "invert": ImageOps.invert,
    "hflip": ImageOps.mirror,
    "vflip": ImageOps.flip,
    "duplicate": lambda image: image,
    "generated": lambda image: image,
    "more": lambda image: image,
}


def pictures(seed: int, count: int, height: int, width: int) -> np.ndarray:
    """Noise around a colour of its own for each image: contrast does not always run into both ends of the range."""
    rng = np.random.default_rng(seed)
    centre, spread = rng.integers(0, 256, (count, 1, 1, 3)), rng.integers(1, 128, (count, 1, 1, 1))
    return np.clip(centre + rng.normal(size=(count, height, width, 3)) * spread, 0, 255).astype(np.uint8)


shapes = st.tuples(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 40), st.integers(1, 40))


@pytest.mark.parametrize("op", PILLOW)
@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_equals_pillow_exactly(op, shape):
    images = pictures(*shape)
    expected = np.stack([np.asarray(PILLOW[op](Image.fromarray(image))) for image in images])
    np.testing.assert_array_equal(augment.apply(op, (), images), expected)


@settings(max_examples=40, deadline=None)
@given(shape=shapes, factor=st.floats(0, 50, allow_subnormal=False))
def test_contrast_equals_pillow_to_one_level(shape, factor):
    images = pictures(*shape)
    expected = np.stack([np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(factor)) for image in images])
    ours = np.asarray(augment.apply("contrast", (("factor", factor),), images)).astype(int)
    assert np.abs(ours - expected).max() <= 1


def test_contrast_of_a_uniform_image_is_that_image():
    images = np.full((1, 8, 8, 3), 77, np.uint8)
    np.testing.assert_array_equal(augment.apply("contrast", (("factor", 3.0),), images), images)


def test_contrast_one_changes_nothing_and_default_is_above_one():
    images = pictures(0, 2, 16, 16)
    np.testing.assert_array_equal(augment.apply("contrast", (("factor", 1.0),), images), images)
    strong = np.asarray(augment.apply("contrast", (), images)).astype(float)
    assert strong.std() > images.std()


@pytest.mark.parametrize("op", augment.OPS)
def test_every_op_keeps_the_rules(op):
    function = augment.OPS[op].function
    parameters = list(inspect.signature(function).parameters.values())
    assert parameters[0].name == "image"
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters[1:])
    images = pictures(1, 5, 12, 12).astype(np.float32) / 255
    batched = jax.jit(jax.vmap(function))(images)
    assert batched.dtype == np.float32 and batched.shape == images.shape
    np.testing.assert_allclose(batched, np.stack([function(image) for image in images]), atol=1e-6)


def test_more_images_than_a_block_come_out_in_order():
    images = pictures(2, 150, 4, 4)  # blocks of 64 images and a rest
    np.testing.assert_array_equal(augment.apply("vflip", (), images), images[:, ::-1])


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
def test_contrast_refuses_impossible_factors(factor):
    with pytest.raises(ValueError, match="factor"):
        jax.eval_shape(
            functools.partial(augment.OPS["contrast"].function, factor=factor),
            jax.ShapeDtypeStruct((2, 2, 3), np.float32),
        )


def test_ops_know_pools_that_exist():
    assert {op.pool for op in augment.OPS.values()} == {"originals", "generated", "more"}
    assert policy.parse("+".join(augment.OPS))
