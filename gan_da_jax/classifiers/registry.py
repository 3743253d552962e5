"""The classifiers that scores are made of, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax

from gan_da_jax.classifiers.networks import inception_v3, resnet50, small_cnn
from gan_da_jax.classifiers.weights import class_names, download
from gan_da_jax.classifiers.weights import faces as faces_attributes
from gan_da_jax.classifiers.weights import inception_v3 as inception_v3_weights
from gan_da_jax.classifiers.weights import resnet50 as resnet50_weights
from gan_da_jax.classifiers.weights.published import PUBLISHED
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.files import io

_RESNET50 = resnet50.ResNet50()


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with its weights, ready for images of any size; those with the same name and weights are equal.

    Attributes:
        name: its key in `CLASSIFIERS`; every score carries it.
        prepare: uint8 [b, H, W, 3] to the network's input, float32 [b, S, S, 3]; compiled once for every shape.
        forward: (variables, prepared images, taps) to {tap: float32 [b, features]}. Nothing is computed beyond the
            taps, and an image's features do not depend on the others beside it.
        variables: the Flax variables.
        taps: what `forward` can be asked for: names of features, from the input on, and `logits` [b, K], before the
            softmax. A file that holds only the first part of a network reaches only the first taps.
        usual_tap: the features that distances such as FID are commonly taken of.
        classes: the K names of the classes.
        weights_sha256: of the weight file, or of the arrays where they were trained here; 64 hex digits.
        accuracy: share of held-out images classified rightly, for networks trained here; None for published ones.
    """

    name: str
    prepare: Callable[[jax.Array], jax.Array]
    forward: Callable[[dict, jax.Array, tuple[str, ...]], dict[str, jax.Array]]
    variables: dict
    taps: tuple[str, ...]
    usual_tap: str
    classes: tuple[str, ...]
    weights_sha256: str
    accuracy: float | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classifier) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, str]:
        return self.name, self.weights_sha256

    def apply(self, images: jax.Array, taps: tuple[str, ...] = ("logits",)) -> dict[str, jax.Array]:
        """The features float32 [b, d] by tap of images uint8 [b, H, W, 3]; UserError for a tap that is not reached."""
        self.require(taps)
        return _run(self.variables, self.prepare(images), forward=self.forward, taps=taps)

    def require(self, taps: tuple[str, ...]) -> None:
        """Raises a `UserError` for a tap that the weights do not reach."""
        for tap in taps:
            if tap not in self.taps:
                raise UserError(f"the weights of {self.name} do not reach {tap!r}; they reach: {', '.join(self.taps)}")


# The network apart from the preparation, so that it is compiled once for all sizes of images.
@partial(jax.jit, static_argnames=("forward", "taps"))
def _run(variables, prepared, *, forward, taps):
    return forward(variables, prepared, taps)


class Entry(NamedTuple):
    """What is known of a classifier before its weights are read.

    Attributes:
        taps: what it can be asked for, from the input on, by weights that reach its end.
        classes: the names of its classes.
        load: makes a `Classifier` of the path of a weight file, "" for the published or built-in weights.
    """

    taps: tuple[str, ...]
    classes: tuple[str, ...]
    load: Callable[[str], Classifier]


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
    classifier = CLASSIFIERS[name].load(weights)
    classifier.require(taps)
    return classifier


def check(name: str, weights: str, *, tap: str = "") -> str:
    """Finds the errors of `load` that show without reading, downloading or training anything.

    Returns:
        Where the weights will come from, in one line for people.

    Raises:
        UserError: no such classifier, a tap that it does not have, no such file, or a file for one that takes none.
    """
    if name not in CLASSIFIERS:
        raise UserError(f"there is no classifier {name!r}; there are: {', '.join(CLASSIFIERS)}")
    if tap and tap not in CLASSIFIERS[name].taps:
        raise UserError(f"{name} has no tap {tap!r}; it has: {', '.join(CLASSIFIERS[name].taps)}")
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


def present(name: str, weights: str) -> bool:
    """Whether `load` would neither download nor train anything; arguments as there."""
    if kept := trained_here(name):
        return kept.exists()
    return bool(weights or download.kept(name))


def trained_here(name: str) -> Path | None:
    """Where the weights of a classifier without published ones are kept once it is trained; None for others."""
    return faces_attributes.path() if name not in PUBLISHED else None


def _published(name: str, network: nn.Module, prepare: Callable, classes: tuple[str, ...], load: Callable) -> Entry:
    """What `CLASSIFIERS` holds for a network whose weights are published; `load` gives variables and taps of a path."""

    def classifier(weights: str) -> Classifier:
        path = Path(weights) if weights else download.find(name)
        variables, taps = load(path)
        return Classifier(
            name=name,
            prepare=prepare,
            forward=network.apply,
            variables=variables,
            taps=taps,
            usual_tap=network.taps[-2],
            classes=classes,
            weights_sha256=io.file_sha256(path),
            accuracy=None,
        )

    return Entry(network.taps, classes, classifier)


def _faces_attributes(weights: str) -> Classifier:
    variables, accuracy = faces_attributes.load(weights)
    return Classifier(
        name="faces_attributes",
        prepare=small_cnn.prepare,
        forward=faces_attributes.NETWORK.apply,
        variables=variables,
        taps=faces_attributes.NETWORK.taps,
        usual_tap=faces_attributes.NETWORK.taps[-2],
        classes=faces.CLASSES,
        weights_sha256=faces_attributes.digest(variables),
        accuracy=accuracy,
    )


CLASSIFIERS: dict[str, Entry] = {
    "faces_attributes": Entry(faces_attributes.NETWORK.taps, faces.CLASSES, _faces_attributes),
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
        class_names.CLASSES,
        lambda path: (inception_v3_weights.load_keras(path), inception_v3.KERAS.taps),
    ),
    "inception_v3_torchvision": _published(
        "inception_v3_torchvision",
        inception_v3.TORCHVISION,
        inception_v3.prepare,
        class_names.CLASSES,
        lambda path: inception_v3_weights.load_torch(path, inception_v3.TORCHVISION),
    ),
    "resnet50": _published(
        "resnet50",
        _RESNET50,
        resnet50.prepare,
        class_names.CLASSES,
        lambda path: (resnet50_weights.load(path), _RESNET50.taps),
    ),
}
