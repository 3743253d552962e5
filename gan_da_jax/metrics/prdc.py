"""Precision, recall, density and coverage of generated images, by nearest neighbours among any network's features.

The neighbourhood of an image is the Euclidean ball that reaches its k-th nearest neighbour in its own set, itself not
counted. Precision and recall (Kynkäänniemi et al., 2019, arXiv:1904.06991) count a point on the surface as inside;
density and coverage (Naeem et al., 2020, arXiv:2002.09797) as outside, as their authors compute them. So every
comparison is exact in float64, see `distances.settle`. Equal images are at a distance of 0 for certain.
"""

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import distances
from gan_da_jax.metrics.inputs import matrix, pair
from gan_da_jax.metrics.measure import Inputs, Measure, Score

PRECISION_K, DENSITY_K = 3, 5  # neighbours of precision and recall, and of density and coverage


def radii(x: np.ndarray, *, k: int, name: str) -> np.ndarray:
    """Compute the squared distance of every image to its k-th nearest other image.

    Args:
        x: float [n, d], finite, one image a row.
        k: neighbours, 1 <= k < n.
        name: what the images are, for messages.

    Returns:
        float64 [n].

    Raises:
        UserError: too few images for that many neighbours, another shape, or features that are not finite.
    """
    x = matrix(x)
    if not 1 <= k < len(x):
        raise UserError(
            f"{len(x)} {name} images cannot have {k} neighbours each: "
            "take more images, or a k of at least 1 that is below their number"
        )
    found = np.empty(len(x))
    for rows, squares, error in distances.bounded(x, x):
        # The nearest of all, at rank 0, is the row itself (or its equal, which comes to the same).
        reach = np.partition(squares, k, axis=1)[:, k, None]
        # Whatever lies beyond this is farther than the radius, however far the two are off.
        distances.settle(squares, squares <= reach + 2 * error, x[rows], x)
        found[rows] = np.partition(squares, k, axis=1)[:, k]
    return found


def share_inside(points: np.ndarray, others: np.ndarray, others_radii: np.ndarray) -> float:
    """Compute the share of points that lie in the neighbourhood of at least one of the others, or on its surface.

    Precision is the share of the generated images among the real ones, recall the share of the real images among the
    generated ones.

    Args:
        points: float [n, d], finite, one image a row.
        others: float [m, d], finite, one image a row.
        others_radii: float64 [m], as from `radii` of the others.

    Returns:
        The share, 0..1.

    Raises:
        UserError: other shapes, or features that are not finite.
    """
    points, others = pair(points, others)
    inside = 0
    for rows, squares, error in distances.bounded(points, others):
        distances.settle(squares, np.abs(squares - others_radii) <= error, points[rows], others)
        inside += int((squares <= others_radii).any(axis=1).sum())
    return float(inside / len(points))


def density_and_coverage(
    real: np.ndarray, generated: np.ndarray, real_radii: np.ndarray, *, k: int
) -> tuple[float, float]:
    """Compute how densely the generated images lie around the real ones, and how many real ones they cover.

    Args:
        real: float [n, d], finite, one image a row.
        generated: float [m, d], finite, one image a row, m >= 1.
        real_radii: float64 [n], as from `radii` of the real images with the same k.
        k: neighbours.

    Returns:
        Density, the mean number of real neighbourhoods around a generated image, over k: 0 or more, about 1 for equal
        distributions. Coverage, the share of the real images whose neighbourhood holds a generated image, 0..1.

    Raises:
        UserError: other shapes, or features that are not finite.
    """
    real, generated = pair(real, generated)
    dense, covered = 0, np.zeros(len(real), bool)
    for rows, squares, error in distances.bounded(generated, real):
        distances.settle(squares, np.abs(squares - real_radii) <= error, generated[rows], real)
        inside = squares < real_radii
        dense += int(inside.sum())
        covered |= inside.any(axis=0)
    return float(dense / (k * len(generated))), float(covered.mean())


def _precision(inputs: Inputs) -> dict[str, float]:
    real = inputs.real
    return {"precision": share_inside(inputs.features, real.features, real.once(radii, k=PRECISION_K, name="real"))}


def _recall(inputs: Inputs) -> dict[str, float]:
    real, generated = inputs.real, inputs.features
    own = radii(generated, k=PRECISION_K, name="generated")
    return {"recall": share_inside(real.features, generated, own)}


def _density_and_coverage(inputs: Inputs) -> dict[str, float]:
    real = inputs.real
    own = real.once(radii, k=DENSITY_K, name="real")
    density, coverage = density_and_coverage(real.features, inputs.features, own, k=DENSITY_K)
    return {"density": density, "coverage": coverage}


_PRECISION = "Kynkäänniemi et al., 2019, arXiv:1904.06991"
_DENSITY = "Naeem et al., 2020, arXiv:2002.09797"
_FIDELITY = "is the share of samples that lie among the originals: how good single samples are."
_VARIETY = "is the share of originals that lie among the samples: how varied the samples are."
PRECISION = Measure(
    (Score("precision", "Precision", "higher", _PRECISION, share=True, explanation=_FIDELITY),),
    _precision,
    compared=True,
)
RECALL = Measure(
    (Score("recall", "Recall", "higher", _PRECISION, share=True, explanation=_VARIETY),), _recall, compared=True
)
DENSITY_AND_COVERAGE = Measure(
    (
        Score(
            "density",
            "Density",
            "higher",
            _DENSITY,
            share=True,
            explanation="is like precision with less weight on outliers; it may exceed 1.",
        ),
        Score(
            "coverage",
            "Coverage",
            "higher",
            _DENSITY,
            share=True,
            explanation="is like recall with less weight on outliers.",
        ),
    ),
    _density_and_coverage,
    compared=True,
)
