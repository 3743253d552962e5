"""A board -> its answer: which arm to use and how sure that is, which arms may not be used, and what limits it most."""

from collections.abc import Sequence
from typing import NamedTuple

from gan_da_jax.metrics.columns import written
from gan_da_jax.metrics.comparison import Comparison
from gan_da_jax.metrics.measure import Score
from gan_da_jax.report import caveats, controls, learning, usable
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.report.controls import Against

BASELINE = "training on the originals alone (`none`)"
FEWEST = 3  # seeds that are advised where there is one: with two, an interval is hardly ever short enough
TESTS = {  # what a sentence calls the methods of `comparison.Comparison`
    "Student": "Student's t test",
    "Dunnett": "Dunnett's test",
    "Dunnett, own spread": "Dunnett's test with the arm's own spread",
}
MANY = 100  # seeds that nobody trains


class Verdict(NamedTuple):
    """The answer of a board.

    Attributes:
        statements: three; each holds for whatever was measured, with one arm, one seed or disputed scores only. The
            first begins with `Use`, the second is about the arms that may not be used, the third is the gravest caveat.
        use: the arm that the first statement says to use; None where it names none.
    """

    statements: list[str]
    use: Standing | None


class _Order(NamedTuple):
    """The arms that may be used, in the order of the deciding score.

    Attributes:
        board: the board.
        score: the deciding score.
        ranked: the arms, the best mean first.
        rivals: the first one held against each of the others, as from `controls.versus`.
    """

    board: Board
    score: Score
    ranked: list[Standing]
    rivals: dict[int, Comparison]

    @property
    def first(self) -> Standing:
        return self.ranked[0]

    @property
    def mean(self) -> str:
        return written(self.first.scores[self.score.key]["mean"])

    @property
    def by(self) -> str:
        return f"by {self.score.label} ({self.score.better} is better)"

    @property
    def tied(self) -> list[Standing]:
        """The arms that cannot be told apart from the first one."""
        return [one for one in self.ranked[1:] if one.number not in self.rivals or not self.rivals[one.number].claimed]


def of_board(board: Board, against: Against) -> Verdict:
    """Decide what to say of a board.

    Args:
        board: the board.
        against: its comparisons, by `controls.against`.
    """
    gravest = caveats.of_board(board, against)[0]
    if why := learning.nothing_learnt(board):
        said = (
            f"Use none of these yet: no arm draws the pictures of {board.source} yet, as {why}. Raise train.kimg to "
            f"about {learning.more_kimg(board):g}; until then the order of the arms means nothing."
        )
        return Verdict([said, "Leakage and copies are not read on samples that show nothing.", gravest], None)
    said, use = _use(board, against)
    return Verdict([said, _not_these(board, use), gravest], use)


def _use(board: Board, against: Against) -> tuple[str, Standing | None]:
    score = board.deciding
    if score is None:
        return _disputed(board), None
    ranked = usable.candidates(board, score)
    if not ranked:
        return f"Use none of these: no arm on {board.source} may be used.", None
    order = _Order(board, score, ranked, controls.versus(board, score, ranked[0], ranked[1:]))
    first = order.first
    reached = f"on {board.source}, {first.arm.as_training} reached {score.label} {order.mean}"
    if len(board.standings) == 1:
        other = "an augmentation" if first.arm.arm.baseline else BASELINE
        return (
            f"Use none of these yet: {reached}, and there is no other arm to compare it with. Compare it with {other}, "
            "over several seeds.",
            None,
        )
    if len(ranked) == 1:
        return f"Use {_named(first)}: no other arm on {board.source} may be used ({score.label} {order.mean}).", first
    if all(found.ci95 is None for found in order.rivals.values()):
        return (
            f"Use none of these yet: {reached}, the best of {len(ranked)} arms, but without two seeds in common with "
            f"another arm that may be chance. Train each arm with at least {FEWEST} seeds.",
            None,
        )
    if first.arm.arm.baseline:
        return _originals_lead(order), first
    return _augmentation_leads(order, against)


def _originals_lead(order: _Order) -> str:
    worse = [one for one in order.ranked[1:] if one not in order.tied]
    said = []
    if worse:
        said.append(f"{_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse")
    if order.tied:
        said.append(f"{_listed(order.tied)} cannot be told apart from it{_ruled_out(order)}")
    return (
        f"Use the originals alone (`none`): {order.by}, no augmentation on {order.board.source} improves on their "
        f"{order.mean}; {', and '.join(said)}."
    )


