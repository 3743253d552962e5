"""Squared Euclidean distances between the rows of two matrices, for some rows at a time."""

from collections.abc import Iterator

import numpy as np

BLOCK = 2**24  # distances held at once: 128 MiB


def blocks(x: np.ndarray, y: np.ndarray) -> Iterator[slice]:
    """Yield the rows of x in blocks, each as large as `BLOCK` distances to y allow, one row at least."""
    height = max(1, BLOCK // len(y))
    for start in range(0, len(x), height):
        yield slice(start, start + height)


def squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute the squared distances [n, m] of the rows of float64 [n, d] and [m, d], exact but for rounding.

    Rounding may leave equal rows apart and make a square negative, by far less than any other distance.
    """
    found = x @ y.T
    found *= -2
    found += np.sum(x**2, axis=1)[:, None]
    found += np.sum(y**2, axis=1)
    return found
