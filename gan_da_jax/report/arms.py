"""Runs -> arms (what differs in the seed only) -> boards (arms whose scores may be compared)."""

import json
import re
import statistics
from collections import Counter
from typing import Any, NamedTuple

from gan_da_jax.classifiers.registry import scores_by
from gan_da_jax.metrics.columns import catalogue, choosing, value
from gan_da_jax.metrics.measure import Score
from gan_da_jax.metrics.over_seeds import best, join, pool
from gan_da_jax.runs.config import FREE_FIELDS, recorded
from gan_da_jax.runs.read import Run, judge

# Fields in which runs may differ and still be repeats of one arm.
NOT_SETTINGS = (*FREE_FIELDS, "seed", "augment.")


class Arm(NamedTuple):
    """Runs that differ in their seed only, in the order of their seeds.

    `settings` are the config fields, beyond policy and count, that are not as in most runs of this source.
    """

    source: str
    policy: str
    count: int
    settings: dict[str, Any]
    runs: list[Run]

    @property
    def name(self) -> str:
        """The arm as the command line writes it: `hflip@1000`, `none`."""
        return self.policy if self.policy == "none" else f"{self.policy}@{self.count}"

    @property
    def label(self) -> str:
        """The name and the settings."""
        settings = ", ".join(f"{field}={found}" for field, found in self.settings.items())
        return f"{self.name} ({settings})" if settings else self.name

    @property
    def terms(self) -> list[str]:
        """The ops of the policy with their arguments, as they are written; [] of `none`."""
        return [] if self.policy == "none" else re.split(r"\+(?![^(]*\))", self.policy)

    @property
    def evaluated(self) -> bool:
        """Whether any of its runs has a score."""
        return any(
            value(row, score.key) is not None for run in self.runs for row in run.scores for score in catalogue()
        )


class Best(NamedTuple):
    """The best checkpoint of each seed, as the score `by` chooses it, with its evaluations joined."""

    by: str
    rows: dict[int, dict[str, Any]]
    scores: dict[str, dict[str, Any]]


class Standing(NamedTuple):
    """An arm on a board: the evaluations of all its checkpoints and, one a seed, those of the last and the best one.

    Several sets of samples of one checkpoint and seed are one evaluation, see `pool`. `best` is None where nothing that
    may choose was measured.
    """

    number: int
    arm: Arm
    course: list[dict[str, Any]]
    last: dict[int, dict[str, Any]]
    scores: dict[str, dict[str, Any]]
    best: Best | None

    def run(self, seed: int) -> Run:
        """The run of one seed."""
        return next(run for run in self.arm.runs if run.seed == seed)

    @property
    def sets(self) -> list[list[dict[str, Any]]]:
        """The evaluations of all sets of samples of the last checkpoint, for each seed."""
        return [row["sets"] for row in self.last.values()]


class Board(NamedTuple):
    """The arms of one source whose scores may be compared: same classifier, tap, number of samples and splits."""

    source: str
    classifier: str
    tap: str
    samples: int
    splits: int
    standings: list[Standing]

    @property
    def scores(self) -> list[Score]:
        """The scores that at least one arm has; the first one leads."""
        return [one for one in scores_by(self.classifier) if any(one.key in had.scores for had in self.standings)]

    @property
    def deciding(self) -> Score | None:
        """The score by which one arm is better than another; None where only disputed ones were measured."""
        return next((score for score in self.scores if score.chooses), None)

    @property
    def unit(self) -> str:
        """What the trainings of all arms have in common: `kimg` where only the images shown are equal, else `epoch`."""
        ends = [row for standing in self.standings for row in standing.last.values()]
        spread = {unit: max(row[unit] for row in ends) / min(row[unit] for row in ends) for unit in ("epoch", "kimg")}
        return "kimg" if spread["kimg"] < 1.01 < spread["epoch"] else "epoch"

    @property
    def headline(self) -> list[Score]:
        """The leading and the deciding score: those that a short account gives."""
        return list(dict.fromkeys(score for score in (self.scores[0], self.deciding) if score))

    def ranked(self, score: Score) -> list[Standing]:
        """The standings that have this score, from the best mean to the worst; a disputed score's from the highest."""
        having = [standing for standing in self.standings if score.key in standing.scores]
        sign = 1 if score.better == "lower" else -1
        return sorted(having, key=lambda standing: sign * standing.scores[score.key]["mean"])

    def candidates(self, score: Score) -> list[Standing]:
        """The ranked arms that an answer may name: `more` only if it is alone, for real images are no augmentation."""
        ranked = self.ranked(score)
        return [standing for standing in ranked if standing.arm.policy != "more"] or ranked

    @property
    def best(self) -> Standing | None:
        """The first candidate by the deciding score, if there is such a score."""
        return self.candidates(self.deciding)[0] if self.deciding else None

    def real(self, score: Score) -> float | None:
        """The score of the real images, averaged over the arms; None if it was not measured."""
        means = [standing.scores[score.real]["mean"] for standing in self.standings if score.real in standing.scores]
        return statistics.fmean(means) if means else None


