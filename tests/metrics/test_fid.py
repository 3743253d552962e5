import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.fid import distance, statistics


def fid(a, b):
    return distance(statistics(a), statistics(b))


counts, widths, seeds = st.integers(2, 40), st.integers(1, 24), st.integers(0, 2**32 - 1)


def features(seed, n, d, rank=None):
    """Correlated and off centre."""
    random = np.random.default_rng(seed)
    rank = d if rank is None else rank
    return (random.normal(size=(n, rank)) @ random.normal(size=(rank, d)) + 3 * random.normal(size=d)).astype(
        np.float32
    )


def by_roots(a, b):
    """The definition, the root of the product being taken of sqrt(A) B sqrt(A), which is symmetric."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = linalg.eigh(cov_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    trace = np.sqrt(linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * trace


@given(n=counts, m=counts, d=widths, seed=seeds)
@settings(deadline=None)
def test_agrees_with_the_definition_at_any_number_of_images(n, m, d, seed):
    a, b = features(seed, n, d), features(seed + 1, m, d)
    scale = np.sum(a.astype(float) ** 2) / n + np.sum(b.astype(float) ** 2) / m
    found = fid(a, b)
    assert found == pytest.approx(by_roots(a, b), rel=1e-5, abs=1e-6 * scale)
    assert found == pytest.approx(fid(b, a), rel=1e-9, abs=1e-12 * scale)


@pytest.mark.parametrize("d", [1, 5, 64])
def test_agrees_with_scipys_root_of_the_product(d):
    a, b = features(1, 300, d).astype(np.float64), features(2, 200, d).astype(np.float64)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    trace = np.trace(linalg.sqrtm(cov_a @ cov_b).real)
    known = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * trace
    assert fid(a, b) == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "d", "known"), [(60, 40, 8, 0.24695865244930126), (12, 20, 30, 3.4939174690544768)])
def test_agrees_with_torch_fidelity(n, m, d, known):
    # torch-fidelity 0.4.0: metric_fid.fid_features_to_statistics and fid_statistics_to_metric on these features.
    random = np.random.RandomState(0)
    a, b = random.rand(n, d), random.rand(m, d) * 1.2
    assert fid(a, b) == pytest.approx(known, rel=1e-6)


@given(n=counts, d=widths, rank=st.integers(0, 24), seed=seeds)
@settings(deadline=None)
def test_equal_sets_in_any_order_are_at_no_distance(n, d, rank, seed):
    x = features(seed, n, d, rank)
    size = np.sum(x.astype(float) ** 2)
    assert 0 <= fid(x, x) <= 1e-12 * size
    assert 0 <= fid(x, np.random.default_rng(seed).permutation(x)) <= 1e-6 * size


@given(n=counts, d=widths, shift=st.floats(-8, 8), seed=seeds)
@settings(deadline=None)
def test_a_shift_costs_its_square(n, d, shift, seed):
    x = features(seed, n, d).astype(np.float64)
    direction = np.random.default_rng(seed).normal(size=d)
    by = shift * direction / np.linalg.norm(direction)
    assert fid(x, x + by) == pytest.approx(shift**2, rel=1e-9, abs=1e-9 * np.sum(x**2))


@given(n=counts, d=widths, factor=st.floats(0, 5), seed=seeds)
@settings(deadline=None)
def test_a_stretch_about_the_mean_costs_the_variance_times_its_square(n, d, factor, seed):
    x = features(seed, n, d).astype(np.float64)
    mean = x.mean(axis=0)
    variance = x.var(axis=0, ddof=1).sum()
    found = fid(x, mean + factor * (x - mean))
    assert found == pytest.approx((1 - factor) ** 2 * variance, rel=1e-6, abs=1e-6 * variance)


def test_gaussians_of_a_single_feature():
    a, b = features(3, 50, 1).astype(np.float64), features(4, 70, 1).astype(np.float64)
    known = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert fid(a, b) == pytest.approx(known, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(30, 8), (8, 30), (9, 9)])
def test_statistics_hold_mean_and_covariance_and_serve_again(n, d):
    a, b = features(5, n, d), features(6, 20, d)
    kept = statistics(a)
    assert kept.root.shape == (min(n, d), d)
    np.testing.assert_allclose(kept.mean, a.astype(np.float64).mean(0))
    np.testing.assert_allclose(kept.root.T @ kept.root, np.cov(a.astype(np.float64), rowvar=False), atol=1e-9)
    assert distance(kept, statistics(b)) == fid(a, b)


def test_a_single_image_has_no_covariance():
    with pytest.raises(UserError, match="at least 2 images"):
        statistics(np.zeros((1, 4)))


def test_statistics_of_different_layers_are_named():
    with pytest.raises(UserError, match="3 features .* 5:"):
        distance(statistics(np.eye(3)), statistics(np.eye(5)))
