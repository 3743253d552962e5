"""What `evaluate.reference` may say, and what it changes of a run."""

import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.runs import config, plan, schedule
from gan_da_jax.runs.reference import Asked, parse
from helpers import configured


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("originals", Asked("originals")),
        ("heldout", Asked("heldout")),
        ("heldout(0.2)", Asked("heldout", 0.2)),
        ("heldout(2e-1)", Asked("heldout", 0.2)),
        ("./heldout", Asked("path", path="./heldout")),
        ("dogs.npz", Asked("path", path="dogs.npz")),
    ],
)
def test_a_word_a_share_or_a_path(text, asked):
    assert parse(text) == asked
    assert parse(str(asked)) == asked


@pytest.mark.parametrize("share", ["0", "1", "-0.1", "1.5", "nan", "inf", "", "x", "0.1, 0.2"])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(UserError, match=r"must be in \(0, 1\), as in heldout\(0.2\)"):
        parse(f"heldout({share})")


@pytest.mark.parametrize("text", ["", "  "])
def test_nothing_is_no_reference(text):
    with pytest.raises(UserError, match="evaluate.reference is empty; it must be originals, heldout"):
        parse(text)


@pytest.mark.parametrize(
    ("count", "share", "said"),
    [(499, 0.2, "sets 100 of"), (490, 0.2, "sets 98 of 490"), (100, 0.999, "sets 100 of 100"), (10, 0.5, "sets 5 of")],
)
def test_a_share_must_be_large_enough_and_leave_images_to_train_on(count, share, said):
    one = configured(data__count=count, evaluate__reference=f"heldout({share})", evaluate__splits=1)
    if count == 499:  # the least that is allowed
        config.check(one)
        assert (config.set_aside(one), config.training_count(one)) == (100, 399)
        return
    with pytest.raises(UserError, match=f"{said}.*must set aside at least 100, and leave one to train on"):
        config.check(one)


def test_images_set_aside_are_neither_trained_on_nor_counted():
    whole = configured(train__kimg=10.0, augment__policy="hflip")
    aside = configured(train__kimg=10.0, augment__policy="hflip", evaluate__reference="heldout(0.2)")
    config.check(aside)
    assert schedule.of(aside) == schedule.of(configured(train__kimg=10.0, augment__policy="hflip", data__count=800))
    assert schedule.of(aside).images == 1800 and schedule.of(whole).images == 2000
    assert schedule.of(configured(evaluate__reference="heldout")) == schedule.of(configured())
    splits = configured(evaluate__reference="heldout(0.5)", evaluate__splits=501)
    with pytest.raises(UserError, match=r"at most config.evaluate.samples \(1000\) and the originals \(500\)"):
        config.check(splits)


@pytest.mark.parametrize(
    ("old", "new", "differ"),
    [
        ("originals", "heldout", False),
        ("heldout", "dogs/", False),
        ("heldout(0.2)", "heldout(0.20)", False),
        ("originals", "heldout(0.2)", True),
        ("heldout(0.2)", "heldout", True),
        ("heldout(0.2)", "heldout(0.3)", True),
    ],
)
def test_only_what_sets_images_aside_makes_another_run(old, new, differ):
    before, after = (configured(evaluate__reference=text).to_dict() for text in (old, new))
    found = config.differences(before, after)
    assert bool(found) == differ and all(one.startswith("evaluate.reference (") for one in found)


def test_a_config_of_before_there_was_a_reference_is_the_same_run():
    new = configured()
    old = new.to_dict()
    del old["evaluate"]["reference"]
    assert config.differences(old, new.to_dict()) == [] and config.restored(old) == new


def test_the_most_further_images_of_any_arm_are_counted(tmp_path):
    arms = ("none", "hflip@500", "more@300", "more+hflip@800")
    study = configured(study__arms=arms)
    assert plan.most_more(study) == 400
    assert plan.most_more(configured(study__arms=())) == 0
    own = configured(study__arms=arms, augment__policy="more", augment__count=900)
    assert plan.most_more(own) == 900
    controlled = configured(study__arms=("none", "hflip@50"), study__controls=True, augment__count=700)
    assert plan.most_more(controlled) == 700
    for one in plan.plan(controlled, tmp_path):  # whatever an arm makes of augment.count
        assert plan.most_more(one.run.config) == 700
