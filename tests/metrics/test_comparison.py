import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gan_da_jax.metrics import comparison

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


@pytest.mark.parametrize("seeds", range(8))
def test_least_p_is_that_of_differences_of_one_sign(seeds):
    assert comparison.least_p(seeds) == comparison.signed_rank([1.0 + i for i in range(seeds)])


@pytest.mark.parametrize(("arms", "needed"), [(1, 6), (2, 7), (3, 7), (11, 9), (12, 9), (13, 10)])
def test_seeds_needed(arms, needed):
    assert comparison.seeds_needed(arms) == needed
    assert arms * 2 / 2**needed <= 0.05 < arms * 2 / 2 ** (needed - 1)


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


def test_arms_are_compared_over_common_seeds_only():
    control = {0: 10.0, 1: 20.0, 2: 30.0, 7: 1.0}
    arms = {"a": {2: 33.0, 0: 11.0, 1: 22.0, 5: 99.0}, "b": {1: 15.0}, "c": {9: 1.0}}
    found = comparison.compare({name: (values, control) for name, values in arms.items()})
    assert list(found) == ["a", "b"] and found["a"].seeds == [0, 1, 2] and found["b"].seeds == [1]
    assert found["a"].difference == pytest.approx(2.0)
    paired = stats.ttest_rel([11, 22, 33], [10, 20, 30]).confidence_interval(0.95)
    assert found["a"].ci95 == pytest.approx([paired.low, paired.high])
    assert (found["a"].p, found["a"].p_holm, found["b"].p, found["b"].ci95) == (0.25, 0.5, 1.0, None)
    assert not found["a"].enough and found["a"].seeds_needed == found["b"].seeds_needed == 7
    assert comparison.compare({}) == {}


@pytest.mark.parametrize(("arms", "seeds", "enough"), [(1, 5, False), (1, 6, True), (11, 8, False), (11, 9, True)])
def test_enough_seeds_are_those_with_which_the_clearest_difference_can_be_claimed(arms, seeds, enough):
    control = dict.fromkeys(range(seeds), 0.0)
    same = {seed: (-1.0) ** seed * (1 + seed) for seed in range(seeds)}
    clear = {seed: 1.0 + seed for seed in range(seeds)}
    found = comparison.compare({arm: (same if arm else clear, control) for arm in range(arms)})
    assert found[0].enough == found[0].claimed == enough and not any(found[arm].claimed for arm in range(1, arms))
