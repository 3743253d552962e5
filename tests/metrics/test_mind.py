import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from gan_da_jax.metrics import mind as module
from gan_da_jax.metrics.fid import distance, statistics
from gan_da_jax.metrics.mind import mind

torch = pytest.importorskip("torch")

SEEDS = st.integers(0, 2**32 - 1)


def drawn(n, m, d, seed):
    """The images of both sets and the unit directions, as torch draws them in this order."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randperm(k, generator=generator)[: min(n, m)].numpy() if k > min(n, m) else range(k) for k in (n, m)]
    directions = torch.randn(1000, d, generator=generator).numpy().astype(np.float64)
    return *rows, directions / np.linalg.norm(directions, axis=1, keepdims=True)


def by_loops(a, b, directions):
    """The definition, one direction and one pair of images after the other."""
    total = 0.0
    for u in directions:
        for p, q in zip(sorted(x @ u for x in a), sorted(y @ u for y in b), strict=True):
            total += (p - q) ** 2
    return 3 * a.shape[1] * total / (len(a) * len(directions))


@given(n=st.integers(1, 9), m=st.integers(1, 9), d=st.integers(1, 6), seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_agrees_with_the_definition_over_torchs_draws(n, m, d, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(n, d)), random.normal(1, 2, size=(m, d))
    rows, others, directions = drawn(n, m, d, seed)
    assert mind(a, b, seed=seed) == pytest.approx(by_loops(a[rows], b[others], directions), rel=1e-5, abs=1e-9)


def test_agrees_with_what_torch_computes_in_float32_at_the_width_of_inception():
    random = np.random.default_rng(0)
    a, b = random.gamma(0.3, size=(300, 2048)), random.gamma(0.35, size=(250, 2048))
    generator = torch.Generator().manual_seed(2020)
    x, y = (torch.from_numpy(s.astype(np.float32)) for s in (a, b))
    x = x[torch.randperm(300, generator=generator)[:250]]
    u = torch.nn.functional.normalize(torch.randn(1000, 2048, generator=generator))
    squares = ((x @ u.T).sort(dim=0)[0] - (y @ u.T).sort(dim=0)[0]) ** 2
    assert mind(a, b, seed=2020) == pytest.approx(3 * 2048 * squares.mean().item(), rel=1e-5)


def test_of_one_feature_every_direction_is_the_same():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 40, 1))
    assert mind(a, b, seed=0) == pytest.approx(3 * np.mean((np.sort(a[:, 0]) - np.sort(b[:, 0])) ** 2), rel=1e-12)
    shifted = a + wasserstein_distance(a[:, 0], a[:, 0] + 5)  # 5, by SciPy
    assert mind(a, shifted, seed=0) == pytest.approx(75, rel=1e-12)


@given(n=st.integers(1, 30), d=st.integers(1, 20), seed=SEEDS)
@settings(deadline=None, max_examples=30)
def test_a_shift_counts_as_its_projections_and_equal_sets_are_at_0(n, d, seed):
    random = np.random.default_rng(seed)
    a, v = random.normal(size=(n, d)), random.normal(0, 10, size=d)
    directions = drawn(n, n, d, seed)[-1]
    assert mind(a, a, seed=seed) == 0
    assert mind(a, a + v, seed=seed) == pytest.approx(3 * d * np.mean((directions @ v) ** 2), rel=1e-5)


def test_a_shift_by_v_comes_to_three_times_its_square():
    random = np.random.default_rng(0)
    a, v = random.normal(size=(50, 256)), random.normal(size=256)
    assert mind(a, a + v, seed=1) == pytest.approx(3 * v @ v, rel=0.1)  # sd over 1,000 directions: sqrt(2 / 1000)


@given(n=st.integers(2, 20), d=st.integers(1, 10), scale=st.sampled_from([0.5, 2.0, 1024.0]), seed=SEEDS)
@settings(deadline=None, max_examples=30)
def test_it_grows_as_the_square_of_the_scale_and_knows_no_order_or_side(n, d, scale, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(n, d)), random.normal(0.5, 1.5, size=(n, d))
    found = mind(a, b, seed=seed)
    assert mind(scale * a, scale * b, seed=seed) == pytest.approx(scale**2 * found, rel=1e-10)
    assert mind(b, a, seed=seed) == pytest.approx(found, rel=1e-10)
    assert mind(random.permutation(a), random.permutation(b), seed=seed) == pytest.approx(found, rel=1e-10)


def test_blocks_change_nothing_but_rounding(monkeypatch):
    a, b = np.random.default_rng(0).normal(size=(2, 30, 5))
    whole = mind(a, b, seed=0)
    for block in (1, 100):
        monkeypatch.setattr(module, "BLOCK", block)
        assert mind(a, b, seed=0) == pytest.approx(whole, rel=1e-12)


def test_it_orders_samples_that_move_away_and_sees_what_means_and_covariances_do_not():
    random = np.random.default_rng(0)
    real, fresh = random.normal(size=(2, 500, 16))
    floor = mind(real, fresh, seed=2020)
    found = [mind(real, fresh + 0.1 * step, seed=2020) for step in range(1, 5)]
    assert found == sorted(found) and found[0] > floor > 0
    # Of the same means and covariances, but at the corners of a cube.
    cube = random.choice([-1.0, 1.0], size=(500, 2))
    real, fresh = random.normal(size=(2, 500, 2))
    assert mind(real, cube, seed=2020) > 5 * mind(real, fresh, seed=2020)
    assert distance(statistics(real), statistics(cube)) < 0.05


def test_draws_follow_the_seed_alone():
    a, b = np.random.default_rng(0).normal(size=(2, 30, 4))
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = mind(a[:20], b, seed=7)
    assert (np.random.get_state()[1] == state).all()
    assert mind(a[:20], b, seed=7) == first != mind(a[:20], b, seed=8)