def group(runs: list[Run]) -> tuple[list[Arm], dict[str, str]]:
    """Groups runs into arms.

    Returns:
        The arms, in the order in which a report shows them; and name -> name of the run it repeats, for each run left
        out: a second run of the same arm, settings and seed says nothing about chance. Of such runs one that has
        scores is kept, and of these the one that got furthest; the GAN of generated images, say, has none.
    """
    groups: dict[tuple, dict[int, Run]] = {}
    left_out = {}
    runs = sorted(runs, key=lambda run: (not run.scores, -run.metrics[-1]["step"] if run.metrics else 0))
    names = _names(runs)
    for source in sorted(set(names)):
        members = [run for run, name in zip(runs, names, strict=True) if name == source]
        for run, setting in zip(members, _settings(members), strict=True):
            same = groups.setdefault((source, run.manifest["policy"], run.manifest["count"], json.dumps(setting)), {})
            if run.seed in same:
                left_out[run.name] = same[run.seed].name
            else:
                same[run.seed] = run
    arms = [
        Arm(source, policy, count, json.loads(setting), [same[seed] for seed in sorted(same)])
        for (source, policy, count, setting), same in groups.items()
    ]
    # The originals alone come first, then single policies, then pairs, small before large.
    arms.sort(key=lambda arm: (arm.source, len(arm.terms), arm.count, arm.label))
    return arms, left_out


def _names(runs: list[Run]) -> list[str]:
    """The name of each run's source, with its path where two sources have the same name."""
    paths: dict[str, set[str]] = {}
    for run in runs:
        paths.setdefault(run.manifest["source"]["name"], set()).add(run.manifest["source"]["path"])
    sources = [run.manifest["source"] for run in runs]
    return [
        source["name"] if len(paths[source["name"]]) == 1 else f"{source['name']} ({source['path']})"
        for source in sources
    ]


def _settings(runs: list[Run]) -> list[dict[str, Any]]:
    """The settings of each run that are not as in most of them."""
    configs = [recorded(run.recorded["config"]) for run in runs]
    fields = differing(
        [{field: found for field, found in one.items() if not field.startswith(NOT_SETTINGS)} for one in configs]
    )
    usual = {field: Counter(json.dumps(found[field]) for found in fields).most_common(1)[0][0] for field in fields[0]}
    return [
        {field: found for field, found in setting.items() if json.dumps(found) != usual[field]} for setting in fields
    ]


def differing(configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each flat config without the fields that all of them agree on; None where one lacks a field of the others."""
    fields = sorted({field for config in configs for field in config})
    kept = [field for field in fields if len({json.dumps(config.get(field), sort_keys=True) for config in configs}) > 1]
    return [{field: config.get(field) for field in kept} for config in configs]


def compare(arms: list[Arm]) -> list[Board]:
    """Puts arms on boards, one a source and judge; arms that are not evaluated are on none, no board lacks scores."""
    found: dict[tuple, list[Standing]] = {}
    for number, arm in enumerate(arms):
        judged: dict[tuple, dict[tuple[int, int], list[dict]]] = {}
        for run in arm.runs:
            for row in run.scores:
                judged.setdefault(judge(row), {}).setdefault((run.seed, row["step"]), []).append(row)
        for by, sets in judged.items():
            course = {evaluation: pool(rows) for evaluation, rows in sets.items()}
            # Seeds that are still behind wait: joining different checkpoints would pass off progress as chance.
            latest = max(step for _, step in course)
            last = {seed: row for (seed, step), row in course.items() if step == latest}
            standing = Standing(
                number, arm, list(course.values()), last, join(list(last.values())), _best(course, last)
            )
            found.setdefault((arm.source, *by), []).append(standing)
    boards = [Board(*key, found[key]) for key in sorted(found)]
    return [board for board in boards if board.scores]


def _best(course: dict[tuple[int, int], dict], last: dict[int, dict]) -> Best | None:
    for by in choosing():
        rows = {seed: best([row for (of, _), row in course.items() if of == seed], by) for seed in last}
        if all(rows.values()):
            return Best(by, rows, join(list(rows.values())))
    return None
