"""Boards -> every arm held against those that augment nothing: `none`, and `duplicate` for its further updates."""

from gan_da_jax.metrics.comparison import Comparison, compare
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report.arms import Board, Standing

CONTROLS = ("none", "duplicate")


def control(board: Board, standing: Standing, policy: str) -> Standing | None:
    """The arm of this policy that differs from an arm in nothing else; of `duplicate` the one with its count, or near.

    An arm has no control where the policy is its own, and `none` is not held against `duplicate`: that is the same
    comparison, the other way round.
    """
    mine = standing.arm
    if mine.policy in CONTROLS[: 1 + CONTROLS.index(policy)]:
        return None
    alike = [one for one in board.standings if one.arm.policy == policy and one.arm.settings == mine.settings]
    return min(alike, key=lambda one: (abs(one.arm.count - mine.count), one.arm.count), default=None)


def against(board: Board) -> dict[str, dict[str, dict[int, Comparison]]]:
    """All arms of a board against their controls, by the last checkpoints.

    Returns:
        For each policy of `CONTROLS` that the board has, for each of its scores, the comparisons under the numbers of
        the arms. Arms are missing that have no control or no seed in common with it. Holm's correction is over the
        arms of one score and policy.
    """
    found: dict[str, dict] = {}
    for policy in CONTROLS:
        controls = {standing.number: control(board, standing, policy) for standing in board.standings}
        for score in board.scores:
            values = {standing.number: _by_seed(standing, score) for standing in board.standings}
            pairs = {arm: (values[arm], values[one.number]) for arm, one in controls.items() if one is not None}
            if comparisons := compare(pairs):
                found.setdefault(policy, {})[score.key] = comparisons
    return found


def _by_seed(standing: Standing, score: Score) -> dict[int, float]:
    if score.key not in standing.scores:
        return {}
    values = zip(standing.last, standing.scores[score.key]["values"], strict=True)
    return {seed: value for seed, value in values if value is not None}
