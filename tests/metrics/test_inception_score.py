import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inception_score import bootstrap_interval, inception_score


@given(n=st.integers(1, 60), k=st.integers(1, 30), splits=st.integers(1, 60), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_agrees_with_the_formula_of_scipy(n, k, splits, seed):
    splits = min(n, splits)
    logits = np.random.default_rng(seed).normal(scale=3, size=(n, k)).astype(np.float32)
    p = softmax(logits.astype(np.float64), axis=1)
    parts = [p[i * n // splits : (i + 1) * n // splits] for i in range(splits)]
    scores = [np.exp(np.mean([entropy(row, part.mean(0)) for row in part])) for part in parts]
    mean, std = inception_score(logits, splits=splits)
    assert mean == pytest.approx(np.mean(scores), rel=1e-12)
    assert std == pytest.approx(np.std(scores), rel=1e-9, abs=1e-12)
    assert 1 - 1e-12 <= mean <= min(k, n) + 1e-9


@pytest.mark.parametrize("splits", [1, 3, 10])
def test_equal_images_score_one(splits):
    assert inception_score(np.zeros((10, 7)), splits=splits) == pytest.approx((1, 0), abs=1e-12)
    assert inception_score(np.tile(np.arange(7.0), (10, 1)), splits=splits) == pytest.approx((1, 0), abs=1e-12)


@pytest.mark.parametrize("size", [1e3, 1e30])
@pytest.mark.parametrize("k", [2, 12, 1000])
def test_certain_and_varied_images_score_the_number_of_classes(k, size):
    # All other probabilities underflow to 0, in float64 too.
    logits = np.tile(np.eye(k, dtype=np.float32) * np.float32(size), (2, 1))
    assert inception_score(logits, splits=2) == pytest.approx((k, 0), abs=1e-9)


def test_a_class_that_never_occurs_gives_no_nan():
    logits = np.array([[0, -1e4, 1e4], [1e4, -1e4, 0]], np.float32)
    assert inception_score(logits, splits=1) == pytest.approx((2, 0))


def test_splits_are_contiguous_and_use_every_image():
    # 2, 2 and 3 images, the bounds being i*7//3: each split sees one class but the last, which sees two.
    logits = 1e3 * np.eye(3)[[0, 0, 1, 1, 2, 2, 0]]
    last = np.exp(np.log(3) - 2 / 3 * np.log(2))
    assert inception_score(logits, splits=3) == pytest.approx((np.mean([1, 1, last]), np.std([1, 1, last])))


@pytest.mark.parametrize(("n", "splits"), [(9, 10), (1, 2), (0, 1), (5, 0), (5, -1)])
def test_impossible_splits_are_named(n, splits):
    with pytest.raises(UserError, match=rf"{n} images .* {splits} splits"):
        inception_score(np.zeros((n, 3)), splits=splits)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_refused(bad):
    logits = np.zeros((4, 3))
    logits[2, 1] = bad
    with pytest.raises(UserError, match="not finite"):
        inception_score(logits, splits=1)


@given(n=st.integers(1, 40), k=st.integers(1, 20), resamples=st.integers(1, 150), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_bootstrap_interval_is_the_percentiles_of_resampled_scores(n, k, resamples, seed):
    logits = np.random.default_rng(seed).normal(scale=3, size=(n, k)).astype(np.float32)
    draws = np.random.default_rng(seed).integers(n, size=(resamples, n))
    scores = [inception_score(logits[draw], splits=1)[0] for draw in draws]
    found = bootstrap_interval(logits, resamples=resamples, seed=seed)
    assert found == pytest.approx(np.percentile(scores, [2.5, 97.5]), rel=1e-9)


def test_bootstrap_interval_is_as_wide_as_new_images_vary():
    random = np.random.default_rng(0)
    centres = 4 * np.eye(3)

    def images():
        return centres[random.integers(3, size=1000)] + random.normal(size=(1000, 3))

    low, high = bootstrap_interval(images(), resamples=500, seed=0)
    drawn = np.percentile([inception_score(images(), splits=1)[0] for _ in range(500)], [2.5, 97.5])
    assert high - low == pytest.approx(drawn[1] - drawn[0], rel=0.2)


def test_bootstrap_interval_of_equal_images_is_a_point():
    assert bootstrap_interval(np.zeros((10, 7)), resamples=100, seed=0) == pytest.approx((1, 1), abs=1e-12)


def test_bootstrap_interval_bears_outputs_that_underflow():
    low, high = bootstrap_interval(1e30 * np.eye(4).repeat(50, axis=0), resamples=100, seed=0)
    assert 3.5 < low < high <= 4


@pytest.mark.parametrize(("n", "resamples"), [(0, 10), (5, 0)])
def test_bootstrap_interval_of_nothing_is_named(n, resamples):
    with pytest.raises(UserError, match=f"{n} images and {resamples} resamples"):
        bootstrap_interval(np.zeros((n, 3)), resamples=resamples, seed=0)


def test_bootstrap_interval_refuses_outputs_that_are_not_finite():
    with pytest.raises(UserError, match="not finite"):
        bootstrap_interval(np.full((4, 3), np.nan), resamples=10, seed=0)
