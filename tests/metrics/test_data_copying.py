import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import data_copying as module
from gan_da_jax.metrics.data_copying import data_copying, mann_whitney

SEEDS = st.integers(0, 2**32 - 1)


def z_by_scipy(x, y):
    """The z whose one-sided probabilities SciPy gives; from the smaller one, which is exact."""
    less, greater = (
        stats.mannwhitneyu(x, y, alternative=side, method="asymptotic", use_continuity=False).pvalue
        for side in ("less", "greater")
    )
    return stats.norm.ppf(less) if less < greater else stats.norm.isf(greater)


def sets(seed, *, n=400, d=5):
    """Training, held-out and generated images of one distribution."""
    return np.random.default_rng(seed).normal(size=(3, n, d))


@given(n=st.integers(2, 60), m=st.integers(2, 60), values=st.sampled_from([3, 10, 10**6]), seed=SEEDS)
@settings(deadline=None)
def test_mann_whitney_agrees_with_scipy(n, m, values, seed):
    random = np.random.default_rng(seed)
    x, y = random.integers(values, size=n) / 7, random.integers(values, size=m) / 7
    if len({*x, *y}) == 1:
        assert mann_whitney(x, y) == 0
    else:
        assert mann_whitney(x, y) == pytest.approx(z_by_scipy(x, y), rel=1e-7, abs=1e-7)
    assert mann_whitney(y, x) == pytest.approx(-mann_whitney(x, y), abs=1e-9)


def test_equal_numbers_give_0():
    assert mann_whitney(np.ones(5), np.ones(7)) == 0


@pytest.mark.parametrize(("n", "parts"), [(99, 1), (400, 8)])
def test_every_cell_is_scipys_test_of_its_distances(n, parts):
    training, held_out, samples = sets(1, n=n)
    samples = 0.8 * samples
    found = data_copying(training, held_out, samples, seed=3)
    centres = module._centres(training, parts, 3)
    inside = [cdist(x, centres).argmin(axis=1) for x in (training, held_out, samples)]
    expected = []
    for cell in range(parts):
        known, real, made = (x[at == cell] for x, at in zip((training, held_out, samples), inside, strict=True))
        if min(len(real), len(made)) >= 20:
            z = z_by_scipy(cdist(made, known).min(axis=1), cdist(real, known).min(axis=1))
            expected.append((z, len(real), len(made)))
    assert len(expected) + found.left_out == parts and len(expected) >= parts / 2
    np.testing.assert_allclose(found.cells, expected, rtol=1e-6)
    z, weights = np.array([cell[0] for cell in expected]), np.array([cell[1] for cell in expected])
    assert found.c_t == pytest.approx(np.average(z, weights=weights), rel=1e-6)
    assert found.z == pytest.approx(found.c_t * weights.sum() / np.sqrt(np.sum(weights**2)), rel=1e-6)


@pytest.mark.parametrize("n", [60, 250])
def test_of_samples_as_good_as_real_images_z_is_standard_normal(n):
    found = [data_copying(*sets(seed, n=n, d=3), seed=0) for seed in range(400)]
    z = [one.z for one in found]
    assert stats.kstest(z, "norm").pvalue > 0.01
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.05, abs=0.03)
    assert np.std([one.c_t for one in found]) <= np.std(z)


def test_copies_are_far_below_0_and_shifted_samples_above():
    training, held_out, samples = sets(0)
    noise = np.random.default_rng(1).normal(size=samples.shape)
    fresh = data_copying(training, held_out, samples, seed=0)
    copies = data_copying(training, held_out, training, seed=0)
    near = data_copying(training, held_out, training + 0.1 * noise, seed=0)
    assert abs(fresh.z) < 3 < 15 < -near.z <= -copies.z
    assert data_copying(training, held_out, samples + 0.8, seed=0).z > 4
    assert data_copying(training, held_out, 1.5 * samples, seed=0).z > 4
    # A tenth of copies among good samples.
    some = np.concatenate([training[:80], samples[80:]])
    assert data_copying(training, held_out, some, seed=0).z < -2.5


def test_copies_in_one_place_do_not_hide_behind_misses_in_another():
    training, held_out, samples = sets(2, n=600, d=2)
    for x in (training, held_out, samples):
        x[300:] += 100
    samples[:300] = training[:300]
    samples[300:] += 0.7 * np.sign(samples[300:] - 100)
    zs = [cell.z for cell in data_copying(training, held_out, samples, seed=0).cells]
    assert min(zs) < -4 and max(zs) > 2


@given(n=st.integers(20, 130), d=st.integers(1, 6), scale=st.sampled_from([2.0**-10, 4.0]), seed=SEEDS)
@settings(deadline=None, max_examples=30)
def test_neither_scale_nor_the_order_of_samples_and_held_out_images_matters(n, d, scale, seed):
    training, held_out, samples = sets(seed, n=n, d=d)
    try:
        found = data_copying(training, held_out, samples, seed=seed)
    except UserError as error:
        assert n >= 100 and "too few" in str(error)
        return
    assert data_copying(scale * training, scale * held_out, scale * samples, seed=seed) == found
    random = np.random.default_rng(seed)
    assert data_copying(training, random.permutation(held_out), random.permutation(samples), seed=seed) == found
    if n < 100:  # one cell
        assert data_copying(random.permutation(training), held_out, samples, seed=seed) == found
        assert data_copying(training, samples, held_out, seed=seed).z == pytest.approx(-found.z, abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_images_that_are_all_alike_say_nothing(value):
    training, alike = np.full((200, 3), value), np.full((150, 3), value)
    found = data_copying(training, alike, alike, seed=0)
    assert (found.c_t, found.z, len(found.cells)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("training", "held_out", "samples", "said"),
    [
        (np.ones((90, 2)), np.ones((19, 2)), np.ones((90, 2)), "19 held-out images and 90 samples .* the 1 parts"),
        (np.ones((90, 2)), np.ones((90, 2)), np.ones((9, 2)), "90 held-out images and 9 samples are too few"),
        (np.ones((90, 2)), np.ones((90, 3)), np.ones((90, 2)), "2 features .* 3"),
        (np.ones((90, 2)), np.ones((90, 2)), np.ones((90, 3)), "2 features .* 3"),
        (np.ones((90, 2)), np.ones((90, 2)), np.full((90, 2), np.inf), "not finite"),
        (np.ones(90), np.ones((90, 2)), np.ones((90, 2)), r"\[90\]"),
    ],
)
def test_what_cannot_be_tested_is_named(training, held_out, samples, said):
    with pytest.raises(UserError, match=said):
        data_copying(training, held_out, samples, seed=0)
