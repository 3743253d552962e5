import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gan_da_jax.metrics import comparison
from gan_da_jax.metrics.comparison import Family

small = st.integers(-4, 4).map(float)  # few different numbers: zeros and ties are frequent


@given(st.lists(st.floats(-100, 100).filter(bool), min_size=1, max_size=12, unique_by=abs))
def test_signed_rank_without_ties_is_scipys(differences):
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert comparison.signed_rank(differences) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=60)
@given(st.lists(small, max_size=9))
def test_signed_rank_counts_all_signs(differences):
    values = np.array([value for value in differences if value])
    ranks = stats.rankdata(np.abs(values))
    found = ranks[values > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(values))])
    tail = min((sums <= found + 1e-9).mean(), (sums >= found - 1e-9).mean())
    assert comparison.signed_rank(differences) == pytest.approx(min(1, 2 * tail), rel=1e-12)


def test_signed_rank_of_a_published_example():
    # Darwin's maize (Fisher, 1935): heights of 15 crossed against self-fertilised plants, in eighths of an inch.
    darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    assert comparison.signed_rank(darwin) == pytest.approx(0.0413, abs=5e-4)


def test_holm_of_a_worked_example():
    assert comparison.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparison.holm([0.9, 0.8]) == [1.0, 1.0] and comparison.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.001, 0.2))
def test_holm_rejects_as_its_stepwise_procedure(p_values, level):
    rejected, remaining = set(), dict(enumerate(p_values))
    while remaining:
        index = min(remaining, key=remaining.get)
        if remaining[index] * len(remaining) > level:
            break
        rejected.add(index)
        del remaining[index]
    adjusted = comparison.holm(p_values)
    assert {index for index, p in enumerate(adjusted) if p <= level} == rejected


@given(st.lists(st.tuples(small, small), min_size=2, max_size=9))
def test_rank_agreement_is_kendalls_tau_b(points):
    one, other = zip(*points, strict=True)
    found = comparison.rank_agreement(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-12)


def test_one_arm_is_compared_over_common_seeds_by_students_test():
    control = {0: 10.0, 1: 20.0, 2: 30.0, 7: 1.0}
    arm = {2: 33.0, 0: 11.0, 1: 22.0, 5: 99.0}
    found = comparison.compare([Family(control, {"a": arm, "c": {9: 1.0}})], relative=False)
    assert list(found) == ["a"] and found["a"].seeds == [0, 1, 2]
    one, paired = found["a"], stats.ttest_rel([11, 22, 33], [10, 20, 30])
    ends = paired.confidence_interval(0.95)
    assert (one.difference, one.p, *one.ci95) == pytest.approx((2.0, paired.pvalue, ends.low, ends.high))
    assert (one.percent, one.method, one.p_rank, one.p_spread) == (None, "Student", 0.25, None)
    assert comparison.compare([], relative=True) == {}
    assert comparison.compare([Family(control, {"c": {9: 1.0}})], relative=True) == {}


def noisy(state, arms, seeds):
    """Positive scores of arms, the first one the control: seed -> score each."""
    scores = np.exp(np.random.default_rng(state).normal(3, 0.1, (arms, seeds)))
    return [dict(enumerate(row.tolist())) for row in scores]


def test_relative_differences_are_of_the_logarithms_in_percent():
    control, *arms = noisy(1, 4, 5)
    found = comparison.compare([Family(control, dict(enumerate(arms)))], relative=True)
    plain = comparison.compare([Family(control, dict(enumerate(arms)))], relative=False)
    logarithms = [{seed: math.log(score) for seed, score in arm.items()} for arm in arms]
    of_logs = comparison.compare(
        [Family({seed: math.log(score) for seed, score in control.items()}, dict(enumerate(logarithms)))],
        relative=False,
    )
    for arm, one in found.items():
        ratio = np.exp(of_logs[arm].difference)
        assert one.percent == pytest.approx(100 * (ratio - 1)) and one.p == pytest.approx(of_logs[arm].p)
        assert one.ci95 == pytest.approx([100 * (math.exp(end) - 1) for end in of_logs[arm].ci95])
        assert one.difference == pytest.approx(plain[arm].difference) and plain[arm].percent is None
        assert one.difference == pytest.approx(np.mean([arms[arm][seed] - control[seed] for seed in control]))


