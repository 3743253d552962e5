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
