from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import distances
from gan_da_jax.metrics.authenticity import MEASURE, authenticity

SEEDS = st.integers(0, 2**32 - 1)


def by_loops(training, samples):
    """The definition, one pair of images after the other."""
    training, samples = training.astype(np.float64), samples.astype(np.float64)

    def squares(x, points):
        return [np.sum((x - point) ** 2) for point in points]

    own = [min(squares(x, np.delete(training, i, axis=0))) for i, x in enumerate(training)]
    authentic = 0
    for sample in samples:
        found = squares(sample, training)
        authentic += min(found) > max(own[i] for i, square in enumerate(found) if square == min(found))
    return authentic / len(samples)


@given(
    n=st.integers(2, 20),
    m=st.integers(1, 20),
    d=st.integers(1, 8),
    offset=st.sampled_from([0.0, 1.0, 1e7]),
    spread=st.sampled_from([0.0, 0.3, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=SEEDS,
)
@settings(deadline=None, max_examples=60)
def test_equals_the_definition(n, m, d, offset, spread, dtype, seed):
    random = np.random.default_rng(seed)
    training = random.normal(offset, 1, size=(n, d)).astype(dtype)
    samples = (training[random.integers(n, size=m)] + spread * random.normal(size=(m, d))).astype(dtype)
    assert authenticity(training, samples) == by_loops(training, samples)


@given(n=st.integers(2, 20), m=st.integers(1, 20), d=st.integers(1, 3), step=st.sampled_from([1.0, 0.1]), seed=SEEDS)
@settings(deadline=None, max_examples=60)
def test_equals_the_definition_where_distances_tie_and_images_are_double(n, m, d, step, seed):
    random = np.random.default_rng(seed)
    training, samples = random.integers(4, size=(n, d)) * step, random.integers(4, size=(m, d)) * step
    found = authenticity(training, samples)
    assert found == by_loops(training, samples)
    assert authenticity(random.permutation(training), random.permutation(samples)) == found


@given(n=st.integers(2, 30), d=st.integers(1, 30), scale=st.sampled_from([2.0**-20, 4.0, 2.0**30]), seed=SEEDS)
@settings(deadline=None)
def test_neither_scale_nor_order_matters_and_copies_are_not_authentic(n, d, scale, seed):
    random = np.random.default_rng(seed)
    training, samples = random.normal(size=(n, d)), random.normal(size=(9, d))
    found = authenticity(training, samples)
    assert authenticity(scale * training, scale * samples) == found
    assert authenticity(random.permutation(training), random.permutation(samples)) == found
    assert authenticity(training, training[random.integers(n, size=9)]) == 0
    mixed = np.concatenate([samples, training[:1], training[:1]])
    assert authenticity(training, mixed) == pytest.approx(found * 9 / 11)


def test_a_double_training_image_has_only_equal_copies():
    training = np.array([[0.0], [0.0], [10.0], [11.0]])
    assert authenticity(training, np.array([[0.0]])) == 0
    assert authenticity(training, np.array([[1e-9]])) == 1
    assert authenticity(training, np.array([[10.4]])) == 0


@pytest.mark.parametrize("block", [1, 50, 300])
def test_blocks_change_nothing(monkeypatch, block):
    random = np.random.default_rng(0)
    training, samples = random.normal(size=(30, 5)), random.normal(size=(20, 5))
    whole = authenticity(training, samples)
    monkeypatch.setattr(distances, "BLOCK", block)
    assert authenticity(training, samples) == whole


def test_near_copies_score_far_less_than_further_real_images():
    random = np.random.default_rng(0)
    training, fresh = random.normal(size=(2, 1000, 16))
    copies = training + 0.3 * random.normal(size=training.shape)
    assert authenticity(training, copies) < 0.05 < 0.5 < authenticity(training, fresh) < 0.8
    assert authenticity(training, fresh + 2) > 0.9


@pytest.mark.parametrize(
    ("training", "samples", "said"),
    [
        (np.ones((1, 2)), np.ones((3, 2)), "1 training images cannot have 1"),
        (np.ones((4, 2)), np.ones((3, 3)), "2 features .* 3"),
        (np.ones((4, 2)), np.full((3, 2), np.nan), "not finite"),
        (np.ones((4, 2)), np.ones((0, 2)), r"\[0, 2\]"),
    ],
)
def test_what_cannot_be_compared_is_named(training, samples, said):
    with pytest.raises(UserError, match=said):
        authenticity(training, samples)


def test_the_measure_compares_with_the_originals():
    real, fake = np.random.default_rng(0).normal(size=(2, 30, 4))
    inputs = SimpleNamespace(originals=SimpleNamespace(features=real), features=fake)
    assert MEASURE.compute(inputs) == {"authenticity": authenticity(real, fake)}
    assert MEASURE.fields == ("authenticity",)
