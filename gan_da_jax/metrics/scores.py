"""All scores of a set of images at once, from the features that one classifier gives them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import classes, columns, memorisation
from gan_da_jax.metrics.measure import Inputs, Measure, Real

Features = Mapping[str, np.ndarray]  # float32 [n, d] by the tap of the network that they come from

FREQUENT = 10  # classes listed


def of_set(
    features: Features,
    real: Real | None,
    *,
    tap: str | None,
    splits: int,
    seed: int,
    shuffle: bool = False,
    originals: Real | None = None,
    reference: Real | None = None,
) -> dict[str, Any]:
    """Compute every score of the catalogue for one set of images.

    Args:
        features: float32 [n, K] under `logits` and [n, d] under `tap`, as far as the network gives them.
        real: the features under `tap` of the real images to compare with; None where there are none.
        tap: the layer whose features are compared; None where nothing is.
        splits: parts of the Inception Score.
        seed: of the shuffle, the bootstrap, KID's subsets and the images that the Vendi score looks at.
        shuffle: whether to shuffle the logits by `numpy.random.RandomState(seed)` first, as torch-fidelity does: images
            sorted by class would get a lower Inception Score.
        originals: likewise, the images that the GAN was trained on; None where that is not known.
        reference: likewise, real images that nobody trained on; None where there are none.

    Returns:
        The fields that `columns.MEASURES` fill and, with a `reference`, what the measures that compare say against it,
        under the names of `columns.reference_key`. A score that cannot be computed is None, and `reasons` says why.
    """
    logits = _logits(features, seed=seed, shuffle=shuffle)
    own = None if tap is None else features[tap]
    known: dict[str, Any] = {"originals": originals, "reference": reference, "splits": splits, "seed": seed}
    limit = None if real is None else len(real.features)
    found = _compute(columns.MEASURES, Inputs(logits, own, real, **known, limit=limit))
    if reference is None:
        return found
    compared = [measure for measure in columns.MEASURES if measure.compared]
    held_out = _compute(compared, Inputs(logits, own, reference, **known, limit=len(reference.features)))
    reasons = held_out.pop("reasons")
    return (
        found
        | {columns.reference_key(field): number for field, number in held_out.items()}
        | {"reasons": found["reasons"] | {columns.reference_key(field): reason for field, reason in reasons.items()}}
    )


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
    own = None if tap is None else features[tap]
    inputs = Inputs(_logits(features, seed=seed, shuffle=False), own, splits=splits, seed=seed, limit=samples)
    found = _compute(measures, inputs)
    scores = [score for measure in measures for score in measure.scores if score.real]
    reasons = {score.real: found["reasons"][score.key] for score in scores if score.key in found["reasons"]}
    return {score.real: found[score.key] for score in scores} | {"reasons": reasons}


def anchors(noise: np.ndarray, originals: Real, reference: Real | None, *, seed: int) -> dict[str, Any]:
    """Compute between which numbers a GAN moves that learns: what noise scores, and what real images score.

    Args:
        noise: features of noise, float [n, d].
        originals: the features of the originals by the same layer.
        reference: likewise, of real images that nobody trained on; None where there are none.
        seed: of the halves, and of what the measures draw.

    Returns:
        `anchors`: for each distance of the catalogue, against the originals and against the reference, `noise`: its
        number for the noise; and `halves`: its number for a random half of the real images against the other half. They
        are None where they cannot be computed, and `reasons` says why, under `anchors.fid.noise` and so on.
    """
    measures = [measure for measure in columns.MEASURES if any(score.distance for score in measure.scores)]
    found: dict[str, dict[str, Any]] = {}
    reasons: dict[str, str] = {}
    for real, key_of in ((originals, str), (reference, columns.reference_key)):
        if real is None:
            continue
        order = np.random.RandomState(seed).permutation(len(real.features))
        one, other = real.features[order[: len(order) // 2]], real.features[order[len(order) // 2 :]]
        of_noise = _compute(measures, Inputs(None, noise, real, seed=seed))
        of_halves = _compute(measures, Inputs(None, one, Real(other), seed=seed))
        for score in (score for measure in measures for score in measure.scores if score.distance):
            parts = {"noise": of_noise, "halves": of_halves}
            found[key_of(score.key)] = {name: columns.value(part, score.key) for name, part in parts.items()}
            reasons |= {
                f"anchors.{key_of(score.key)}.{name}": part["reasons"][score.key]
                for name, part in parts.items()
                if score.key in part["reasons"]
            }
    return {"anchors": found, "reasons": reasons}


def _logits(features: Features, *, seed: int, shuffle: bool) -> np.ndarray | None:
    if "logits" not in features:
        return None
    logits = features["logits"].astype(np.float64)
    return logits[np.random.RandomState(seed).permutation(len(logits))] if shuffle else logits


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
        inputs = Inputs(_logits(features, seed=0, shuffle=False), seed=0)
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
