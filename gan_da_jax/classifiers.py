"""The classifiers that scores are made of, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax

from gan_da_jax import records
from gan_da_jax.data import faces
from gan_da_jax.errors import UserError
from gan_da_jax.models import attributes, inception_v3, resnet50
from gan_da_jax.weights import download, faces_attributes, imagenet
from gan_da_jax.weights import inception_v3 as inception_v3_weights
from gan_da_jax.weights import resnet50 as resnet50_weights
from gan_da_jax.weights.registry import PUBLISHED

_RESNET50 = resnet50.ResNet50()


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with its weights, ready for images of any size.

    Attributes:
        name: its key in `CLASSIFIERS`; every score carries it.
        apply: (variables, uint8 [b, H, W, 3], taps=("logits",)) to {tap: float32 [b, features]}, compiled once for
            every shape of images. Nothing is computed beyond the taps. An image's features do not depend on the others
            beside it. Raises UserError for a tap that is not among `taps`.
        taps: what `apply` can be asked for: names of features, from the input on, and `logits` [b, K], before the
            softmax. A file that holds only the first part of a network reaches only the first taps.
        variables: the Flax variables.
        classes: the K names of the classes.
        weights_sha256: of the weight file, or of the arrays where they were trained here; 64 hex digits.
        accuracy: share of held-out images classified rightly, for networks trained here; None for published ones.
    """

    name: str
    apply: Callable[..., dict[str, jax.Array]]
    taps: tuple[str, ...]
    variables: dict
    classes: tuple[str, ...]
    weights_sha256: str
    accuracy: float | None


def load(name: str, weights: str, taps: tuple[str, ...] = ("logits",)) -> Classifier:
    """Loads a classifier; it may download published weights, or train for some seconds, when first used.

    Args:
        name: a key of `CLASSIFIERS`.
        weights: path of a weight file, or "" for the published or built-in weights.
        taps: what it will be asked for.

    Raises:
        UserError: as `check`; the weights cannot be downloaded, or the file does not hold them as far as `taps`.
    """
    check(name, weights)
    classifier = CLASSIFIERS[name](weights)
    _require(classifier.taps, taps)
    return classifier


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
    published = PUBLISHED[name]
    kept = download.kept(name)
    return str(kept) if kept else f"to be downloaded from {published.address} to {download.destination(published)}"


def _published(name: str, network: nn.Module, prepare: Callable, classes: tuple[str, ...], load: Callable) -> Callable:
    """What `CLASSIFIERS` holds for a network whose weights are published; `load` gives variables and taps of a path."""

    def classifier(weights: str) -> Classifier:
        path = Path(weights) if weights else download.find(name)
        variables, taps = load(path)
        return Classifier(
            name=name,
            apply=_apply(network.apply, prepare, taps),
            taps=taps,
            variables=variables,
            classes=classes,
            weights_sha256=records.file_sha256(path),
            accuracy=None,
        )

    return classifier


def _faces_attributes(weights: str) -> Classifier:
    variables, accuracy = faces_attributes.load()
    taps = ("logits",)
    return Classifier(
        name="faces_attributes",
        apply=_apply(_faces_logits, attributes.prepare, taps),
        taps=taps,
        variables=variables,
        classes=faces.CLASSES,
        weights_sha256=faces_attributes.digest(variables),
        accuracy=accuracy,
    )


def _faces_logits(variables, prepared, taps):
    return {tap: faces_attributes.NETWORK.apply(variables, prepared) for tap in taps}


def _apply(forward: Callable, prepare: Callable, reached: tuple[str, ...]) -> Callable:
    def apply(variables, images, taps=("logits",)):
        _require(reached, taps)
        return _run(variables, prepare(images), forward=forward, taps=taps)

    return apply


def _require(reached: tuple[str, ...], taps: tuple[str, ...]) -> None:
    for tap in taps:
        if tap not in reached:
            raise UserError(f"the classifier's weights do not reach {tap!r}; they reach: {', '.join(reached)}")


# The network apart from the preparation, so that it is compiled once for all sizes of images.
@partial(jax.jit, static_argnames=("forward", "taps"))
def _run(variables, prepared, *, forward, taps):
    return forward(variables, prepared, taps)


CLASSIFIERS: dict[str, Callable[[str], Classifier]] = {
    "faces_attributes": _faces_attributes,
    "inception_v3_2015": _published(
        "inception_v3_2015",
        inception_v3.ORIGINAL,
        inception_v3.prepare_2015,
        tuple(map(str, range(inception_v3.ORIGINAL.classes))),  # not all of them stand for a class of ImageNet
        lambda path: inception_v3_weights.load_torch(path, inception_v3.ORIGINAL),
    ),
    "inception_v3": _published(
        "inception_v3",
        inception_v3.KERAS,
        inception_v3.prepare,
        imagenet.CLASSES,
        lambda path: (inception_v3_weights.load_keras(path), inception_v3.KERAS.taps),
    ),
    "inception_v3_torchvision": _published(
        "inception_v3_torchvision",
        inception_v3.TORCHVISION,
        inception_v3.prepare,
        imagenet.CLASSES,
        lambda path: inception_v3_weights.load_torch(path, inception_v3.TORCHVISION),
    ),
    "resnet50": _published(
        "resnet50",
        _RESNET50,
        resnet50.prepare,
        imagenet.CLASSES,
        lambda path: (resnet50_weights.load(path), _RESNET50.taps),
    ),
}
