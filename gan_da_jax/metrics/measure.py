"""What a score is: its entry in the catalogue, what it is computed from, and the function that computes it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gan_da_jax.errors import UserError

NO_REFERENCE = "there is no reference to compare with"
NO_ORIGINALS = "the images that the GAN was trained on are not known here: only a run knows its own"
NO_HELD_OUT = "there is no reference that nobody trained on: set evaluate.reference"


class Score(NamedTuple):
    """One score in the catalogue; a column of the reports.

    Attributes:
        key: the field of an evaluation that holds it.
        label: its name for people.
        better: `higher` or `lower`, as the field reads it; `near 0` where either side of it is worse, and two numbers
            are compared by their difference; `disputed` where papers disagree.
        source: the paper that defines it.
        real: the field that holds the same score of the real images; "" where there is none.
        share: whether it is a share of images, 0..1, or a count on that scale. Then two numbers are compared by their
            difference, otherwise by their ratio.
        positive: whether it is never negative and no share. Then arms are compared by their ratio, in percent of the
            control, otherwise by plain differences.
        spread: whether an evaluation holds it as an object with `mean` and `std`, over parts of the images.
        chooses: whether it may choose the best checkpoint: papers must agree that less is better.
        distance: whether it says how far the samples are from the real images in a network's features.
        named_by_network: whether the network whose features it compares gives it its name, see `Backbone.distance`.
        explanation: what a reader of a report must know of it, as the rest of a sentence that begins with the label.
        plain: of a score against real images that nobody trained on, the key of the same score against the originals;
            "" of every other score.
    """

    key: str
    label: str
    better: str
    source: str
    real: str = ""
    share: bool = False
    positive: bool = False
    spread: bool = False
    chooses: bool = False
    distance: bool = False
    named_by_network: bool = False
    explanation: str = ""
    plain: str = ""


@dataclass(frozen=True)
class Real:
    """The features of a set of real images, and what is computed from them alone.

    Attributes:
        features: float [m, d], one image a row.
    """

    features: np.ndarray
    _known: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, function: Callable, **options: Hashable) -> Any:
        """Call `function(features, **options)` the first time, and return the same result afterwards."""
        key = (function, *sorted(options.items()))
        if key not in self._known:
            self._known[key] = function(self.features, **options)
        return self._known[key]


class Inputs:
    """What measures may look at: one set of images as a network sees it. To ask for a missing one is a `UserError`.

    Attributes:
        splits: parts of the Inception Score.
        seed: of all that a measure draws, 0 .. 2^32 - 1.
        limit: images that a score looks at, at most, if it depends on their number; None for all.
    """

    def __init__(
        self,
        logits: np.ndarray | None = None,
        features: np.ndarray | None = None,
        real: Real | None = None,
        *,
        originals: Real | None = None,
        reference: Real | None = None,
        splits: int = 1,
        seed: int,
        limit: int | None = None,
    ):
        """Take the values of the properties; None for each that there is not."""
        self._logits, self._features, self._real = logits, features, real
        self._originals, self._reference = originals, reference
        self.splits, self.seed, self.limit = splits, seed, limit

    @property
    def logits(self) -> np.ndarray:
        """The logits before the softmax, float64 [n, K]."""
        return _there(
            self._logits,
            "the classifier gives no class probabilities: it has no classes, or its weights end before its last layer",
        )

    @property
    def features(self) -> np.ndarray:
        """The features of the layer that is compared, float [n, d]."""
        return _there(self._features, NO_REFERENCE)

    @property
    def real(self) -> Real:
        """The real images that these are compared with, by the same layer; a measure that asks is `compared`."""
        return _there(self._real, NO_REFERENCE)

    @property
    def originals(self) -> Real:
        """The real images that the GAN was trained on, by the same layer: for what asks whether it copies them."""
        return _there(self._originals, NO_ORIGINALS)

    @property
    def reference(self) -> Real:
        """Real images that nobody trained on, by the same layer."""
        return _there(self._reference, NO_HELD_OUT)


def _there(found: Any, reason: str) -> Any:
    if found is None:
        raise UserError(reason)
    return found


class Measure(NamedTuple):
    """How scores are computed that succeed or fail together.

    Attributes:
        scores: the entries of the catalogue that it fills.
        compute: returns the numbers under their fields, JSON values; it raises a `UserError` where they cannot be
            computed, as `Inputs` does for what is missing.
        details: further fields that it fills, such as an interval.
        compared: whether it compares with `Inputs.real`. It is computed against the originals and, where there are real
            images that nobody trained on, once more against these, see `columns.against_reference`.
    """

    scores: tuple[Score, ...]
    compute: Callable[[Inputs], dict[str, Any]]
    details: tuple[str, ...] = ()
    compared: bool = False

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields that `compute` fills."""
        return (*(score.key for score in self.scores), *self.details)
