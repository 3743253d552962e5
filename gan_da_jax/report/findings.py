"""A board -> what the page says of its scores: who leads, by how much, what limits that, and what is missing."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

from gan_da_jax.metrics.summary import SCORES, Score, curve, value
from gan_da_jax.report.arms import Board, Standing

CLASSIFIERS = {
    "inception_v3_2015": "The classifier is the network of the original Inception Score and FID. Published scores "
    "mostly rest on 50,000 generated images; from fewer images the same generator gets a lower Inception Score and a "
    "higher FID.",
    "inception_v3": "The classifier is the 1,000-class Inception-v3 of Keras, not the 2015 network that published "
    "Inception Scores and FIDs are taken with: compare these numbers with each other, not with published ones.",
    "inception_v3_torchvision": "The classifier is the 1,000-class Inception-v3 of torchvision, not the 2015 network "
    "that published Inception Scores and FIDs are mostly taken with: compare these numbers with each other, not with "
    "published ones.",
}
OTHER_CLASSIFIER = (
    "The classifier is not the Inception network: these numbers are not comparable with any published Inception Score "
    "or FID, only with each other."
)
PUBLISHED_TAP = "2048"
OTHER_TAP = " Published FIDs compare features of tap 2048; these are of another tap, on another scale."


def tell(board: Board) -> dict[str, Any]:
    """What the page says of one board.

    Its first score leads. `ranked` holds the arms that have it, from the best, or from the highest where the reading is
    disputed; `rest` the others. `distances` are the scores of which a lower one is better, FID and KID, each with its
    best arm.
    """
    lead = board.scores[0]
    ranked = board.ranked(lead)
    ends = [standing.scores[lead.key]["ci95"] for standing in (ranked[0], ranked[-1])]
    rows = [row for standing in board.standings for row in standing.last.values()]
    epochs, kimg = (sorted({row[key] for row in rows}) for key in ("epoch", "kimg"))
    cells = [(standing, score) for standing in board.standings for score in board.scores]
    return {
        "board": board,
        "lead": lead,
        "disputed": lead.better == "disputed",
        "ranked": ranked,
        "rest": [standing for standing in board.standings if lead.key not in standing.scores],
        "overlap": max(low for low, _ in ends) <= min(high for _, high in ends) if all(ends) else None,
        "distances": [(score, board.ranked(score)[0]) for score in board.scores if score.better == "lower"],
        "real": {score.key: board.real(score) for score in board.scores},
        "real_images": max(row["real_images"] for row in rows),
        "accuracies": sorted({row["classifier_accuracy"] for row in rows} - {None}),
        "weights": len({row["weights_sha256"] for row in rows}),
        "sets": sorted({len(row["sets"]) for row in rows}),
        "epochs": epochs,
        "kimg": kimg,
        # Epochs end with a step, which may run into the next epoch: only a whole one counts as a difference.
        "uneven": epochs[-1] - epochs[0] >= 1 and kimg[-1] > 1.01 * kimg[0],
        "note": _note(board),
        "spread": {(standing.number, score.key): _spread(standing, score) for standing, score in cells},
        "chance": [(score, found) for score in board.scores if (found := _chance(board, score)) is not None],
        "resampled": {standing.number: _resampled(standing) for standing in board.standings},
        "courses": {standing.number: curve(standing.course, lead.key).mean.tolist() for standing in board.standings},
        "missing": _missing(board),
    }


def _sets(standing: Standing) -> Iterator[dict[str, Any]]:
    """The evaluations of the last checkpoint, one a seed and set of samples."""
    return (found for row in standing.last.values() for found in row["sets"])


def _note(board: Board) -> str:
    note = CLASSIFIERS.get(board.classifier, OTHER_CLASSIFIER)
    return note + OTHER_TAP if board.classifier == "inception_v3_2015" and board.tap != PUBLISHED_TAP else note


def _spread(standing: Standing, score: Score) -> float | None:
    """The standard deviation over the splits (or subsets) of a score, averaged over sets and seeds."""
    found = [row[score.key]["std"] for row in standing.last.values() if isinstance(row[score.key], dict)]
    return statistics.fmean(found) if found else None


def _chance(board: Board, score: Score) -> float | None:
    """The standard deviation of a score over sets of samples of one checkpoint, pooled over seeds and arms."""
    variances = []
    for standing in board.standings:
        for row in standing.last.values():
            found = [number for each in row["sets"] if (number := value(each, score.key)) is not None]
            if len(found) > 1:
                variances.append(statistics.variance(found))
    return math.sqrt(statistics.fmean(variances)) if variances else None


def _resampled(standing: Standing) -> dict[str, Any] | None:
    """The bootstrap interval of the Inception Score, averaged over sets and seeds, and whether it leaves that out."""
    found = [row["inception_score_1_interval"] for row in _sets(standing) if row["inception_score_1_interval"]]
    if not found:
        return None
    low, high = map(statistics.fmean, zip(*found, strict=True))
    return {"ends": (low, high), "off": not low <= standing.scores["inception_score_1"]["mean"] <= high}


def _missing(board: Board) -> list[dict[str, Any]]:
    """Why scores could not be computed: reason, names of the scores, and the arms, or none where it is all of them."""
    labels = {score.key: score.label for score in SCORES} | {"classes": "classes of single images"}
    found: dict[str, dict[str, dict]] = {}
    for standing in board.standings:
        for row in _sets(standing):
            for field, reason in row["reasons"].items():
                if field in labels:
                    one = found.setdefault(reason, {"fields": {}, "arms": {}})
                    one["fields"][labels[field]] = one["arms"][standing.arm.label] = True
    return [
        {
            "reason": reason,
            "fields": list(one["fields"]),
            "arms": list(one["arms"]) if len(one["arms"]) < len(board.standings) else [],
        }
        for reason, one in found.items()
    ]
