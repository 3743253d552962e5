"""Arms and boards -> the charts of a report: which there are, what each shows, and what its file is called."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gan_da_jax.metrics.columns import written
from gan_da_jax.metrics.measure import Score
from gan_da_jax.metrics.over_seeds import curve
from gan_da_jax.metrics.shares import leakage, memorisation
from gan_da_jax.report import learning, usable
from gan_da_jax.report.arms import ArmRuns, Board, Standing
from gan_da_jax.report.charts import bars, figures, probabilities, sheets
from gan_da_jax.runs.read import RecordedRun

# All file names of charts, of this report or of an earlier one, and no other names.
KINDS = (
    "bars", "classes", "counts", "curve", "leakage", "losses", "memorisation", "preview", "ranking", "samples"
)  # fmt: skip
FILE_NAME = re.compile(rf"({'|'.join(KINDS)})-\d+(-[A-Za-z0-9_-]+)?\.(png|svg)")
PLAIN = ("none", *usable.NO_AUGMENTATION)  # policies that leave the look of images as it is


class Chart(NamedTuple):
    """A chart as the bytes of an SVG and of a PNG file, and the name of both without its ending."""

    name: str
    svg: bytes
    png: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """The two files by their names."""
        return {f"{self.name}.png": self.png, f"{self.name}.svg": self.svg}


def draw(arms: list[ArmRuns], boards: list[Board]) -> dict[tuple, Chart]:
    """Draw all charts of a report; equal arms and boards give equal bytes.

    Returns:
        The charts under their kind and number: of a board `curve`, `ranking`, `bars` and `counts` with the key of the
        score, `classes` with the number of the arm, `leakage` with the op and `memorisation` with the space; of an arm
        `losses`; of a source, in the order of the arms, `preview` and `samples`. One that would be empty is missing.

    Raises:
        UserError: a picture or a file of probabilities is damaged.
    """
    charts = {}
    for number, board in enumerate(boards):
        for key, figure in _of_board(board):
            charts[key[0], number, *key[1:]] = _chart(figure, key[0], number, *key[1:], board.source, board.classifier)
    courses = [[_losses(run) for run in arm.runs if run.metrics] for arm in arms]
    limits = _limits(courses)
    for number, (arm, course) in enumerate(zip(arms, courses, strict=True)):
        if course:
            figure = figures.losses(course, limits=limits)
            charts["losses", number] = _chart(figure, "losses", number, arm.source, arm.arm)
    for number, source in enumerate(dict.fromkeys(arm.source for arm in arms)):
        of_source = [arm for arm in arms if arm.source == source]
        for kind, rows in (("preview", sheets.previews(of_source)), ("samples", sheets.samples(of_source))):
            if rows:
                charts[kind, number] = _chart(figures.strips(rows), kind, number, source)
    return charts


def _chart(figure: figures.Figure, *words: object) -> Chart:
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", "-".join(map(str, words))).strip("-")[:100]
    return Chart(slug, figures.svg(figure), figures.png(figure))


def _of_board(board: Board) -> Iterator[tuple[tuple, figures.Figure]]:
    for score in board.scores:
        yield ("curve", score.key), _curves(board, score)
    for score in board.headline:
        yield ("ranking", score.key), _ranking(board, score)
        if figure := _singles(board, score):
            yield ("bars", score.key), figure
        if figure := _counts(board, score):
            yield ("counts", score.key), figure
    for number, found in probabilities.of_board(board).items():
        yield ("classes", number), bars.classes(**found._asdict())
    leaks = {standing.arm.label: leakage(standing.sets) for standing in board.standings}
    for op in dict.fromkeys(op for found in leaks.values() for op in found):
        if places := _shares({label: found[op] for label, found in leaks.items() if op in found}):
            label = f"% of samples that look like {op} images"
            yield ("leakage", op), figures.ranking(places, label=label, real=None, better="lower")
    copies = {standing.arm.label: memorisation(standing.sets) for standing in board.standings}
    for space in dict.fromkeys(space for found in copies.values() for space in found):
        of_space = {label: found[space] for label, found in copies.items() if space in found}
        expected = 100 * float(np.mean([found["expected"] for found in of_space.values()]))
        look = {"label": f"% of samples taken for copies, by {space}", "mark": "expected", "better": "lower"}
        yield ("memorisation", space), figures.ranking(_shares(of_space), real=expected, **look)


def _ranked(standing: Standing, score: Score, label: str) -> figures.Ranked:
    found = standing.scores[score.key]
    seeds = [number for number in found["values"] if number is not None]
    return figures.Ranked(label, found["mean"], found["ci95"], seeds)


def _shares(found: dict[str, dict]) -> list[figures.Ranked]:
    """Return the arms' shares in percent, without blind meters."""
    return [
        figures.Ranked(
            label,
            100 * one["mean"],
            [100 * min(max(end, 0), 1) for end in one["ci95"] or one.get("sampling") or ()] or None,
            [100 * value for value in one["values"] if value is not None],
        )
        for label, one in found.items()
        if one["mean"] is not None
    ]


