"""Runs -> arms (what differs in the seed only) -> boards (arms whose scores may be compared)."""

import json
import statistics
from collections import Counter
from typing import Any, NamedTuple

from gan_da_jax.classifiers.registry import scores_by
from gan_da_jax.gan import NETWORKS
from gan_da_jax.metrics.columns import Row, catalogue, value
from gan_da_jax.metrics.measure import Score
from gan_da_jax.metrics.over_seeds import choose, join
from gan_da_jax.metrics.shares import leakage
from gan_da_jax.runs.arm import Arm
from gan_da_jax.runs.config import decisive, flat_with_defaults
from gan_da_jax.runs.read import RecordedRun, pooled

NAMING = ("augment.policy", "augment.count", "seed")  # the config fields that say which arm and repeat a run is


class ArmRuns(NamedTuple):
    """The runs of an arm, which differ in their seed only.

    Attributes:
        source: the name of their originals.
        arm: the arm.
        settings: the config fields, beyond those that name the arm, that are not as in most runs of this source.
        runs: one a seed, in the order of the seeds.
    """

    source: str
    arm: Arm
    settings: dict[str, Any]
    runs: list[RecordedRun]

    @property
    def label(self) -> str:
        """The arm as the command line writes it, and its settings: `hflip@1000 (train.kimg=9)`."""
        return f"{self.arm} ({self._settings})" if self.settings else str(self.arm)

    @property
    def as_training(self) -> str:
        """What a sentence calls the training with this arm, as in "hflip@1000 was best"."""
        if not self.arm.baseline:
            return self.label
        settings = f", {self._settings}" if self.settings else ""
        return f"training on the originals alone (`{self.arm}`{settings})"

    @property
    def as_arm(self) -> str:
        """What a sentence calls the arm, as in "samples of hflip@1000"."""
        return f"the arm `{self.arm}`{self.label.removeprefix(str(self.arm))}" if self.arm.baseline else self.label

    @property
    def _settings(self) -> str:
        return ", ".join(f"{field}={found}" for field, found in self.settings.items())

    @property
    def made_by(self) -> dict[str, float]:
        """The share of the training set that each op made, 0..1, from the manifest.

        A generator that is trained on n originals and m images made by T tends to (n P + m T(P)) / (n + m), so these
        are the shares of samples that will look so: the best answer to the discriminator is the distribution of the
        training set (Goodfellow et al., 2014, theorem 1).
        """
        ops = Counter(record["op"] for record in self.runs[0].manifest["records"])
        return {op: count / ops.total() for op, count in ops.items() if op != "original"}

    @property
    def network(self) -> str:
        """What people call the network that was trained: `DCGAN`."""
        name = self.runs[0].config["model"].get("name", "dcgan")  # runs of before there was a choice have no name
        return NETWORKS[name].title if name in NETWORKS else name

    @property
    def ema_kimg(self) -> float:
        """The longest half-life of the average that draws its samples; 0 where the generator does as it was trained."""
        return flat_with_defaults(self.runs[0].config)["train.ema_kimg"]

    @property
    def evaluated(self) -> bool:
        """Whether any of its runs has a score."""
        return any(
            value(row, score.key) is not None for run in self.runs for row in run.scores for score in catalogue()
        )


class Best(NamedTuple):
    """The best checkpoint of each seed, as the score `by` chooses it, with its evaluations joined."""

    by: str
    rows: dict[int, Row]
    scores: dict[str, dict[str, Any]]


