import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gan_da_jax.metrics import distances

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(7, 5)), RANDOM.normal(size=(4, 5))


def test_squares_agree_with_scipy():
    np.testing.assert_allclose(distances.squares(X, Y), cdist(X, Y, "sqeuclidean"), rtol=1e-12)


@pytest.mark.parametrize(("block", "heights"), [(1, [1] * 7), (9, [2, 2, 2, 1]), (2**24, [7])])
def test_blocks_hold_every_row_once(monkeypatch, block, heights):
    monkeypatch.setattr(distances, "BLOCK", block)
    parts = [X[rows] for rows in distances.blocks(X, Y)]
    assert [len(part) for part in parts] == heights
    np.testing.assert_array_equal(np.concatenate(parts), X)


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_bounds_hold_and_what_is_settled_is_exact(offset):
    x, y = X + offset, Y + offset
    exact = np.array([[np.sum((p - q) ** 2) for q in y] for p in x])
    [(rows, found, error)] = distances.bounded(x, y)
    assert rows == slice(0, 2**24 // 4) and (np.abs(found - exact) <= error).all()
    doubtful = RANDOM.random(size=(7, 4)) < 0.5
    before = found.copy()
    distances.settle(found, doubtful, x, y)
    np.testing.assert_array_equal(found, np.where(doubtful, exact, before))


@pytest.mark.parametrize("block", [1, 9, 2**24])
def test_the_nearest_are_all_that_are_exactly_equally_far(monkeypatch, block):
    monkeypatch.setattr(distances, "BLOCK", block)
    x, y = RANDOM.integers(4, size=(30, 2)) * 0.1 + 1e3, RANDOM.integers(4, size=(20, 2)) * 0.1 + 1e3
    exact = np.array([[np.sum((p - q) ** 2) for q in y] for p in x])
    parts = list(distances.settled_nearest(x, y))
    np.testing.assert_array_equal(np.concatenate([least for _, least, _ in parts]), exact.min(axis=1))
    np.testing.assert_array_equal(
        np.concatenate([nearest for _, _, nearest in parts]), exact == exact.min(axis=1, keepdims=True)
    )
