"""Authenticity (Alaa et al., 2022, arXiv:2102.08921): the share of samples that are not very near a training image."""

import numpy as np

from gan_da_jax.metrics import distances
from gan_da_jax.metrics.inputs import pair
from gan_da_jax.metrics.measure import Inputs, Measure, Score
from gan_da_jax.metrics.prdc import radii


def authenticity(training: np.ndarray, samples: np.ndarray) -> float:
    """Compute the share of samples farther from their nearest training image than that is from its own nearest.

    Comparisons are exact in float64. Of training images at exactly the same distance from a sample, the one whose own
    nearest is farthest counts. A training image that is there twice is at a distance of 0 from its own nearest, so only
    samples equal to it are copies of it.

    There is no fixed value for samples that copy nothing: of 1,000 and 1,000 images of one normal distribution 0.37 are
    authentic with 2 features, 0.6 with 8 and 0.88 with 512; of the same samples moved a fifth of the way to the mean,
    as blurred images are, 0.34, 0.48 and 0. Hold it against the value of held-out real images.

    Args:
        training: float [n, d], finite, n >= 2, one image a row.
        samples: float [m, d], finite, one image a row.

    Returns:
        The share, 0..1; 0 where all samples are training images.

    Raises:
        UserError: fewer than two training images, other shapes, or features that are not finite.
    """
    training, samples = pair(training, samples)
    own = radii(training, k=1, name="training")
    authentic = 0
    for _, least, nearest in distances.settled_nearest(samples, training):
        authentic += int((least > np.where(nearest, own, 0).max(axis=1)).sum())
    return authentic / len(samples)


def _authenticity(inputs: Inputs) -> dict[str, float]:
    return {"authenticity": authenticity(inputs.originals.features, inputs.features)}


MEASURE = Measure(
    (
        Score(
            "authenticity",
            "Authenticity",
            "higher",
            "Alaa et al., 2022, arXiv:2102.08921",
            share=True,
            explanation="is the share of samples that are farther from the nearest original than that is from its own "
            "nearest. The others may be copies, or blurred or pale: compare it with the share of copies. Further real "
            "images score between about 0.4 and 0.9, so such a value by itself says nothing.",
        ),
    ),
    _authenticity,
)
