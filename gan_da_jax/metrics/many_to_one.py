"""Many arms against one control: Dunnett's test on the layout of arms and seeds, and the seeds that it needs."""

import bisect
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from gan_da_jax.metrics import largest_t
from gan_da_jax.metrics.largest_t import LargestT
from gan_da_jax.metrics.two_way import Layout, Part, Spread, spread, sum_up, variance, weights

POWER = 0.8  # the chance of a claim that `seeds_needed` asks for
MOST_SEEDS = 1000  # more are no plan


class Contrast(NamedTuple):
    """An arm minus the control.

    Attributes:
        estimate: by least squares.
        ends: the simultaneous interval, [low, high]; None where nothing is known of chance, or no run differs.
        p: adjusted for all arms of the control; None with `ends`.
        odd: whether the arm or the control spreads further than the other arms, so that its own variance counts.
        p_spread: the smaller p-value of these two tests; None where the layout allows none.
        seeds_needed: see the function.
    """

    estimate: float
    ends: tuple[float, float] | None
    p: float | None
    odd: bool
    p_spread: float | None
    seeds_needed: int | None


def many_to_one(layout: Layout, scores: np.ndarray, control: int, *, level: float) -> dict[int, Contrast]:
    """Compare every arm of a layout with its control.

    The residual mean square is pooled over all arms, so that few seeds suffice: it has (arms - 1)(seeds - 1) degrees of
    freedom where no run is missing. Pooling goes wrong where one arm spreads further: claims about it then rest on the
    small spread of the others. So an arm that stands out, see `two_way.spread`, has its own variance in its standard
    error; the degrees of freedom are Satterthwaite's, and the comparison is held against the multivariate t with these
    (Hasler and Hothorn, 2008, Multiple Contrast Tests in the Presence of Heteroscedasticity, Biometrical Journal 50).

    Args:
        layout: the runs; every arm has a seed in common with the control.
        scores: float64 [runs], finite.
        control: the arm that the others are compared with.
        level: the chance of any wrong claim, 0 < level < 1; the intervals are simultaneous at 1 - level.

    Returns:
        For each other arm its comparison.
    """
    seeds = {arm: sorted(np.extract(np.equal(layout.arms, arm), layout.seeds)) for arm in set(layout.arms) - {control}}
    arms = tuple(sorted(seeds, key=lambda arm: (seeds[arm], arm)))  # names must not decide what `of_covariance` samples
    sums = weights(layout, arms, control)
    residual, distribution = spread(layout, scores), largest_t.of_covariance(sums @ sums.T)
    found = {}
    for arm, estimate, row in zip(arms, (sums @ scores).tolist(), sums, strict=True):
        chances = [residual.p[one] for one in (arm, control) if one in residual.p]
        squared_error = variance(residual, layout, row)
        found[arm] = Contrast(
            estimate,
            *simultaneous(estimate, squared_error, distribution, level=level),
            odd=bool({arm, control} & residual.own.keys()),
            p_spread=min(chances, default=None),
            seeds_needed=_seeds(estimate, residual, arm, control, arms=len(arms), level=level),
        )
    return found


def simultaneous(
    estimate: float, squared_error: Part | None, distribution: LargestT, *, level: float
) -> tuple[tuple[float, float] | None, float | None]:
    """Compute the interval and p-value of one of several estimates, adjusted for all of them.

    Args:
        estimate: the estimate.
        squared_error: its variance with the degrees of freedom; None where nothing is known of it.
        distribution: of the largest t statistic of all estimates.
        level: as in `many_to_one`.

    Returns:
        [low, high] and the p-value; None for both without a variance.
    """
    if squared_error is None:
        return None, None
    error, df = math.sqrt(squared_error.square), squared_error.df
    half = distribution.critical(df, level) * error
    return (estimate - half, estimate + half), float(distribution.exceeds(np.array([abs(estimate) / error]), df)[0])


def _seeds(estimate: float, residual: Spread, arm: int, control: int, *, arms: int, level: float) -> int | None:
    """Say how many seeds would make this estimate claimable, if every arm had every seed."""
    if residual.pooled is None:
        return None
    pair = [one for one in (arm, control) if one not in residual.own]
    together = Part(len(pair) * residual.pooled.square, len(residual.pool) - 1)
    own = [Part(residual.own[one].square, 1) for one in (arm, control) if one in residual.own]
    return seeds_needed(estimate, [part for part in (together, *own) if part.square], arms=arms, level=level)


def seeds_needed(difference: float, parts: Sequence[Part], *, arms: int, level: float) -> int | None:
    """Compute the seeds with which a true difference of this size is claimed with a chance of `POWER`.

    The power is that of the noncentral t distribution beyond the critical value for all arms. Every arm has every seed.

    Args:
        difference: the arm minus the control.
        parts: the variance of one run of the arm plus one of the control, as a sum; each with the degrees of freedom
            that every seed after the first adds.
        arms: how many are compared with the control.
        level: as in `many_to_one`.

    Returns:
        The smallest such number of seeds, 2 or more; None if there is no difference or no variance, or if even
        `MOST_SEEDS` are too few.
    """
    if not difference or not parts:
        return None
    one, distribution = sum_up(parts), largest_t.complete(arms)

    def enough(seeds: int) -> bool:
        df = one.df * (seeds - 1)
        limit, shift = distribution.critical(df, level), abs(difference) * math.sqrt(seeds / one.square)
        scale, weight = largest_t.scales(df)
        return bool((ndtr(shift - limit * scale) + ndtr(-shift - limit * scale)) @ weight >= POWER)

    found = bisect.bisect_left(range(2, MOST_SEEDS + 1), True, key=enough) + 2
    return found if found <= MOST_SEEDS else None
