"""The Vendi score (Friedman and Dieng, 2023, arXiv:2210.02410): how many different images a set holds, in effect."""

import numpy as np
from scipy.special import entr

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import matrix
from gan_da_jax.metrics.measure import Inputs, Measure, Score


def vendi(features: np.ndarray) -> float:
    """Compute exp of the entropy of the eigenvalues of K / n, where K holds the cosines between all n images.

    This is the score of order 1. K is X X^T, with X the features at length 1; X^T X has the same eigenvalues but for
    zeros, so the smaller of the two is decomposed, in float64.

    Args:
        features: float [n, d], finite, no row all 0, one image a row.

    Returns:
        The score, 1 .. min(n, d): 1 where all features point the same way, n where each is orthogonal to all others. It
        grows with n.

    Raises:
        UserError: a row without a direction, another shape, or features that are not finite.
    """
    x = matrix(features)
    largest = np.abs(x).max(axis=1, keepdims=True)
    if missing := np.count_nonzero(largest == 0):
        raise UserError(
            f"{missing} of {len(x)} images have features that are all 0, which point nowhere: "
            "the Vendi score compares directions"
        )
    x = x / largest  # so that no square overflows
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    n, d = x.shape
    values = np.linalg.eigvalsh(x @ x.T if n <= d else x.T @ x) / n
    # Eigenvalues that are 0 come out a little below or above 0.
    return float(np.exp(entr(np.maximum(values, 0)).sum()))


def _vendi(inputs: Inputs) -> dict[str, float]:
    features = inputs.features
    if inputs.limit is not None and inputs.limit < len(features):
        features = features[np.random.RandomState(inputs.seed).choice(len(features), inputs.limit, replace=False)]
    return {"vendi": vendi(features)}


MEASURE = Measure(
    (
        Score(
            "vendi",
            "Vendi score",
            "higher",
            "Friedman and Dieng, 2023, arXiv:2210.02410",
            real="real_vendi",
            explanation="is how many different samples there are, in effect: 1 if all are alike. It says nothing of "
            "their quality, and grows with the number of images, so it is taken over equally many samples and "
            "originals, drawn at random from the larger set: compare it with the originals' own.",
        ),
    ),
    _vendi,
)
