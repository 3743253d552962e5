"""The Kernel Inception Distance (Bińkowski et al., 2018, arXiv:1801.01401) of any network's features."""

from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import pair
from gan_da_jax.metrics.measure import Inputs, Measure, Score

SUBSETS = 100


class Kid(NamedTuple):
    """KID and how it was measured.

    Attributes:
        mean: over the subsets; slightly below 0 is valid and says that the sets are alike.
        std: over the subsets, ddof 0. It falls to 0 as the subsets come to hold whole sets.
        subsets: their number.
        subset_size: images of each set in each.
    """

    mean: float
    std: float
    subsets: int
    subset_size: int


def kid(a: np.ndarray, b: np.ndarray, *, subsets: int, subset_size: int | None = None, seed: int) -> Kid:
    """Compute the unbiased squared maximum mean discrepancy under the kernel (x.y / d + 1)^3, over random subsets.

    Each subset is drawn without replacement by one `numpy.random.RandomState(seed)`, first from `a`, then from `b`:
    the draws of torch-fidelity with `a` as its input 1 and `seed` as its `rng_seed`. Everything is computed in float64.

    Args:
        a: float [n, d], finite, one image a row.
        b: float [m, d], finite, one image a row.
        subsets: their number, at least 1.
        subset_size: images of each set in each subset, 2 .. min(n, m); None takes min(1000, min(n, m) // 2), as larger
            subsets overlap so far that their spread says little.
        seed: 0 .. 2^32 - 1.

    Raises:
        UserError: no subsets, a subset size out of its range, other shapes, or features that are not finite.
    """
    a, b = pair(a, b)
    smaller = min(len(a), len(b))
    size = min(1000, smaller // 2) if subset_size is None else subset_size
    if subsets < 1:
        raise UserError(f"KID needs at least 1 subset; {subsets} were asked for")
    if not 2 <= size <= smaller:
        raise UserError(
            f"KID's subset size {size} does not fit sets of {len(a)} and {len(b)} images: "
            "it must be at least 2 and at most the size of the smaller set (by default it is half of that)"
        )
    random = np.random.RandomState(seed)
    values = [
        _mmd2(a[random.choice(len(a), size, replace=False)], b[random.choice(len(b), size, replace=False)])
        for _ in range(subsets)
    ]
    return Kid(float(np.mean(values)), float(np.std(values)), subsets, size)


def _mmd2(x: np.ndarray, y: np.ndarray) -> float:
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    m = len(x)
    return (xx.sum() - xx.trace() + yy.sum() - yy.trace()) / (m * (m - 1)) - 2 * xy.mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = x @ y.T / x.shape[1] + 1
    return base * base * base  # many times faster than NumPy's power


def _measure(inputs: Inputs) -> dict[str, dict]:
    return {"kid": kid(inputs.features, inputs.real.features, subsets=SUBSETS, seed=inputs.seed)._asdict()}


MEASURE = Measure(
    (
        Score(
            "kid",
            "KID",
            "lower",
            "Bińkowski et al., 2018, arXiv:1801.01401",
            spread=True,
            chooses=True,
            distance=True,
            explanation="compares all moments of the features up to the third. It is not biased with few images, and "
            "may fall below 0.",
        ),
    ),
    _measure,
    compared=True,
)
