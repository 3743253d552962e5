"""A board -> its verdict: which arm is best and by how much, whether that can be claimed, and what limits it most."""

from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.comparison import LEVEL, Comparison
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report import caveats
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import Against, control, ends, size

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
        f"reads it. FID or KID could decide, but neither was measured{real}."
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
    if found.p is None:
        return f"This cannot be claimed: {_unknown(found)}."
    over = f"over {len(found.seeds)} common seeds the difference is {size(found)}"
    tested = (
        f"95% interval {' to '.join(ends(found))}, p = {found.p:.2g} by {_test(found)}, corrected for "
        f"{_arms(len(compared))}; p = {found.p_rank:.2g} by ranks"
    )
    if found.claimed:
        return f"This can be claimed: {over} ({tested})."
    return f"This cannot be claimed: {over} ({tested}), which chance may explain.{_more(found)}"


def _many(score: Score, compared: dict[int, Comparison]) -> str:
    """Say what can be said where there is no one arm to compare with the baseline."""
    number, claimed = len(compared), sum(found.claimed for found in compared.values())
    if all(found.p is None for found in compared.values()):
        most = max(compared.values(), key=lambda found: len(found.seeds))
        return f"No difference from {BASELINE} can be claimed: {_unknown(most)}."
    differ = f"{claimed} of {number} arms differ{'s' if claimed == 1 else ''}" if claimed else "no arm differs"
    return (
        f"By {score.label}, {differ} from {BASELINE} by more than chance explains (p at most {LEVEL} by "
        f"{_test(next(iter(compared.values())))}, corrected for all arms)."
    )


def _unknown(found: Comparison) -> str:
    """Say why nothing is known of chance."""
    if len(found.seeds) == 1:
        return "with one common seed the difference may be chance"
    return f"{len(found.seeds)} common seeds show no spread by which to tell chance"


def _test(found: Comparison) -> str:
    return "Student's t test" if found.method == "Student" else "Dunnett's test"


def _more(found: Comparison) -> str:
    """Say how many more seeds may do."""
    more = (found.seeds_needed or 0) - len(found.seeds)
    if more <= 0:
        return ""
    return f" If it is real, about {more} more seed{'' if more == 1 else 's'} would show it in four of five studies."


def _arms(number: int) -> str:
    return f"{number} arm{'' if number == 1 else 's'}"
