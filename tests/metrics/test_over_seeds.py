import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gan_da_jax.metrics import over_seeds

numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=2, max_size=20))
def test_interval_is_scipys(values):
    mean, (low, high) = over_seeds.interval(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    assert [low, high] == pytest.approx([np.mean(values) - half, np.mean(values) + half], rel=1e-9, abs=1e-6)


def test_interval_of_a_published_example():
    # Two values: t(0.975, 1) = 12.706, s / sqrt(2) = half their distance.
    assert over_seeds.interval([1.0, 3.0])[1] == pytest.approx([2 - 12.7062, 2 + 12.7062], abs=1e-4)
    assert over_seeds.interval([2.5]) == (2.5, None)


def test_join_reads_numbers_and_means_and_keeps_the_order_of_seeds():
    rows = [
        {"inception_score": {"mean": 2.0, "std": 0.1, "splits": 10}, "fid": 60.0},
        {"inception_score": {"mean": 4.0, "std": 0.3, "splits": 10}, "fid": None},
        {"inception_score": {"mean": 3.0, "std": 0.2, "splits": 10}},
    ]
    joined = over_seeds.join(rows)
    assert list(joined) == ["inception_score", "fid"]
    assert joined["inception_score"]["values"] == [2.0, 4.0, 3.0]
    assert joined["inception_score"]["ci95"] == pytest.approx(stats.t.interval(0.95, 2, 3.0, 1 / np.sqrt(3)))
    assert joined["fid"] == {"mean": 60.0, "ci95": None, "values": [60.0, None, None]}


@given(st.dictionaries(st.integers(1, 9), st.lists(numbers, min_size=1, max_size=4), min_size=1), st.randoms())
def test_curve_takes_mean_and_extremes_at_each_step_in_any_order_of_rows(course, random):
    rows = [
        {"step": 16 * epoch, "epoch": float(epoch), "fid": found}
        for epoch, values in course.items()
        for found in values
    ]
    random.shuffle(rows)
    curve = over_seeds.curve([*rows, {"step": 1, "epoch": 0.1}], "fid", unit="epoch")
    assert curve.at.tolist() == sorted(course)
    for place, epoch in enumerate(sorted(course)):
        assert curve.mean[place] == pytest.approx(np.mean(course[epoch]), abs=1e-6)
        assert (curve.low[place], curve.high[place]) == (min(course[epoch]), max(course[epoch]))


def test_best_is_the_lowest_and_of_equal_ones_the_earliest():
    rows = [{"step": step, "fid": fid} for step, fid in ((9, 2.0), (3, None), (5, 2.0), (7, 4.0))]
    assert over_seeds.best(rows, "fid")["step"] == 5
    assert over_seeds.best(rows, "kid") is None and over_seeds.best([], "fid") is None
    assert over_seeds.best([{"step": 1, "kid": {"mean": 0.2}}, {"step": 2, "kid": {"mean": 0.1}}], "kid")["step"] == 2


def test_curve_of_nothing_is_empty():
    assert [len(found) for found in over_seeds.curve([{"step": 1, "epoch": 1.0}], "fid", unit="epoch")] == [0, 0, 0, 0]


def test_pool_averages_scores_over_the_sets_that_have_them():
    rows = [
        {"step": 1, "repeat": 0, "inception_score": {"mean": 2.0, "std": 0.1, "splits": 10}, "fid": 60.0, "kid": None},
        {"step": 1, "repeat": 1, "inception_score": {"mean": 3.0, "std": 0.3, "splits": 10}, "fid": None, "kid": None},
    ]
    pooled = over_seeds.pool(rows)
    assert pooled["inception_score"] == {"mean": 2.5, "std": pytest.approx(0.2), "splits": 10}
    assert (pooled["step"], pooled["fid"], pooled["kid"], pooled["sets"]) == (1, 60.0, None, rows)


@given(st.integers(1, 7), numbers)
def test_pool_of_equal_sets_is_each_of_them(count, number):
    row = {"step": 1, "fid": number, "real_inception_score": {"mean": number, "std": 0.1, "splits": 3}}
    pooled = over_seeds.pool([row] * count)
    assert {key: pooled[key] for key in row} == row


def test_the_first_score_that_all_seeds_have_chooses():
    def row(step, fid, kid):
        return {"step": step, "fid": fid, "kid": {"mean": kid, "std": 0.1}}

    seeds = {0: [row(1, 5.0, 0.1), row(2, 3.0, 0.2)], 1: [row(1, 2.0, 0.4), row(2, 4.0, 0.3)]}
    assert over_seeds.choose(seeds) == ("fid", {0: seeds[0][1], 1: seeds[1][0]})
    seeds[1] = [one | {"fid": None} for one in seeds[1]]
    assert over_seeds.choose(seeds) == ("kid", {0: seeds[0][0], 1: seeds[1][1]})
    assert over_seeds.choose({0: [{"step": 1}]}) is None and over_seeds.choose({}) is None
