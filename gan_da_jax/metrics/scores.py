"""All scores of a set of images at once, from the features that one classifier gives them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import classes, memorisation
from gan_da_jax.metrics.fid import fid
from gan_da_jax.metrics.inception_score import bootstrap_interval, inception_score
from gan_da_jax.metrics.kid import kid
from gan_da_jax.metrics.prdc import density_and_coverage, share_inside

Features = Mapping[str, np.ndarray]

KID_SUBSETS = 100
PRECISION_K, DENSITY_K = 3, 5  # neighbours of precision and recall, and of density and coverage
RESAMPLES = 1000  # of the bootstrap
FREQUENT = 10  # classes listed


def of_classes(features: Features, *, splits: int, seed: int, shuffle: bool) -> dict[str, Any]:
    """The Inception Score of one set.

    Args:
        features: float32 [n, K] under `logits`.
        splits: S, see `inception_score`.
        seed: of the bootstrap, and of the shuffle.
        shuffle: whether to shuffle the images by `numpy.random.RandomState(seed)` first, as torch-fidelity does: images
            sorted by class would score lower.

    Returns:
        `inception_score` {mean, std, splits}, `inception_score_1`, and `inception_score_1_interval` [low, high], the
        95% percentile interval of a bootstrap over the images. What cannot be computed is None, and `reasons` says why.
    """

    def logits() -> np.ndarray:
        found = _logits(features)
        return found[np.random.RandomState(seed).permutation(len(found))] if shuffle else found

    def split() -> dict[str, Any]:
        mean, std = inception_score(logits(), splits=splits)
        return {"inception_score": {"mean": mean, "std": std, "splits": splits}}

    def whole() -> dict[str, Any]:
        return {
            "inception_score_1": inception_score(logits(), splits=1)[0],
            "inception_score_1_interval": list(bootstrap_interval(logits(), resamples=RESAMPLES, seed=seed)),
        }

    return _join(
        _attempt(split, ("inception_score",)),
        _attempt(whole, ("inception_score_1", "inception_score_1_interval")),
    )


def against(features: Features, reference: Features | None, *, tap: str | None, seed: int) -> dict[str, Any]:
    """The distances of one set from a reference.

    Args:
        features: float32 [n, d] under `tap`.
        reference: float32 [m, d] under `tap`, or None where there is none.
        tap: the layer whose features are compared; None where nothing is.
        seed: of KID's subsets.

    Returns:
        `fid`, `kid` {mean, std, subsets, subset_size}, `precision`, `recall`, `density`, `coverage`. What cannot be
        computed is None, and `reasons` says why.
    """

    def sets() -> tuple[np.ndarray, np.ndarray]:
        if reference is None:
            raise UserError("there is no reference to compare with")
        return features[tap], reference[tap]

    def precision() -> dict[str, float]:
        fake, real = sets()
        return {"precision": share_inside(fake, real, k=PRECISION_K, name="real")}

    def recall() -> dict[str, float]:
        fake, real = sets()
        return {"recall": share_inside(real, fake, k=PRECISION_K, name="generated")}

    def dense() -> dict[str, float]:
        fake, real = sets()
        return dict(zip(("density", "coverage"), density_and_coverage(real, fake, k=DENSITY_K), strict=True))

    return _join(
        _attempt(lambda: {"fid": fid(*sets())}, ("fid",)),
        _attempt(lambda: {"kid": kid(*sets(), subsets=KID_SUBSETS, seed=seed)._asdict()}, ("kid",)),
        _attempt(precision, ("precision",)),
        _attempt(recall, ("recall",)),
        _attempt(dense, ("density", "coverage")),
    )


def of_each_image(features: Features, *, names: Sequence[str], wanted: Sequence[int]) -> dict[str, Any]:
    """What the classifier sees in single images, which the Inception Score says nothing about.

    Args:
        features: float32 [n, K] under `logits`.
        names: of the K classes.
        wanted: the numbers of the classes whose share is asked for; none if empty.

    Returns:
        `classes` {wanted, top1_share, mean_probability, most_frequent}: the names of the wanted classes; the share of
        images whose most probable class is one of them, and their mean probability, both 0 to 1 or None if none is
        wanted; and up to ten [name, images] of the classes that are most often the most probable one. None, with a
        reason in `reasons`, where there are no logits.
    """

    def compute() -> dict[str, Any]:
        probabilities = classes.probabilities(_logits(features))
        frequent = classes.most_frequent(probabilities, FREQUENT)
        return {
            "classes": {
                "wanted": [names[number] for number in wanted],
                "top1_share": classes.top1_share(probabilities, wanted) if wanted else None,
                "mean_probability": classes.mean_probability(probabilities, wanted) if wanted else None,
                "most_frequent": [[names[number], images] for number, images in frequent],
            }
        }

    return _attempt(compute, ("classes",))


def copies(
    training: Mapping[str, Sequence[np.ndarray]],
) -> Callable[[Mapping[str, np.ndarray]], tuple[dict[str, Any], memorisation.Nearest | None]]:
    """Prepares the search for copies of training images.

    Args:
        training: arrays [n, ...] under `pixels` and `features`: the images, and any variants of them, see
            `memorisation.training`.

    Returns:
        A function of the samples' arrays [m, ...] under the same names. It returns `memorisation` {pixels, features},
        each {share, expected}: the share of samples that are taken for copies, and that expected of real images. What
        cannot be computed is None, and `reasons` says why. Beside it, the training images nearest in pixels, or None.
    """
    known, unknown = {}, {}
    for name, variants in training.items():
        try:
            known[name] = memorisation.training(*map(_rows, variants))
        except UserError as error:
            unknown[name] = str(error)

    def search(samples: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], memorisation.Nearest | None]:
        found, shares, reasons = {}, dict.fromkeys(training), dict(unknown)
        for name, images in known.items():
            try:
                found[name] = memorisation.nearest(_rows(samples[name]), images)
                shares[name] = {"share": memorisation.share(found[name], images), "expected": images.expected}
            except UserError as error:
                reasons[name] = str(error)
        if "pixels" not in found:
            return {"memorisation": None, "reasons": {"memorisation": reasons["pixels"]}}, None
        reasons = {f"memorisation.{name}": reason for name, reason in reasons.items()}
        return {"memorisation": shares, "reasons": reasons}, found["pixels"]

    return search


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def _logits(features: Features) -> np.ndarray:
    if "logits" not in features:
        raise UserError("the weights end before the classifier's last layer")
    return features["logits"].astype(np.float64)


def _attempt(compute: Callable[[], dict], names: tuple[str, ...]) -> dict[str, Any]:
    try:
        return {**compute(), "reasons": {}}
    except UserError as error:
        return dict.fromkeys(names) | {"reasons": dict.fromkeys(names, str(error))}


def _join(*parts: dict[str, Any]) -> dict[str, Any]:
    reasons = {name: reason for part in parts for name, reason in part["reasons"].items()}
    return {name: value for part in parts for name, value in part.items()} | {"reasons": reasons}
