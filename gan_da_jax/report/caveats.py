"""A board and its best arm -> what limits the answer, one sentence each, the gravest first."""

from collections.abc import Iterator

from gan_da_jax.classifiers.registry import caveat_on
from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.comparison import Comparison
from gan_da_jax.metrics.shares import leakage, memorisation
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import control
from gan_da_jax.report.health import troubles

PUBLISHED_TAP = "2048"
OTHER_TAP = "Published FIDs compare features of tap 2048; these are of another tap, on another scale."
NOTABLE = 0.05  # a share of samples, or of samples beyond those expected, that is worth a word
WORSE = 1.1  # how far the last checkpoint's distance may be above the best one's, as a ratio


def tell(board: Board, against: dict[str, dict[str, dict[int, Comparison]]]) -> list[str]:
    """All caveats of a board, with its comparisons by `controls.against`; the last, on the classifier, always applies.

    Those on the best arm are left out where it is disputed which one that is.
    """
    best = board.best
    return [
        *_weights(board),
        *_health(board),
        *_budget(board),
        *_seeds(board),
        *(_leakage(board, best) if best else ()),
        *(_memorisation(best) if best else ()),
        *(_duplicate(board, best, against) if best else ()),
        *_disagreement(board),
        *(_collapse(board, best) if best else ()),
        *([OTHER_TAP] if board.classifier == "inception_v3_2015" and board.tap != PUBLISHED_TAP else ()),
        caveat_on(board.classifier),
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
                yield f"The training of {standing.arm.label}, seed {run.seed}, {trouble}."


def _budget(board: Board) -> Iterator[str]:
    rows = [row for standing in board.standings for row in standing.last.values()]
    epochs, kimg = (sorted(row[key] for row in rows) for key in ("epoch", "kimg"))
    if kimg[-1] <= 1.01 * kimg[0]:
        return
    images = f"{kimg[0]:.4g} to {kimg[-1]:.4g} thousand images shown"
    # Epochs end with a step, which may run into the next epoch: only a whole one counts as a difference.
    if epochs[-1] - epochs[0] >= 1:
        yield (
            f"Not all arms are equally far trained (epoch {epochs[0]:.4g} to {epochs[-1]:.4g}, {images}): compare the "
            "curves at equal epochs instead."
        )
    else:
        yield (
            f"The budget is equal in epochs ({epochs[-1]:.4g}), not in updates ({images}): an arm may differ from none "
            "because it was trained for longer, which duplicate, or an equal train.kimg, tells apart."
        )


def _seeds(board: Board) -> Iterator[str]:
    if len({tuple(standing.last) for standing in board.standings}) > 1:
        yield (
            "Not all arms have the same seeds, so their means are over other originals: compare the differences over "
            "common seeds instead."
        )


def _leakage(board: Board, best: Standing) -> Iterator[str]:
    """Only of the arm's own ops, and beyond what the meter reads where nothing can leak: samples look odd anyway."""
    none = control(board, best, "none")
    plain = leakage(none.sets) if none else {}
    own, found = {term.partition("(")[0] for term in best.arm.terms}, []
    for op, one in leakage(best.sets).items():
        beside = plain[op]["mean"] if op in plain else None
        if op in own and one["mean"] is not None and one["mean"] - (beside or 0) >= NOTABLE:
            found.append((one["mean"], op, one["accuracy"], beside))
    for mean, op, accuracy, beside in sorted(found, reverse=True)[:1]:
        of_none = "" if beside is None else f", and reads {beside:.0%} for none"
        yield (
            f"About {mean:.0%} of the samples of {best.arm.label} look like {op} images, not like originals (by a "
            f"meter that tells {accuracy:.0%} of held-out images apart{of_none}): the augmentation leaks."
        )


def _memorisation(best: Standing) -> Iterator[str]:
    found = [
        (one["mean"], one["expected"], space)
        for space, one in memorisation(best.sets).items()
        if one["mean"] - one["expected"] >= NOTABLE
    ]
    for mean, expected, space in found[:1]:
        yield (
            f"{mean:.0%} of the samples of {best.arm.label} lie so much closer to one original than to any other, in "
            f"{space}, as copies do, where {expected:.0%} would be expected: it may have learnt pictures by heart, "
            "which FID and KID reward."
        )


def _duplicate(board: Board, best: Standing, against: dict) -> Iterator[str]:
    found = against.get("duplicate", {}).get(board.deciding.key, {}).get(best.number)
    if found is not None and (found.ci95 is None or found.ci95[1] >= 0):
        yield (
            f"{control(board, best, 'duplicate').arm.label}, which merely shows originals more often, may do as well: "
            f"{best.arm.label} differs from it by {signed(found.difference)} in {board.deciding.label}"
            + (f" (95% interval {signed(found.ci95[0])} to {signed(found.ci95[1])})." if found.ci95 else ".")
        )


def _disagreement(board: Board) -> Iterator[str]:
    first = {score.label: board.candidates(score)[0].arm.label for score in board.scores if score.better == "lower"}
    if len(set(first.values())) > 1:
        yield (
            "The distances do not agree: "
            + ", ".join(f"{arm} is best by {label}" for label, arm in first.items())
            + "."
        )


def _collapse(board: Board, best: Standing) -> Iterator[str]:
    if best.best is None:
        return
    by = best.best.by
    then, last = best.best.scores[by]["mean"], best.scores[by]["mean"]
    if then > 0 and last > WORSE * then:
        label = next(score.label for score in board.scores if score.key == by)
        yield (
            f"{best.arm.label} got worse after its best: {label} {written(last)} at its last checkpoint, "
            f"{written(then)} at the best of each seed."
        )
