"""The catalogue of scores: which there are, what is known of each, and how their numbers are read and written."""

from collections.abc import Mapping
from typing import Any

from gan_da_jax.metrics import authenticity, data_copying, fid, inception_score, kid, mind, prdc, vendi
from gan_da_jax.metrics.measure import Measure, Score

Row = Mapping[str, Any]  # an evaluation: one line of scores.jsonl

# All measures in the order of the reports. Whatever computes, checks, joins or shows scores asks this table.
MEASURES: tuple[Measure, ...] = (
    inception_score.SPLIT,
    inception_score.WHOLE,
    fid.MEASURE,
    kid.MEASURE,
    mind.MEASURE,
    prdc.PRECISION,
    prdc.RECALL,
    prdc.DENSITY_AND_COVERAGE,
    vendi.MEASURE,
    authenticity.MEASURE,
    data_copying.MEASURE,
)


def catalogue(*, distance: str = "FID") -> tuple[Score, ...]:
    """List all scores; the first one leads in reports.

    The scores against real images that nobody trained on stand before the same scores against the originals, so that
    they decide and choose where they were measured: a GAN that copies its training images gains nothing by them.

    Args:
        distance: what the network calls the scores that it gives their name.
    """
    named = [
        (measure, score._replace(label=distance) if score.named_by_network else score)
        for measure in MEASURES
        for score in measure.scores
    ]
    first = next((number for number, (measure, _) in enumerate(named) if measure.compared), len(named))
    plain = [score for _, score in named]
    held_out = [against_reference(score) for measure, score in named if measure.compared]
    return (*plain[:first], *held_out, *plain[first:])


def against_reference(score: Score) -> Score:
    """Make the entry of a score against the originals into the entry of the same against images held out."""
    return score._replace(
        key=reference_key(score.key),
        label=f"held-out {score.label}",
        explanation=f"is {score.label} against real images that nobody trained on, so copies of originals gain nothing "
        "by it.",
        plain=score.key,
    )


def reference_key(field: str) -> str:
    """Return the field that holds, against the reference, what `field` holds against the originals."""
    return f"reference_{field}"


def keys() -> tuple[str, ...]:
    """List the fields of all scores, each followed by the field of its real counterpart, if it has one."""
    return tuple(key for score in catalogue() for key in (score.key, score.real) if key)


def choosing() -> tuple[str, ...]:
    """List the fields of the scores that may choose the best checkpoint; the first that was measured does."""
    return tuple(score.key for score in catalogue() if score.chooses)


def value(row: Row, key: str) -> float | None:
    """Read the number under `key` of one evaluation (the mean of a spread); None if it was not measured."""
    found = row.get(key)
    return found.get("mean") if isinstance(found, Mapping) else found


def written(number: float | None) -> str:
    """Write a score for people: two decimals, none from 1,000 on, three significant digits below 1, and – for None."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.2f}" if abs(number) >= 1 else f"{number:#.3g}"


def signed(number: float) -> str:
    """Write a difference of scores for people, as `written` does, with its sign."""
    return ("−" if number < 0 else "+") + written(abs(number))


def percent(number: float) -> str:
    """Write a relative difference in percent for people, with its sign: one decimal below 10, powers from 10^5 on."""
    size = abs(number)
    digits = f"{size:.1f}" if size < 9.95 else f"{size:,.0f}" if size < 1e5 else f"{size:.0e}"
    return f"{'−' if number < 0 else '+'}{digits}%"
