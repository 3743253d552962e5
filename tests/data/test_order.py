import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.data import order


@settings(max_examples=40, deadline=None)
@given(images=st.integers(1, 30), batch=st.integers(1, 40), steps=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_shows_every_image_once(images, batch, steps, seed):
    stream = order.batches(seed=seed, images=images, batch_size=batch, first=0, steps=steps).ravel()
    for start in range(0, len(stream) - images + 1, images):
        np.testing.assert_array_equal(np.sort(stream[start : start + images]), np.arange(images))


@settings(max_examples=40, deadline=None)
@given(images=st.integers(1, 30), batch=st.integers(1, 40), cut=st.integers(0, 8), rest=st.integers(1, 8))
def test_continuing_gives_the_same_batches(images, batch, cut, rest):
    whole = order.batches(seed=3, images=images, batch_size=batch, first=0, steps=cut + rest)
    later = order.batches(seed=3, images=images, batch_size=batch, first=cut, steps=rest)
    np.testing.assert_array_equal(whole[cut:], later)


def test_epochs_and_seeds_differ():
    first, second = order.batches(seed=0, images=50, batch_size=50, first=0, steps=2)
    (other,) = order.batches(seed=1, images=50, batch_size=50, first=0, steps=1)
    assert (first != second).any() and (first != other).any()


def test_budgets():
    assert order.steps_of(kimg=0, epochs=3, images=1000, batch_size=64) == 47  # 3,000 images in batches of 64
    assert order.steps_of(kimg=20, epochs=3, images=1000, batch_size=64) == 313
    assert order.steps_of(kimg=0.001, epochs=3, images=1000, batch_size=64) == 1
