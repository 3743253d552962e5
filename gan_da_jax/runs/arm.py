"""An arm: what a data set is augmented with, and how much of it."""

import dataclasses
from pathlib import Path
from typing import Self

from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.augment.policy import Part
from gan_da_jax.errors import UserError
from gan_da_jax.runs.config import augmented_count


@dataclasses.dataclass(frozen=True)
class Arm:
    """One arm of a study, as in `hflip@1000`; `none` is training on the originals alone.

    Attributes:
        policy: which augmentation, as `augment.policy` of a config has it.
        count: augmented images beside the originals; 0 without augmentation.
    """

    policy: str
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `POLICY@COUNT` or `none`; a `UserError` if it is neither."""
        if text == "none":
            return cls("none", 0)
        words, _, count = str(text).rpartition("@")
        if not (words and count.isdecimal()) or words == "none":
            raise UserError(
                f"config.study.arms: {text!r} is not an arm; write POLICY@COUNT, as in 'hflip@1000', or 'none'"
            )
        policy.parse(words)
        return cls(words, int(count))

    @classmethod
    def of(cls, config: ConfigDict) -> Self:
        """Return the arm that a run's config describes."""
        return cls(config.augment.policy, augmented_count(config))

    def __str__(self) -> str:
        return self.policy if self.baseline else f"{self.policy}@{self.count}"

    @property
    def baseline(self) -> bool:
        """Whether it is training on the originals alone."""
        return self.policy == "none"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The ops with their arguments; () of the baseline. Two arms with equal parts and counts are the same arm."""
        return policy.parse(self.policy)

    def apply(self, config: ConfigDict) -> None:
        """Write the arm into a run's config; the baseline leaves `augment.count`, which then has no effect."""
        config.augment.policy = self.policy
        if not self.baseline:
            config.augment.count = self.count

    def folder(self, source: str, seed: int) -> str:
        """Name the folder of its run within the folder of a study: SOURCE/ARM/seedK."""
        return f"{source}/{self}/seed{seed}"


BASELINE = Arm("none", 0)


def sibling(workdir: Path, arm: Arm) -> Path:
    """Return the workdir of another arm with the same source and seed; `workdir` must be a run of a study."""
    return workdir.absolute().parents[1] / str(arm) / workdir.absolute().name
