"""What a score is: its entry in the catalogue, what it is computed from, and the function that computes it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gan_da_jax.errors import UserError


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
        spread: whether an evaluation holds it as an object with `mean` and `std`, over parts of the images.
        chooses: whether it may choose the best checkpoint: papers must agree that less is better.
    """

    key: str
    label: str
    better: str
    source: str
    real: str = ""
    share: bool = False
    spread: bool = False
    chooses: bool = False


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


@dataclass(frozen=True)
class Inputs:
    """What measures may look at: one set of images as a network sees it.

    Attributes:
        logits: float64 [n, K], before the softmax; None where the network or its weights give none.
        features: float [n, d], of the layer that is compared; None where nothing is compared.
        reference: the real images by the same layer; None where there are none.
        splits: parts of the Inception Score.
        seed: of whatever a measure draws, 0 .. 2^32 - 1.
    """

    logits: np.ndarray | None
    features: np.ndarray | None
    reference: Reference | None
    splits: int
    seed: int

    def require(self, needs: str) -> None:
        """Raise a `UserError` if `needs`, `logits` or `reference`, is missing."""
        if needs == "logits" and self.logits is None:
            raise UserError(
                "the classifier gives no class probabilities: it has no classes, or its weights end before its last "
                "layer"
            )
        if needs == "reference" and (self.reference is None or self.features is None):
            raise UserError("there is no reference to compare with")


class Measure(NamedTuple):
    """How scores are computed that succeed or fail together.

    Attributes:
        scores: the entries of the catalogue that it fills.
        needs: `logits` or `reference` (the features of both sets): a field of `Inputs` that must be there.
        compute: the numbers under their fields, JSON values; it raises a `UserError` where they cannot be computed.
        details: further fields that it fills, such as an interval.
    """

    scores: tuple[Score, ...]
    needs: str
    compute: Callable[[Inputs], dict[str, Any]]
    details: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields that `compute` fills."""
        return (*(score.key for score in self.scores), *self.details)
