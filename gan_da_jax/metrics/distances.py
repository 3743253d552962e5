"""Squared Euclidean distances between the rows of two matrices, for some rows at a time.

They come from matrix products, which round. Where a comparison must be exact, the few distances that rounding leaves in
doubt are computed again from the differences of the features: then equal rows are at a distance of 0 for certain.
"""

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


def bounded(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield some rows of x at a time, their squared distances [rows, m] to y, and a bound [rows, 1] of the error.

    Args:
        x: float64 [n, d].
        y: float64 [m, d].
    """
    x_norms, y_norms = (np.sqrt(np.sum(array**2, axis=1)) for array in (x, y))
    # A dot product of d numbers is off by at most d eps / 2 |x| |y|, in any order of addition; the squared
    # distance and the sum of the squared differences too, by less than this.
    unit = (x.shape[1] + 8) * np.finfo(np.float64).eps
    errors = unit * (x_norms + y_norms.max()) ** 2
    for rows in blocks(x, y):
        yield rows, squares(x[rows], y), errors[rows, None]


def settle(found: np.ndarray, doubtful: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Replace the doubtful squared distances, in place, by the sums of the squared differences.

    Args:
        found: float64 [n, m], the squared distances of x and y.
        doubtful: bool [n, m].
        x: float64 [n, d].
        y: float64 [m, d].
    """
    rows, columns = np.nonzero(doubtful)
    count = max(1, BLOCK // x.shape[1])
    for start in range(0, len(rows), count):
        i, j = rows[start : start + count], columns[start : start + count]
        found[i, j] = np.sum((x[i] - y[j]) ** 2, axis=1)


def settled_nearest(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield some rows of x at a time, the squared distance [rows] to the nearest of y, and which these are.

    Args:
        x: float64 [n, d].
        y: float64 [m, d].

    Yields:
        The rows; their distances; and bool [rows, m], true for the nearest rows of y: several where they are exactly
        equally far.
    """
    for rows, found, error in bounded(x, y):
        settle(found, found <= found.min(axis=1, keepdims=True) + 2 * error, x[rows], y)
        least = found.min(axis=1)
        yield rows, least, found == least[:, None]
