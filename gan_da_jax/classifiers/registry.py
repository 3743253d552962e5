"""The table of classifiers, by name, and how one gets its weights."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from gan_da_jax.classifiers.backbone import NOT_INCEPTION, Backbone
from gan_da_jax.classifiers.networks import (
    faces_attributes,
    inception_v3_2015,
    inception_v3_keras,
    inception_v3_torchvision,
    resnet50,
)
from gan_da_jax.classifiers.weights import download
from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.metrics import columns
from gan_da_jax.metrics.measure import Score

_MODULES = (
    faces_attributes,
    inception_v3_2015,
    inception_v3_keras,
    inception_v3_torchvision,
    resnet50,
)
CLASSIFIERS: dict[str, Backbone] = {module.BACKBONE.name: module.BACKBONE for module in _MODULES}


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with its weights, ready for images of any size; two with the same name and weights are equal.

    Attributes:
        name: its key in `CLASSIFIERS`; every score carries it.
        prepare: uint8 [b, H, W, 3] to the network's input, float32 [b, S, S, 3]; compiled once for every shape.
        forward: (variables, prepared images, taps) to {tap: float32 [b, features]}. Nothing is computed beyond the
            taps, and an image's features do not depend on the others beside it.
        variables: the Flax variables.
        taps: the outputs that `forward` can give: names of features, from the input on, and `logits` [b, K], before the
            softmax. A file that holds only the first part of a network reaches only the first taps.
        default_tap: the features that distances such as FID are commonly taken of.
        classes: the K names of the classes; none for a network without logits.
        weights_sha256: of the weight file, or of the arrays where they were trained here; 64 hex digits.
        accuracy: share of held-out images classified rightly, 0..1, of networks trained here; None of published ones.
    """

    name: str
    prepare: Callable[[jax.Array | np.ndarray], jax.Array]
    forward: Callable[[dict, jax.Array, tuple[str, ...]], Any]
    variables: dict
    taps: tuple[str, ...]
    default_tap: str
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
        """Compute the features float32 [b, d] by tap of images uint8 [b, H, W, 3]; UserError as in `require`."""
        self.require(taps)
        return _run(self.variables, self.prepare(images), forward=self.forward, taps=taps)

    def require(self, taps: tuple[str, ...]) -> None:
        """Raise a `UserError` for a tap that the weights do not reach."""
        for tap in taps:
            if tap not in self.taps:
                raise UserError(f"the weights of {self.name} do not reach {tap!r}; they reach: {', '.join(self.taps)}")

    def scored_taps(self, tap: str | None) -> tuple[str, ...]:
        """List what scores are computed from: `tap`, if any, and the logits, as far as the weights reach."""
        return tuple(name for name in self.taps if name in (tap, "logits"))


# The network apart from the preparation, so that it is compiled once for all sizes of images.
@partial(jax.jit, static_argnames=("forward", "taps"))
def _run(variables, prepared, *, forward, taps):
    return forward(variables, prepared, taps)


def load(name: str, weights: str, taps: tuple[str, ...] = ()) -> Classifier:
    """Load a classifier; it may download published weights, or train for some seconds, when first used.

    Args:
        name: a key of `CLASSIFIERS`.
        weights: path of a weight file, or "" for the published or built-in weights.
        taps: the taps that it will be asked for.

    Raises:
        UserError: as `check`; the weights cannot be downloaded, or the file does not hold them as far as `taps`.
    """
    check(name, weights)
    entry = CLASSIFIERS[name]
    if weights:
        path = Path(weights)
    elif isinstance(entry.origin, Published):
        path = download.find(name, entry.origin)
    else:
        path = entry.origin.path()
        if not path.exists():
            entry.origin.train()
    classifier = read(name, path)
    classifier.require(taps)
    return classifier


def read(name: str, path: Path) -> Classifier:
    """Read a classifier of this name from a file of its weights; a `UserError` if the file does not hold them."""
    entry = CLASSIFIERS[name]
    variables, taps, accuracy = entry.read(path)
    return Classifier(
        name=name,
        prepare=entry.prepare,
        forward=entry.network.apply,
        variables=variables,
        taps=taps,
        default_tap=entry.default_tap,
        classes=entry.classes,
        weights_sha256=io.file_sha256(path) if isinstance(entry.origin, Published) else _digest(variables),
        accuracy=accuracy,
    )


def check(name: str, weights: str, *, tap: str = "") -> str:
    """Find the errors of `load` that show without reading, downloading or training anything.

    Returns:
        Where the weights will come from, in one line for people.

    Raises:
        UserError: no such classifier, a tap that it does not have, no such file, or a file for one that takes none.
    """
    if name not in CLASSIFIERS:
        raise UserError(f"there is no classifier {name!r}; there are: {', '.join(CLASSIFIERS)}")
    entry = CLASSIFIERS[name]
    if tap and tap not in entry.taps:
        raise UserError(f"{name} has no tap {tap!r}; it has: {', '.join(entry.taps)}")
    if not isinstance(entry.origin, Published):
        if weights:
            raise UserError(f"the classifier {name} is trained here and takes no weights: leave out {weights}")
        return "trained here when first used"
    if weights:
        if not Path(weights).is_file():
            raise UserError(f"the weights {weights} of the classifier {name} are not a file: check the path")
        return weights
    kept = download.kept(name, entry.origin)
    if kept:
        return str(kept)
    return f"not here yet; {entry.origin.address} will be downloaded to {download.destination(entry.origin)}"


def present(name: str, weights: str) -> bool:
    """Tell whether `load` would neither download nor train anything; arguments as there."""
    origin = CLASSIFIERS[name].origin
    if isinstance(origin, Published):
        return bool(weights or download.kept(name, origin))
    return origin.path().exists()


def trained_here(name: str) -> Path | None:
    """Say where the weights of a classifier that is trained here are kept; None for published ones."""
    origin = CLASSIFIERS[name].origin
    return None if isinstance(origin, Published) else origin.path()


def scores_by(name: str) -> tuple[Score, ...]:
    """List the catalogue of scores with the labels that they have by one classifier, whether in the table or not."""
    return columns.catalogue(distance=CLASSIFIERS[name].distance if name in CLASSIFIERS else "FID")


def caveats_on(name: str, tap: str) -> list[str]:
    """Say what a reader of scores by this classifier and tap must know, whether they are in the table or not."""
    if name not in CLASSIFIERS:
        return [NOT_INCEPTION]
    entry = CLASSIFIERS[name]
    return [*([entry.other_tap] if entry.other_tap and tap != entry.default_tap else []), entry.caveat]


def _digest(variables: dict) -> str:
    """Hash the names, shapes and float32 values of Flax variables: their SHA-256 as 64 hex digits."""
    total = hashlib.sha256()
    for name, array in sorted(flax.traverse_util.flatten_dict(variables, sep="/").items()):
        total.update(f"{name}{array.shape}".encode() + np.asarray(array, "<f4").tobytes())
    return total.hexdigest()