def _singles(board: Board, score: Score) -> figures.Figure | None:
    """Draw the arms with one augmentation beside the arms without any, as in the paper's figures 6 and 10."""
    having = [one for one in board.standings if score.key in one.scores and len(one.arm.arm.parts) < 2]
    having.sort(key=lambda one: one.arm.arm.policy not in PLAIN)
    kinds = [bars.PLAIN if one.arm.arm.policy in PLAIN else "one augmentation" for one in having]
    names = list(dict.fromkeys(kinds))
    if len(having) < 2 or "one augmentation" not in names:
        return None
    groups = [[(kind, _ranked(one, score, one.arm.label))] for kind, one in zip(kinds, having, strict=True)]
    return bars.bars(groups, names=names, label=score.label, real=board.real(score), better=score.better)


def _counts(board: Board, score: Score) -> figures.Figure | None:
    """Draw the policies that were trained with several counts, as in the paper's figures 8 and 12."""
    found: dict[str, list[Standing]] = {}
    for one in board.standings:
        if score.key in one.scores and not one.arm.arm.baseline:
            found.setdefault(one.arm.label.replace(str(one.arm.arm), one.arm.arm.policy, 1), []).append(one)
    several = {label: alike for label, alike in found.items() if len({one.arm.arm.count for one in alike}) > 1}
    if not several:
        return None
    names = [f"{count:,} added" for count in sorted({one.arm.arm.count for alike in several.values() for one in alike})]
    groups = [
        [
            (f"{one.arm.arm.count:,} added", _ranked(one, score, label))
            for one in sorted(alike, key=lambda one: one.arm.arm.count)
        ]
        for label, alike in several.items()
    ]
    return bars.bars(groups, names=names, label=score.label, real=board.real(score), better=score.better)


def _curves(board: Board, score: Score) -> figures.Figure:
    lines = {}
    for standing in board.ranked(score):
        label = f"{written(standing.scores[score.key]['mean'])}\u2002{standing.arm.label}"
        lines[label] = standing.number, curve(standing.course, score.key, unit=board.unit)
    return figures.curves(lines, label=score.label, real=board.real(score), unit=board.unit)


def _ranking(board: Board, score: Score) -> figures.Figure:
    barred = {} if learning.nothing_learnt(board) else usable.faults(board)
    names = {
        one.number: f"{one.arm.label} (not to be used)" if one.number in barred else one.arm.label
        for one in board.standings
    }
    places = [_ranked(standing, score, names[standing.number]) for standing in board.ranked(score)]
    return figures.ranking(places, label=score.label, real=board.real(score), better=score.better)


def _losses(run: RecordedRun) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    epochs, generator, discriminator = (
        np.array([np.nan if row.get(key) is None else row[key] for row in run.metrics], np.float64)
        for key in ("epoch", "generator_loss", "discriminator_loss")
    )
    return epochs, generator, discriminator


def _limits(courses: list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]) -> tuple[float, float]:
    """Return the ends of the axis of all losses."""
    values = np.concatenate([np.empty(0), *(np.ravel(both) for course in courses for _, *both in course)])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0:
        return values.min() * 0.9, values.max() * 1.1
    return 0, values.max(initial=1) * 1.1
