from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_da_jax.errors import UserError
from gan_da_jax.runs.arm import BASELINE, Arm, sibling
from helpers import configured

OPS = ("contrast", "contrast(factor=2)", "hflip", "vflip", "generated")


@given(
    st.lists(st.sampled_from(OPS), min_size=1, max_size=4, unique_by=lambda op: op.partition("(")[0]), st.integers(0)
)
def test_an_arm_is_read_as_it_is_written(ops, count):
    arm = Arm("+".join(ops), count)
    assert Arm.parse(str(arm)) == arm and not arm.baseline
    assert [part.op for part in arm.parts] == [op.partition("(")[0] for op in ops]


def test_the_baseline_adds_nothing():
    assert Arm.parse("none") == BASELINE == Arm.of(configured()) and BASELINE.baseline
    assert (str(BASELINE), BASELINE.count, BASELINE.parts) == ("none", 0, ())


def test_an_arm_is_written_into_a_config_and_found_again():
    config = configured(augment__count=7)
    for arm in (Arm("vflip", 5), Arm("contrast(factor=2)+hflip", 9)):
        arm.apply(config)
        assert (config.augment.policy, config.augment.count) == (arm.policy, arm.count) and Arm.of(config) == arm
    BASELINE.apply(config)
    assert Arm.of(config) == BASELINE and config.augment.count == 9


@pytest.mark.parametrize("text", ["", "hflip", "hflip@", "@3", "none@3", "hflip@-1", "hflip@1.5", "spin@4", "hflip@x"])
def test_what_is_not_an_arm_is_refused(text):
    with pytest.raises(UserError):
        Arm.parse(text)


def test_runs_of_a_study_lie_side_by_side():
    folder = Path("study") / Arm("hflip", 8).folder("faces", 3)
    assert folder == Path("study/faces/hflip@8/seed3")
    assert sibling(folder, BASELINE) == Path("study/faces/none/seed3").absolute()
