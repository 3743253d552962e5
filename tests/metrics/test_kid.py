import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.kid import kid


def mmd2(x, y):
    """The unbiased estimate, one pair of images after the other."""
    m, d = x.shape

    def k(u, v):
        return (sum(float(p) * float(q) for p, q in zip(u, v, strict=True)) / d + 1) ** 3

    within = sum(k(s[i], s[j]) for s in (x, y) for i in range(m) for j in range(m) if i != j)
    return within / (m * (m - 1)) - 2 * sum(k(u, v) for u in x for v in y) / m**2


@given(n=st.integers(2, 12), m=st.integers(2, 12), d=st.integers(1, 5), data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_agrees_with_the_definition_over_the_recorded_draws(n, m, d, data, seed):
    size = data.draw(st.integers(2, min(n, m)))
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(n, d)).astype(np.float32), random.normal(1, 2, size=(m, d)).astype(np.float32)
    draws = np.random.RandomState(seed)
    values = []
    for _ in range(3):
        x = a[draws.choice(n, size, replace=False)]
        y = b[draws.choice(m, size, replace=False)]
        values.append(mmd2(x, y))
    found = kid(a, b, subsets=3, subset_size=size, seed=seed)
    scale = np.abs(values).max() + 1
    assert found.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9 * scale)
    assert found.std == pytest.approx(np.std(values), rel=1e-9, abs=1e-9 * scale)
    assert found[2:] == (3, size)


@pytest.mark.parametrize(
    ("n", "m", "d", "known"),
    [
        (60, 40, 8, (0.03217442970160641, 0.03382745817612548)),
        (12, 20, 30, (0.06347650349651866, 0.024626695147583394)),
    ],
)
def test_agrees_with_torch_fidelity(n, m, d, known):
    # torch-fidelity 0.4.0: metric_kid.kid_features_to_metric with kid_subsets=7, kid_subset_size=10, rng_seed=2020.
    random = np.random.RandomState(0)
    a, b = random.rand(n, d), random.rand(m, d) * 1.2
    assert kid(a, b, subsets=7, subset_size=10, seed=2020)[:2] == pytest.approx(known, rel=1e-10)


@given(n=st.integers(2, 30), d=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_whole_equal_sets_are_never_above_zero_and_do_not_spread(n, d, seed):
    x = np.random.default_rng(seed).normal(size=(n, d))
    found = kid(x, x, subsets=3, subset_size=n, seed=0)
    assert found.mean <= 1e-12 * (np.abs(x).max() ** 2 + 1) ** 3
    assert found.std == pytest.approx(0, abs=1e-12 * (np.abs(x).max() ** 2 + 1) ** 3)


def test_equal_distributions_lie_about_zero_and_others_above():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 400, 32))
    alike = kid(x, y, subsets=50, subset_size=100, seed=1)
    apart = kid(x, y + 0.5, subsets=50, subset_size=100, seed=1)
    assert abs(alike.mean) < alike.std
    assert apart.mean > 5 * apart.std


def test_subset_size_is_by_default_half_the_smaller_set_and_at_most_1000():
    x = np.random.default_rng(0).normal(size=(2100, 1))
    assert kid(x[:14], x[:11], subsets=1, seed=0).subset_size == 5
    assert kid(x, x, subsets=1, seed=0).subset_size == 1000


def test_draws_follow_the_seed_alone():
    x, y = np.random.default_rng(0).normal(size=(2, 30, 4))
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = kid(x, y, subsets=4, seed=7)
    assert (np.random.get_state()[1] == state).all()
    assert kid(x, y, subsets=4, seed=7) == first
    assert kid(x, y, subsets=4, seed=8) != first


@pytest.mark.parametrize(("n", "m", "size"), [(20, 10, 11), (10, 20, 11), (20, 20, 1), (20, 20, 0), (3, 20, None)])
def test_a_subset_size_that_does_not_fit_is_named(n, m, size):
    with pytest.raises(UserError, match=rf"subset size {1 if size is None else size} .* {n} and {m} images"):
        kid(np.zeros((n, 2)), np.zeros((m, 2)), subsets=1, subset_size=size, seed=0)


def test_no_subsets_are_named():
    with pytest.raises(UserError, match="at least 1 subset"):
        kid(np.zeros((9, 2)), np.zeros((9, 2)), subsets=0, seed=0)