def _augmentation_leads(order: _Order, against: Against) -> tuple[str, Standing]:
    board, score, first = order.board, order.score, order.first
    plain = controls.control(board, first, "none")
    if plain is None or score.key not in plain.scores:
        open_ = f"No arm `none` of the same settings was scored, so whether it beats {BASELINE} is open"
        return f"{_leads(order)}. {open_}.", first
    found = against.get("none", {}).get(score.key, {}).get(first.number)
    level = f"{written(plain.scores[score.key]['mean'])} for {BASELINE}"
    if found is not None and found.claimed:
        return f"{_leads(order)}. That is {_change(found)} than the {level}{_interval(found)}.", first
    change = f"{_change(found)} than the {level}{_interval(found)}" if found is not None else f"against {level}"
    return (
        f"Use the originals alone (`none`): no augmentation on {board.source} is shown to be better. {first.arm.label} "
        f"comes first {order.by}, with {order.mean}, {change}, which chance may explain{_seeds(found)}.",
        plain,
    )


def _leads(order: _Order) -> str:
    place = f"of the {len(order.ranked)} arms on {order.board.source} that may be used, {order.mean}"
    if not order.tied:
        return f"Use {order.first.arm.label}: {order.by}, it is the best {place}"
    return (
        f"Use {order.first.arm.label}: {order.by}, it comes first {place}; {_listed(order.tied)} cannot be told apart "
        f"from it{_ruled_out(order)}"
    )


def _ruled_out(order: _Order) -> str:
    """Say what the intervals of arms that cannot be told apart rule out, and how many seeds the clearest one needs."""
    known = [order.rivals[one.number] for one in order.tied if one.number in order.rivals]
    ends = [abs(end) for found in known if found.percent is not None for end in found.ci95 or ()]
    said = f" (by 95% intervals, no difference is above {max(ends):.0f}%)" if len(ends) == 2 * len(order.tied) else ""
    return said + _seeds(min(known, key=lambda found: found.seeds_needed or 10**9, default=None))


def _named(standing: Standing) -> str:
    return "the originals alone (`none`)" if standing.arm.arm.baseline else standing.arm.label


def _listed(standings: Sequence[Standing]) -> str:
    names = [_named(one) for one in standings]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _change(found: Comparison) -> str:
    return f"{controls.size(found).lstrip('+−')} {'lower' if found.difference < 0 else 'higher'}"


def _interval(found: Comparison) -> str:
    """Write the simultaneous interval of a comparison, and how it was computed."""
    if found.ci95 is None or found.p is None:
        return ""
    between, seeds = " to ".join(controls.ends(found)), len(found.seeds)
    return f" (95% interval {between}; {seeds} seeds, {TESTS[found.method]}, p = {found.p:.2g})"


def _seeds(found: Comparison | None) -> str:
    """Say how many more seeds a difference as large as the one that was found would need."""
    if found is None or found.seeds_needed is None or found.seeds_needed <= len(found.seeds):
        return ""
    more = found.seeds_needed - len(found.seeds)
    if more > MANY:
        return f"; to show a difference as small, more than {MANY} further seeds would be needed"
    return f"; about {more} more seed{'s' if more > 1 else ''} would show a difference as large"


def _not_these(board: Board, use: Standing | None) -> str:
    """Name the arms that may not be used, those with better scores first, and the meters that are blind."""
    score, barred = board.deciding or board.scores[0], usable.faults(board)
    places = [one.number for one in board.ranked(score)]
    ahead = places[: places.index(use.number)] if use is not None and board.deciding else []
    named = []
    for number in [*places, *(one.number for one in board.standings if one.number not in places)]:
        if number in barred:
            one = next(one for one in board.standings if one.number == number)
            beats = f" (with the better {score.label} of {written(one.scores[score.key]['mean'])})"
            named.append(f"{one.arm.as_arm}{beats if number in ahead else ''}: {'; '.join(barred[number])}")
    said = [f"Not to be used: {'. '.join(named)}." if named else "No arm leaks, copies or diverges beyond the limits."]
    if unseen := usable.blind(board):
        ops, many = ", ".join(unseen), len(unseen) > 1
        said.append(
            f"Whether {ops} leak{'' if many else 's'} cannot be seen: on these originals the "
            f"{'meters are' if many else 'meter is'} blind."
        )
    return " ".join(said)


def _disputed(board: Board) -> str:
    score, ranked = board.scores[0], usable.candidates(board, board.scores[0])
    if not ranked:
        return f"Use none of these: no arm on {board.source} may be used."
    (high, highest), (low, lowest) = (
        (written(one.scores[score.key]["mean"]), one.arm.as_training) for one in (ranked[0], ranked[-1])
    )
    real = "" if (number := board.real(score)) is None else f"; the real images score {written(number)}"
    if len(ranked) == 1:
        return (
            f"Use none of these yet: on {board.source}, {highest} reached {score.label} {high}, and there is no other "
            f"arm to compare it with{real}."
        )
    return (
        f"Use none of these yet: of {len(ranked)} arms on {board.source}, {highest} has the highest {score.label} "
        f"({high}), best as the field reads it, and {lowest} the lowest ({low}), best as the paper reads it. A "
        f"distance such as FID could decide, but was not measured{real}."
    )