class Standing(NamedTuple):
    """An arm on a board. Several sets of samples of one checkpoint and seed are one evaluation, see `pool`.

    Attributes:
        number: the place of the arm among all arms of the report.
        arm: the arm with its runs.
        course: the evaluations of all checkpoints.
        last: the evaluation of the last checkpoint of each seed.
        scores: these joined over the seeds, see `join`.
        best: the best checkpoint of each seed; None where no score that may choose was measured.
    """

    number: int
    arm: ArmRuns
    course: list[dict[str, Any]]
    last: dict[int, dict[str, Any]]
    scores: dict[str, dict[str, Any]]
    best: Best | None

    def run(self, seed: int) -> RecordedRun:
        """Return the run of one seed."""
        return next(run for run in self.arm.runs if run.seed == seed)

    @property
    def leakage(self) -> dict[str, dict[str, Any]]:
        """The shares of `shares.leakage`, each with `expected`, the share of the training set that the op made."""
        made_by = self.arm.made_by
        return {op: found | {"expected": made_by.get(op, 0.0)} for op, found in leakage(self.sets).items()}

    @property
    def sets(self) -> list[list[dict[str, Any]]]:
        """The evaluations of all sets of samples of the last checkpoint, for each seed."""
        return [row["sets"] for row in self.last.values()]


class Board(NamedTuple):
    """The arms of one source whose scores may be compared: same classifier, tap, number of samples, splits, reference.

    Attributes:
        reference: the real images that nobody trained on, in words, as `read.scored_by` has it; "" for none.
        standings: the arms that have scores, and these.
        unscored: the arms of the source that have no score at all; a training that diverges has none.
    """

    source: str
    classifier: str
    tap: str
    samples: int
    splits: int
    reference: str
    standings: list[Standing]
    unscored: list[ArmRuns]

    @property
    def scores(self) -> list[Score]:
        """The scores that at least one arm has, but those of `against_originals`; the first one leads."""
        return [score for score in self._measured if score not in self.against_originals]

    @property
    def against_originals(self) -> list[Score]:
        """The scores against the originals, where the same were measured against images that nobody trained on."""
        instead = {score.plain for score in self._measured if score.plain}
        return [score for score in self._measured if score.key in instead]

    @property
    def _measured(self) -> list[Score]:
        return [one for one in scores_by(self.classifier) if any(one.key in had.scores for had in self.standings)]

    @property
    def deciding(self) -> Score | None:
        """The score by which one arm is better than another; None where only disputed ones were measured."""
        return next((score for score in self.scores if score.chooses), None)

    @property
    def unit(self) -> str:
        """What all arms were trained equally long by: `kimg` where only the images shown are equal, else `epoch`."""
        ends = [row for standing in self.standings for row in standing.last.values()]
        spread = {unit: max(row[unit] for row in ends) / min(row[unit] for row in ends) for unit in ("epoch", "kimg")}
        return "kimg" if spread["kimg"] < 1.01 < spread["epoch"] else "epoch"

    @property
    def headline(self) -> list[Score]:
        """The leading and the deciding score, for a short account."""
        return list(dict.fromkeys(score for score in (self.scores[0], self.deciding) if score))

    def ranked(self, score: Score) -> list[Standing]:
        """Rank the standings that have this score, from the best mean to the worst; a disputed one from the highest."""
        having = [standing for standing in self.standings if score.key in standing.scores]

        def badness(standing: Standing) -> float:
            mean = standing.scores[score.key]["mean"]
            return mean if score.better == "lower" else abs(mean) if score.better == "near 0" else -mean

        return sorted(having, key=badness)

    @property
    def limits(self) -> dict[str, float]:
        """The shares `leak_limit` and `copy_limit` that the study allows, see configs/default.py."""
        study = flat_with_defaults(self.standings[0].arm.runs[0].config)
        return {name: study[f"study.{name}"] for name in ("leak_limit", "copy_limit")}

    def real(self, score: Score) -> float | None:
        """Return the score of the real images, averaged over the arms; None if it was not measured."""
        means = [standing.scores[score.real]["mean"] for standing in self.standings if score.real in standing.scores]
        return statistics.fmean(means) if means else None


