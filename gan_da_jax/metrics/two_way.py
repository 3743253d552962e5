"""Runs as arms x seeds: score = arm + seed + residual, by least squares, and how far each arm's residuals spread.

Every run of a seed has the same originals, so seeds are blocks. Runs may be missing: then estimates also use what other
arms say of a seed, and nothing is dropped.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import fdtrc

ODD = 0.02  # an arm's residuals spread too far for the common mean square where chance does that more rarely
GROSS = 1e-6  # so far that its residuals leave the common mean square, which would hide every other difference
_ROUNDING = 1e-12  # residuals up to this times the largest score are no spread


class Layout(NamedTuple):
    """Which runs there are: their arms and seeds, any whole numbers, in the order of the scores."""

    arms: tuple[int, ...]
    seeds: tuple[int, ...]


class Part(NamedTuple):
    """A mean square as a part of a variance: both are scaled alike, and the degrees of freedom stay."""

    square: float
    df: float


class Spread(NamedTuple):
    """How far the runs of the arms lie from arm + seed.

    Attributes:
        pool: the arms that share a mean square: all but those of a gross spread.
        pooled: their residual mean square; None without degrees of freedom.
        own: for each arm that spreads further than chance explains an unbiased estimate of its own variance.
        p: for each arm the p-value of that test; an arm is missing where the layout allows none.
    """

    pool: frozenset[int]
    pooled: Part | None
    own: dict[int, Part]
    p: dict[int, float]


def weights(layout: Layout, arms: tuple[int, ...], control: int) -> np.ndarray:
    """Find how the least-squares differences of arms and a control add up the scores.

    Args:
        layout: the runs.
        arms: k arms, each of which has a seed in common with the control.
        control: the control.

    Returns:
        Float64 [k, runs]: times the scores, the differences; times its own transpose, their covariance, for residuals
        of variance 1.
    """
    design, names = _design(layout)
    contrasts = np.zeros((len(arms), design.shape[1]))
    contrasts[:, names.index(control)] = -1
    contrasts[np.arange(len(arms)), [names.index(arm) for arm in arms]] = 1
    return contrasts @ np.linalg.pinv(design)


def spread(layout: Layout, scores: np.ndarray) -> Spread:
    """Estimate the variance of the residuals: one for all arms, and one of its own for an arm that stands out.

    An arm stands out where its residuals, about the seeds as the other arms show them, have a larger mean square than
    the others' by an F test (Russell and Bradley, 1958, One-way Variances in a Two-way Classification, Biometrika 45;
    for missing runs the same ratio of sums of squares). For normal residuals the test is exact with two or more seeds
    and three or more arms, the control among them, and independent of the differences of the arms. Each arm has its own
    test at the level `ODD`, without correction: a missed spread costs wrong claims, a false alarm only the power of one
    arm, or of all where it is the control's. Paired differences would not do instead: they share the control, so its
    spread would widen all of them alike.

    Args:
        layout: the runs.
        scores: float64 [runs], finite.
    """
    least = len(scores) * (_ROUNDING * np.abs(scores).max()) ** 2
    pool = frozenset(layout.arms)
    while True:
        tests = {arm: _apart(layout, scores, pool - {arm}, arm, least) for arm in sorted(set(layout.arms))}
        p = {arm: found.p for arm, found in tests.items() if found is not None}
        gross = min((arm for arm in p if arm in pool), key=p.__getitem__, default=None)
        if gross is None or p[gross] > GROSS:
            break
        pool -= {gross}
    squares, df = _residual(layout, scores, pool, least)
    own = {arm: found.own for arm, found in tests.items() if found and (found.p <= ODD or arm not in pool)}
    return Spread(pool, Part(squares / df, df) if df else None, own, p)


def sum_up(parts: Sequence[Part]) -> Part:
    """Add mean squares; the sum has the degrees of freedom of Satterthwaite (1946, Biometrics Bulletin 2).

    Args:
        parts: at least one of them above 0.
    """
    total = sum(part.square for part in parts)
    return Part(total, total**2 / sum(part.square**2 / part.df for part in parts))


def variance(found: Spread, layout: Layout, sums: np.ndarray) -> Part | None:
    """Estimate the variance of a weighted sum of scores, each with the mean square of its arm.

    Args:
        found: the spread.
        layout: the runs.
        sums: float64 [runs], the weights.

    Returns:
        The variance with its degrees of freedom; None where nothing is known, or where it is 0.
    """
    if found.pooled is None:
        return None
    squares = {arm: float(np.sum(sums[np.equal(layout.arms, arm)] ** 2)) for arm in set(layout.arms)}
    together = sum(square for arm, square in squares.items() if arm not in found.own)
    parts = [Part(together * found.pooled.square, found.pooled.df)]
    parts += [Part(squares[arm] * own.square, own.df) for arm, own in found.own.items()]
    return sum_up(parts) if any(part.square for part in parts) else None


class _Apart(NamedTuple):
    own: Part
    p: float


def _apart(layout: Layout, scores: np.ndarray, others: frozenset[int], arm: int, least: float) -> _Apart | None:
    """Estimate one arm's variance, and test whether it exceeds that of the others; None where that is impossible."""
    (rest, rest_df), (all_of_them, df) = (_residual(layout, scores, arms, least) for arms in (others, others | {arm}))
    if not rest_df or df == rest_df:
        return None
    more, common = max(0.0, all_of_them - rest), rest / rest_df
    ratio = more / (df - rest_df) / common if common else np.inf if more else 0.0
    # On average `more` is the arm's own variance times its runs' share in it, and the others' times what is left.
    runs, basis = _basis(layout, others | {arm})
    mine = np.equal(np.take(layout.arms, runs), arm)
    share = np.sum(mine) - np.sum(basis[mine] ** 2)
    own = common + (more - (df - rest_df) * common) / share
    return _Apart(Part(float(own), df - rest_df), float(fdtrc(df - rest_df, rest_df, ratio)))


def _residual(layout: Layout, scores: np.ndarray, arms: frozenset[int], least: float) -> tuple[float, int]:
    """Compute the residual sum of squares of these arms' runs alone, and its degrees of freedom."""
    runs, basis = _basis(layout, arms)
    values = scores[runs]
    squares = float(np.sum((values - basis @ (basis.T @ values)) ** 2))
    return (squares if squares > least else 0.0), len(runs) - basis.shape[1]


@functools.lru_cache(maxsize=256)
def _basis(layout: Layout, arms: frozenset[int]) -> tuple[np.ndarray, np.ndarray]:
    """Find the places of these arms' runs, and an orthonormal basis of what arm + seed can be over them."""
    runs = np.flatnonzero(np.isin(layout.arms, list(arms)))
    design, _ = _design(Layout(*(tuple(np.take(part, runs).tolist()) for part in layout)))
    left, values, _ = np.linalg.svd(design, full_matrices=False)
    return runs, left[:, values > 1e-9 * values.max(initial=0.0)]


def _design(layout: Layout) -> tuple[np.ndarray, list[int]]:
    """Write the design: a column of 0 and 1 for each arm, in the order that is returned, then for each seed."""
    parts = [np.unique(part) for part in layout]
    columns = [np.equal.outer(part, names) for part, names in zip(layout, parts, strict=True)]
    return np.hstack(columns).astype(np.float64), parts[0].tolist()
