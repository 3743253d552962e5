"""What features must be for every metric: matrices of finite numbers, all of the same width."""

import numpy as np

from gan_da_jax.errors import UserError


def matrix(features: np.ndarray) -> np.ndarray:
    """Convert features to float64.

    Args:
        features: real numbers [n, d], n and d at least 1, one image a row.

    Raises:
        UserError: another shape, or numbers that are not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or not features.size:
        raise UserError(
            f"features of shape {list(features.shape)} cannot be compared: there must be one row of numbers an image"
        )
    if not np.isfinite(features).all():
        raise UserError(
            "some features are not finite (NaN or infinity): the network's weights or the images are damaged"
        )
    return features


def require_finite(outputs: np.ndarray) -> None:
    """Raise a `UserError` unless all outputs of a classifier are finite."""
    if not np.isfinite(outputs).all():
        raise UserError(
            "the classifier gives outputs that are not finite (NaN or infinity): its weights or the images are damaged"
        )


def same_width(a: np.ndarray, b: np.ndarray) -> None:
    """Raise a `UserError` unless the last axes, the features of an image, are equally long."""
    if a.shape[-1] != b.shape[-1]:
        raise UserError(
            f"{a.shape[-1]} features an image cannot be compared with {b.shape[-1]}: take both sets from the same layer"
        )


def pair(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert both sets of features to float64, [n, d] and [m, d]; UserError as in `matrix` and `same_width`."""
    a, b = matrix(a), matrix(b)
    same_width(a, b)
    return a, b
