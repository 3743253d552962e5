"""A board -> which of its arms may be used: whether their samples leak, copy, or their training diverges."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from gan_da_jax.metrics.measure import Score
from gan_da_jax.metrics.shares import Excess, excess
from gan_da_jax.report.arms import ArmRuns, Board, Standing
from gan_da_jax.report.controls import control
from gan_da_jax.report.health import diverged

NO_AUGMENTATION = ("duplicate", "more")  # arms that nobody can or need use
DIVERGED = 0.2  # the share of an arm's runs that may diverge


class Finding(NamedTuple):
    """A share of an arm's samples that looks augmented or copied, beyond what does so without a fault.

    Attributes:
        share: the share itself, the mean over the seeds, 0..1.
        beyond: what is to be explained of it, with its 95% interval.
        expected: the share that would be seen: of leakage, by the law of leakage; of copies, of real images.
        limit: the most that the lower end of `beyond` may be.
    """

    share: float
    beyond: Excess
    expected: float
    limit: float

    @property
    def too_large(self) -> bool:
        """Whether the arm may not be used for it."""
        return self.beyond.low > self.limit


def faults(board: Board) -> dict[int, list[str]]:
    """Say why arms may not be used.

    Returns:
        Under the number of each such arm its faults, the largest leak first, each a
        sentence: `51% of its samples look like vflip images (50% expected: the share of its training set)`.
    """
    found = {standing.number: list(_faults(board, standing)) for standing in board.standings}
    return {number: faults for number, faults in found.items() if faults}


def lost(board: Board) -> list[tuple[ArmRuns, str]]:
    """List the arms of the source that have no score because their training diverged, each with its fault."""
    return [(arm, fault) for arm in board.unscored for fault in _divergence(arm)]


def candidates(board: Board, score: Score) -> list[Standing]:
    """Rank the arms that an answer may name, from the best mean to the worst; a disputed score from the highest.

    These are the arms without faults. The controls show what more updates and more real images are worth, and are no
    augmentations: they are among them only if nothing else is.
    """
    barred = faults(board)
    ranked = [standing for standing in board.ranked(score) if standing.number not in barred]
    return [standing for standing in ranked if standing.arm.arm.policy not in NO_AUGMENTATION] or ranked


def leaks(board: Board, standing: Standing) -> dict[str, Finding]:
    """Find how much of an arm's samples looks as each op makes it, beyond what the meter reads where nothing can leak.

    Seeds are pooled by their spread. Without an arm `none` to hold it against, only the arm's own ops are looked at,
    for odd samples look like many things to a meter. Ops whose meter is blind are missing.
    """
    baseline = standing if standing.arm.arm.baseline else control(board, standing, "none")
    plain = _read(baseline) if baseline else {}
    own, found = standing.arm.made_by, {}
    for op, by_seed in _read(standing).items():
        beside = plain.get(op, {})
        common = [seed for seed in by_seed if seed in beside]
        if standing.arm.arm.baseline or (not common and op not in own):
            continue
        if common:
            gaps = [by_seed[seed].share - beside[seed].share for seed in common]
            errors = [math.hypot(by_seed[seed].error, beside[seed].error) for seed in common]
        else:
            gaps, errors = ([getattr(one, name) for one in by_seed.values()] for name in ("share", "error"))
        share = sum(one.share for one in by_seed.values()) / len(by_seed)
        limit = board.limits["leak_limit"]
        found[op] = Finding(share, excess(gaps, errors), own.get(op, 0.0), limit)
    return found


def copies(board: Board, standing: Standing) -> dict[str, Finding]:
    """Find how much of an arm's samples is taken for copies, by space, beyond what real images would be."""
    found = {}
    for space in ("pixels", "features"):
        shares, errors, expected = [], [], []
        for sets in standing.sets:
            read = [row["memorisation"][space] for row in sets if (row.get("memorisation") or {}).get(space)]
            if read:
                share, usual = (sum(one[name] for one in read) / len(read) for name in ("share", "expected"))
                likely = max(share, usual)
                shares.append(share)
                expected.append(usual)
                errors.append(math.sqrt(likely * (1 - likely) / (board.samples * len(read))))
        if shares:
            usual = sum(expected) / len(expected)
            gaps = [share - one for share, one in zip(shares, expected, strict=True)]
            share, limit = sum(shares) / len(shares), board.limits["copy_limit"]
            found[space] = Finding(share, excess(gaps, errors), usual, limit)
    return found


def readable(board: Board) -> bool:
    """Say whether any meter of leakage could be read on any arm."""
    return any(_read(standing) for standing in board.standings)


def unmeasured(board: Board) -> list[str]:
    """List of leakage and copies what was not looked for on any arm; a meter that is blind did look."""
    rows = [row for standing in board.standings for sets in standing.sets for row in sets]
    fields = {"leakage": "leakage", "copies": "memorisation"}
    return [name for name, field in fields.items() if not any(row.get(field) for row in rows)]


def blind(board: Board) -> list[str]:
    """List the ops of the board's arms whose meters could not be read on any arm."""
    seen = {op for standing in board.standings for op in _read(standing)}
    looked_for = {
        op for standing in board.standings for sets in standing.sets for row in sets for op in row.get("leakage") or ()
    }
    own = dict.fromkeys(op for standing in board.standings for op in standing.arm.made_by)
    return [op for op in own if op in looked_for - seen]


def _faults(board: Board, standing: Standing) -> Iterator[str]:
    own = standing.arm.made_by
    leaking = [(op in own, found.share, op, found) for op, found in leaks(board, standing).items() if found.too_large]
    for _, _, op, found in sorted(leaking, reverse=True):
        law = f" ({found.expected:.0%} expected: the share of its training set)" if op in own else ""
        yield f"{found.share:.0%} of its samples look like {op} images{law}"
    for space, found in copies(board, standing).items():
        if found.too_large:
            expected = f"{found.expected:.0%} expected"
            yield f"{found.share:.0%} of its samples are copies of training images, by {space} ({expected})"
            break
    yield from _divergence(standing.arm)


def _divergence(arm: ArmRuns) -> Iterator[str]:
    lost = sum(map(diverged, arm.runs))
    if lost > DIVERGED * len(arm.runs):
        yield f"{lost} of its {len(arm.runs)} run{'s' if len(arm.runs) > 1 else ''} diverged"


class _Reading(NamedTuple):
    """The share that a meter reads on the samples of one run, and its standard error."""

    share: float
    error: float


def _read(standing: Standing) -> dict[str, dict[int, _Reading]]:
    """Read the meters of an arm: op -> seed -> reading, over all sets of samples; blind ones are left out."""
    found: dict[str, dict[int, _Reading]] = {}
    for seed, sets in zip(standing.last, standing.sets, strict=True):
        by_op: dict[str, list[dict]] = {}
        for row in sets:
            for op, one in (row.get("leakage") or {}).items():
                if one["share"] is not None:
                    by_op.setdefault(op, []).append(one)
        for op, read in by_op.items():
            share, low, high = (sum(one[name] for one in read) / len(read) for name in ("share", "low", "high"))
            found.setdefault(op, {})[seed] = _Reading(share, (high - low) / (2 * 1.96))
    return found
