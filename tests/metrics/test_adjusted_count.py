import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import adjusted_count


def votes(ones: int, count: int) -> np.ndarray:
    return np.repeat([1.0, 0.0], [ones, count - ones])


def test_a_classifier_without_error_only_counts():
    found = adjusted_count.share(votes(30, 100), votes(0, 500), votes(500, 500))
    assert found.share == pytest.approx(0.3)
    assert found.low < 0.3 < found.high
    # Wald's interval of a share of 100; a little wider here, for the classifier's own errors are not known to be none.
    half = 1.96 * np.sqrt(0.3 * 0.7 / 100)
    assert half < (found.high - found.low) / 2 < 1.1 * half


@given(share=st.integers(0, 10), fpr=st.integers(0, 5), tpr=st.integers(8, 10))
def test_the_classifiers_errors_are_taken_out(share, fpr, tpr):
    """Of 1,000 samples of which share/10 are augmented, as many are taken for it as the rates say."""
    taken = share * tpr * 10 + (10 - share) * fpr * 10
    found = adjusted_count.share(votes(taken, 1000), votes(fpr * 100, 1000), votes(tpr * 100, 1000))
    assert found.share == pytest.approx(share / 10, abs=1e-9)
    assert found.low <= found.share <= found.high


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_interval_is_all_that_the_votes_do_not_refute(seed):
    """Fieller's interval against its definition, by trying every share, with the twins' differences taken directly."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(40, 300, 2)
    plain = (rng.uniform(size=n) < 0.2) * 1.0
    augmented = np.where(rng.uniform(size=n) < 0.3, plain, rng.uniform(size=n) < 0.9)  # twins resemble each other
    samples = (rng.uniform(size=(m, 2)) < rng.uniform()).mean(axis=1)  # two classifiers' votes
    try:
        found = adjusted_count.share(samples, plain, augmented)
    except UserError:
        return
    share = np.linspace(0, 1, 2001)[:, None]
    left = samples.mean() - ((1 - share) * plain + share * augmented).mean(axis=1)
    padded = (1 - share) * [*plain, 0, 0, 1, 1] + share * [*augmented, 0, 1, 1, 0]
    variance = np.var(padded, axis=1, ddof=1) / n + np.var([*samples, 0, 0, 1, 1], ddof=1) / m
    kept = share[np.abs(left) <= 1.959964 * np.sqrt(variance), 0]
    if len(kept):  # else all of it is outside, see below
        assert [found.low, found.high] == pytest.approx([kept[0], kept[-1]], abs=6e-4)


@pytest.mark.parametrize(("truth", "fpr", "tpr"), [(0.1, 0.02, 0.97), (0.5, 0.15, 0.85), (0.3, 0.25, 0.75)])
def test_the_interval_holds_the_truth_as_often_as_it_says(truth, fpr, tpr):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(1000):
        augmented = rng.uniform(size=200) < truth
        samples = rng.uniform(size=200) < np.where(augmented, tpr, fpr)
        found = adjusted_count.share(samples, rng.uniform(size=400) < fpr, rng.uniform(size=400) < tpr)
        held.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(held) <= 0.98  # 95% and three standard errors, and what the cautious variances add


def test_share_and_interval_stay_within_all_and_nothing():
    rates = votes(40, 400), votes(380, 400)
    assert adjusted_count.share(votes(0, 50), *rates).share == adjusted_count.share(votes(0, 50), *rates).low == 0
    assert adjusted_count.share(votes(50, 50), *rates).share == adjusted_count.share(votes(50, 50), *rates).high == 1


def test_samples_that_are_no_mixture_make_the_interval_wide():
    """Fewer are taken for augmented than of the plain images: (0 - 0.2) / (0.8 - 0.2) is no share."""
    found = adjusted_count.share(votes(0, 1000), votes(200, 1000), votes(800, 1000))
    assert found == pytest.approx((0, 0, 1 / 3))
    found = adjusted_count.share(votes(1000, 1000), votes(200, 1000), votes(800, 1000))
    assert found == pytest.approx((1, 2 / 3, 1))


def test_a_blind_meter_says_so():
    with pytest.raises(UserError, match=r"tells 60.0% .* at least 62.5%"):
        adjusted_count.share(votes(5, 10), votes(400, 1000), votes(600, 1000))
    assert adjusted_count.share(votes(5, 10), votes(370, 1000), votes(630, 1000)).share == pytest.approx(0.5)
    with pytest.raises(UserError, match="8 images are too few"):
        adjusted_count.share(votes(5, 10), votes(3, 8), votes(5, 8)[::-1])
    assert adjusted_count.accuracy(votes(400, 1000), votes(700, 1000)) == pytest.approx(0.65)
