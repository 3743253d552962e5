"""What is known of a network that sees images before its weights are read: its entry in the table of classifiers."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np

from gan_da_jax.classifiers.weights.published import Published

NOT_INCEPTION = (
    "The classifier is not the Inception network: these numbers are not comparable with any published Inception Score "
    "or FID, only with each other."
)


class Weights(NamedTuple):
    """What a file of weights holds.

    Attributes:
        variables: the Flax variables of the network.
        taps: the taps that they reach, from the input on.
        accuracy: share of held-out images, 0..1, that the network classifies rightly; None where it is not known.
    """

    variables: dict
    taps: tuple[str, ...]
    accuracy: float | None = None


class Trained(NamedTuple):
    """How weights are made that nobody publishes.

    Attributes:
        path: gives the place where they are kept.
        train: trains them and keeps them there.
    """

    path: Callable[[], Path]
    train: Callable[[], None]


class Backbone(NamedTuple):
    """A network that sees images: what a new one must say of itself, in one place.

    Attributes:
        name: what `--classifier` and the config call it; every score carries it.
        network: the module, called with prepared images and taps; `Classifier.forward` says what it returns.
        prepare: uint8 [b, H, W, 3] to the network's input, float32 [b, S, S, 3]; compiled once for every shape.
        taps: all layers that it can be asked for, from the input on: names of features and, where it classifies,
            `logits` [b, K], before the softmax.
        default_tap: the features that distances such as FID are commonly taken of, one of `taps`.
        read: reads a file of weights; a `UserError` if it does not hold this network's.
        origin: where its weights come from: the file that they are published in, or how they are trained here.
        classes: the K names of the classes; none for a network without logits, which gives no Inception Score.
        distance: what the Fréchet distance of its features is called.
        caveat: what a reader of its scores must know, one sentence.
        other_tap: what a reader must know of distances of another tap than the default one; "" for nothing.
    """

    name: str
    network: nn.Module
    prepare: Callable[[jax.Array | np.ndarray], jax.Array]
    taps: tuple[str, ...]
    default_tap: str
    read: Callable[[Path], Weights]
    origin: Published | Trained
    classes: tuple[str, ...] = ()
    distance: str = "FID"
    caveat: str = NOT_INCEPTION
    other_tap: str = ""
