"""A board -> its verdict: which arm is best and by how much, whether that can be claimed, and what limits it most."""

from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.comparison import LEVEL, Comparison, seeds_needed
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report import caveats
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import control

Against = dict[str, dict[str, dict[int, Comparison]]]  # of controls.against


def sentences(board: Board, against: Against) -> list[str]:
    """The three sentences; each holds for whatever was measured, with one arm, one seed or disputed scores only."""
    candidates = board.candidates(_by(board))
    return [
        _best(board, candidates),
        _claim(board, candidates, against),
        caveats.tell(board, against)[0],
    ]


def _by(board: Board) -> Score:
    return board.deciding or board.scores[0]


def _best(board: Board, candidates: list[Standing]) -> str:
    score, best = _by(board), candidates[0]
    mean, number = best.scores[score.key]["mean"], len(candidates)
    if board.deciding is None:
        return _disputed(board, candidates)
    if number == 1:
        return f"{best.arm.label} on {board.source} has a{'n' if score.key == 'fid' else ''} {score.label} of " + (
            f"{written(mean)}, and there is no other arm to compare it with{_readings(board, best)}."
        )
    if best.arm.policy == "none":
        second = candidates[1]
        return (
            f"By {score.label}, none is the best of {number} arms on {board.source}: no augmentation has a "
            f"better mean than the originals alone, which reach {written(mean)} before {second.arm.label} with "
            f"{written(second.scores[score.key]['mean'])}{_readings(board, best)}."
        )
    none = control(board, best, "none")
    if none is None or score.key not in none.scores:
        gap = "with no arm none to hold it against"
    else:
        of_none = none.scores[score.key]["mean"]
        gap = f"against the {written(of_none)} of none ({signed(mean - of_none)}; lower is better)"
    return (
        f"By {score.label}, {best.arm.label} is the best of {number} arms on {board.source}: it reaches "
        f"{written(mean)} {gap}{_readings(board, best)}."
    )


def _readings(board: Board, best: Standing) -> str:
    """The Inception Score of the best arm in both readings, beside that of none and of the real images."""
    score = board.scores[0]
    if score.better != "disputed" or score.key not in best.scores:
        return ""
    mean, none, real = best.scores[score.key]["mean"], control(board, best, "none"), board.real(score)
    beside = "" if real is None else f", and the real images score {written(real)}"
    if none is None or score.key not in none.scores:
        return f"; its {score.label} is {written(mean)}{beside}"
    of_none = none.scores[score.key]["mean"]
    better, worse, where = ("paper", "field", "below") if mean < of_none else ("field", "paper", "above")
    return (
        f"; its {score.label} of {written(mean)} is {where} the {written(of_none)} of none, better as the {better} "
        f"reads it and worse as the {worse} does{beside}"
    )


def _disputed(board: Board, candidates: list[Standing]) -> str:
    score, highest, lowest = board.scores[0], candidates[0], candidates[-1]
    of_real = "" if (real := board.real(score)) is None else f"; the real images score {written(real)}"
    high, low = (written(standing.scores[score.key]["mean"]) for standing in (highest, lowest))
    if len(candidates) == 1:
        return (
            f"{highest.arm.label} on {board.source} has the {score.label} {high}, and there is no other arm to compare "
            f"it with{of_real}."
        )
    return (
        f"Of {len(candidates)} arms on {board.source}, {highest.arm.label} has the highest {score.label}, {high}, and "
        f"is best as the field reads it, {lowest.arm.label} has the lowest, {low}, and is best as the paper reads it, "
        f"and neither FID nor KID was measured to decide{of_real}."
    )


def _claim(board: Board, candidates: list[Standing], against: Against) -> str:
    score, best = _by(board), candidates[0]
    compared = against.get("none", {}).get(score.key, {})
    if len(board.standings) == 1:
        return "Nothing can be claimed of an augmentation from one arm: it takes none beside it, over several seeds."
    if not compared:
        return (
            "Nothing can be claimed of an augmentation: no arm has a seed in common with an arm none of its settings, "
            "the originals alone."
        )
    found = compared.get(best.number)
    if found is None or board.deciding is None or found.difference >= 0:
        return _many(score, compared)
    number = f"{len(compared)} arm{'s' if len(compared) > 1 else ''}"
    if found.ci95 is None:
        return (
            f"This cannot be claimed: with one common seed the difference may be chance, and "
            f"{found.seeds_needed} seeds are needed before a rank test over {number} can reach p = {LEVEL}."
        )
    low, high = found.ci95
    over = f"over {len(found.seeds)} common seeds the paired difference is {signed(found.difference)}"
    between = f"95% interval {signed(low)} to {signed(high)}, not corrected for having chosen the best arm"
    tested = f"p = {found.p_holm:.2g} by an exact signed-rank test, corrected for {number}"
    if found.claimed:
        return f"This can be claimed: {over} ({between}; {tested})."
    if found.enough:
        return f"This cannot be claimed: {over} ({between}; {tested}), which chance may explain."
    sign = "includes 0" if low <= 0 <= high else "leaves out 0, which is a hint"
    return (
        f"This cannot be claimed yet: {over}, its 95% interval {signed(low)} to {signed(high)} {sign}, but no rank "
        f"test over {number} can reach p = {LEVEL} with fewer than {found.seeds_needed} seeds."
    )


def _many(score: Score, compared: dict[int, Comparison]) -> str:
    """What can be said where no one arm is to be held against none."""
    number, claimed = len(compared), sum(found.claimed for found in compared.values())
    if not any(found.enough for found in compared.values()):
        most, s = max(len(found.seeds) for found in compared.values()), "s" if number > 1 else ""
        return (
            f"No difference from none can be claimed: with {most} common seed{'s' if most > 1 else ''} it may be "
            f"chance, and {seeds_needed(number)} are needed before a rank test over {number} arm{s} can reach "
            f"p = {LEVEL}."
        )
    return (
        f"By {score.label}, {claimed} of {number} arms differ from none by more than chance would explain (p up to "
        f"{LEVEL} by an exact signed-rank test, corrected for all of them)."
    )