def group(runs: list[RecordedRun]) -> tuple[list[ArmRuns], dict[str, str]]:
    """Group runs into arms.

    Returns:
        The arms, in the order in which a report shows them; and name -> name of the run it repeats, for each run left
        out: a second run of the same arm, settings and seed says nothing about chance. Of such runs one that has
        scores is kept, and of these the one that got furthest; the GAN of generated images, say, has none.
    """
    groups: dict[tuple, list[RecordedRun]] = {}
    left_out = {}
    runs = sorted(runs, key=lambda run: (not run.scores, -run.metrics[-1]["step"] if run.metrics else 0))
    names = _names(runs)
    for source in sorted(set(names)):
        members = [run for run, name in zip(runs, names, strict=True) if name == source]
        for run, settings in zip(members, _settings(members), strict=True):
            same = groups.setdefault((source, run.arm.parts, run.arm.count, json.dumps(settings)), [])
            if (kept := next((one for one in same if one.seed == run.seed), None)) is not None:
                left_out[run.name] = kept.name
            else:
                same.append(run)
    arms = [
        ArmRuns(source, same[0].arm, json.loads(settings), sorted(same, key=lambda run: run.seed))
        for (source, _, _, settings), same in groups.items()
    ]
    # The originals alone come first, then single policies, then pairs, small before large.
    arms.sort(key=lambda runs: (runs.source, len(runs.arm.parts), runs.arm.count, runs.label))
    return arms, left_out


def _names(runs: list[RecordedRun]) -> list[str]:
    """Name the source of each run, with its path where two sources have the same name."""
    sources = [run.manifest["source"] for run in runs]
    paths: dict[str, set[str]] = {}
    for source in sources:
        paths.setdefault(source["name"], set()).add(source["path"])
    return [
        source["name"] if len(paths[source["name"]]) == 1 else f"{source['name']} ({source['path']})"
        for source in sources
    ]


def _settings(runs: list[RecordedRun]) -> list[dict[str, Any]]:
    """Return the settings of each run that are not as in most of them."""
    configs = [decisive(run.config) for run in runs]
    fields = differing([{field: found for field, found in one.items() if field not in NAMING} for one in configs])
    usual = {field: Counter(json.dumps(found[field]) for found in fields).most_common(1)[0][0] for field in fields[0]}
    return [
        {field: found for field, found in setting.items() if json.dumps(found) != usual[field]} for setting in fields
    ]


def differing(configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out of flat configs the fields that all of them agree on; None stands for a field that one lacks."""
    fields = sorted({field for config in configs for field in config})
    kept = [field for field in fields if len({json.dumps(config.get(field), sort_keys=True) for config in configs}) > 1]
    return [{field: config.get(field) for field in kept} for config in configs]


def compare(arms: list[ArmRuns]) -> list[Board]:
    """Put arms on boards, one for each source and `scored_by`; an arm or board without any score is left out."""
    found: dict[tuple[str, str, str, int, int, str], list[Standing]] = {}
    for number, arm in enumerate(arms):
        for by, course in pooled(row for run in arm.runs for row in run.scores).items():
            # Seeds that are still behind wait: joining different checkpoints would pass off progress as chance.
            latest = max(row["step"] for row in course)
            last = {row["seed"]: row for row in course if row["step"] == latest}
            standing = Standing(number, arm, course, last, join(list(last.values())), _best(course, last))
            found.setdefault((arm.source, *by), []).append(standing)
    unscored: dict[str, list[ArmRuns]] = {}
    for arm in arms:
        if not arm.evaluated:
            unscored.setdefault(arm.source, []).append(arm)
    boards = [Board(*key, found[key], unscored.get(key[0], [])) for key in sorted(found)]
    return [board for board in boards if board.scores]


def _best(course: list[dict[str, Any]], last: dict[int, dict[str, Any]]) -> Best | None:
    chosen = choose({seed: [row for row in course if row["seed"] == seed] for seed in last})
    if chosen is None:
        return None
    by, rows = chosen
    return Best(by, rows, join(list(rows.values())))
