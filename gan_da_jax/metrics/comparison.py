"""Arms held against a control over common seeds: paired differences, an exact rank test, corrected for many arms."""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from gan_da_jax.metrics.over_seeds import interval

LEVEL = 0.05  # a corrected p-value up to this counts as more than chance
Name = TypeVar("Name", bound=Hashable)


class Comparison(NamedTuple):
    """An arm minus its control.

    Attributes:
        difference: the mean over the common seeds.
        ci95: Student's 95% interval of it, [low, high], or None for one seed.
        p: of Wilcoxon's signed-rank test, two-sided and exact.
        p_holm: the same after Holm's correction over all arms that were compared.
        seeds: the common seeds, ascending.
        enough: whether this number of seeds can bring `p_holm` down to `LEVEL`, however large the differences are.
        seeds_needed: the smallest number of seeds that can.
    """

    difference: float
    ci95: list[float] | None
    p: float
    p_holm: float
    seeds: list[int]
    enough: bool
    seeds_needed: int

    @property
    def claimed(self) -> bool:
        """Whether the difference is more than chance would explain."""
        return self.p_holm <= LEVEL


def compare(pairs: Mapping[Name, tuple[Mapping[int, float], Mapping[int, float]]]) -> dict[Name, Comparison]:
    """Compare arms with their controls, seed by seed: a seed draws the originals, which an arm and its control share.

    Args:
        pairs: for each arm its own scores and its control's, finite, under their seeds.

    Returns:
        The arms that have a seed in common with their control.
    """
    seeds = {name: sorted(arm.keys() & control.keys()) for name, (arm, control) in pairs.items()}
    differences = {
        name: [pairs[name][0][seed] - pairs[name][1][seed] for seed in common]
        for name, common in seeds.items()
        if common
    }
    p_values = [signed_rank(values) for values in differences.values()]
    least = holm([least_p(len(values)) for values in differences.values()])
    needed = seeds_needed(len(differences))
    return {
        name: Comparison(*interval(values), p, p_holm, seeds[name], reachable <= LEVEL, needed)
        for (name, values), p, p_holm, reachable in zip(
            differences.items(), p_values, holm(p_values), least, strict=True
        )
    }


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


def least_p(seeds: int) -> float:
    """Compute the smallest p-value that `signed_rank` can give for n seeds: 2 of the 2^n signs are extreme."""
    return min(1.0, 2.0 ** (1 - seeds))


def seeds_needed(arms: int) -> int:
    """Compute how many seeds each of this number of arms needs, so that one can reach `LEVEL` after the correction."""
    return next(seeds for seeds in range(1, 64) if arms * least_p(seeds) <= LEVEL)


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
