"""Precision, recall, density and coverage of generated images, by nearest neighbours among any network's features."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import pair

_BLOCK = 2**24  # numbers held at once in a block of distances: 128 MiB


class Prdc(NamedTuple):
    """The four scores.

    Attributes:
        precision: share of the fakes that lie in the neighbourhood of a real image, 0 .. 1: how good they look.
        recall: share of the real images that lie in the neighbourhood of a fake, 0 .. 1: how varied the fakes are.
        density: mean number of real neighbourhoods around a fake, over density_k; 0 or more, about 1 for equal
            distributions.
        coverage: share of the real images whose neighbourhood holds a fake, 0 .. 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def prdc(real: np.ndarray, fake: np.ndarray, *, precision_k: int = 3, density_k: int = 5) -> Prdc:
    """Scores the fakes against the real images; the order of the arguments matters.

    The neighbourhood of an image is the Euclidean ball that reaches its k-th nearest neighbour in its own set, itself
    not counted. Precision and recall (Kynkäänniemi et al., 2019, arXiv:1904.06991) count a point on the surface as
    inside; density and coverage (Naeem et al., 2020, arXiv:2002.09797) as outside, as their authors compute them.
    So every comparison is exact in float64: distances come from matrix products, and the few too close to a radius for
    these to decide are taken anew from the differences. Equal images are at a distance of 0 for certain.

    Args:
        real: float [n, d], finite, one image a row.
        fake: float [m, d], likewise.
        precision_k: neighbours of precision and recall, 1 <= precision_k < min(n, m).
        density_k: neighbours of density and coverage, 1 <= density_k < n.

    Raises:
        UserError: too few images for that many neighbours, other shapes, or features that are not finite.
    """
    real, fake = pair(real, fake)
    return Prdc(
        share_inside(fake, real, k=precision_k, name="real"),
        share_inside(real, fake, k=precision_k, name="generated"),
        *density_and_coverage(real, fake, k=density_k),
    )


def share_inside(points: np.ndarray, others: np.ndarray, *, k: int, name: str) -> float:
    """The share of `points` in the neighbourhood of at least one of `others`, which alone have to be more than k.

    Precision is that of the fakes among the real images, recall that of the real images among the fakes.

    Args:
        points: float [n, d], finite.
        others: float [m, d], finite.
        k: neighbours, 1 <= k < m.
        name: what `others` are, for messages.

    Raises:
        UserError: as `prdc`.
    """
    points, others = pair(points, others)
    radii = _radii(others, k, name)
    found = 0
    for rows, squares, error in _blocks(points, others):
        _settle(squares, np.abs(squares - radii) <= error, points[rows], others)
        found += (squares <= radii).any(axis=1).sum()
    return float(found / len(points))


def density_and_coverage(real: np.ndarray, fake: np.ndarray, *, k: int) -> tuple[float, float]:
    """Density and coverage, see `prdc`; any number of fakes will do."""
    real, fake = pair(real, fake)
    radii = _radii(real, k, "real")
    dense, covered = 0, np.zeros(len(real), bool)
    for rows, squares, error in _blocks(fake, real):
        _settle(squares, np.abs(squares - radii) <= error, fake[rows], real)
        inside = squares < radii
        dense += inside.sum()
        covered |= inside.any(axis=0)
    return float(dense / (k * len(fake))), float(covered.mean())


def _radii(x: np.ndarray, k: int, name: str) -> np.ndarray:
    """The squared distances [n] of every row to its k-th nearest other row."""
    if not 1 <= k < len(x):
        raise UserError(
            f"{len(x)} {name} images cannot have {k} neighbours each: "
            "take more images, or a k of at least 1 that is below their number"
        )
    radii = np.empty(len(x))
    for rows, squares, error in _blocks(x, x):
        # The nearest of all, at rank 0, is the row itself (or its equal, which comes to the same).
        reach = np.partition(squares, k, axis=1)[:, k, None]
        # Whatever lies beyond this is farther than the radius, however far the two are off.
        _settle(squares, squares <= reach + 2 * error, x[rows], x)
        radii[rows] = np.partition(squares, k, axis=1)[:, k]
    return radii


def _blocks(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Some rows of x at a time, their squared distances [rows, m] to all of y, and a bound [rows, 1] of the error."""
    x_squares, y_squares = np.sum(x**2, axis=1), np.sum(y**2, axis=1)
    # A dot product of d numbers is off by at most d eps / 2 |x| |y|, in whatever order it is added up; the squared
    # distance therefore, and that of the differences too, by less than this.
    unit = (x.shape[1] + 8) * np.finfo(np.float64).eps
    errors = unit * (np.sqrt(x_squares) + np.sqrt(y_squares.max())) ** 2
    height = max(1, _BLOCK // len(y))
    for start in range(0, len(x), height):
        rows = slice(start, start + height)
        squares = x[rows] @ y.T
        squares *= -2
        squares += x_squares[rows, None]
        squares += y_squares
        yield rows, squares, errors[rows, None]


def _settle(squares: np.ndarray, doubtful: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    """Replaces the doubtful squared distances by those of the differences, in place."""
    rows, columns = np.nonzero(doubtful)
    count = max(1, _BLOCK // x.shape[1])
    for start in range(0, len(rows), count):
        i, j = rows[start : start + count], columns[start : start + count]
        squares[i, j] = np.sum((x[i] - y[j]) ** 2, axis=1)
