"""All scores of a set of images at once, from the features that one classifier gives them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import classes, columns, memorisation
from gan_da_jax.metrics.measure import Inputs, Measure, Reference

Features = Mapping[str, np.ndarray]  # float32 [n, d] by the tap of the network that they come from

FREQUENT = 10  # classes listed


def of_set(
    features: Features,
    reference: Reference | None,
    *,
    tap: str | None,
    splits: int,
    seed: int,
    shuffle: bool = False,
) -> dict[str, Any]:
    """Compute every score of the catalogue for one set of images.

    Args:
        features: float32 [n, K] under `logits` and [n, d] under `tap`, as far as the network gives them.
        reference: the real images' features under `tap`; None where there are none.
        tap: the layer whose features are compared; None where nothing is.
        splits: parts of the Inception Score.
        seed: of the shuffle, the bootstrap, KID's subsets and the images that the Vendi score looks at.
        shuffle: whether to shuffle the logits by `numpy.random.RandomState(seed)` first, as torch-fidelity does: images
            sorted by class would get a lower Inception Score.

    Returns:
        The fields that `columns.MEASURES` fill. A score that cannot be computed is None, and `reasons` says why.
    """
    limit = None if reference is None else len(reference.features)
    inputs = _inputs(features, reference, tap=tap, splits=splits, seed=seed, limit=limit, shuffle=shuffle)
    return _compute(columns.MEASURES, inputs)


def of_real(features: Features, *, tap: str | None, samples: int, splits: int, seed: int) -> dict[str, Any]:
    """Compute the scores of the real images themselves, as far as the catalogue has fields for them.

    Args:
        features: as in `of_set`, of the real images.
        tap: as in `of_set`; None leaves out the scores of features.
        samples: generated images that these scores are read beside: a score that depends on the number of images looks
            at no more than these.
        splits: as in `of_set`.
        seed: as in `of_set`.

    Returns:
        The numbers under the `real` fields of the catalogue, None where they cannot be computed, and `reasons`.
    """
    measures = [measure for measure in columns.MEASURES if any(score.real for score in measure.scores)]
    inputs = _inputs(features, None, tap=tap, splits=splits, seed=seed, limit=samples)
    found = _compute(measures, inputs)
    scores = [score for measure in measures for score in measure.scores if score.real]
    reasons = {score.real: found["reasons"][score.key] for score in scores if score.key in found["reasons"]}
    return {score.real: found[score.key] for score in scores} | {"reasons": reasons}


def _inputs(
    features: Features,
    reference: Reference | None,
    *,
    tap: str | None,
    splits: int,
    seed: int,
    limit: int | None = None,
    shuffle: bool = False,
) -> Inputs:
    logits = features["logits"].astype(np.float64) if "logits" in features else None
    if shuffle and logits is not None:
        logits = logits[np.random.RandomState(seed).permutation(len(logits))]
    return Inputs(logits, None if tap is None else features[tap], reference, splits=splits, seed=seed, limit=limit)


def _compute(measures: Iterable[Measure], inputs: Inputs) -> dict[str, Any]:
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for measure in measures:
        try:
            found |= measure.compute(inputs)
        except UserError as error:
            found |= dict.fromkeys(measure.fields)
            reasons |= dict.fromkeys(measure.fields, str(error))
    return found | {"reasons": reasons}


def of_each_image(features: Features, *, names: Sequence[str], wanted: Sequence[int]) -> dict[str, Any]:
    """Describe what the classifier sees in single images, which the Inception Score says nothing about.

    Args:
        features: float32 [n, K] under `logits`.
        names: of the K classes.
        wanted: the numbers of the classes whose share is asked for; none if empty.

    Returns:
        `classes` {wanted, top1_share, mean_probability, most_frequent}: the names of the wanted classes; the share of
        images whose most probable class is one of them, and their mean probability, both 0..1, or None if none is
        wanted; and up to ten [name, images] of the classes that are most often the most probable one. None, with a
        reason in `reasons`, where there are no logits.
    """
    try:
        inputs = _inputs(features, None, tap=None, splits=1, seed=0)
        probabilities = classes.probabilities(inputs.logits)
        seen = {
            "wanted": [names[number] for number in wanted],
            "top1_share": classes.top1_share(probabilities, wanted) if wanted else None,
            "mean_probability": classes.mean_probability(probabilities, wanted) if wanted else None,
            "most_frequent": [
                [names[number], images] for number, images in classes.most_frequent(probabilities, FREQUENT)
            ],
        }
    except UserError as error:
        return {"classes": None, "reasons": {"classes": str(error)}}
    return {"classes": seen, "reasons": {}}


def copies(
    training: Mapping[str, Sequence[np.ndarray]],
) -> Callable[[Mapping[str, np.ndarray]], tuple[dict[str, Any], memorisation.Nearest | None]]:
    """Prepare the search for copies of training images.

    Args:
        training: arrays [n, ...] under `pixels` and `features`: the images, and any variants of them, see
            `memorisation.training`.

    Returns:
        A function of the samples' arrays [m, ...] under the same names. It returns `memorisation` {pixels, features},
        each {share, expected}: the share of samples that are taken for copies, and the share to expect if they were
        further real images. What cannot be computed is None, and `reasons` says why. The second value is the training
        images nearest in pixels, or None.
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
