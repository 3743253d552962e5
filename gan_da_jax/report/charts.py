"""Arms and boards -> the charts of a report: which there are, what each shows, and what its file is called."""

import re
from typing import NamedTuple

import numpy as np

from gan_da_jax.metrics.summary import Score, curve, written
from gan_da_jax.report import figures
from gan_da_jax.report.arms import Arm, Board
from gan_da_jax.report.runs import Run

# Every file name of a chart, of this report or of one made earlier, and nothing else.
FILE_NAME = re.compile(r"(curve|ranking|losses)-\d+(-[A-Za-z0-9_-]+)?\.png")


class Chart(NamedTuple):
    """A chart as the bytes of an SVG and of a PNG file, and the name of the latter."""

    file_name: str
    svg: bytes
    png: bytes


def draw(arms: list[Arm], boards: list[Board]) -> dict[tuple, Chart]:
    """Draws all charts; equal arms and boards give equal bytes.

    Returns:
        The charts under ("curve", number of the board, key of the score), ("ranking", number of the board) and
        ("losses", number of the arm). An arm that was not trained has none.
    """
    charts = {}
    for number, board in enumerate(boards):
        names = (board.source, board.classifier)
        for score in board.scores:
            key = ("curve", number, score.key)
            charts[key] = _chart(_curves(board, score), *key, *names)
        key = ("ranking", number)
        charts[key] = _chart(_ranking(board), *key, *names)
    courses = [[_losses(run) for run in arm.runs if run.metrics] for arm in arms]
    limits = _limits(courses)
    for number, (arm, course) in enumerate(zip(arms, courses, strict=True)):
        if course:
            key = ("losses", number)
            charts[key] = _chart(figures.losses(course, limits=limits), *key, arm.source, arm.name)
    return charts


def _chart(figure: figures.Figure, *words: object) -> Chart:
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(map(str, words))).strip("-")[:100]
    return Chart(f"{slug}.png", figures.svg(figure), figures.png(figure))


def _curves(board: Board, score: Score) -> figures.Figure:
    lines = {}
    for standing in board.ranked(score):
        label = f"{written(standing.scores[score.key]['mean'])}\u2002{standing.arm.label}"
        lines[label] = standing.number, curve(standing.course, score.key)
    return figures.curves(lines, label=score.label, real=board.real(score))


def _ranking(board: Board) -> figures.Figure:
    score = board.scores[0]
    places = []
    for standing in board.ranked(score):
        found = standing.scores[score.key]
        values = [value for value in found["values"] if value is not None]
        places.append(figures.Place(standing.arm.label, found["mean"], found["ci95"], values))
    return figures.ranking(places, label=score.label, real=board.real(score), better=score.better)


def _losses(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    epochs, generator, discriminator = (
        np.array([np.nan if row.get(key) is None else row[key] for row in run.metrics], np.float64)
        for key in ("epoch", "generator_loss", "discriminator_loss")
    )
    return epochs, generator, discriminator


def _limits(courses: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]) -> tuple[float, float]:
    """The ends of the axis of all losses."""
    values = np.concatenate([np.ravel(both) for course in courses for _, *both in course] or [[]])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0:
        return values.min() * 0.9, values.max() * 1.1
    return 0, values.max(initial=1) * 1.1
