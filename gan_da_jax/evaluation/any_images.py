"""The scores of any images against any others, whoever made them."""

from typing import Any

import numpy as np

from gan_da_jax.classifiers import extract
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.metrics import scores
from gan_da_jax.metrics.measure import Real

SEED = 2020  # of a generator's latents, the shuffle before splitting, KID's subsets, the bootstrap; torch-fidelity's


def score(
    images: extract.Seen,
    reference: extract.Seen | None,
    *,
    classifier: Classifier,
    tap: str | None,
    splits: int,
    probabilities: bool = False,
    titles: tuple[str, str] = ("images", "reference"),
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Compute every score of the catalogue.

    Args:
        images: the set to score.
        reference: the set to compare it with, whose features are kept in the cache; None for no comparison.
        classifier: the network with its weights.
        tap: the layer whose features are compared; None for the classifier's default.
        splits: parts of the Inception Score, at least 1.
        probabilities: whether the logits must be among the features.
        titles: of the progress for either set.

    Returns:
        The scores as JSON values, with what they were measured by, see `metrics.scores.of_set`; and the features of
        `images`, float32 [n, d] by tap.

    Raises:
        UserError: the weights do not reach the layers, or there is nothing to compute.
    """
    compared = (tap or classifier.default_tap) if reference else None
    taps = _taps(classifier, compared, probabilities=probabilities)
    against = None
    if reference is not None and compared is not None:
        real = extract.features_of(classifier, taps, reference, title=titles[1], cache=io.cache_dir())
        against = Real(real[compared])
    features = extract.features_of(classifier, taps, images, title=titles[0])
    by = {
        "classifier": classifier.name,
        "classifier_accuracy": classifier.accuracy,
        "weights_sha256": classifier.weights_sha256,
        "tap": compared,
        "seed": SEED,
    }
    return by | scores.of_set(features, against, tap=compared, splits=splits, seed=SEED, shuffle=True), features


def _taps(classifier: Classifier, tap: str | None, *, probabilities: bool) -> tuple[str, ...]:
    """List the layers to compute: the tap that is compared, if any, and the logits, as far as the weights reach."""
    classifier.require((*((tap,) if tap else ()), *(("logits",) if probabilities else ())))
    taps = classifier.scored_taps(tap)
    if not taps:
        raise UserError(
            f"these weights of {classifier.name} do not reach logits, which the Inception Score needs, and without a "
            f"--reference there is nothing else to compute: give one, and a --tap of {', '.join(classifier.taps)}"
        )
    return taps
