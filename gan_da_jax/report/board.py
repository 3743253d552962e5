"""A board -> what the page and the summary say of it: the verdict, the leading arm, caveats, what is missing."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

from gan_da_jax.classifiers.registry import scores_by
from gan_da_jax.metrics.columns import value
from gan_da_jax.metrics.comparison import rank_agreement
from gan_da_jax.metrics.measure import Score
from gan_da_jax.metrics.over_seeds import curve
from gan_da_jax.report import controls, explanation, learning, usable, verdict
from gan_da_jax.report.arms import Board, Standing

FEWEST = 4  # arms whose orders can agree: three arms fall into the same order by chance once in six
CLOSE = 0.4  # Kendall's tau from which on two orders are called alike: 7 of 10 pairs of arms stand the same way round


def account_of(board: Board) -> dict[str, Any]:
    """Gather what the page says of one board.

    `use` is the arm that the verdict says to use, or None; `learnt` whether the samples show anything. The first score
    leads. `ranked` holds the arms that have it, from the best, or from the highest where the reading is disputed;
    `usable` these without faults; `rest` the arms that lack it.
    """
    lead = board.scores[0]
    ranked = board.ranked(lead)
    rows = [row for standing in board.standings for row in standing.last.values()]
    against = controls.against(board)
    agreed = agreement(board)
    answer = verdict.of_board(board, against)
    cells = [(standing, score) for standing in board.standings for score in board.scores]
    return {
        "board": board,
        "lead": lead,
        "disputed": lead.better == "disputed",
        "ranked": ranked,
        "rest": [standing for standing in board.standings if lead.key not in standing.scores],
        "verdict": answer.statements,
        "use": answer.use,
        "usable": usable.candidates(board, lead),
        "learnt": learning.nothing_learnt(board) is None,
        "caveats": answer.caveats,
        "against": against,
        "explanation": explanation.paragraphs(board, agreed),
        "real": {score.key: board.real(score) for score in board.scores},
        "anchors": _anchors(board),
        "real_images": max(row["real_images"] for row in rows),
        "repeated": any(len(standing.last) > 1 for standing in board.standings),
        "sets": sorted({len(row["sets"]) for row in rows}),
        "spread": {(standing.number, score.key): _spread(standing, score) for standing, score in cells},
        "chance": [(score, found) for score in board.scores if (found := _chance(board, score)) is not None],
        "resampled": {standing.number: _resampled(standing) for standing in board.standings},
        "courses": {
            standing.number: curve(standing.course, lead.key, unit=board.unit).mean.tolist()
            for standing in board.standings
        },
        "missing": _missing(board),
    }


def entries(boards: list[Board]) -> list[dict[str, Any]]:
    """Make one entry a board for summary.json: what scored its arms, the verdict, all caveats and the agreement."""
    return [
        {
            "source": board.source,
            "classifier": board.classifier,
            "tap": board.tap,
            "samples": board.samples,
            "splits": board.splits,
            "reference": board.reference,
            "verdict": answer.statements,
            "use": answer.use and answer.use.arm.label,
            "faults": {
                standing.arm.label: barred[standing.number] for standing in board.standings if standing.number in barred
            }
            | {arm.label: [fault] for arm, fault in usable.lost(board)},
            "caveats": answer.caveats,
            "agreement": {score.key: found for score, found in agreement(board)},
        }
        for board in boards
        for answer in [verdict.of_board(board, controls.against(board))]
        for barred in [usable.faults(board)]
    ]


def agreement(board: Board) -> list[tuple[Score, dict[str, Any]]]:
    """Find whether a distance puts the arms in the order in which a reading of the Inception Score does.

    Returns:
        Each distance with `arms`, how many arms have both scores, at least `FEWEST`; `tau`, Kendall's, of the means:
        above 0 where a low distance goes with a low Inception Score, as the paper reads it, below 0 as the field does;
        and `reading`: `paper`, `field`, or None where the order is close to neither.
    """
    lead, found = board.scores[0], []
    for score in board.scores:
        both = [one.scores for one in board.standings if {lead.key, score.key} <= one.scores.keys()]
        if lead.better == "disputed" and score.distance and len(both) >= FEWEST:
            tau = rank_agreement(*([one[key]["mean"] for one in both] for key in (lead.key, score.key)))
            if tau is not None:
                reading = "paper" if tau >= CLOSE else "field" if tau <= -CLOSE else None
                found.append((score, {"arms": len(both), "tau": tau, "reading": reading}))
    return found


def _sets(standing: Standing) -> Iterator[dict[str, Any]]:
    """Yield the evaluations of the last checkpoint, one a seed and set of samples."""
    return (found for row in standing.last.values() for found in row["sets"])


def _spread(standing: Standing, score: Score) -> float | None:
    """Average the standard deviation of a score over the splits (or subsets), over sets and seeds."""
    found = [row[score.key]["std"] for row in standing.last.values() if isinstance(row[score.key], dict)]
    return statistics.fmean(found) if found else None


def _chance(board: Board, score: Score) -> float | None:
    """Pool, over seeds and arms, the standard deviation of a score over sets of samples of one checkpoint."""
    variances = []
    for standing in board.standings:
        for row in standing.last.values():
            found = [number for each in row["sets"] if (number := value(each, score.key)) is not None]
            if len(found) > 1:
                variances.append(statistics.variance(found))
    return math.sqrt(statistics.fmean(variances)) if variances else None


def _anchors(board: Board) -> list[tuple[Score, float | None, float | None]]:
    """Average what noise scores, and what real images score, over the arms: for each distance of which lines say so."""
    rows = [row for standing in board.standings for row in standing.last.values()]
    found = []
    for score in (score for score in board.scores if score.distance):
        known = [row["anchors"][score.key] for row in rows if score.key in row.get("anchors", {})]
        measured = {name: [one[name] for one in known if one[name] is not None] for name in ("noise", "halves")}
        if any(measured.values()):
            noise, halves = (statistics.fmean(numbers) if numbers else None for numbers in measured.values())
            found.append((score, noise, halves))
    return found


def _resampled(standing: Standing) -> dict[str, Any] | None:
    """Average the bootstrap intervals of the Inception Score over sets and seeds; say whether the score is outside."""
    found = [row["inception_score_1_interval"] for row in _sets(standing) if row["inception_score_1_interval"]]
    if not found:
        return None
    low, high = map(statistics.fmean, zip(*found, strict=True))
    return {"ends": (low, high), "off": not low <= standing.scores["inception_score_1"]["mean"] <= high}


def _missing(board: Board) -> list[dict[str, Any]]:
    """Say why scores could not be computed: the reason, names of the scores, and the arms, [] where it is all arms."""
    labels = {score.key: score.label for score in scores_by(board.classifier)} | {"classes": "classes of single images"}
    found: dict[str, dict[str, dict]] = {}
    for standing in board.standings:
        for row in _sets(standing):
            for field, reason in row["reasons"].items():
                if field in labels:
                    one = found.setdefault(reason, {"fields": {}, "arms": {}})
                    one["fields"][labels[field]] = one["arms"][standing.arm.as_arm] = True
    return [
        {
            "reason": reason,
            "fields": list(one["fields"]),
            "arms": list(one["arms"]) if len(one["arms"]) < len(board.standings) else [],
        }
        for reason, one in found.items()
    ]
