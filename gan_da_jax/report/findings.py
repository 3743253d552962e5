"""Boards -> what the paper found, held against what these runs say: agrees, disagrees, or cannot be said."""

import itertools
import statistics
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.comparison import LEVEL, rank_agreement
from gan_da_jax.report import controls, learning, usable
from gan_da_jax.report.arms import Board, Standing

AGREES, DISAGREES, OPEN = "agrees", "disagrees", "cannot be said"
UNFIT = ("invert", "vflip")  # the ops that the paper rules out by eye
PAPERS_SHARE = 5 / 6  # of the paper's pairs, in which 2,000 added images have the lower Inception Score than 1,000
MOST_ORDERS = 8  # arms whose orders are all enumerated: 8! = 40,320


class Found(NamedTuple):
    """One finding of the paper.

    Attributes:
        claim: the finding, as a sentence.
        here: `agrees`, `disagrees` or `cannot be said`.
        number: what was measured, or why nothing can be said.
    """

    claim: str
    here: str
    number: str


def of_boards(boards: list[Board]) -> list[Found]:
    """Hold the paper's four findings against the boards of one classifier, one for each source.

    The paper reads a lower Inception Score as the better one; so do its findings here, whatever the verdict reads.
    Boards whose arms have learnt nothing are passed over.
    """
    learnt = [board for board in boards if not learning.nothing_learnt(board)]
    found = [_unfit(learnt), _larger_sets(learnt), _lower_scores(learnt), _same_order(learnt)]
    return found if learnt else [one._replace(number="no arm draws the pictures yet") for one in found]


def by_judge(boards: list[Board]) -> dict[tuple[str, str, int, int], list[Board]]:
    """Group boards whose scores differ in nothing but their source: by classifier, tap, samples and splits.

    A source is in a group once: of its boards that differ in the reference, which the paper's findings do not ask for,
    with the board that has the most arms.
    """
    found: dict[tuple[str, str, int, int], dict[str, Board]] = {}
    for board in sorted(boards, key=lambda board: len(board.standings)):
        found.setdefault((board.classifier, board.tap, board.samples, board.splits), {})[board.source] = board
    return {by: [of_source[source] for source in sorted(of_source)] for by, of_source in sorted(found.items())}


def _score(standing: Standing) -> float | None:
    found = standing.scores.get("inception_score")
    return found["mean"] if found else None


def _unfit(boards: list[Board]) -> Found:
    claim = "Inversion and vertical flips do not fit these pictures."
    said, fits = [], []
    for board in boards:
        for standing in board.standings:
            ops = [op for op in UNFIT if op in standing.arm.made_by]
            for op, found in usable.leaks(board, standing).items():
                if op in ops:
                    fits.append(not found.too_large)
                    said.append(f"{standing.arm.label}: {found.share:.0%} of the samples look so")
    if not fits:
        return Found(claim, OPEN, "no arm with these two whose samples show anything and whose meter can see")
    return Found(claim, AGREES if not any(fits) else DISAGREES if all(fits) else OPEN, "; ".join(said))


def _larger_sets(boards: list[Board]) -> Found:
    claim = "2,000 added images are better than 1,000, in 5 of 6 cases (by a lower Inception Score)."
    lower = []
    for board in boards:
        by_arm = {
            (one.arm.arm.parts, one.arm.arm.count, one.arm.label.partition(" ")[2]): _score(one)
            for one in board.standings
        }
        for (parts, count, settings), larger in by_arm.items():
            smaller = by_arm.get((parts, count // 2, settings)) if count == 2000 else None
            if larger is not None and smaller is not None:
                lower.append(larger < smaller)
    if not lower:
        return Found(claim, OPEN, "no policy has an Inception Score with 1,000 and with 2,000 images")
    share = sum(lower) / len(lower)
    here = AGREES if share >= PAPERS_SHARE else DISAGREES if share <= 0.5 else OPEN
    return Found(
        claim, here, f"the score is lower in {sum(lower)} of {len(lower)} cases, by means; chance is not counted in"
    )


def _lower_scores(boards: list[Board]) -> Found:
    claim = "Augmentation lowers the Inception Score against training on the originals alone."
    compared = [
        found
        for board in boards
        for number, found in controls.against(board).get("none", {}).get("inception_score", {}).items()
        if next(one for one in board.standings if one.number == number).arm.arm.policy not in usable.NO_AUGMENTATION
    ]
    if not compared:
        return Found(
            claim,
            OPEN,
            "no augmentation has an Inception Score and a seed in common with training on the originals alone (`none`)",
        )
    lower = sum(controls.effect(found) < 0 for found in compared)
    claimed = [controls.effect(found) < 0 for found in compared if found.claimed]
    number = f"lower for {lower} of {len(compared)} arms; beyond chance for {len(claimed)}"
    if claimed and all(claimed) and lower > len(compared) / 2:
        return Found(claim, AGREES, number)
    if claimed and not any(claimed):
        return Found(claim, DISAGREES, number)
    return Found(claim, OPEN, f"{number}{', in both directions' if any(claimed) else ''}")


def _same_order(boards: list[Board]) -> Found:
    claim = "The arms of both sources stand in the same order."
    pairs = list(_orders(boards))
    if not pairs:
        return Found(claim, OPEN, "there are no two sources that share three arms with an Inception Score")
    taus, p_values = zip(*pairs, strict=True)
    tau, p = statistics.fmean(taus), max(p_values)
    here = AGREES if tau > 0 and p <= LEVEL else DISAGREES if tau <= 0 else OPEN
    return Found(
        claim,
        here,
        f"Kendall's tau = {signed(tau) if tau < 0 else written(tau)}, p = {p:.2g} by all orders of the arms",
    )


def _orders(boards: list[Board]) -> Iterator[tuple[float, float]]:
    """Yield, for each two sources, Kendall's tau of the arms that both have, and its one-sided p by permutation."""
    for one, other in itertools.combinations(boards, 2):
        scores = [
            {each.arm.label: number for each in board.standings if (number := _score(each)) is not None}
            for board in (one, other)
        ]
        common = sorted(scores[0].keys() & scores[1].keys())
        if len(common) < 3:
            continue
        first, second = ([found[arm] for arm in common] for found in scores)
        tau = rank_agreement(first, second)
        if tau is None:
            continue
        if len(common) <= MOST_ORDERS:
            orders = list(itertools.permutations(second))
        else:
            random = np.random.default_rng(0)
            orders = [tuple(second), *(tuple(random.permutation(second)) for _ in range(10_000))]
        as_large = sum((rank_agreement(first, order) or 0) >= tau - 1e-12 for order in orders)
        yield tau, as_large / len(orders)
