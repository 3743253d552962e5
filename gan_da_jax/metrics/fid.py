"""The Fréchet Inception Distance (Heusel et al., 2017, arXiv:1706.08500) of any network's features."""

from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import matrix, same_width
from gan_da_jax.metrics.measure import Inputs, Measure, Score


class Statistics(NamedTuple):
    """The Gaussian fitted to a set of features.

    Attributes:
        mean: float64 [d].
        root: float64 [min(n, d), d]; root.T @ root is the covariance of the features (ddof 1).
    """

    mean: np.ndarray
    root: np.ndarray


def statistics(features: np.ndarray) -> Statistics:
    """Compute the mean and a root of the covariance of the features, in float64.

    Args:
        features: float [n, d], finite, n >= 2, one image a row.

    Raises:
        UserError: fewer than two images, another shape, or features that are not finite.
    """
    features = matrix(features)
    n, d = features.shape
    if n < 2:
        raise UserError("FID needs at least 2 images in each set; one set has 1")
    mean = features.mean(axis=0)
    root = (features - mean) / np.sqrt(n - 1)
    if n > d:
        values, vectors = np.linalg.eigh(root.T @ root)
        # Eigenvalues that are 0 come out a little below or above 0.
        root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return Statistics(mean, root)


def distance(a: Statistics, b: Statistics) -> float:
    """Compute |mean_a - mean_b|^2 + tr A + tr B - 2 tr sqrt(A B), where A and B are the covariances.

    The eigenvalues of A B are the squares of the singular values of root_a @ root_b.T, so the last trace is the sum of
    these. Nothing is inverted or multiplied out: only rounding is left with fewer images than features too, where the
    root of the product A B itself is badly conditioned, and the matrix is no larger than the sets.

    The distance is biased upwards when images are few: compare only distances of equally many images.

    Returns:
        The distance, at least 0; 0 for equal means and covariances.

    Raises:
        UserError: the statistics are of different numbers of features.
    """
    same_width(a.mean, b.mean)
    shared = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    return max(0.0, float(np.sum((a.mean - b.mean) ** 2) + np.sum(a.root**2) + np.sum(b.root**2) - 2 * shared))


def _fid(inputs: Inputs) -> dict[str, float]:
    return {"fid": distance(statistics(inputs.features), inputs.real.once(statistics))}


# The key serves every network; reports show the name that the network gives to its distance.
MEASURE = Measure(
    (
        Score(
            "fid",
            "FID",
            "lower",
            "Heusel et al., 2017, arXiv:1706.08500",
            positive=True,
            chooses=True,
            distance=True,
            named_by_network=True,
            explanation="compares the means and covariances of the features of samples and originals. It is biased "
            "upwards with few images: compare it only between equal classifiers, taps and numbers of images.",
        ),
    ),
    _fid,
    compared=True,
)
