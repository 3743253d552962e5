"""Generated images that are copies of training images: nearest neighbours in pixels or in any network's features."""

from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import distances
from gan_da_jax.metrics.inputs import matrix, same_width

USUAL = 0.01  # the share of real images that may be taken for copies


class Training(NamedTuple):
    """The training images, and what is unusually near to them.

    Attributes:
        images: float64 [n, d].
        variants: float64 [n, d] each, what else is searched: row i is made from image i, as by mirroring it.
        threshold: an image whose `Nearest.ratio` is below is taken for a copy.
        expected: the share of real images below it, 0..1.
    """

    images: np.ndarray
    variants: tuple[np.ndarray, ...]
    threshold: float
    expected: float


class Nearest(NamedTuple):
    """The training image next to each image.

    Attributes:
        image: int [m], its index.
        variant: int [m], what of it is near: 0 for the image itself, j for the j-th of the variants.
        ratio: float64 [m], 0..1: its distance over the second nearest training image's; 1 where both are 0.
    """

    image: np.ndarray
    variant: np.ndarray
    ratio: np.ndarray


def training(images: np.ndarray, *variants: np.ndarray) -> Training:
    """Find from the training images alone how near a real image comes to others.

    A distance by itself says little: blurred and pale images are near to everything. So the distance of the nearest
    training image is divided by the distance of the second nearest (the ratio test of Lowe, Distinctive image features
    from scale-invariant keypoints, 2004), which gives about 1 for any image but a copy. Each training image in turn is
    compared with all others, and the threshold is the k-th smallest of the n ratios, k = 1% of n + 1 or at least 1: a
    further real image is as likely to rank below it as any, so k in n + 1 are expected to. An image that was copied is
    found unless the training images hold it twice.

    Args:
        images: real numbers [n, d], one image a row; pixels or features.
        *variants: the same of what was made from each image, such as its mirror image, to find copies of that, too; an
            image is as far as the nearest of its variants.

    Raises:
        UserError: fewer than 3 images, other shapes, or numbers that are not finite.
    """
    images, variants = matrix(images), tuple(map(matrix, variants))
    if len(images) < 3:
        raise UserError(
            f"{len(images)} images are too few to know how near real ones come to each other: there must be at least 3"
        )
    ratios = _nearest(images, (images, *variants), itself=True).ratio
    rank = max(1, round(USUAL * (len(images) + 1)))
    return Training(images, variants, float(np.sort(ratios)[rank - 1]), rank / (len(images) + 1))


def nearest(samples: np.ndarray, training: Training) -> Nearest:
    """Find the training image next to each sample.

    Args:
        samples: real numbers [m, d], m >= 1, made as the training images were.
        training: as from the function of that name.

    Raises:
        UserError: other shapes, or numbers that are not finite.
    """
    samples = matrix(samples)
    same_width(samples, training.images)
    return _nearest(samples, (training.images, *training.variants), itself=False)


def share(found: Nearest, training: Training) -> float:
    """Compute the share of samples, 0..1, that are taken for copies; compare it with `training.expected`."""
    return float(np.mean(found.ratio < training.threshold))


def _nearest(x: np.ndarray, sets: tuple[np.ndarray, ...], *, itself: bool) -> Nearest:
    """Do as `nearest`; with `itself`, x is the first set, and an image's own variants are no neighbours of it."""
    parts = []
    for rows in distances.blocks(x, sets[0]):
        squares = np.maximum(distances.squares(x[rows], sets[0]), 0)
        variant = np.zeros(squares.shape, np.intp)
        for number, others in enumerate(sets[1:], 1):
            other = np.maximum(distances.squares(x[rows], others), 0)
            variant[other < squares] = number
            squares = np.minimum(squares, other)
        here = np.arange(len(squares))
        if itself:
            squares[here, here + rows.start] = np.inf
        image = np.argmin(squares, axis=1)
        first, second = np.sqrt(np.partition(squares, 1, axis=1)[:, :2]).T
        ratio = np.divide(first, second, out=np.ones(len(first)), where=second > 0)
        parts.append((image, variant[here, image], ratio))
    return Nearest(*(np.concatenate(part) for part in zip(*parts, strict=True)))
