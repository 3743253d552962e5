"""A board -> its answer: which arm to use and how sure that is, which arms may not be used, and what limits it most."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from gan_da_jax.metrics.columns import percent, written
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
        caveats: all of them, the gravest first.
    """

    statements: list[str]
    use: Standing | None
    caveats: list[str]


class _Order(NamedTuple):
    """The arms that may be used, in the order of the deciding score.

    Attributes:
        board: the board.
        score: the deciding score.
        ranked: the arms: the first one, then the others, the best mean first.
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
        return _mean(self.first, self.score)

    @property
    def by(self) -> str:
        best = next(one for one in self.board.ranked(self.score) if any(one is other for other in self.ranked))
        over = "" if best is self.first else ", over common seeds"
        return f"by {self.score.label} ({self.score.better} is better){over}"

    @property
    def ahead(self) -> Standing | None:
        """An arm that is better than the first one by their comparison, though its mean is not.

        Means are over the seeds that each arm has, and some originals are easier than others.
        """
        for one in self.ranked[1:]:
            found = self.rivals.get(one.number)
            if found is not None and controls.better(found, self.score):
                if found.claimed or one.last.keys() != self.first.last.keys():
                    return one
        return None

    @property
    def tied(self) -> list[Standing]:
        """The arms that cannot be told apart from the first one."""
        return [one for one in self.ranked[1:] if one.number not in self.rivals or not self.rivals[one.number].claimed]


def _order(board: Board, score: Score, ranked: list[Standing]) -> _Order:
    """Put the arm first that is ahead of every other over common seeds: where no run is missing, the best mean."""
    order = _Order(board, score, ranked, controls.versus(board, score, ranked[0], ranked[1:]))
    for _ in ranked:
        if (ahead := order.ahead) is None:
            break
        others = [one for one in order.ranked if one is not ahead]
        order = _Order(board, score, [ahead, *others], controls.versus(board, score, ahead, others))
    return order


def of_board(board: Board, against: Against) -> Verdict:
    """Decide what to say of a board.

    Args:
        board: the board.
        against: its comparisons, by `controls.against`.
    """
    if why := learning.nothing_learnt(board):
        use = None
        said = (
            f"Use none of these yet: no arm draws the pictures of {board.source} yet, as {why}. Raise train.kimg to "
            f"about {learning.more_kimg(board):,.0f}; until then the order of the arms means nothing."
        )
        others = "Leakage and copies are not read on samples that show nothing."
    else:
        said, use = _use(board, against)
        others = _not_these(board, use)
    limits = caveats.of_board(board, against, use)
    return Verdict([said, others, limits[0]], use, limits)


def _use(board: Board, against: Against) -> tuple[str, Standing | None]:
    score = board.deciding
    if score is None:
        return _disputed(board), None
    ranked = usable.candidates(board, score)
    if not ranked:
        return f"Use none of these: no arm on {board.source} may be used.", None
    order = _order(board, score, ranked)
    first = order.first
    reached = f"on {board.source}, {first.arm.as_training} reached {score.label} {order.mean}"
    if len(ranked) == 1:
        rivals = _rivals(board, first)
        if rivals == "barred":
            said = f"no other arm on {board.source} may be used ({score.label} {order.mean})"
            return f"Use {_named(first)}: {said}.", first
        if rivals == "not measured":
            return f"Use none of these yet: {reached}, and no other arm that may be used has that score.", None
        other = "an augmentation" if first.arm.arm.baseline else BASELINE
        alone = f"and there is no other arm to compare it with. Compare it with {other}, over several seeds"
        return f"Use none of these yet: {reached}, {alone}.", None
    if all(found.ci95 is None for found in order.rivals.values()):
        return (
            f"Use none of these yet: {reached}, the best of {len(ranked)} arms, but nothing shows how much of that is "
            f"chance. Train each arm with at least {FEWEST} seeds, the same for all.",
            None,
        )
    if first.arm.arm.baseline:
        return _originals_lead(order), first
    return _augmentation_leads(order, against)


def _rivals(board: Board, only: Standing) -> Literal["barred", "not measured", "none"]:
    """Say why an arm is the only candidate: others may not be used, or lack the score, or there are none.

    Real images are no rival of an augmentation.
    """
    faults = usable.faults(board)
    others = [one for one in board.standings if one is not only and one.arm.arm.policy not in usable.NO_AUGMENTATION]
    if any(one.number not in faults for one in others):
        return "not measured"
    return "barred" if others or usable.lost(board) else "none"


def _originals_lead(order: _Order) -> str:
    worse = [one for one in order.ranked[1:] if one not in order.tied]
    said = []
    if worse:
        said.append(f"{_listed(worse)} {'is' if len(worse) == 1 else 'are'} worse")
    if order.tied:
        said.append(f"{_listed(order.tied)} cannot be told apart from the originals alone{_ruled_out(order)}")
    return (
        f"Use {_named(order.first)}: {order.by}, no augmentation on {order.board.source} improves on their "
        f"{order.mean}; {', and '.join(said)}."
    )


def _augmentation_leads(order: _Order, against: Against) -> tuple[str, Standing]:
    board, score, first = order.board, order.score, order.first
    plain = controls.control(board, first, "none")
    if plain is None or score.key not in plain.scores:
        open_ = f"No arm `none` of the same settings was scored, so whether it beats {BASELINE} is open"
        return f"{_leads(order)}. {open_}.", first
    found = against.get("none", {}).get(score.key, {})
    if _shown(found.get(first.number), score):
        return f"{_leads(order)}. That is {_against(found[first.number], plain, score)}.", first
    if plain.number in usable.faults(board):
        own = f"It is not shown to be better than {plain.arm.as_training}, which may not be used"
        return f"{_leads(order)}. {own}.", first
    for one in order.ranked[1:]:
        originals = controls.control(board, one, "none")
        if originals is not None and _shown(found.get(one.number), score):
            return (
                f"Use {_named(one)}: {order.by}, its {_mean(one, score)} is "
                f"{_against(found[one.number], originals, score)}. {first.arm.label} comes first, with {order.mean}, "
                f"but is not shown to be better than {BASELINE}.",
                one,
            )
    change = f"but has no seed in common with {plain.arm.as_training}"
    if first.number in found:
        of_first = found[first.number]
        change = f"{_against(of_first, plain, score)}, which chance may explain{_seeds(of_first)}"
    return (
        f"Use {_named(plain)}: no augmentation on {board.source} is shown to be better. {first.arm.label} comes first "
        f"{order.by}, with {order.mean}, {change}.",
        plain,
    )


def _shown(found: Comparison | None, score: Score) -> bool:
    return found is not None and found.claimed and controls.better(found, score)


def _against(found: Comparison, plain: Standing, score: Score) -> str:
    level = f"{_mean(plain, score)} for {plain.arm.as_training}"
    return f"{_change(found)} than the {level}{_interval(found)}"


def _mean(standing: Standing, score: Score) -> str:
    return written(standing.scores[score.key]["mean"])


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
    most = percent(max(ends)).lstrip("+") if len(ends) == 2 * len(order.tied) else ""
    said = f" (by 95% intervals, no difference is above {most})" if most else ""
    return said + _seeds(min(known, key=lambda found: found.seeds_needed or 10**9, default=None))


def _named(standing: Standing) -> str:
    return standing.arm.as_training.removeprefix("training on ")


def _listed(standings: Sequence[Standing]) -> str:
    return _joined([_named(one) for one in standings])


def _joined(names: Sequence[str], word: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def _change(found: Comparison) -> str:
    return f"{controls.size(found).lstrip('+−')} {'lower' if controls.effect(found) < 0 else 'higher'}"


def _interval(found: Comparison) -> str:
    """Write the simultaneous interval of a comparison, and how it was computed."""
    if found.ci95 is None or found.p is None:
        return ""
    between, seeds = " to ".join(controls.ends(found)), len(found.seeds)
    return (
        f" (95% interval {between}; {seeds} seed{'s' if seeds > 1 else ''}, {TESTS[found.method]}, p = {found.p:.2g})"
    )


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
    named += [f"{arm.as_arm}: {fault}" for arm, fault in usable.lost(board)]
    missing = usable.unmeasured(board)
    verbs = ["leaks"] if usable.readable(board) else []
    verbs += ["diverges"] if "copies" in missing else ["copies", "diverges"]
    within = f"No arm {_joined(verbs, 'or')} beyond the limits."
    said = [f"Not to be used: {'. '.join(named)}." if named else within]
    if missing:
        said.append(f"{_joined(missing).capitalize()} {'was' if missing == ['leakage'] else 'were'} not measured.")
    if unseen := usable.blind(board):
        many = len(unseen) > 1
        said.append(
            f"Whether {_joined(unseen)} leak{'' if many else 's'} cannot be seen: on these originals the "
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
        other = "no other arm may be used" if _rivals(board, ranked[0]) == "barred" else "there is no other arm"
        return (
            f"Use none of these yet: on {board.source}, {highest} reached {score.label} {high}, and {other} to compare "
            f"it with{real}."
        )
    return (
        f"Use none of these yet: of {len(ranked)} arms on {board.source}, {highest} has the highest {score.label} "
        f"({high}), best as the field reads it, and {lowest} the lowest ({low}), best as the paper reads it. A "
        f"distance such as FID could decide, but was not measured{real}."
    )
