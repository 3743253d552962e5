"""A board -> whether its GANs have learnt to draw the pictures yet, and whether their scores have settled."""

import math
import statistics

import numpy as np

from gan_da_jax.metrics.columns import value
from gan_da_jax.report.arms import Board, Standing

NEAR_0 = 0.02  # precision and coverage up to this say that samples and real images hardly meet
LONGER = 4.0  # how many times as long a training should be that has taught nothing
LEAST_KIMG = 50.0  # and at least this: on 500 faces at 32 px, FID falls from 14 at 10 kimg to 6 at 50 and 4.7 at 100
QUARTER = 0.75  # where the last quarter of the training begins
FALLS = 0.1  # the part of a score that may be lost in it by a run that has settled


def nothing_learnt(board: Board) -> str | None:
    """Say why no arm of a board draws the pictures yet; None where one does, or nothing says that none does.

    Two signs are looked for in all arms: precision and coverage near 0; and a distance to the real images that is
    nearer to the distance of noise than to the distance of real halves from each other.
    """
    prefix = "reference_" if any("reference_precision" in one.scores for one in board.standings) else ""
    both = [
        [one.scores[key]["mean"] for key in (f"{prefix}precision", f"{prefix}coverage") if key in one.scores]
        for one in board.standings
    ]
    if all(len(found) == 2 and max(found) <= NEAR_0 for found in both):
        return "precision and coverage are near 0 in all arms"
    score = board.deciding
    if score is None:
        return None
    middles = [_middle(standing, score.key) for standing in board.standings]
    if all(
        middle is not None and score.key in standing.scores and standing.scores[score.key]["mean"] > middle
        for standing, middle in zip(board.standings, middles, strict=True)
    ):
        return f"by {score.label}, the samples of all arms are nearer to noise than to real images"
    return None


def _middle(standing: Standing, key: str) -> float | None:
    """Return the distance half-way between real images' and noise's, averaged over the seeds; None if not measured."""
    found = [row["anchors"][key] for row in standing.last.values() if key in (row.get("anchors") or {})]
    middles = [(one["halves"] + one["noise"]) / 2 for one in found if None not in (one["halves"], one["noise"])]
    return statistics.fmean(middles) if middles else None


def more_kimg(board: Board) -> float:
    """Say about how many thousand images a training should be shown that has taught nothing, to two digits."""
    shown = max(row["kimg"] for standing in board.standings for row in standing.last.values())
    wanted = max(LEAST_KIMG, LONGER * shown)
    step = 10 ** (math.floor(math.log10(wanted)) - 1)
    return math.ceil(wanted / step) * step


def unsettled(board: Board) -> dict[int, float]:
    """Find the arms whose deciding score still falls in the last quarter of their training.

    Returns:
        The part of it that was lost in that quarter, 0..1, the mean over the seeds, under the numbers of the arms where
        it is more than `FALLS`. The score at three quarters lies on the line, of logarithms, between the checkpoints
        around it; a run that has no checkpoint before is left out.
    """
    score, found = board.deciding, {}
    if score is None or score.better != "lower":
        return {}
    for standing in board.standings:
        falls = []
        for seed, last in standing.last.items():
            course = [(row["kimg"], value(row, score.key)) for row in standing.course if row["seed"] == seed]
            points = sorted((at, number) for at, number in course if number is not None and number > 0)
            end, start = value(last, score.key), QUARTER * last["kimg"]
            if points and points[0][0] <= start and end is not None and end > 0:
                at, numbers = zip(*points, strict=True)
                falls.append(1 - end / math.exp(np.interp(start, at, np.log(numbers))))
        if falls and statistics.fmean(falls) > FALLS:
            found[standing.number] = statistics.fmean(falls)
    return found
