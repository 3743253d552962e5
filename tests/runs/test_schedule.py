"""The steps of a run against arithmetic done another way: a walk over all images shown, one after the other."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.runs import schedule
from helpers import configured


def walked(images: int, batch: int, steps: int, every: int) -> tuple[int, ...]:
    """The steps that show the last image of each `every` images, and the last step."""
    shown = itertools.count(1)
    ended = {step for step in range(1, steps + 1) for _ in range(batch) if next(shown) % every == 0}
    return tuple(sorted(ended | {steps}))


@settings(deadline=None, max_examples=50)
@given(
    count=st.integers(1, 40),
    added=st.integers(0, 30),
    batch=st.integers(2, 9),
    epochs=st.integers(1, 5),
    every=st.integers(1, 3),
    kimg=st.sampled_from([0.0, 0.05, 0.151]),
)
def test_a_schedule_is_what_a_walk_over_all_images_gives(count, added, batch, epochs, every, kimg):
    config = configured(data__count=count, train__batch_size=batch, train__epochs=epochs, train__kimg=kimg)
    config.train.checkpoint_every = every
    if added:
        config.augment.policy, config.augment.count = "hflip", added
    found, images = schedule.of(config), count + added
    shown = round(kimg * 1000) if kimg else epochs * images
    assert found.images == images and found.batch_size == batch
    assert (found.steps - 1) * batch < shown <= found.steps * batch
    ends = {step for step in walked(images, batch, found.steps, images)}
    assert {*found.epochs} <= ends | {found.steps} and found.epochs[-1] == found.steps
    assert ends - {found.steps} == {*found.epochs} - {found.steps}
    wanted = every * (count if kimg else images)
    assert {*walked(images, batch, found.steps, wanted)} - {found.steps} == {*found.checkpoints} - {found.steps}
    assert found.checkpoints[-1] == found.steps


def test_a_position_says_epochs_and_images_shown():
    found = schedule.of(configured(data__count=30, train__batch_size=8, train__epochs=2))
    assert found.position(6) == {"step": 6, "epoch": 1.6, "kimg": 0.048}
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.steps = 3
