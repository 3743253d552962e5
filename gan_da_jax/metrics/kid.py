"""The Kernel Inception Distance (Bińkowski et al., 2018, arXiv:1801.01401) of any network's features."""

from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import pair
from gan_da_jax.metrics.measure import Inputs, Measure, Score

SUBSETS = 100
_ROWS = 1000  # of the kernel's matrix at a time, so that memory stays bounded


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
    of_a, of_b = np.zeros((subsets, len(a))), np.zeros((subsets, len(b)))  # 1 where an image is in a subset
    for number in range(subsets):
        of_a[number, random.choice(len(a), size, replace=False)] = 1
        of_b[number, random.choice(len(b), size, replace=False)] = 1
    within = sum(_sums(x, x, of_x, of_x) - of_x @ _cube((x * x).sum(1), x) for x, of_x in ((a, of_a), (b, of_b)))
    values = within / (size * (size - 1)) - 2 * _sums(a, b, of_a, of_b) / size**2
    return Kid(float(np.mean(values)), float(np.std(values)), subsets, size)


def _sums(x: np.ndarray, y: np.ndarray, of_x: np.ndarray, of_y: np.ndarray) -> np.ndarray:
    """Sum the kernel over the pairs of each subset; every pair is computed once, for all subsets."""
    sums = np.zeros(len(of_x))
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        sums += np.einsum("sj,sj->s", of_x[:, rows] @ _cube(x[rows] @ y.T, x), of_y)
    return sums


def _cube(products: np.ndarray, x: np.ndarray) -> np.ndarray:
    base = products / x.shape[1] + 1
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
