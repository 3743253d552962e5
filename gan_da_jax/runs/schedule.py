"""The schedule of a run: how many images and steps, which of them end an epoch, which are saved."""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from gan_da_jax.data import order
from gan_da_jax.runs.config import augmented_count, training_count


@dataclasses.dataclass(frozen=True)
class Schedule:
    """What a config asks for, in steps; made once by `of`, and passed on.

    Attributes:
        images: the size of the data set, originals and augmented images.
        batch_size: images a step, over all devices together.
        steps: of the whole run.
        epochs: the steps at which an epoch is complete, ascending, and the last step.
        checkpoints: the steps that are saved, ascending: every `train.checkpoint_every` epochs, and the last step. With
            a budget in kimg these are epochs of the originals alone, so that all arms are looked at after as many
            images.
    """

    images: int
    batch_size: int
    steps: int
    epochs: tuple[int, ...]
    checkpoints: tuple[int, ...]

    def position(self, step: int) -> dict[str, Any]:
        """Say where a step lies: `step`, `epoch` (passes over the data set) and `kimg` (thousands of images shown)."""
        shown = step * self.batch_size
        return {"step": step, "epoch": round(shown / self.images, 4), "kimg": round(shown / 1000, 4)}


def of(config: ConfigDict) -> Schedule:
    """Derive the schedule of a checked config."""
    train, batch = config.train, config.train.batch_size
    originals = training_count(config)
    images = originals + augmented_count(config)
    steps = order.steps_of(kimg=train.kimg, epochs=train.epochs, images=images, batch_size=batch)

    def after_every(shown: int) -> tuple[int, ...]:
        ends = range(shown, steps * batch, shown)
        return tuple(sorted({-(-end // batch) for end in ends} | {steps}))

    return Schedule(
        images=images,
        batch_size=batch,
        steps=steps,
        epochs=after_every(images),
        checkpoints=after_every(train.checkpoint_every * (originals if train.kimg else images)),
    )
