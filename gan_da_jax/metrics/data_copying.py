"""The test for data-copying C_T (Meehan, Chaudhuri and Dasgupta, 2020, arXiv:2004.05675) in any network's features."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2, vq

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import distances
from gan_da_jax.metrics.inputs import pair
from gan_da_jax.metrics.measure import Inputs, Measure, Score

FEWEST = 20  # held-out images, and samples, in a cell that counts: from there on its z is about normal
USUAL = 50  # of the smallest set in a cell, on average: then few cells hold too few
ITERATIONS = 50  # of k-means; any partition is valid


class Cell(NamedTuple):
    """A part of the features' space, and what lies in it.

    Attributes:
        z: of the Mann-Whitney test; below 0 where samples are nearer to training images than held-out images are.
        held_out: how many of these images.
        samples: how many.
    """

    z: float
    held_out: int
    samples: int


class DataCopying(NamedTuple):
    """Whether samples lie nearer to the training images than further real images do.

    Attributes:
        c_t: the mean z of the cells that count, weighted by their held-out images: below 0 for copies, above 0 for
            samples that are too far from all training images.
        z: `c_t` over its standard deviation; of samples as good as the held-out images it is about standard normal.
        cells: those that count.
        left_out: cells that do not, as they hold fewer than 20 held-out images or samples, or no training image.
    """

    c_t: float
    z: float
    cells: tuple[Cell, ...]
    left_out: int


def data_copying(training: np.ndarray, held_out: np.ndarray, samples: np.ndarray, *, seed: int) -> DataCopying:
    """Compare the distances of samples and of held-out images to the nearest training image, in each of some cells.

    The cells are those of k-means on the training images, one for every 50 images of the smallest set, or one in all.
    Cells and distances are of the whole features; the authors reduce theirs by PCA, to 64 components for Inception.
    Distances are exact in float64, so a copy is at 0 for certain.

    A GAN that copies in one place and misses in another, which cancels in one test over all, is found by its cells.
    But whatever is paler or more blurred than real images is nearer to all training images, too: of normal features,
    1,000 good samples moved a tenth of the way to the mean reach a z of -6 to -20 with no copy among them. So a low z
    says that samples are too near, and only pictures, or `memorisation`, that they are copies.

    Args:
        training: float [n, d], finite, one image a row: the images that the GAN was trained on.
        held_out: float [m, d], finite: real images of the same kind that it was not trained on.
        samples: float [k, d], finite.
        seed: of the first centres of k-means, 0 .. 2^32 - 1.

    Raises:
        UserError: no cell holds 20 held-out images and 20 samples; other shapes, or features that are not finite.
    """
    training, held_out = pair(training, held_out)
    training, samples = pair(training, samples)
    count = max(1, min(len(training), len(held_out), len(samples)) // USUAL)
    centres = _centres(training, count, seed)
    of_training, of_held_out, of_samples = (vq(x, centres)[0] for x in (training, held_out, samples))
    cells = []
    for cell in range(count):
        known, real, made = training[of_training == cell], held_out[of_held_out == cell], samples[of_samples == cell]
        if len(known) and min(len(real), len(made)) >= FEWEST:
            cells.append(Cell(mann_whitney(_reach(made, known), _reach(real, known)), len(real), len(made)))
    if not cells:
        raise UserError(
            f"{len(held_out)} held-out images and {len(samples)} samples are too few to test for copies: of the "
            f"{count} parts of the training images none is near to {FEWEST} of each"
        )
    weights = np.array([cell.held_out for cell in cells]) / sum(cell.held_out for cell in cells)
    c_t = float(weights @ [cell.z for cell in cells])
    return DataCopying(c_t, c_t / float(np.linalg.norm(weights)), tuple(cells), count - len(cells))


def mann_whitney(x: np.ndarray, y: np.ndarray) -> float:
    """Compute the z of Mann and Whitney's test, corrected for ties, not for continuity.

    Args:
        x: float [n], n >= 1.
        y: float [m], m >= 1.

    Returns:
        Below 0 where numbers of x tend to be smaller than numbers of y; 0 where all are equal.
    """
    n, m = len(x), len(y)
    _, place, ties = np.unique(np.concatenate([x, y]), return_inverse=True, return_counts=True)
    ranks = np.cumsum(ties) - (ties - 1) / 2  # equal numbers share the mean of their ranks
    above = ranks[place[:n]].sum() - n * (n + 1) / 2  # pairs in which x is above y, ties as halves
    total = n + m
    tied = np.sum(ties.astype(np.float64) ** 3 - ties) / (total * (total - 1))
    variance = n * m / 12 * (total + 1 - tied)
    return float((above - n * m / 2) / np.sqrt(variance)) if variance > 0 else 0.0


def _centres(training: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Find the centres [count, d] of k-means, from random training images on."""
    first = training[np.random.RandomState(seed).choice(len(training), count, replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of cells without a training image, which do not count
        return kmeans2(training, first, iter=ITERATIONS, minit="matrix")[0]


def _reach(images: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Compute the squared distance of each image to its nearest training image; squares have the same ranks."""
    return np.concatenate([least for _, least, _ in distances.settled_nearest(images, training)])


def _data_copying(inputs: Inputs) -> dict[str, float]:
    training, held_out = inputs.originals.features, inputs.reference.features
    return {"c_t": data_copying(training, held_out, inputs.features, seed=inputs.seed).c_t}


MEASURE = Measure(
    (
        Score(
            "c_t",
            "C_T",
            "near 0",
            "Meehan, Chaudhuri and Dasgupta, 2020, arXiv:2004.05675",
            explanation="tests whether samples are nearer to the originals than real images held out are: about 0 for "
            "samples like further real images, far below 0 for copies and for blurred or pale samples; above 0 for "
            "samples far from all originals.",
        ),
    ),
    _data_copying,
)
