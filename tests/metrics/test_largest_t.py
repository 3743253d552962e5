"""The distribution of the largest t, held against tables, SciPy's multivariate t and Student's t."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gan_da_jax.metrics import largest_t


@pytest.mark.parametrize(
    ("arms", "df", "published"),
    [(1, 10, 2.23), (2, 5, 3.03), (2, 10, 2.57), (3, 20, 2.54), (5, 60, 2.58), (1, 60, 2.00)],
)
def test_critical_values_are_those_of_dunnetts_table(arms, df, published):
    assert largest_t.complete(arms).critical(df, 0.05) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize(("arms", "df"), [(2, 2), (3, 4), (11, 22), (11, 88)])
def test_quadrature_is_scipys_multivariate_t(arms, df):
    correlation = (np.eye(arms) + 1) / 2
    for t in (1.0, 2.5, 4.0):
        scipys = stats.multivariate_t(shape=correlation, df=df, seed=0)
        inside = scipys.cdf(np.full(arms, t), lower_limit=np.full(arms, -t), maxpts=20_000 * arms)
        assert largest_t.complete(arms).exceeds(np.array([t]), df)[0] == pytest.approx(1 - inside, abs=2e-4)


@pytest.mark.parametrize("df", [1.0, 2.0, 3.7, 22.0, 1e4])
def test_quadrature_does_not_depend_on_its_grid(df, monkeypatch):
    t = np.array([0.5, 2.0, 3.0, 6.0, 40.0])
    coarse = largest_t.complete(7).exceeds(t, df)
    z = np.arange(-9, 9.001, 0.01)
    monkeypatch.setattr(largest_t, "_Z", z)
    monkeypatch.setattr(largest_t, "_DENSITY", 0.01 * stats.norm.pdf(z))
    monkeypatch.setattr(largest_t, "_LOG_Y", np.arange(np.log(1e-7), np.log(25), 0.01))
    monkeypatch.setattr(largest_t, "_SCALES", 2000)
    largest_t.scales.cache_clear()
    fine = largest_t.one_factor.__wrapped__((np.sqrt(0.5),) * 7).exceeds(t, df)
    largest_t.scales.cache_clear()
    np.testing.assert_allclose(coarse, fine, rtol=1e-5, atol=1e-6)


@given(st.floats(0, 50), st.floats(1, 200))
def test_one_estimate_is_students(t, df):
    found = largest_t.of_covariance(np.array([[3.0]]))
    assert found.exceeds(np.array([t]), df)[0] == pytest.approx(2 * stats.t.sf(t, df), rel=1e-9)
    assert found.critical(df, 0.05) == pytest.approx(stats.t.isf(0.025, df), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.floats(1, 100), st.sampled_from([0.05, 0.025, 0.01]))
def test_critical_value_is_exceeded_at_the_level_and_lies_between_students_and_bonferronis(arms, df, level):
    found = largest_t.complete(arms)
    critical = found.critical(df, level)
    assert found.exceeds(np.array([critical]), df)[0] == pytest.approx(level, abs=1e-8)
    assert stats.t.isf(level / 2, df) < critical < stats.t.isf(level / 2 / arms, df)


@pytest.mark.parametrize(("arms", "df"), [(2, 3), (5, 12), (11, 22)])
def test_directions_agree_with_the_quadrature_and_repeat(arms, df):
    equal = np.eye(arms) + 1
    sampled = largest_t.LargestT(arms, largest_t._by_directions(equal / 2))
    t = np.array([1.0, 2.0, 2.5, 3.0, 5.0])
    exact = largest_t.of_covariance(equal).exceeds(t, df)
    np.testing.assert_allclose(sampled.exceeds(t, df), exact, rtol=4e-3, atol=1e-5)
    unequal = equal + np.diag(np.arange(arms)) + 0.1 * np.outer(np.arange(arms), np.arange(arms))
    once, again = (largest_t.of_covariance(unequal).exceeds(t, df) for _ in range(2))
    assert once.tolist() == again.tolist() and (np.diff(once) < 0).all()


@pytest.mark.parametrize("loads", [(0.9, 0.9), (0.95, 0.97, 0.98)])
def test_estimates_that_nearly_are_one_are_scipys_multivariate_t(loads):
    """As of a control with a single run, which all of its differences share."""
    found = largest_t.one_factor(loads)
    correlation = np.outer(loads, loads)
    np.fill_diagonal(correlation, 1)
    scipys = stats.multivariate_t(shape=correlation, df=6, seed=0)
    for t in (1.0, 2.5, 4.0):
        inside = scipys.cdf(np.full(len(loads), t), lower_limit=np.full(len(loads), -t), maxpts=100_000)
        assert found.exceeds(np.array([t]), 6)[0] == pytest.approx(1 - inside, abs=3e-4)
    assert 0 <= found.exceeds(np.array([1e3]), 1e4)[0] < 1e-15


def test_general_covariance_is_scipys_multivariate_t():
    covariance = np.array([[2.0, 0.3, 1.0], [0.3, 1.0, 0.6], [1.0, 0.6, 3.0]])
    deviations = np.sqrt(np.diag(covariance))
    scipys = stats.multivariate_t(shape=covariance / np.outer(deviations, deviations), df=8, seed=0)
    inside = scipys.cdf(np.full(3, 2.6), lower_limit=np.full(3, -2.6), maxpts=200_000)
    assert largest_t.of_covariance(covariance).exceeds(np.array([2.6]), 8)[0] == pytest.approx(1 - inside, abs=2e-4)


@pytest.mark.parametrize("df", [1.0, 2.5, 30.0, 1e6])
def test_scales_have_the_moments_of_chi(df):
    scale, weight = largest_t.scales(df)
    assert weight.sum() == pytest.approx(1)
    assert (scale**2) @ weight == pytest.approx(1, rel=1e-6)
    assert scale @ weight == pytest.approx(stats.chi.mean(df) / np.sqrt(df), rel=1e-6)
