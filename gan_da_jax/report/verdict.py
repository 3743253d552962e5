"""A board -> its verdict: which arm is best and by how much, whether that can be claimed, and what limits it most."""

from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.comparison import LEVEL, Comparison, seeds_needed
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report import caveats
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import Against, control

BASELINE = "training on the originals alone (`none`)"


def statements(board: Board, against: Against) -> list[str]:
    """Write the three statements; each holds for whatever was measured, with one arm, one seed or disputed scores only.

    Args:
        board: the board.
        against: its comparisons, by `controls.against`.
    """
    candidates = board.candidates(_by(board))
    return [_best(board, candidates), _claim(board, candidates, against), caveats.of_board(board, against)[0]]


def _by(board: Board) -> Score:
    return board.deciding or board.scores[0]


def _best(board: Board, candidates: list[Standing]) -> str:
    score, best, number = _by(board), candidates[0], len(candidates)
    if score.better == "disputed":
        return _disputed(board, candidates)
    mean = written(best.scores[score.key]["mean"])
    readings = _readings(board, best, whose="Its" if number == 1 else "The best arm's")
    if number == 1:
        return (
            f"On {board.source}, {best.arm.as_training} reached {score.label} {mean}. There is no other arm to compare "
            f"it with.{readings}"
        )
    by = f"By {score.label} ({score.better} is better), {best.arm.as_training} was best of {number} arms on"
    if best.arm.arm.baseline:
        second = candidates[1]
        return (
            f"{by} {board.source}: {mean}, ahead of {second.arm.as_training} with "
            f"{written(second.scores[score.key]['mean'])}; no augmentation improved on it.{readings}"
        )
    baseline = control(board, best, "none")
    if baseline is None or score.key not in baseline.scores:
        return (
            f"{by} {board.source}: {mean}. No arm `none` of the same settings was scored, so there is no training on "
            f"the originals alone to compare it with.{readings}"
        )
    plain = baseline.scores[score.key]["mean"]
    difference = signed(best.scores[score.key]["mean"] - plain)
    return (
        f"{by} {board.source}: {mean}, against {written(plain)} for {BASELINE}, a difference of {difference}.{readings}"
    )


def _readings(board: Board, best: Standing, *, whose: str) -> str:
    """Give the Inception Score of the best arm in both readings, beside the scores of the baseline and real images."""
    score = board.scores[0]
    if score.better != "disputed" or score.key not in best.scores:
        return ""
    mean, baseline = best.scores[score.key]["mean"], control(board, best, "none")
    real = _of_real(board, score)
    if baseline is None or score.key not in baseline.scores:
        return f" {whose} {score.label} is {written(mean)}{real}."
    plain = baseline.scores[score.key]["mean"]
    better, worse, where = ("paper", "field", "below") if mean < plain else ("field", "paper", "above")
    return (
        f" {whose} {score.label} of {written(mean)} is {where} the {written(plain)} of {BASELINE}: better as the "
        f"{better} reads it, worse as the {worse} does{real}."
    )


def _of_real(board: Board, score: Score) -> str:
    return "" if (real := board.real(score)) is None else f"; the real images score {written(real)}"


def _disputed(board: Board, candidates: list[Standing]) -> str:
    score, highest, lowest = board.scores[0], candidates[0], candidates[-1]
    high, low = (written(standing.scores[score.key]["mean"]) for standing in (highest, lowest))
    real = _of_real(board, score)
    if len(candidates) == 1:
        return (
            f"On {board.source}, {highest.arm.as_training} reached {score.label} {high}. There is no other arm to "
            f"compare it with{real}."
        )
    return (
        f"Of {len(candidates)} arms on {board.source}, {highest.arm.as_training} has the highest {score.label} "
        f"({high}), best as the field reads it, and {lowest.arm.as_training} the lowest ({low}), best as the paper "
        f"reads it. FID, KID or MIND could decide, but no distance was measured{real}."
    )


def _claim(board: Board, candidates: list[Standing], against: Against) -> str:
    score, best = _by(board), candidates[0]
    compared = against.get("none", {}).get(score.key, {})
    if len(board.standings) == 1:
        missing = "an augmentation" if best.arm.arm.baseline else BASELINE
        return f"One arm proves nothing about augmentation: compare it with {missing}, over several seeds."
    if not compared:
        return f"Nothing can be claimed: no arm shares its settings and a seed with {BASELINE}."
    found = compared.get(best.number)
    if found is None or board.deciding is None or found.difference >= 0:
        return _many(score, compared)
    if found.ci95 is None:
        return f"This cannot be claimed: with one common seed the difference may be chance. {_seeds(len(compared))}"
    low, high = found.ci95
    over = f"over {len(found.seeds)} common seeds the paired difference is {signed(found.difference)}"
    between = f"95% interval {signed(low)} to {signed(high)}, not corrected for having chosen the best arm"
    tested = f"p = {found.p_holm:.2g} by an exact signed-rank test, corrected for {_arms(len(compared))}"
    if found.claimed:
        return f"This can be claimed: {over} ({between}; {tested})."
    if found.enough:
        return f"This cannot be claimed: {over} ({between}; {tested}), which chance may explain."
    sign = "includes 0" if low <= 0 <= high else "leaves out 0, which is a hint"
    return (
        f"This cannot be claimed yet: {over}, and its 95% interval, {signed(low)} to {signed(high)}, {sign}. "
        f"{_seeds(len(compared))}"
    )


def _many(score: Score, compared: dict[int, Comparison]) -> str:
    """Say what can be said where there is no one arm to compare with the baseline."""
    number, claimed = len(compared), sum(found.claimed for found in compared.values())
    if not any(found.enough for found in compared.values()):
        most = max(len(found.seeds) for found in compared.values())
        return (
            f"No difference from {BASELINE} can be claimed: with {most} common seed{'s' if most > 1 else ''} it may be "
            f"chance. {_seeds(number)}"
        )
    differ = f"{claimed} of {number} arms differ{'s' if claimed == 1 else ''}" if claimed else "no arm differs"
    return (
        f"By {score.label}, {differ} from {BASELINE} by more than chance explains (p at most {LEVEL} by an exact "
        "signed-rank test, corrected for all arms)."
    )


def _seeds(arms: int) -> str:
    """Say how many seeds a claim about one of these arms needs."""
    return f"A rank test over {_arms(arms)} needs at least {seeds_needed(arms)} seeds to reach p = {LEVEL}."


def _arms(number: int) -> str:
    return f"{number} arm{'' if number == 1 else 's'}"
