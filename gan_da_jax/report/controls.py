"""Boards -> every arm compared with the arms that augment nothing: `none`, and `duplicate` for its further updates."""

from gan_da_jax.metrics.columns import percent, signed
from gan_da_jax.metrics.comparison import Comparison, Family, compare
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report.arms import Board, Standing

CONTROLS = ("none", "duplicate")

Against = dict[str, dict[str, dict[int, Comparison]]]  # policy of the control -> key of the score -> number of the arm


def control(board: Board, standing: Standing, policy: str) -> Standing | None:
    """Find the arm of this policy that differs in nothing else; `duplicate` of the same count, or the nearest.

    An arm is no control of itself, and `none` is not compared with `duplicate`: that is the same comparison, the other
    way round.
    """
    mine = standing.arm.arm
    if mine.policy in CONTROLS[: 1 + CONTROLS.index(policy)]:
        return None
    alike = [
        one for one in board.standings if one.arm.arm.policy == policy and one.arm.settings == standing.arm.settings
    ]
    return min(alike, key=lambda one: (abs(one.arm.arm.count - mine.count), one.arm.arm.count), default=None)


def against(board: Board) -> Against:
    """Compare all arms of a board with their controls, by the last checkpoints.

    Returns:
        For each policy of `CONTROLS` that the board has, for each of its scores, the comparisons under the numbers of
        the arms. Arms that have no control, or no seed in common with it, are missing. Everything is corrected for all
        arms of one score and policy.
    """
    found: Against = {}
    for policy in CONTROLS:
        controls = {standing.number: control(board, standing, policy) for standing in board.standings}
        for score in board.scores:
            values = {standing.number: _by_seed(standing, score) for standing in board.standings}
            arms: dict[int, dict[int, dict[int, float]]] = {}  # control -> arm -> seed -> score
            for arm, one in controls.items():
                if one is not None:
                    arms.setdefault(one.number, {})[arm] = values[arm]
            families = [Family(values[number], members) for number, members in arms.items()]
            if comparisons := compare(families, relative=score.positive):
                found.setdefault(policy, {})[score.key] = comparisons
    return found


def versus(board: Board, score: Score, first: Standing, others: list[Standing]) -> dict[int, Comparison]:
    """Compare the arm that comes first by a score with each of the others, which share a level of error.

    With the first one as the control of the others, what cannot be told apart from it may be the best in truth (Hsu,
    1984, "Constrained simultaneous confidence intervals for multiple comparisons with the best"; the two-sided test
    here is stricter).

    Returns:
        Under the number of each other arm, that arm minus the first one; arms without a common seed are missing.
    """
    family = Family(_by_seed(first, score), {one.number: _by_seed(one, score) for one in others})
    return compare([family], relative=score.positive)


def _by_seed(standing: Standing, score: Score) -> dict[int, float]:
    if score.key not in standing.scores:
        return {}
    values = zip(standing.last, standing.scores[score.key]["values"], strict=True)
    return {seed: value for seed, value in values if value is not None}


def effect(found: Comparison) -> float:
    """Return a difference in the unit of its interval: in percent of the control where there is one."""
    return found.difference if found.percent is None else found.percent


def better(found: Comparison, score: Score) -> bool:
    """Say whether an arm is better than its control, be it by chance or not, by a score that may decide."""
    return effect(found) < 0 if score.better == "lower" else effect(found) > 0


def size(found: Comparison) -> str:
    """Write a difference for people: `−12%` of the control, or `−0.0031` in the unit of the score."""
    return _signed(found, effect(found))


def ends(found: Comparison) -> list[str]:
    """Write the ends of its interval in the same unit; [] where there is none."""
    return [_signed(found, end) for end in found.ci95 or []]


def _signed(found: Comparison, number: float) -> str:
    return signed(number) if found.percent is None else percent(number)
