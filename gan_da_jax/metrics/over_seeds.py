"""The scores of several seeds as one number with its interval, and as one curve over the training."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from gan_da_jax.metrics.columns import Row, choosing, keys, value


class Curve(NamedTuple):
    """A score over the training: float64 arrays [steps evaluated]; `low` and `high` are the extremes over the seeds."""

    at: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def pool(rows: Sequence[Row]) -> dict[str, Any]:
    """Join the evaluations of several sets of samples of one checkpoint into one.

    Args:
        rows: the evaluations, at least one.

    Returns:
        The first row, in which every score, with its standard deviation over splits or subsets, is the mean over the
        sets that have it, None where none has; and the field `sets`, the rows themselves.
    """
    return {**rows[0], **{key: _mean([row.get(key) for row in rows]) for key in keys()}, "sets": list(rows)}


def _mean(found: Sequence[Any]) -> Any:
    measured = [each for each in found if each is not None]
    if measured and isinstance(measured[0], Mapping):
        means = {name: statistics.mean(each[name] for each in measured) for name in ("mean", "std")}
        return {**measured[0], **means}
    return statistics.mean(measured) if measured else None  # exact: the mean of equal numbers is that number


def interval(values: Sequence[float]) -> tuple[float, list[float] | None]:
    """Compute the mean and two-sided 95% confidence interval of independent runs.

    The interval is Student's: mean +- t(0.975, n - 1) s / sqrt(n), with s the sample's standard deviation (ddof 1).

    Args:
        values: n >= 1 finite numbers, one a seed.

    Returns:
        The mean and [low, high], or None for the interval when n < 2: one run says nothing about chance.
    """
    n = len(values)
    mean = float(np.mean(values))
    if n < 2:
        return mean, None
    half = float(stdtrit(n - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, [mean - half, mean + half]


def join(rows: Sequence[Row]) -> dict[str, dict]:
    """Join one evaluation a seed into one entry a score.

    Args:
        rows: the evaluations, one a seed.

    Returns:
        For every score of the catalogue, and its real counterpart, that at least one row holds: `mean`, `ci95` ([low,
        high], or None with fewer than two measured seeds) and `values`, in the order of `rows`, None where not
        measured.
    """
    joined = {}
    for key in keys():
        values = [value(row, key) for row in rows]
        measured = [number for number in values if number is not None]
        if measured:
            mean, ci95 = interval(measured)
            joined[key] = {"mean": mean, "ci95": ci95, "values": values}
    return joined


def best(rows: Sequence[Row], key: str) -> Row | None:
    """Find the evaluation of one seed with the lowest number under `key`, the earliest of equal ones.

    Its number is optimistic: chance helped to choose it, and is still in it.

    Returns:
        The evaluation; None if no row has such a number.
    """
    measured = [row for row in rows if value(row, key) is not None]
    return min(measured, key=lambda row: (value(row, key), row["step"]), default=None)


def choose(seeds: Mapping[int, Sequence[Row]]) -> tuple[str, dict[int, Row]] | None:
    """Choose the best checkpoint of each seed, by the first score of `columns.choosing` that every seed has.

    Args:
        seeds: the evaluations of one way of scoring, under their seeds.

    Returns:
        The key of that score, and the chosen evaluation of each seed; None if no score can choose.
    """
    for by in choosing():
        chosen = {seed: row for seed, rows in seeds.items() if (row := best(rows, by)) is not None}
        if chosen and len(chosen) == len(seeds):
            return by, chosen
    return None


def curve(rows: Sequence[Row], key: str, *, unit: str) -> Curve:
    """Average the course of a score over the checkpoints, over the seeds that were evaluated at each.

    Args:
        rows: evaluations of any number of seeds, in any order, each with `step` and `unit`.
        key: the field of the score; rows without it are passed over.
        unit: what `at` counts: `epoch` or `kimg`, thousands of images shown.

    Returns:
        The curve in the order of steps; empty if no row holds the score.
    """
    steps: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        if (number := value(row, key)) is not None:
            steps.setdefault(row["step"], []).append((row[unit], number))
    points = [np.array(steps[step], np.float64) for step in sorted(steps)]
    return Curve(
        np.array([point[0, 0] for point in points]),
        np.array([point[:, 1].mean() for point in points]),
        np.array([point[:, 1].min() for point in points]),
        np.array([point[:, 1].max() for point in points]),
    )
