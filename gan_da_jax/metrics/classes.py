"""What a classifier sees in images: the share of a set of classes, and which images it is surest and least sure of."""

import difflib
import re
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import require_finite


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Compute the softmax of logits [n, K], in float64."""
    return softmax(np.asarray(logits, np.float64), axis=1)


def select(wanted: Sequence[str | int], classes: Sequence[str]) -> tuple[int, ...]:
    """Find the numbers of the classes that are named.

    Args:
        wanted: names or numbers, as in ("pomeranian", 259, "260"). Upper and lower case count as the same, and so do
            spaces, hyphens and underscores. Where several classes have the name, as `crane`, all are meant.
        classes: the names of all classes, in the order of their numbers, from 0.

    Returns:
        The numbers, ascending, each once.

    Raises:
        UserError: nothing is wanted, or a class that does not exist; the message gives close names.
    """
    if not wanted:
        raise UserError("no class is named: give names or numbers, as in pomeranian or 259")
    if not classes:
        raise UserError("this classifier has no classes to choose from: leave the names out")
    by_name: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        by_name.setdefault(_plain(name), []).append(number)
    numbers = set()
    for entry in wanted:
        text, name = str(entry).strip(), _plain(str(entry))
        if text.isdecimal() and int(text) < len(classes):
            numbers.add(int(text))
        elif name in by_name and not re.fullmatch(r"[-+]?\d+", text):
            numbers.update(by_name[name])
        else:
            close = [classes[by_name[match][0]] for match in difflib.get_close_matches(name, by_name, 3)]
            known = f"give a name, or a number in 0..{len(classes) - 1}"
            hint = f"did you mean {', '.join(close)}?" if close else known
            raise UserError(f"there is no class {str(entry)!r}: {hint}")
    return tuple(sorted(numbers))


def top1_share(probabilities: np.ndarray, chosen: Sequence[int]) -> float:
    """Compute the share of images, 0..1, whose most probable class is in `chosen`.

    Args:
        probabilities: float [n, K], n >= 1, one image a row; of equal ones the first counts.
        chosen: numbers of classes, 0..K-1, as from `select`.

    Raises:
        UserError: as `predictions`.
    """
    return float(np.isin(predictions(probabilities), chosen).mean())


def mean_probability(probabilities: np.ndarray, chosen: Sequence[int]) -> float:
    """Average over images the probability, 0..1, that the class is one of `chosen`; arguments as `top1_share`."""
    return float(_matrix(probabilities)[:, list(chosen)].sum(axis=1).mean())


def most_frequent(probabilities: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Find the classes that are the most probable one in most images.

    Args:
        probabilities: as in `top1_share`.
        count: how many classes at most.

    Returns:
        Pairs of a class's number and of its images, most images first, of equally many the lower number first; classes
        of no image are left out.

    Raises:
        UserError: as `predictions`.
    """
    numbers, images = np.unique(predictions(probabilities), return_counts=True)
    order = np.argsort(-images, kind="stable")[:count]
    return [(int(numbers[i]), int(images[i])) for i in order]


def by_certainty(probabilities: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the images that the classifier is surest and least sure of, by the probability of their most probable class.

    Args:
        probabilities: as in `top1_share`.
        count: how many of either at most.

    Returns:
        The indices of the most certain images, the surest first, and of the least certain ones, the least sure first:
        int [min(count, n)] each. Of equally certain images the first in order comes first.

    Raises:
        UserError: as `predictions`.
    """
    certainty = _matrix(probabilities).max(axis=1)
    return np.argsort(-certainty, kind="stable")[:count], np.argsort(certainty, kind="stable")[:count]


def predictions(probabilities: np.ndarray) -> np.ndarray:
    """Find the most probable class of every image, int [n]; arguments as `top1_share`.

    Raises:
        UserError: there is no image, another shape, or a number that is not finite.
    """
    return _matrix(probabilities).argmax(axis=1)


def _matrix(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or not probabilities.size:
        shape = list(probabilities.shape)
        raise UserError(f"class probabilities of shape {shape} say nothing: there must be images, one a row")
    require_finite(probabilities)
    return probabilities


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")