def test_a_score_of_0_or_less_is_compared_plainly():
    control, *arms = noisy(2, 3, 4)
    arms[0][1] = -0.1
    found = comparison.compare([Family(control, dict(enumerate(arms)))], relative=True)
    assert all(one.percent is None for one in found.values())
    assert found == comparison.compare([Family(control, dict(enumerate(arms)))], relative=False)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.lists(st.floats(0.1, 10), min_size=4, max_size=4), st.permutations(range(3)))
def test_harder_seeds_and_the_order_of_arms_change_no_relative_difference(state, factors, order):
    control, *arms = noisy(state, 4, 4)
    del arms[1][2], control[3]
    found = comparison.compare([Family(control, dict(enumerate(arms)))], relative=True)
    harder = [{seed: score * factors[seed] for seed, score in arm.items()} for arm in [control, *arms]]
    again = comparison.compare([Family(harder[0], {arm: harder[1 + arm] for arm in order})], relative=True)
    for arm, one in found.items():
        assert one.percent == pytest.approx(again[arm].percent, rel=1e-6, abs=1e-6)
        assert one.p == pytest.approx(again[arm].p, rel=1e-5) and one.method == again[arm].method
        assert one.ci95 == pytest.approx(again[arm].ci95, rel=1e-5, abs=1e-6)


def test_families_share_the_level():
    control, *arms = noisy(3, 3, 5)
    family = Family(control, {"a": arms[0], "b": arms[1]})
    other, one_more = noisy(4, 2, 5)
    alone = comparison.compare([family], relative=False)
    both = comparison.compare([family, Family(other, {"c": one_more})], relative=False)
    for name, one in alone.items():
        assert both[name].p == pytest.approx(min(1, 2 * one.p))
        assert both[name].ci95[0] < one.ci95[0] and both[name].ci95[1] > one.ci95[1]
    ranks = [
        comparison.signed_rank([arm[seed] - of[seed] for seed in of])
        for arm, of in zip([*arms, one_more], [control, control, other], strict=True)
    ]
    assert [one.p_rank for one in both.values()] == comparison.holm(ranks)


def test_two_seeds_can_be_enough_where_ranks_need_nine():
    rng = np.random.default_rng(0)
    control, clear, *rest = ({seed: value for seed, value in enumerate(rng.normal(50, 1, 2))} for _ in range(12))
    clear = {seed: score - 20 for seed, score in clear.items()}
    found = comparison.compare([Family(control, dict(enumerate([clear, *rest])))], relative=True)
    assert [arm for arm, one in found.items() if one.claimed] == [0]
    assert found[0].p_rank == 1 and found[0].method == "Dunnett" and found[0].seeds_needed == 2


def test_an_arm_that_spreads_further_says_so():
    control, *arms = noisy(5, 8, 6)
    arms[3] = {seed: score * 1.5 ** (-1) ** seed for seed, score in arms[3].items()}
    found = comparison.compare([Family(control, dict(enumerate(arms)))], relative=True)
    assert found[3].method == "Dunnett, own spread" and found[3].p_spread < 0.001
    assert found[0].method == "Dunnett" and found[0].p_spread > 0.02


def test_nothing_is_claimed_without_anything_known_of_chance():
    for seeds, step in ((1, 7.0), (3, 0.0)):
        control, arm = ({seed: level + seed * step for seed in range(seeds)} for level in (10.0, 20.0))
        one = comparison.compare([Family(control, {0: arm, 1: control})], relative=False)[0]
        assert one.difference == pytest.approx(10.0)
        assert (one.ci95, one.p, one.seeds_needed, one.claimed) == (None, None, None, False)


def test_percent_of_a_logarithm():
    assert comparison.in_percent(0.0) == 0 and comparison.in_percent(math.log(1.5)) == pytest.approx(50)
    assert comparison.in_percent(-math.inf) == -100 and math.isfinite(comparison.in_percent(1e9))


def test_a_single_common_seed_claims_nothing_however_far_the_arm_is():
    """The other arms say how far residuals go, but not that this arm's do not go further."""
    rng = np.random.default_rng(0)
    scores = {arm: dict(enumerate(100 + rng.normal(size=6))) for arm in range(4)}
    found = comparison.compare([Family(scores[0], {1: scores[1], 2: scores[2], 3: {0: 200.0}})], relative=False)
    assert found[3].p < 1e-6 and not found[3].claimed
    twice = comparison.compare(
        [Family(scores[0], {1: scores[1], 2: scores[2], 3: {0: 200.0, 1: 200.5}})], relative=False
    )
    assert twice[3].claimed
