"""The classifiers that scores are made of, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import flax.linen as nn
import jax

from gan_da_jax import records
from gan_da_jax.data import faces
from gan_da_jax.errors import UserError
from gan_da_jax.models import attributes, inception_v3
from gan_da_jax.weights import download, faces_attributes
from gan_da_jax.weights import inception_v3 as inception_v3_weights
from gan_da_jax.weights.registry import PUBLISHED


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with its weights, ready for images of any size.

    Attributes:
        name: its key in `CLASSIFIERS`; every score carries it.
        apply: (variables, uint8 [b, H, W, 3]) to {"logits": float32 [b, K]}, before the softmax; compiled once for
            every shape of images. An image's logits do not depend on the others beside it.
        variables: the Flax variables.
        classes: the K names of the classes.
        weights_sha256: of the weight file, or of the arrays where they were trained here; 64 hex digits.
        accuracy: share of held-out images classified rightly, for networks trained here; None for published ones.
    """

    name: str
    apply: Callable[[dict, jax.Array], dict[str, jax.Array]]
    variables: dict
    classes: tuple[str, ...]
    weights_sha256: str
    accuracy: float | None


def load(name: str, weights: str) -> Classifier:
    """Loads a classifier; it may download published weights, or train for some seconds, when first used.

    Args:
        name: a key of `CLASSIFIERS`.
        weights: path of a weight file, or "" for the published or built-in weights.

    Raises:
        UserError: as `check`; the weights cannot be downloaded, or the file does not hold them.
    """
    check(name, weights)
    return CLASSIFIERS[name](weights)


def check(name: str, weights: str) -> str:
    """Finds the errors of `load` that show without reading, downloading or training anything.

    Returns:
        Where the weights will come from, in one line for people.

    Raises:
        UserError: no such classifier, no such file, or a file for a classifier that takes none.
    """
    if name not in CLASSIFIERS:
        raise UserError(f"there is no classifier {name!r}; there are: {', '.join(CLASSIFIERS)}")
    if name not in PUBLISHED:
        if weights:
            raise UserError(f"the classifier {name} is trained here and takes no weights: leave out {weights}")
        return "trained here when first used"
    if weights:
        if not Path(weights).is_file():
            raise UserError(f"the weights {weights} of the classifier {name} are not a file: check the path")
        return weights
    kept = download.destination(PUBLISHED[name])
    return str(kept) if kept.exists() else f"to be downloaded from {PUBLISHED[name].address} to {kept}"


def _inception_v3(weights: str) -> Classifier:
    path = Path(weights) if weights else download.fetch("inception_v3")
    return Classifier(
        name="inception_v3",
        apply=_apply(inception_v3.InceptionV3(), inception_v3.prepare),
        variables=inception_v3_weights.load(path),
        classes=tuple(map(str, range(inception_v3.CLASSES))),
        weights_sha256=records.file_sha256(path),
        accuracy=None,
    )


def _faces_attributes(weights: str) -> Classifier:
    variables, accuracy = faces_attributes.load()
    return Classifier(
        name="faces_attributes",
        apply=_apply(faces_attributes.NETWORK, attributes.prepare),
        variables=variables,
        classes=faces.CLASSES,
        weights_sha256=faces_attributes.digest(variables),
        accuracy=accuracy,
    )


def _apply(network: nn.Module, prepare: Callable) -> Callable:
    return jax.jit(lambda variables, images: {"logits": network.apply(variables, prepare(images))})


CLASSIFIERS: dict[str, Callable[[str], Classifier]] = {
    "faces_attributes": _faces_attributes,
    "inception_v3": _inception_v3,
}
