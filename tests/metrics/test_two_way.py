"""Least squares on arms and seeds, held against a dummy regression by NumPy, and the spread of arms."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from gan_da_jax.metrics.two_way import Layout, Part, spread, sum_up, variance, weights


def layout_of(present):
    """The runs that a table of arms and seeds, bool [A, S], says there are."""
    arms, seeds = np.nonzero(present)
    return Layout(tuple(arms.tolist()), tuple(seeds.tolist()))


def regression(layout, scores):
    """A direct fit: coefficients of arms with the first seed as the reference, residual sum of squares, df."""
    names, blocks = sorted(set(layout.arms)), sorted(set(layout.seeds))
    rows = [
        [float(arm == one) for one in names] + [float(seed == one) for one in blocks[1:]]
        for arm, seed in zip(layout.arms, layout.seeds, strict=True)
    ]
    found, _, rank, _ = np.linalg.lstsq(np.array(rows), scores, rcond=None)
    return found, float(np.sum((scores - np.array(rows) @ found) ** 2)), len(scores) - rank, np.array(rows)


@st.composite
def unbalanced(draw):
    """A layout in which every arm has a seed in common with arm 0, and scores."""
    arms, seeds = draw(st.integers(2, 5)), draw(st.integers(2, 5))
    bits = draw(st.lists(st.booleans(), min_size=arms * seeds, max_size=arms * seeds))
    present = np.array(bits).reshape(arms, seeds)
    assume((present & present[0]).any(axis=1).all())
    layout = layout_of(present)
    return layout, np.random.default_rng(draw(st.integers(0, 99))).normal(50, 3, len(layout.arms))


@settings(max_examples=60, deadline=None)
@given(unbalanced())
def test_differences_and_mean_square_are_of_a_direct_regression(drawn):
    layout, scores = drawn
    others = tuple(sorted(set(layout.arms) - {0}))
    sums = weights(layout, others, 0)
    coefficients, squares, df, design = regression(layout, scores)
    np.testing.assert_allclose(sums @ scores, coefficients[1 : len(others) + 1] - coefficients[0], atol=1e-9)
    found = spread(layout, scores)
    if df == 0:
        assert found.pooled is None and variance(found, layout, sums[0]) is None
    elif not found.own:
        assert found.pooled == pytest.approx((squares / df, df), rel=1e-9)
        if np.linalg.matrix_rank(design) == design.shape[1]:
            covariance = np.linalg.inv(design.T @ design) * squares / df
            expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
            assert variance(found, layout, sums[0]) == pytest.approx((expected, df), rel=1e-8)


def test_the_test_of_spread_is_a_ratio_of_two_regressions():
    present = np.ones((4, 5), bool)
    present[2, 1] = present[0, 4] = False
    layout = layout_of(present)
    scores = np.random.default_rng(3).normal(size=len(layout.arms))
    _, all_squares, all_df, _ = regression(layout, scores)
    for arm in range(4):
        rest = np.not_equal(layout.arms, arm)
        _, squares, df, _ = regression(Layout(*(tuple(np.array(part)[rest].tolist()) for part in layout)), scores[rest])
        ratio = (all_squares - squares) / (all_df - df) / (squares / df)
        assert spread(layout, scores).p[arm] == pytest.approx(stats.f.sf(ratio, all_df - df, df), rel=1e-9)


def test_p_of_alike_arms_is_uniform():
    layout, rng = layout_of(np.ones((4, 3), bool)), np.random.default_rng(0)
    p = [list(spread(layout, rng.normal(size=12)).p.values()) for _ in range(1500)]
    for of_arm in np.transpose(p):
        assert stats.kstest(of_arm, "uniform").pvalue > 0.001


def test_an_arm_of_another_spread_is_found_and_a_gross_one_leaves_the_pool():
    layout, rng = layout_of(np.ones((6, 6), bool)), np.random.default_rng(1)
    residuals = rng.normal(size=(6, 6))
    for place in (0, 4):
        for times, gross in ((3.0, False), (1000.0, True)):
            scores = residuals.copy()
            scores[place] *= times
            found = spread(layout, scores.ravel())
            assert place in found.own and (place not in found.pool) == gross
            others = np.delete(residuals, place, axis=0)
            both = others - others.mean(0) - others.mean(1, keepdims=True) + others.mean()
            if gross:
                assert found.pooled == pytest.approx((np.sum(both**2) / 20, 20))
                about = scores[place] - others.mean(0)
                assert found.own[place] == pytest.approx((np.var(about, ddof=1), 5), rel=1e-3)


def test_two_gross_arms_do_not_hide_each_other():
    residuals = np.random.default_rng(2).normal(size=(8, 5))
    residuals[[1, 5]] *= 1e4
    found = spread(layout_of(np.ones((8, 5), bool)), residuals.ravel())
    assert found.pool == frozenset({0, 2, 3, 4, 6, 7}) and {1, 5} <= set(found.own)


def test_two_arms_and_single_seeds_allow_no_test():
    assert spread(layout_of(np.ones((2, 5), bool)), np.arange(10.0) ** 2).p == {}
    assert spread(layout_of(np.ones((5, 1), bool)), np.arange(5.0)).p == {}


def test_sums_have_satterthwaites_degrees_of_freedom():
    assert sum_up([Part(4.0, 2), Part(1.0, 10)]) == pytest.approx((5.0, 25 / (16 / 2 + 1 / 10)))
    one, other = np.random.default_rng(0).normal(size=7), np.random.default_rng(1).normal(0, 4, size=4)
    found = sum_up([Part(np.var(each, ddof=1) / len(each), len(each) - 1) for each in (one, other)])
    assert found.df == pytest.approx(stats.ttest_ind(one, other, equal_var=False).df)


def test_the_variance_of_a_spreading_arm_is_unbiased():
    present = np.ones((4, 4), bool)
    present[3, 0] = present[1, 2] = False
    layout, rng = layout_of(present), np.random.default_rng(6)
    deviations = np.where(np.equal(layout.arms, 3), 40.0, 1.0)
    found = [spread(layout, deviations * rng.normal(size=len(deviations))) for _ in range(1500)]
    own = [one.own[3].square if 3 in one.own else 1.0 for one in found]
    assert np.mean(own) == pytest.approx(1600, rel=0.12)
