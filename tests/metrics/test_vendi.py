import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from scipy.spatial.distance import cosine

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.measure import Inputs, Real
from gan_da_jax.metrics.vendi import MEASURE, vendi

SEEDS = st.integers(0, 2**32 - 1)


def by_pairs(features):
    """The definition, one pair of images after the other, by SciPy."""
    n = len(features)
    kernel = np.array([[1 - cosine(features[i], features[j]) for j in range(n)] for i in range(n)])
    values = np.clip(linalg.eigvals(kernel / n).real, 0, None)
    return np.exp(stats.entropy(values / values.sum()))


@given(n=st.integers(1, 12), d=st.integers(1, 15), offset=st.sampled_from([0.0, 1.0, 10.0]), seed=SEEDS)
@settings(deadline=None, max_examples=60)
def test_agrees_with_the_definition(n, d, offset, seed):
    features = np.random.default_rng(seed).normal(offset, 1, size=(n, d)).astype(np.float32)
    assert vendi(features) == pytest.approx(by_pairs(features.astype(np.float64)), rel=1e-6)


@given(n=st.integers(1, 30), d=st.integers(1, 60), seed=SEEDS)
@settings(deadline=None)
def test_images_that_are_alike_count_once(n, d, seed):
    image = np.random.default_rng(seed).normal(size=d)
    assert vendi(np.tile(image, (n, 1))) == pytest.approx(1, abs=1e-9)


@given(groups=st.integers(1, 9), size=st.integers(1, 9), wider=st.integers(0, 20), seed=SEEDS)
@settings(deadline=None)
def test_equal_groups_that_are_orthogonal_count_once_each(groups, size, wider, seed):
    d = groups + wider
    axes = stats.ortho_group.rvs(d, random_state=seed % 2**32)[:groups] if d > 1 else np.eye(1)
    lengths = np.random.default_rng(seed).uniform(0.1, 10, size=(groups * size, 1))
    assert vendi(lengths * np.repeat(axes, size, axis=0)) == pytest.approx(groups, rel=1e-9)


def test_groups_of_other_sizes_count_by_the_entropy_of_their_shares():
    features = np.eye(3)[[0] * 6 + [1] * 3 + [2]]
    assert vendi(features) == pytest.approx(np.exp(stats.entropy([0.6, 0.3, 0.1])), rel=1e-12)


@given(n=st.integers(2, 30), d=st.integers(1, 20), power=st.sampled_from([-300, -3, 5, 300]), seed=SEEDS)
@settings(deadline=None, max_examples=60)
def test_neither_order_nor_lengths_matter_and_it_stays_in_its_range(n, d, power, seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, d))
    found = vendi(features)
    assert 1 - 1e-9 <= found <= min(n, d) * (1 + 1e-9)
    assert vendi(random.permutation(features)) == pytest.approx(found, rel=1e-9)
    assert vendi(features * random.uniform(0.5, 2, size=(n, 1)) * 10.0**power) == pytest.approx(found, rel=1e-9)
    assert vendi(np.concatenate([features, features])) == pytest.approx(found, rel=1e-9)


def test_a_collapsed_generator_scores_less():
    random = np.random.default_rng(0)
    varied = random.normal(size=(200, 64))
    collapsed = varied[random.integers(5, size=200)] + 0.01 * random.normal(size=(200, 64))
    assert vendi(collapsed) < 5.1 < 40 < vendi(varied)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (np.eye(4)[[0, 1, 1, 2]] * [[1], [0], [0], [1]], "2 of 4 images have features that are all 0"),
        (np.full((3, 2), np.nan), "not finite"),
        (np.zeros((0, 4)), r"\[0, 4\]"),
        (np.ones(4), r"\[4\]"),
    ],
)
def test_what_has_no_score_is_named(features, said):
    with pytest.raises(UserError, match=said):
        vendi(features)


def test_the_features_given_stay_as_they_are():
    features = np.random.default_rng(0).normal(size=(9, 4))
    before = features.copy()
    vendi(features)
    np.testing.assert_array_equal(features, before)


def test_it_is_taken_over_as_many_images_as_there_are_of_either_set():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(300, 80)), random.normal(size=(60, 80))

    def of(limit, seed=0):
        inputs = Inputs(None, a, Real(b), splits=1, seed=seed, limit=limit)
        return MEASURE.compute(inputs)["vendi"]

    assert of(None) == of(300) == of(1000) == vendi(a)
    assert of(60) == pytest.approx(vendi(b), rel=0.03) and of(60) < 50 < 65 < vendi(a)
    assert of(60) == of(60) != of(60, seed=1)
