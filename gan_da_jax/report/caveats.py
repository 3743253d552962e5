"""A board -> what limits its answer, one sentence each, the gravest first."""

from collections.abc import Iterator

from gan_da_jax.classifiers.registry import caveats_on
from gan_da_jax.metrics.columns import written
from gan_da_jax.report import learning, usable
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import Against, control, ends, size
from gan_da_jax.report.health import troubles

WORSE = 1.1  # how far the last checkpoint's distance may be above the best one's, as a ratio


def of_board(board: Board, against: Against, use: Standing | None) -> list[str]:
    """List all caveats of a board; the last one, about the classifier, always applies.

    Caveats about the best arm are left out where it is disputed which arm is best.

    Args:
        board: the board.
        against: its comparisons, by `controls.against`.
        use: the arm that the answer says to use; where it names none, the one with the best mean is taken for the best.
    """
    candidates = usable.candidates(board, board.deciding) if board.deciding else []
    best = use or (candidates[0] if candidates else None)
    return [
        *_weights(board),
        *_health(board),
        *_unsettled(board),
        *_budget(board),
        *_seeds(board),
        *(_duplicate(board, best, against) if best else ()),
        *_disagreement(board),
        *(_collapse(board, best) if best else ()),
        *caveats_on(board.classifier, board.tap),
    ]


def _weights(board: Board) -> Iterator[str]:
    weights = {row["weights_sha256"] for standing in board.standings for row in standing.last.values()}
    if len(weights) > 1:
        yield (
            f"The classifier's weights differ between runs ({len(weights)} versions of {board.classifier}): score all "
            "runs with one file before comparing them."
        )


def _health(board: Board) -> Iterator[str]:
    for standing in board.standings:
        for run in standing.arm.runs:
            for trouble in troubles(run):
                yield f"The training of {standing.arm.as_arm}, seed {run.seed}, {trouble}."


def _unsettled(board: Board) -> Iterator[str]:
    falling, score = learning.unsettled(board), board.deciding
    if falling and score:
        kimg = max(row["kimg"] for standing in board.standings for row in standing.last.values())
        arms = len(board.standings)
        many = f"all {arms}" if len(falling) == arms else f"{len(falling)} of {arms}"
        which = f"in {many} arms by more than {learning.FALLS:.0%}"
        yield (
            f"Not settled: in the last quarter of the training, {score.label} still fell by up to "
            f"{max(falling.values()):.0%}{f' ({which})' if arms > 1 else ''}. A longer training may "
            f"{'put the arms in another order' if arms > 1 else 'score better'}: raise train.kimg beyond {kimg:.4g}."
        )


def _budget(board: Board) -> Iterator[str]:
    rows = [row for standing in board.standings for row in standing.last.values()]
    epochs, kimg = (sorted(row[key] for row in rows) for key in ("epoch", "kimg"))
    if kimg[-1] <= 1.01 * kimg[0]:
        return
    images = f"{kimg[0]:.4g} to {kimg[-1]:.4g} thousand images shown"
    # Epochs end with a step, which may run into the next epoch: only a whole one counts as a difference.
    if epochs[-1] - epochs[0] >= 1:
        yield (
            f"Not all arms were trained equally long (epoch {epochs[0]:.4g} to {epochs[-1]:.4g}, {images}): compare "
            "the curves at equal epochs instead."
        )
    else:
        yield (
            f"All arms were trained for equally many epochs ({epochs[-1]:.4g}), but not for equally many updates "
            f"({images}): an arm may beat training on the originals alone (`none`) only because it was trained for "
            "longer. The arm `duplicate`, or an equal train.kimg, shows whether that is so."
        )


def _seeds(board: Board) -> Iterator[str]:
    if len({tuple(standing.last) for standing in board.standings}) > 1:
        yield (
            "Not all arms have the same seeds, so their means are over different originals: compare the differences "
            "over common seeds instead."
        )


def _duplicate(board: Board, best: Standing, against: Against) -> Iterator[str]:
    score, duplicate = board.deciding, control(board, best, "duplicate")
    if score is None or duplicate is None:
        return
    found = against.get("duplicate", {}).get(score.key, {}).get(best.number)
    if found is not None and (found.ci95 is None or found.ci95[1] >= 0):
        yield (
            f"{duplicate.arm.label}, which only shows originals more often, may do as well: "
            f"{best.arm.label} differs from it by {size(found)} in {score.label}"
            + (f" (95% interval {' to '.join(ends(found))})." if found.ci95 else ".")
        )


def _disagreement(board: Board) -> Iterator[str]:
    distances = [score for score in board.scores if score.distance]
    first = {score.label: found[0].arm for score in distances if (found := usable.candidates(board, score))}
    if len({arm.label for arm in first.values()}) > 1:
        best = ", ".join(f"{arm.as_training} is best by {label}" for label, arm in first.items())
        yield f"The distances disagree: {best}."


def _collapse(board: Board, best: Standing) -> Iterator[str]:
    if best.best is None:
        return
    by = best.best.by
    then, last = best.best.scores[by]["mean"], best.scores[by]["mean"]
    if then > 0 and last > WORSE * then:
        label = next(score.label for score in board.scores if score.key == by)
        yield (
            f"After its best checkpoint, {best.arm.as_training} got worse: {label} {written(last)} at the last "
            f"checkpoint, {written(then)} at the best one of each seed."
        )
