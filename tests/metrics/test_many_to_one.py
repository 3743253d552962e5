"""Dunnett's test on arms and seeds: against SciPy's, its size and power, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gan_da_jax.metrics import largest_t
from gan_da_jax.metrics.many_to_one import many_to_one, seeds_needed, simultaneous
from gan_da_jax.metrics.two_way import Layout, Part


def complete(scores):
    """The layout of a table of arms and seeds, and its scores."""
    arms, seeds = np.indices(scores.shape)
    return Layout(tuple(arms.ravel().tolist()), tuple(seeds.ravel().tolist())), scores.ravel()


def test_a_one_way_layout_gives_scipys_dunnett():
    rng = np.random.default_rng(0)
    control, *samples = (rng.normal(mean, 1, size) for mean, size in ((0, 6), (0.9, 6), (1.4, 9), (-0.4, 4)))
    groups = [control, *samples]
    df = sum(map(len, groups)) - len(groups)
    square = sum(np.var(group) * len(group) for group in groups) / df
    covariance = np.diag([1 / len(one) for one in samples]) + 1 / len(control)
    distribution = largest_t.of_covariance(covariance)
    scipys = stats.dunnett(*samples, control=control, rng=np.random.default_rng(0))
    ends = scipys.confidence_interval(0.95)
    for place, one in enumerate(samples):
        found, p = simultaneous(
            one.mean() - control.mean(), Part(square * covariance[place, place], df), distribution, level=0.05
        )
        assert found == pytest.approx((ends.low[place], ends.high[place]), abs=0.01)
        assert p == pytest.approx(scipys.pvalue[place], abs=1e-3)


def test_one_arm_is_the_paired_t_test():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(2, 6)) + 5 * rng.normal(size=6)
    found = many_to_one(*complete(scores), 0, level=0.05)[1]
    paired = stats.ttest_rel(scores[1], scores[0])
    ends = paired.confidence_interval(0.95)
    assert (found.estimate, found.p, *found.ends) == pytest.approx(
        ((scores[1] - scores[0]).mean(), paired.pvalue, ends.low, ends.high), rel=1e-6
    )
    assert not found.odd and found.p_spread is None


def test_several_arms_by_the_formulas_of_the_complete_layout():
    scores = np.random.default_rng(5).normal(size=(5, 4)) + np.arange(5)[:, None]
    found = many_to_one(*complete(scores), 2, level=0.05)
    residuals = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    error = np.sqrt(2 / 4 * np.sum(residuals**2) / 12)
    assert sorted(found) == [0, 1, 3, 4] and not any(one.odd for one in found.values())
    for arm, one in found.items():
        difference = (scores[arm] - scores[2]).mean()
        half = 2.81 * error  # Dunnett's two-sided 5% for four arms and 12 degrees of freedom
        assert one.estimate == pytest.approx(difference)
        assert one.ends == pytest.approx((difference - half, difference + half), abs=0.01 * error)
        assert (one.p <= 0.05) == (one.ends[0] > 0 or one.ends[1] < 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(2, 5), st.integers(2, 4))
def test_seeds_that_are_harder_and_the_order_of_arms_change_nothing(state, arms, seeds):
    rng = np.random.default_rng(state)
    scores, present = rng.normal(size=(arms, seeds)), rng.random((arms, seeds)) < 0.8
    present[0] = present[:, 0] = True
    moved, order = scores + 10 * rng.normal(size=seeds), np.r_[0, 1 + rng.permutation(arms - 1)]
    here = np.nonzero(present)
    found, again, shuffled = (
        many_to_one(Layout(tuple(names[here[0]].tolist()), tuple(here[1].tolist())), values[here], 0, level=0.05)
        for names, values in ((np.arange(arms), scores), (np.arange(arms), moved), (order, scores))
    )
    for arm, one in found.items():
        for other in (again[arm], shuffled[int(order[arm])]):
            assert one.estimate == pytest.approx(other.estimate, abs=1e-9)
            assert (one.p is None) == (other.p is None) and one.odd == other.odd
            if one.p is not None:
                assert one.p == pytest.approx(other.p, abs=1e-6)
                assert one.ends == pytest.approx(other.ends, rel=1e-6, abs=1e-9)


def test_nothing_is_said_of_chance_without_seeds_or_spread():
    for scores in (np.arange(3.0)[:, None], np.arange(3.0)[:, None] + np.arange(4.0), np.full((3, 4), 0.1)):
        for arm, one in many_to_one(*complete(scores), 0, level=0.05).items():
            assert one[1:3] == (None, None) and one.seeds_needed is None
            assert one.estimate == pytest.approx(scores[arm, 0] - scores[0, 0], abs=1e-12)


def shares_of_claims(scores):
    """Which arms of each study, float [studies, arms, seeds], are claimed."""
    return np.array(
        [[one.p <= 0.05 for one in many_to_one(*complete(each), 0, level=0.05).values()] for each in scores]
    )


@pytest.mark.parametrize(("arms", "seeds"), [(3, 4), (12, 3)])
def test_alike_arms_are_seldom_claimed(arms, seeds):
    studies = 300
    scores = np.random.default_rng(arms + seeds).normal(size=(studies, arms, seeds))
    wrong = int(shares_of_claims(scores).any(axis=1).sum())
    assert stats.binomtest(wrong, studies, 0.05).pvalue > 0.001


def test_an_arm_of_three_times_the_spread_is_not_claimed_as_often_as_by_a_common_mean_square():
    scores = np.random.default_rng(8).normal(size=(200, 12, 6))
    scores[:, -1] *= 3
    residuals = (
        scores - scores.mean(1, keepdims=True) - scores.mean(2, keepdims=True) + scores.mean((1, 2))[:, None, None]
    )
    error = np.sqrt(2 / 6 * (residuals**2).sum((1, 2)) / 55)[:, None]
    pooled = np.abs((scores[:, 1:] - scores[:, :1]).mean(2)) / error > largest_t.complete(11).critical(55, 0.05)
    assert shares_of_claims(scores).any(axis=1).mean() < 0.06 < 0.08 < pooled.any(axis=1).mean()


@pytest.mark.parametrize(("seeds", "effect", "power"), [(3, 1.5, 0.35), (3, 3, 0.95), (9, 1.5, 0.94)])
def test_power_is_as_published_in_the_readme(seeds, effect, power):
    scores = np.random.default_rng(seeds).normal(size=(200, 12, seeds))
    scores[:, 1] += effect * np.sqrt(2)
    assert shares_of_claims(scores)[:, 0].mean() == pytest.approx(power, abs=4 * np.sqrt(power * (1 - power) / 200))


@pytest.mark.parametrize(("arms", "difference"), [(1, 1.0), (11, 0.8), (5, 3.0)])
def test_seeds_needed_give_the_power_by_scipys_noncentral_t(arms, difference):
    needed = seeds_needed(difference, [Part(2.0, arms)], arms=arms, level=0.05)

    def power(seeds):
        df, shift = arms * (seeds - 1), difference * np.sqrt(seeds / 2)
        limit = largest_t.complete(arms).critical(df, 0.05)
        return stats.nct.sf(limit, df, shift) + stats.nct.cdf(-limit, df, shift)

    assert power(needed) >= 0.8 and (needed == 2 or power(needed - 1) < 0.8)


def test_seeds_needed_grow_with_the_spread_and_end():
    needed = [seeds_needed(1.0, [Part(2.0 * times, 3)], arms=3, level=0.05) for times in (0.1, 1, 4)]
    assert needed == sorted(needed) and needed[0] >= 2
    assert seeds_needed(1e-4, [Part(2.0, 3)], arms=3, level=0.05) is None
    assert seeds_needed(0.0, [Part(2.0, 3)], arms=3, level=0.05) is None
    assert seeds_needed(1.0, [], arms=3, level=0.05) is None
