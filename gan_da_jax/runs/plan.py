"""A study: the runs that its config asks for, one an arm, source and seed, and where each of them lives."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.runs.config import check
from gan_da_jax.runs.config import source_name
from gan_da_jax.data.sources import SOURCES
from gan_da_jax.errors import UserError


class Planned(NamedTuple):
    """One run of a study.

    Attributes:
        source: the name of its originals, as a folder.
        arm: `POLICY@COUNT`, or `none`.
        config: the whole config of the run.
        workdir: STUDY/SOURCE/ARM/seedK.
    """

    source: str
    arm: str
    config: ConfigDict
    workdir: Path

    @property
    def name(self) -> str:
        """The run's folder within that of the study."""
        return f"{self.source}/{self.arm}/seed{self.config.seed}"

    @property
    def base(self) -> Path:
        """The workdir of the run on the same originals alone, whose GAN makes the `generated` images."""
        return self.workdir.parents[1] / "none" / self.workdir.name


def arms(config: ConfigDict) -> tuple[str, ...]:
    """The arms of a study, controls included; on the command line commas may stand between them, without quotes."""
    named = [arm.strip() for entry in config.study.arms for arm in re.split(r",(?![^(]*\))", str(entry))]
    controls = [f"{policy}@{config.augment.count}" for policy in ("duplicate", "more")] if config.study.controls else []
    return (*named, *controls)


def plan(config: ConfigDict, workdir: Path) -> list[Planned]:
    """The runs of a study: source by source, seed by seed, so that what they share is made once and found again.

    Within a seed come first the originals alone, whose GAN makes the `generated` images of the other arms.

    Raises:
        UserError: no arm or seed, one that is named twice, an arm or source that cannot be read, or a run whose config
            does not pass `config.check`.
    """
    named = arms(config)
    for field, values in (("arms", named), ("seeds", config.study.seeds), ("sources", config.study.sources)):
        for value in values:
            if list(values).count(value) > 1:
                raise UserError(f"config.study.{field} names {value} twice")
        if not values and field != "sources":
            raise UserError(f"config.study.{field} is empty: name at least one")
    meanings: dict[tuple, str] = {}
    for arm in named:
        text, count = _read(arm)
        same = meanings.setdefault((policy.parse(text), count), arm)
        if same != arm:
            raise UserError(f"config.study.arms: {same} and {arm} are the same arm; leave one of them out")
    for seed in config.study.seeds:
        if not isinstance(seed, int):
            raise UserError(f"config.study.seeds: {seed!r} is no seed; write whole numbers, as in (0,1,2)")
    runs = []
    for source in _sources(config):
        folder = source_name(source).replace("/", "_")
        if any(run.source == folder for run in runs):
            raise UserError(f"config.study.sources has two sources named {folder}: rename one of them")
        for seed in config.study.seeds:
            for arm in sorted(named, key=lambda arm: arm != "none"):
                run = Planned(folder, arm, _of_arm(source, arm, seed), workdir / folder / arm / f"seed{seed}")
                if arm != "none":
                    run.config.augment.generator = str(run.base)
                check(run.config)
                runs.append(run)
    return runs


def select(runs: list[Planned], *, only: str | None, index: int | None) -> list[Planned]:
    """The runs of one arm, all seeds: `only` is ARM or SOURCE/ARM, `index` counts the arms, source by source.

    Raises:
        UserError: both are given, or there is no such arm.
    """
    named = list(dict.fromkeys((run.source, run.arm) for run in runs))
    if only is not None and index is not None:
        raise UserError("--only and --index both choose arms: give one of them")
    if index is not None:
        if not 0 <= index < len(named):
            raise UserError(f"--index is {index}, but the study has the arms 0 to {len(named) - 1}")
        return [run for run in runs if (run.source, run.arm) == named[index]]
    chosen = [run for run in runs if only in (None, run.arm, f"{run.source}/{run.arm}")]
    if not chosen:
        known = ", ".join(dict.fromkeys(arm for _, arm in named))
        raise UserError(f"--only={only} is no arm of the study; its arms are: {known}")
    return chosen


def _sources(config: ConfigDict) -> Iterator[ConfigDict]:
    """The config once for each source."""
    for entry in config.study.sources or (None,):
        single = config.copy_and_resolve_references()
        if entry is not None:
            kind, _, where = str(entry).partition(":")
            if kind not in SOURCES:
                known = ", ".join(SOURCES)
                raise UserError(f"config.study.sources: {entry!r} is no source; write KIND:WHERE, KIND being {known}")
            single.data.source = kind
            single.data.path, single.data.dataset = SOURCES[kind].locate(where, config.data.path)
        yield single


def _read(arm: str) -> tuple[str, int]:
    """The policy of an arm, and its count; 0 for `none`."""
    if arm == "none":
        return arm, 0
    text, _, count = str(arm).rpartition("@")
    if not (text and count.isdecimal()) or text == "none":
        raise UserError(f"config.study.arms: {arm!r} is no arm; write POLICY@COUNT, as in hflip@1000, or none")
    return text, int(count)


def _of_arm(config: ConfigDict, arm: str, seed: int) -> ConfigDict:
    single = config.copy_and_resolve_references()
    single.seed = seed
    single.augment.policy, count = _read(arm)
    single.augment.count = count if arm != "none" else config.augment.count
    return single
