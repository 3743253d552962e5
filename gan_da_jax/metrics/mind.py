"""MIND, the Monge Inception Distance (Berthet et al., 2026, arXiv:2605.06797) of any network's features."""

import numpy as np

from gan_da_jax.metrics import torch_draws
from gan_da_jax.metrics.inputs import pair
from gan_da_jax.metrics.measure import Inputs, Measure, Score

DIRECTIONS = 1000
SEED = 2020  # torch-fidelity's; the same for every set, as a distance by other directions is a little different
BLOCK = 2**22  # projections of one set held at once: 32 MiB


def mind(a: np.ndarray, b: np.ndarray, *, seed: int) -> float:
    """Compute 3 d times the sliced squared 2-Wasserstein distance, over 1,000 random directions.

    In one dimension the best transport pairs the k-th smallest number of one set with the k-th smallest of the other.
    So both sets are projected on each direction and sorted, and the squared differences averaged; d is the number of
    features. The mean over all directions of (u.v)^2 is |v|^2 / d, so a shift of a whole set by v gives about 3 |v|^2.

    Of the larger set as many images as the smaller one has are taken at random. These and then the directions are what
    the development version of torch-fidelity draws with `a` as its input 1 and `seed` as its `rng_seed`; here
    everything is computed in float64.

    The distance is biased upwards when images are few, at 2,048 features far less than FID: two sets of n images from
    one normal distribution are about 18 tr(C) / n apart, where C is its covariance.

    Args:
        a: float [n, d], finite, one image a row.
        b: float [m, d], finite, one image a row.
        seed: 0 .. 2^32 - 1.

    Returns:
        The distance, at least 0; 0 for equal sets.

    Raises:
        UserError: other shapes, or features that are not finite.
    """
    a, b = pair(a, b)
    random = np.random.RandomState(seed)
    n, d = min(len(a), len(b)), a.shape[1]
    a, b = (x[torch_draws.chosen(random, len(x), n)] if len(x) > n else x for x in (a, b))
    directions = torch_draws.normals(random, DIRECTIONS * d).reshape(DIRECTIONS, d)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    height = max(1, BLOCK // n)
    total = 0.0
    for start in range(0, DIRECTIONS, height):
        some = directions[start : start + height]
        total += np.sum((np.sort(some @ a.T, axis=1) - np.sort(some @ b.T, axis=1)) ** 2)
    return float(3 * d * total / (n * DIRECTIONS))


def _mind(inputs: Inputs) -> dict[str, float]:
    return {"mind": mind(inputs.features, inputs.real.features, seed=SEED)}


MEASURE = Measure(
    (
        Score(
            "mind",
            "MIND",
            "lower",
            "Berthet et al., 2026, arXiv:2605.06797",
            positive=True,
            chooses=True,
            distance=True,
            explanation="compares the whole distributions of the features of samples and originals, direction by "
            "direction. It is biased upwards with few images, less than FID: compare it only between equal "
            "classifiers, taps and numbers of images.",
        ),
    ),
    _mind,
    compared=True,
)
