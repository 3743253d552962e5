"""Arms held against their controls: by Dunnett's test with its intervals, and by ranks as a second opinion."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from gan_da_jax.metrics.many_to_one import many_to_one
from gan_da_jax.metrics.two_way import Layout, weights

LEVEL = 0.05  # the chance of any wrong claim among all arms of a score; an adjusted p-value up to it is a claim
Name = TypeVar("Name", bound=Hashable)
Scores = Mapping[int, float]  # of one arm: seed -> score


class Family(NamedTuple, Generic[Name]):
    """A control and the arms that are compared with it, each with its scores, finite, under the seeds."""

    control: Scores
    arms: Mapping[Name, Scores]


class Comparison(NamedTuple):
    """An arm minus its control.

    Attributes:
        difference: in the score's unit, by least squares: the mean over the common seeds where no run is missing.
        percent: the same in percent of the control, from logarithms; None where the score is compared plainly.
        ci95: the interval of `percent` where there is one, else of `difference`: [low, high]. All intervals of a score
            hold at once with a chance of 95%. None where nothing is known of chance.
        p: the adjusted p-value that belongs to the interval; None without one.
        p_rank: the second opinion: the exact signed-rank test over the common seeds, with Holm's correction.
        seeds: the seeds that the arm and its control have in common, ascending; at least one.
        seeds_needed: with how many seeds in all an effect of the size found would be claimed with a chance of 0.8; None
            where there is no effect, nothing known of chance, or more needed than `many_to_one.MOST_SEEDS`.
        method: `Student` for a single arm, else `Dunnett`; `Dunnett, own spread` where the arm or its control spreads
            further than the others, see `many_to_one`.
        p_spread: the p-value of that test; None where the runs allow none.
    """

    difference: float
    percent: float | None
    ci95: list[float] | None
    p: float | None
    p_rank: float
    seeds: list[int]
    seeds_needed: int | None
    method: str
    p_spread: float | None

    @property
    def claimed(self) -> bool:
        """Whether the difference is more than chance would explain.

        Over a single common seed it never is: that the run of the arm, or of the control, strays no further than the
        other arms do is then an assumption which nothing tests.
        """
        return self.p is not None and self.p <= LEVEL and len(self.seeds) > 1


def compare(families: Sequence[Family[Name]], *, relative: bool) -> dict[Name, Comparison]:
    """Compare arms with their controls by one score, seed by seed: a seed draws the originals, which all arms share.

    Each family is compared by `many_to_one`; several share the level equally (Bonferroni).

    Args:
        families: the controls with their arms; every name occurs once.
        relative: whether to compare by ratios, which is to say on logarithms; not done where a score of the family is 0
            or less.

    Returns:
        The arms that have a seed in common with their control.
    """
    common = {
        name: sorted(scores.keys() & family.control.keys())
        for family in families
        for name, scores in family.arms.items()
    }
    kept = [
        Family(family.control, arms)
        for family in families
        if (arms := {name: scores for name, scores in family.arms.items() if common[name]})
    ]
    ranks = _ranks(kept, common)
    return {
        name: found for family in kept for name, found in _compare(family, relative, len(kept), common, ranks).items()
    }


def _compare(
    family: Family[Name], relative: bool, families: int, common: Mapping[Name, list[int]], ranks: Mapping[Name, float]
) -> dict[Name, Comparison]:
    runs = [
        (arm, seed, score)
        for arm, scores in enumerate([family.control, *family.arms.values()])
        for seed, score in scores.items()
    ]
    layout = Layout(tuple(arm for arm, _, _ in runs), tuple(seed for _, seed, _ in runs))
    values = np.array([score for _, _, score in runs], np.float64)
    logarithmic = relative and bool((values > 0).all())
    decisive = many_to_one(layout, np.log(values) if logarithmic else values, 0, level=LEVEL / families)
    plain = weights(layout, tuple(decisive), 0) @ values
    differences, found = dict(zip(decisive, plain.tolist(), strict=True)), {}
    for arm, name in enumerate(family.arms, start=1):
        one = decisive[arm]
        found[name] = Comparison(
            difference=differences[arm],
            percent=in_percent(one.estimate) if logarithmic else None,
            ci95=one.ends and [in_percent(end) if logarithmic else end for end in one.ends],
            p=None if one.p is None else min(1.0, families * one.p),
            p_rank=ranks[name],
            seeds=common[name],
            seeds_needed=one.seeds_needed,
            method="Student" if len(family.arms) == 1 else "Dunnett, own spread" if one.odd else "Dunnett",
            p_spread=one.p_spread,
        )
    return found


def in_percent(logarithm: float) -> float:
    """Convert the logarithm of a ratio into a difference in percent, at most about 1e306: JSON knows no infinity."""
    return 100 * math.expm1(min(logarithm, 700.0))


def _ranks(families: Sequence[Family[Name]], common: Mapping[Name, list[int]]) -> dict[Name, float]:
    """Test the paired differences of all arms by their ranks, corrected for all of them."""
    p = {
        name: signed_rank([scores[seed] - family.control[seed] for seed in common[name]])
        for family in families
        for name, scores in family.arms.items()
    }
    return dict(zip(p, holm(list(p.values())), strict=True))


def signed_rank(differences: Sequence[float]) -> float:
    """Compute the exact two-sided p-value of Wilcoxon's signed-rank test (Wilcoxon, 1945, Biometrics Bulletin 1).

    Under the null hypothesis each difference is as likely positive as negative. Differences of 0 are left out, equal
    ones share their mean rank; the distribution is computed for these ranks, so ties do not make it approximate.

    Args:
        differences: n >= 0 finite numbers.
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0]
    _, place, times = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(times) - times + 1)[place]  # twice the mean rank: a whole number
    ways = np.zeros(doubled.sum() + 1)  # ways[w] of the 2^n signs give the positive ranks a sum of w / 2
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    found = doubled[values > 0].sum()
    tail = min(ways[: found + 1].sum(), ways[found:].sum())
    return float(min(1.0, 2 * tail / ways.sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that one wrong claim among all of them stays as unlikely as the level says.

    Reference: Holm, 1979, A simple sequentially rejective multiple test procedure.

    Args:
        p_values: m >= 0 numbers, 0..1.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.minimum(1.0, np.asarray(p_values, np.float64)[order] * np.arange(len(order), 0, -1))
    found = np.empty(len(order))
    found[order] = np.maximum.accumulate(adjusted)
    return found.tolist()


def rank_agreement(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Compute Kendall's tau-b of two orders: 1 where they are the same, -1 where one is the other reversed.

    Args:
        one: float [n], n >= 0, a number for each of n things.
        other: float [n], another number for each.

    Returns:
        The coefficient; None where one of the two is constant and so gives no order.
    """
    signs = [np.sign(np.subtract.outer(values, values)) for values in map(np.asarray, (one, other))]
    scale = np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
    return float((signs[0] * signs[1]).sum() / scale) if scale else None
