"""What a score is: its entry in the catalogue, what it is computed from, and the function that computes it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gan_da_jax.errors import UserError

_NO_REFERENCE = "there is no reference to compare with"


class Score(NamedTuple):
    """One score in the catalogue; a column of the reports.

    Attributes:
        key: the field of an evaluation that holds it.
        label: its name for people.
        better: `higher` or `lower`, as the field reads it; `disputed` where papers disagree.
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


@dataclass(frozen=True)
class Reference:
    """The features of the real images, and what is computed from them alone.

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
        logits: np.ndarray | None,
        features: np.ndarray | None,
        reference: Reference | None,
        *,
        splits: int,
        seed: int,
        limit: int | None = None,
    ):
        """Take the values of the properties; None for each that there is not."""
        self._logits, self._features, self._reference = logits, features, reference
        self.splits, self.seed, self.limit = splits, seed, limit

    @property
    def logits(self) -> np.ndarray:
        """The logits before the softmax, float64 [n, K]."""
        if self._logits is None:
            raise UserError(
                "the classifier gives no class probabilities: it has no classes, or its weights end before its last "
                "layer"
            )
        return self._logits

    @property
    def features(self) -> np.ndarray:
        """The features of the layer that is compared, float [n, d]."""
        if self._features is None:
            raise UserError(_NO_REFERENCE)
        return self._features

    @property
    def reference(self) -> Reference:
        """The real images by the same layer."""
        if self._reference is None:
            raise UserError(_NO_REFERENCE)
        return self._reference


class Measure(NamedTuple):
    """How scores are computed that succeed or fail together.

    Attributes:
        scores: the entries of the catalogue that it fills.
        compute: returns the numbers under their fields, JSON values; it raises a `UserError` where they cannot be
            computed, as `Inputs` does for what is missing.
        details: further fields that it fills, such as an interval.
    """

    scores: tuple[Score, ...]
    compute: Callable[[Inputs], dict[str, Any]]
    details: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields that `compute` fills."""
        return (*(score.key for score in self.scores), *self.details)
