"""A board -> the paragraphs below its verdict: what was trained and scored, both readings, what the distances say."""

from collections.abc import Iterator, Sequence
from typing import Any

from gan_da_jax.gan.average import RAMP
from gan_da_jax.metrics.columns import written
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report import learning, usable
from gan_da_jax.report.arms import ArmRuns, Board

Agreement = list[tuple[Score, dict[str, Any]]]  # as from `board.agreement`


def paragraphs(board: Board, agreement: Agreement) -> list[str]:
    """Write the paragraphs, each of which holds for whatever was measured, with one arm or many.

    Nothing is said of the order of arms that have learnt nothing.

    Args:
        board: the board.
        agreement: which reading of the Inception Score each distance agrees with.
    """
    found = [_training(board)]
    if not learning.nothing_learnt(board):
        found += [_readings(board), _distances(board, agreement)]
    return [text for text in found if text]


def _training(board: Board) -> str:
    lead, rows = board.scores[0], [row for standing in board.standings for row in standing.last.values()]
    ranked, real = board.ranked(lead), _of_real(board, lead)
    networks = " or ".join(dict.fromkeys(standing.arm.network for standing in ranked))
    top, bottom = ranked[0], ranked[-1]
    if len(ranked) > 1:
        first, last = ("highest", "lowest") if lead.better == "disputed" else ("best", "worst")
        trained = f"for each of {len(ranked)} arms, on the originals and what the arm adds to them"
        found = (
            f"The {first} {lead.label}, {written(top.scores[lead.key]['mean'])}, is from {top.arm.as_training}; the "
            f"{last}, {written(bottom.scores[lead.key]['mean'])}, is from {bottom.arm.as_training}{real}."
        )
    else:
        arm = top.arm.arm
        added = "alone" if arm.baseline else f"and the {arm.count:,} images that {arm.policy} adds"
        trained = f"on the originals {added}"
        found = f"Its {lead.label} is {written(top.scores[lead.key]['mean'])}{real}."
    sets = sorted({len(row["sets"]) for row in rows})
    images = f"{board.samples:,} generated image{'' if board.samples == 1 else 's'}"
    if sets[-1] > 1:
        images = f"{sets[0]}{f' to {sets[-1]}' if len(sets) > 1 else ''} sets of {images} each"
    accuracies = sorted({row["classifier_accuracy"] for row in rows} - {None})
    right = f" ({accuracies[0]:.1%} right on held-out images)" if accuracies else ""
    return (
        f"On {board.source}, the {networks} was trained {trained}, and scored on {images} by the classifier "
        f"`{board.classifier}`{right}. {drawn_by([standing.arm for standing in board.standings])} {found}"
    )


def drawn_by(arms: Sequence[ArmRuns]) -> str:
    """Say in a sentence which generator draws the samples of arms: an average, or the generator as it was trained."""
    lives = sorted({arm.ema_kimg for arm in arms})
    longest = " or ".join(f"{life:g}" for life in lives if life)
    most = f"or {RAMP:.0%} of what was shown where that is less"
    average = f"the averaged generator (EMA, half-life {longest} kimg, {most})"
    if not longest:
        return "Samples are drawn by the generator as it was trained, not averaged."
    if lives[0]:
        return f"Samples are drawn by {average}."
    return f"Samples of some arms are drawn by {average}, of others by the generator as it was trained."


def _readings(board: Board) -> str:
    lead = board.scores[0]
    if lead.better != "disputed":
        return ""
    ranked = usable.candidates(board, lead)
    highest, lowest = (
        (f"; of the arms that may be used, {one.arm.as_training} is then best" for one in (ranked[0], ranked[-1]))
        if len(ranked) > 1
        else ("", "")
    )
    real = "" if board.real(lead) is None else " The real images show how this classifier scores perfect samples."
    return (
        "There are two readings, and this page does not choose. The field reads higher as better: each image is "
        f"clearly something, and together they are varied{highest}. The study that this tool follows reads lower as "
        f"better: images of one kind should all fall in one class{lowest}.{real}"
    )


def _distances(board: Board, agreement: Agreement) -> str:
    distances = [score for score in board.scores if score.distance]
    return " ".join([*_nearest(board, distances), *_agreement(agreement)]) if distances else ""


def _nearest(board: Board, distances: list[Score]) -> Iterator[str]:
    """Say which arm is nearest to the real images, by each distance."""
    lead, first = board.scores[0], distances[0]
    rows = [row for standing in board.standings for row in standing.last.values()]
    originals = max(row["real_images"] for row in rows)
    real = f"the {originals:,} original{'' if originals == 1 else 's'}"
    if first.plain:
        real = f"{max(row['reference']['images'] for row in rows):,} real images that nobody trained on"
    ranked, near = usable.candidates(board, lead), usable.candidates(board, first)
    if not near:
        return
    nearest = near[0]
    several, mean = len(ranked) > 1, written(nearest.scores[first.key]["mean"])
    yield (f"{_first_word(first)} is the distance from {real} in the classifier's features; lower is better.")
    if lead.better == "disputed" and several:
        preferred = {ranked[-1].number: "the paper's reading also prefers"}
        preferred[ranked[0].number] = "the field's reading also prefers"
        which = preferred.get(nearest.number, "neither reading prefers")
        yield f"By it, {nearest.arm.as_training}, which {which}, comes first of the arms that may be used, with {mean}."
    elif lead.better == "disputed":
        yield f"It is {mean}."
    for score in distances[1:]:
        best = (usable.candidates(board, score) or [nearest])[0]
        mean = written(best.scores[score.key]["mean"])
        which = "the same arm" if best.number == nearest.number else best.arm.as_training
        yield f"{_first_word(score)} puts {which} first ({mean})." if several else f"{_first_word(score)} is {mean}."


def _agreement(agreement: Agreement) -> Iterator[str]:
    for score, order in agreement:
        tau = f"tau = {abs(order['tau']):.2f}"
        if order["reading"]:
            reading = f"the {order['reading']}'s reading"
            yield f"{_first_word(score)} ranks the {order['arms']} arms as {reading} does ({tau})."
        else:
            nearer = "paper" if order["tau"] > 0 else "field"
            neither = f"neither reading does ({tau} with the {nearer}'s)"
            yield f"{_first_word(score)} ranks the {order['arms']} arms as {neither}."
    if agreement:
        yield (
            "Kendall's tau compares the orders of the arms' means: 1 where two orders are the same, 0 where they have "
            "nothing in common."
        )


def _first_word(score: Score) -> str:
    """Write the label of a score as the start of a sentence."""
    return score.label[0].upper() + score.label[1:]


def _of_real(board: Board, score: Score) -> str:
    return "" if (real := board.real(score)) is None else f"; the real images score {written(real)}"
