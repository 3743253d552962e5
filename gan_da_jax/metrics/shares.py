"""What share of an arm's samples looks augmented or copied, joined over sets of samples and seeds."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from gan_da_jax.metrics.columns import Row
from gan_da_jax.metrics.over_seeds import interval

Seeds = Sequence[Sequence[Row]]


class Excess(NamedTuple):
    """A mean difference of shares over the seeds, -1..1, and its 95% interval."""

    mean: float
    low: float
    high: float


def excess(differences: Sequence[float], errors: Sequence[float]) -> Excess:
    """Pool a difference of shares over seeds.

    The interval is Student's over the seeds, mean +- t(0.975, n - 1) s / sqrt(n), for seeds differ by more than their
    samples do: of [0, 0.24] nothing can be claimed. It is never shorter than the counts allow, mean +- 1.96 e /
    sqrt(n), which is all that there is with one seed.

    Args:
        differences: n >= 1, one a seed.
        errors: the standard error of each, as its images are few; e is their root mean square.
    """
    n, mean = len(differences), float(np.mean(differences))
    half = 1.959964 * float(np.sqrt(np.mean(np.square(errors)) / n))
    if n > 1:
        half = max(half, float(stdtrit(n - 1, 0.975) * np.std(differences, ddof=1) / np.sqrt(n)))
    return Excess(mean, mean - half, mean + half)


def leakage(seeds: Seeds) -> dict[str, dict[str, Any]]:
    """Join the share of samples that look as an op makes them, for each op that has a meter.

    Args:
        seeds: the evaluations of all sets of samples of one checkpoint, for each seed.

    Returns:
        For each op `mean`, `ci95` and `values`, as `over_seeds.join` gives them (None where the meter is blind);
        `sampling`, the meter's own interval, averaged; and `accuracy`, the share of held-out images that it tells
        apart, averaged, None where there were too few to train on.
    """
    found = [[row["leakage"] for row in sets if row.get("leakage")] for sets in seeds]
    joined = {}
    for op in dict.fromkeys(op for sets in found for one in sets for op in one):
        of_op = [[one[op] for one in sets if op in one] for sets in found]
        everything = [one for sets in of_op for one in sets]
        ends = [(one["low"], one["high"]) for one in everything if one["share"] is not None]
        joined[op] = {
            **_share(of_op),
            "sampling": [statistics.fmean(end) for end in zip(*ends, strict=True)] if ends else None,
            "accuracy": _mean(one["accuracy"] for one in everything),
        }
    return joined


def memorisation(seeds: Seeds) -> dict[str, dict[str, Any]]:
    """Join the share of samples that are taken for copies of an original, see `memorisation.training`.

    Args:
        seeds: as in `leakage`.

    Returns:
        Under `pixels` and `features`, as far as measured: `mean`, `ci95` and `values` as in `leakage`, and `expected`,
        the share that images which are no copies would have.
    """
    found = [[row["memorisation"] for row in sets if row.get("memorisation")] for sets in seeds]
    joined = {}
    for space in ("pixels", "features"):
        of_space = [[one[space] for one in sets if one.get(space)] for sets in found]
        expected = [one["expected"] for sets in of_space for one in sets]
        if expected:
            joined[space] = {**_share(of_space), "expected": statistics.fmean(expected)}
    return joined


def _share(seeds: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    values = [_mean(one["share"] for one in sets) for sets in seeds]
    measured = [value for value in values if value is not None]
    mean, ci95 = interval(measured) if measured else (None, None)
    return {"mean": mean, "ci95": ci95, "values": values}


def _mean(numbers: Iterable[float | None]) -> float | None:
    measured = [number for number in numbers if number is not None]
    return statistics.fmean(measured) if measured else None
