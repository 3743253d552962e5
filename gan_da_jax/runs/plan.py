"""A study: the runs that its config asks for, one an arm, source and seed, and where each of them lives."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.data.sources import SOURCES
from gan_da_jax.errors import UserError
from gan_da_jax.runs.arm import BASELINE, Arm
from gan_da_jax.runs.config import check, generator_config, source_name
from gan_da_jax.runs.folder import Run


class Planned(NamedTuple):
    """One run of a study.

    Attributes:
        study: the folder of the study.
        source: the name of its originals, as a folder.
        arm: what its data set is augmented with.
        run: the run, in STUDY/SOURCE/ARM/seedK.
    """

    study: Path
    source: str
    arm: Arm
    run: Run

    @property
    def name(self) -> str:
        """The run's folder within the folder of the study."""
        return self.arm.folder(self.source, self.run.config.seed)

    @property
    def base(self) -> Path:
        """The workdir of the run on the same originals alone, whose GAN makes the `generated` images."""
        return self.study / BASELINE.folder(self.source, self.run.config.seed)


def arms(config: ConfigDict) -> tuple[Arm, ...]:
    """List the arms of a study, controls included; on the command line commas may stand between them, without quotes.

    Raises:
        UserError: none, one that is named twice, or one that cannot be read.
    """
    named = [arm.strip() for entry in config.study.arms for arm in re.split(r",(?![^(]*\))", str(entry))]
    _require_once("arms", named)
    if config.study.controls:
        named += [str(Arm(op, config.augment.count)) for op in ("duplicate", "more")]
    found: dict[tuple[tuple[policy.Part, ...], int], tuple[str, Arm]] = {}
    for text in named:
        arm = Arm.parse(text)
        same, _ = found.setdefault((arm.parts, arm.count), (text, arm))
        if same != text:
            raise UserError(f"config.study.arms: {same} and {text} are the same arm; leave one of them out")
    return tuple(arm for _, arm in found.values())


def most_more(config: ConfigDict) -> int:
    """Count the further real images that the run of a config, or any arm of its study, trains on at the most."""
    every = (Arm.of(config), *(arms(config) if config.study.arms else ()))
    return max(policy.pool_sizes(arm.parts, arm.count).get("more", 0) for arm in every)


def plan(config: ConfigDict, workdir: Path) -> list[Planned]:
    """Plan the runs of a study: source by source, seed by seed, so that what they share is made once and found again.

    Within a seed come first the originals alone, whose GAN makes the `generated` images of the other arms.

    Raises:
        UserError: no arm or seed, one that is named twice, an arm or source that cannot be read, or a run whose config
            does not pass `config.check`.
    """
    named = sorted(arms(config), key=lambda arm: not arm.baseline)
    _require_once("seeds", config.study.seeds)
    if config.study.sources:
        _require_once("sources", config.study.sources)
    planned: list[Planned] = []
    for of_source in _sources(config):
        source = source_name(of_source).replace("/", "_")
        if any(one.source == source for one in planned):
            raise UserError(f"config.study.sources has two sources named {source}: rename one of them")
        for seed in config.study.seeds:
            for arm in named:
                single = of_source.copy_and_resolve_references()
                single.seed = seed
                # All of them by name, as an arm changes the `augment.count` that controls have.
                single.study.arms, single.study.controls = tuple(map(str, named)), False
                arm.apply(single)
                if arm.baseline:
                    single = generator_config(single)  # as the arms that sample its GAN ask for it
                else:
                    single.augment.generator = str(workdir / BASELINE.folder(source, seed))
                check(single)
                planned.append(Planned(workdir, source, arm, Run(single, workdir / arm.folder(source, seed))))
    return planned


def select(planned: list[Planned], *, only: str | None, index: int | None) -> list[Planned]:
    """Select the runs of one arm, all seeds: `only` is ARM or SOURCE/ARM, `index` counts the arms, source by source.

    Raises:
        UserError: both are given, or there is no such arm.
    """
    named = list(dict.fromkeys((one.source, one.arm) for one in planned))
    if only is not None and index is not None:
        raise UserError("--only and --index both choose arms: give one of them")
    if index is not None:
        if not 0 <= index < len(named):
            raise UserError(f"--index is {index}; the arms of the study are 0 to {len(named) - 1}")
        return [one for one in planned if (one.source, one.arm) == named[index]]
    chosen = [one for one in planned if only in (None, str(one.arm), f"{one.source}/{one.arm}")]
    if not chosen:
        known = ", ".join(dict.fromkeys(str(arm) for _, arm in named))
        raise UserError(f"--only={only} is not an arm of the study; its arms are: {known}")
    return chosen


def _require_once(field: str, values: tuple | list) -> None:
    """Refuse a list of the config that is empty or names a value twice."""
    for value in values:
        if list(values).count(value) > 1:
            raise UserError(f"config.study.{field} names {value} twice")
    if not values:
        raise UserError(f"config.study.{field} is empty: name at least one")


def _sources(config: ConfigDict) -> Iterator[ConfigDict]:
    """Yield the config once for each source."""
    for entry in config.study.sources or (None,):
        single = config.copy_and_resolve_references()
        if entry is not None:
            kind, _, where = str(entry).partition(":")
            if kind not in SOURCES:
                known = ", ".join(SOURCES)
                raise UserError(
                    f"config.study.sources: {entry!r} is not a source; write KIND:WHERE, KIND being {known}"
                )
            single.data.source = kind
            single.data.path, single.data.dataset = SOURCES[kind].locate(where, config.data.path)
        yield single
