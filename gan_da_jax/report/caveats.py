"""A board and its best arm -> what limits the answer, one sentence each, the gravest first."""

from collections.abc import Iterator

from gan_da_jax.classifiers.registry import caveats_on
from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.shares import leakage, memorisation
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import Against, control
from gan_da_jax.report.health import troubles

NOTABLE = 0.05  # a share of samples, beyond the expected one, that is worth a word
WORSE = 1.1  # how far the last checkpoint's distance may be above the best one's, as a ratio


def of_board(board: Board, against: Against) -> list[str]:
    """List all caveats of a board; the last one, about the classifier, always applies.

    Caveats about the best arm are left out where it is disputed which arm is best.

    Args:
        board: the board.
        against: its comparisons, by `controls.against`.
    """
    best = board.best
    return [
        *_weights(board),
        *_health(board),
        *_budget(board),
        *_seeds(board),
        *(_leakage(board, best) if best else ()),
        *(_memorisation(board, best) if best else ()),
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


def _leakage(board: Board, best: Standing) -> Iterator[str]:
    """Count only the arm's own ops, beyond what the meter reads where nothing can leak: samples may look odd anyway."""
    baseline = control(board, best, "none")
    plain = leakage(baseline.sets) if baseline else {}
    own, found = {part.op for part in best.arm.arm.parts}, []
    for op, one in leakage(best.sets).items():
        beside = plain[op]["mean"] if op in plain else None
        if op in own and one["mean"] is not None and one["mean"] - (beside or 0) >= NOTABLE:
            found.append((one["mean"], op, one["accuracy"], beside))
    for mean, op, accuracy, beside in sorted(found, reverse=True)[:1]:
        plainly = "" if beside is None else f" and reads {beside:.0%} for the arm `none`, which cannot leak"
        yield (
            f"About {mean:.0%} of the samples of {best.arm.as_arm} look like {op} images, not like originals (by a "
            f"meter that tells {accuracy:.0%} of held-out images apart{plainly}): the augmentation leaks."
        )


def _memorisation(board: Board, best: Standing) -> Iterator[str]:
    found = [
        (one["mean"], one["expected"], space)
        for space, one in memorisation(best.sets).items()
        if one["mean"] - one["expected"] >= NOTABLE
    ]
    for mean, expected, space in found[:1]:
        yield (
            f"{mean:.0%} of the samples of {best.arm.as_arm} lie much closer to one original than to any other, in "
            f"{space}, as copies do, where {expected:.0%} would be expected: the GAN may have memorised training "
            f"images, which {'the scores against the originals reward' if board.reference else 'FID and KID reward'}."
        )


def _duplicate(board: Board, best: Standing, against: Against) -> Iterator[str]:
    score, duplicate = board.deciding, control(board, best, "duplicate")
    if score is None or duplicate is None:
        return
    found = against.get("duplicate", {}).get(score.key, {}).get(best.number)
    if found is not None and (found.ci95 is None or found.ci95[1] >= 0):
        yield (
            f"{duplicate.arm.label}, which only shows originals more often, may do as well: "
            f"{best.arm.label} differs from it by {signed(found.difference)} in {score.label}"
            + (f" (95% interval {signed(found.ci95[0])} to {signed(found.ci95[1])})." if found.ci95 else ".")
        )


def _disagreement(board: Board) -> Iterator[str]:
    first = {score.label: board.candidates(score)[0].arm for score in board.scores if score.distance}
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
