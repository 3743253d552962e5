from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import distances
from gan_da_jax.metrics.prdc import density_and_coverage, radii, share_inside


class Four(NamedTuple):
    """The four scores, in one value."""

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real, fake, precision_k=3, density_k=5):
    """All four, each as its measure computes it."""
    return Four(
        share_inside(fake, real, radii(real, k=precision_k, name="real")),
        share_inside(real, fake, radii(fake, k=precision_k, name="generated")),
        *density_and_coverage(real, fake, radii(real, k=density_k, name="real"), k=density_k),
    )


def brute_force(real, fake, precision_k, density_k):
    """The definitions, one pair of images after the other."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)

    def squares(x, points):
        return [np.sum((x - point) ** 2) for point in points]

    def radii(points, k):
        return [sorted(squares(x, points))[k] for x in points]

    near_real, near_fake, far_real = radii(real, precision_k), radii(fake, precision_k), radii(real, density_k)
    between = [squares(x, fake) for x in real]
    pairs = [(i, j) for i in range(len(real)) for j in range(len(fake))]
    return Four(
        len({j for i, j in pairs if between[i][j] <= near_real[i]}) / len(fake),
        len({i for i, j in pairs if between[i][j] <= near_fake[j]}) / len(real),
        sum(between[i][j] < far_real[i] for i, j in pairs) / (density_k * len(fake)),
        len({i for i, j in pairs if between[i][j] < far_real[i]}) / len(real),
    )


def sets(seed, n, m, d, offset=0.0, copies=0.0, dtype=np.float32):
    """Two sets that overlap, of which a share of the fakes are copies of real images, as of a GAN that memorises."""
    random = np.random.default_rng(seed)
    real = random.normal(offset, 1, size=(n, d)).astype(dtype)
    fake = random.normal(offset + 0.3, 0.8, size=(m, d)).astype(dtype)
    copied = random.random(m) < copies
    fake[copied] = real[random.integers(n, size=copied.sum())]
    return real, fake


@given(
    n=st.integers(7, 25),
    m=st.integers(7, 25),
    d=st.integers(1, 12),
    ks=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    offset=st.sampled_from([0.0, 1.0, 1e3, 1e7]),
    copies=st.sampled_from([0.0, 0.5, 1.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_equals_the_definitions(n, m, d, ks, offset, copies, dtype, seed):
    real, fake = sets(seed, n, m, d, offset, copies, dtype)
    assert prdc(real, fake, precision_k=ks[0], density_k=ks[1]) == brute_force(real, fake, *ks)


@given(
    n=st.integers(6, 25),
    m=st.integers(6, 25),
    d=st.integers(1, 3),
    step=st.sampled_from([1.0, 0.1]),
    seed=st.integers(0),
)
@settings(deadline=None, max_examples=60)
def test_equals_the_definitions_where_many_points_lie_on_a_surface(n, m, d, step, seed):
    random = np.random.default_rng(seed)
    real, fake = random.integers(3, size=(n, d)) * step, random.integers(3, size=(m, d)) * step
    assert prdc(real, fake) == brute_force(real, fake, 3, 5)


@pytest.mark.parametrize("offset", [1e5, 1e6, 1e7])
def test_equals_the_definitions_where_matrix_products_confuse_the_neighbours(offset):
    # So far from 0 a product rounds off more than there is between one neighbour and the next.
    for seed in range(5):
        real, fake = sets(seed, 40, 40, 2, offset, copies=1, dtype=np.float64)
        assert prdc(real, fake) == brute_force(real, fake, 3, 5)


@pytest.mark.parametrize("copies", [0.0, 0.5])
def test_equals_the_definitions_at_the_width_of_inception(copies):
    real, fake = sets(0, 40, 30, 2048, offset=0.4, copies=copies)
    assert prdc(real, fake) == brute_force(real, fake, 3, 5)


@pytest.mark.parametrize("block", [1, 50, 300])
def test_blocks_change_nothing(monkeypatch, block):
    real, fake = sets(1, 50, 33, 7, offset=3, copies=0.3)
    whole = prdc(real, fake)
    monkeypatch.setattr(distances, "BLOCK", block)
    assert prdc(real, fake) == whole


@pytest.mark.parametrize(("n", "m", "d", "known"), [(40, 60, 8, (1.0, 0.675)), (20, 12, 30, (1.0, 0.4))])
def test_agrees_with_torch_fidelity(n, m, d, known):
    # torch-fidelity 0.4.0: metric_prc.prc_features_to_metric(fake, real, prc_neighborhood=3); it counts in float32.
    random = np.random.RandomState(0)
    fake, real = random.rand(m, d), random.rand(n, d) * 1.2
    assert prdc(real, fake)[:2] == pytest.approx(known, abs=1e-7)


def test_precision_and_recall_are_not_swapped():
    # Real images of two modes, fakes of one: all fakes look real, half of the real images are missing.
    random = np.random.default_rng(0)
    modes = np.repeat([[0.0] * 8, [100.0] * 8], 50, axis=0)
    real = modes + random.normal(size=modes.shape)
    fake = real[:50] + 1e-3 * random.normal(size=(50, 8))
    found = prdc(real, fake)
    assert (found.precision, found.recall, found.coverage) == (1, 0.5, 0.5)
    turned = prdc(fake, real)
    assert (turned.precision, turned.recall, turned.coverage) == (0.5, 1, 1)


def test_equal_sets_score_one():
    x = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
    assert prdc(x, x) == Four(1, 1, 1, 1)


def test_sets_apart_score_zero():
    x = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    assert prdc(x, x + 100) == Four(0, 0, 0, 0)


def test_a_collapsed_generator_keeps_precision_and_density_and_loses_the_rest():
    real = np.random.default_rng(0).normal(size=(80, 16)).astype(np.float32)
    found = prdc(real, np.tile(real[:1], (40, 1)))
    assert (found.precision, found.recall) == (1, 1 / 80)
    assert found.density > 0
    assert 0 < found.coverage < 0.5


@pytest.mark.parametrize(
    ("n", "m", "ks", "named"),
    [
        (3, 20, (3, 2), "3 real images cannot have 3"),
        (5, 20, (3, 5), "5 real images cannot have 5"),
        (20, 3, (3, 5), "3 generated images cannot have 3"),
        (20, 20, (0, 5), "20 real images cannot have 0"),
        (20, 20, (3, 0), "20 real images cannot have 0"),
    ],
)
def test_too_few_images_for_the_neighbours_are_named(n, m, ks, named):
    with pytest.raises(UserError, match=named):
        prdc(np.zeros((n, 2)), np.zeros((m, 2)), precision_k=ks[0], density_k=ks[1])


def test_few_fakes_need_no_neighbours_for_density():
    real, fake = sets(2, 20, 4, 3)
    assert prdc(real, fake) == brute_force(real, fake, 3, 5)
