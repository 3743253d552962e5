"""Which runs a study consists of, and what their data sets hold; nothing is trained."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gan_da_jax.augment import policy
from gan_da_jax.configs import paper
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools, prepare
from gan_da_jax.runs import plan as study
from gan_da_jax.runs.arm import Arm
from gan_da_jax.runs.config import generator_config
from helpers import configured

# The data sets of the paper: images of each op, beside 1,000 originals.
PAPER = {
    "none": {},
    "contrast@1000": {"contrast": 1000},
    "invert@1000": {"invert": 1000},
    "hflip@1000": {"hflip": 1000},
    "vflip@1000": {"vflip": 1000},
    "generated@1000": {"generated": 1000},
    "contrast+hflip@1000": {"contrast": 500, "hflip": 500},
    "contrast+generated@1000": {"contrast": 500, "generated": 500},
    "hflip+generated@1000": {"hflip": 500, "generated": 500},
    "contrast+hflip@2000": {"contrast": 1000, "hflip": 1000},
    "contrast+generated@2000": {"contrast": 1000, "generated": 1000},
    "hflip+generated@2000": {"hflip": 1000, "generated": 1000},
}
CONTROLS = {"duplicate@1000": {"duplicate": 1000}, "more@1000": {"more": 1000}}


def plan(config) -> list[study.Planned]:
    return study.plan(config, Path("place"))


@pytest.mark.parametrize(
    ("preset", "sources"),
    [
        ("celeba", ["img_align_celeba"]),
        ("pomeranian", ["pomeranians"]),
        ("both", ["img_align_celeba", "pomeranians"]),
        ("mini", ["faces"]),
    ],
)
def test_the_papers_arms_for_each_source(preset, sources):
    runs = plan(paper.get_config(preset))
    assert [(one.source, str(one.arm)) for one in runs] == [(source, arm) for source in sources for arm in PAPER]
    assert {one.run.config.data.count for one in runs} == {1000}
    assert [one.run.schedule.images for one in runs] == [1000 + sum(PAPER[str(one.arm)].values()) for one in runs]


def test_where_the_originals_come_from():
    data = {one.source: one.run.config.data for one in plan(paper.get_config("both"))}
    assert {source: (one.source, one.path, one.dataset) for source, one in data.items()} == {
        "img_align_celeba": ("zip", "img_align_celeba.zip", ""),
        "pomeranians": ("folder", "pomeranians", ""),
    }
    prepared = configured(study__sources=("tfds:celeb_a", "tfds:cats/small#black"), data__path="tensorflow_datasets")
    data = {one.source: one.run.config.data for one in plan(prepared)}
    assert {source: (one.source, one.path, one.dataset) for source, one in data.items()} == {
        "celeb_a": ("tfds", "tensorflow_datasets", "celeb_a"),
        "cats_small#black": ("tfds", "tensorflow_datasets", "cats/small#black"),
    }


def test_controls_are_a_switch():
    config = paper.get_config("mini")
    config.study.controls = True
    assert [str(one.arm) for one in plan(config)] == [*PAPER, *CONTROLS]
    config.augment.count = 7
    assert study.arms(config)[-2:] == (Arm("duplicate", 7), Arm("more", 7))


def test_one_run_for_each_source_seed_and_arm_with_the_originals_alone_first():
    config = configured(
        study__arms=("generated@8", "contrast(factor=2)@3", "none"),
        study__seeds=(5, 3),
        study__sources=("folder:a", "zip:b.zip"),
    )
    order = ("none", "generated@8", "contrast(factor=2)@3")
    runs = plan(config)
    assert [one.name for one in runs] == [f"{s}/{arm}/seed{seed}" for s in "ab" for seed in (5, 3) for arm in order]
    assert [one.run.workdir for one in runs] == [Path("place") / one.name for one in runs]
    for one in runs:
        assert one.base == Path(f"place/{one.source}/none/seed{one.run.config.seed}")
        if not one.arm.baseline:
            assert one.run.config.augment.generator == str(one.base)
    assert [(one.run.config.seed, one.run.config.augment.policy, one.run.config.augment.count) for one in runs[:3]] == [
        (5, "none", 1000),
        (5, "generated", 8),
        (5, "contrast(factor=2)", 3),
    ]


def test_the_run_on_the_originals_alone_is_the_one_that_other_arms_ask_for():
    """Else the two would write another config.json there in turn, each time that the study is done again."""
    config = configured(study__arms=("none", "generated@8"), augment__count=9, augment__generator="mine")
    alone, generated = plan(config)
    assert generator_config(generated.run.config).to_json() == alone.run.config.to_json()


def test_all_arms_are_shown_equally_many_images_unless_epochs_are_asked_for():
    config = paper.get_config("both")
    assert config.train.kimg == 600
    runs = plan(config)
    assert {one.run.schedule.steps for one in runs} == {600_000 // 64}
    assert len({one.run.schedule.checkpoints for one in runs}) == 1
    config.train.kimg, config.train.epochs = 0.0, 300  # as the paper
    for one in plan(config):
        images = 1000 + sum(PAPER[str(one.arm)].values())
        assert one.run.schedule.steps == int(np.ceil(300 * images / 64))


def test_the_indices_cover_all_arms_once():
    config = paper.get_config("both")
    config.study.seeds = (0, 1, 2)
    runs = plan(config)
    parts = [study.select(runs, only=None, index=index) for index in range(24)]
    assert all(len(part) == 3 and len({(one.source, one.arm) for one in part}) == 1 for part in parts)
    assert sorted(one.name for part in parts for one in part) == sorted(one.name for one in runs)
    assert study.select(runs, only=None, index=None) == runs
    for index in (-1, 24):
        with pytest.raises(UserError, match=f"--index is {index}; .* 0 to 23"):
            study.select(runs, only=None, index=index)


def test_an_arm_is_chosen_by_name_of_all_sources_or_one():
    runs = plan(paper.get_config("both"))
    chosen = study.select(runs, only="contrast+hflip@2000", index=None)
    assert [one.source for one in chosen] == ["img_align_celeba", "pomeranians"]
    assert study.select(runs, only="pomeranians/contrast+hflip@2000", index=None) == chosen[1:]
    for nothing in ("hflip", "", "dogs/none"):
        with pytest.raises(UserError, match="is not an arm of the study; its arms are: none, contrast@1000"):
            study.select(runs, only=nothing, index=None)
    with pytest.raises(UserError, match="--only and --index"):
        study.select(runs, only="none", index=0)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("arms", ("hflip",), "'hflip' is not an arm; write POLICY@COUNT"),
        ("arms", ("hflip@many",), "'hflip@many' is not an arm"),
        ("arms", ("@10",), "'@10' is not an arm"),
        ("arms", ("none@10",), "'none@10' is not an arm"),
        ("arms", ("none", 10), "'10' is not an arm"),
        ("arms", ("spin@10",), "spin is not an op"),
        ("arms", ("hflip+hflip@10",), "hflip is named twice"),
        ("arms", ("hflip@0",), "augment.count is 0"),
        ("arms", ("contrast+hflip@1",), "must be at least 2, an image for each op"),
        ("arms", ("none", "hflip@10", "none"), "arms names none twice"),
        ("arms", ("hflip@10", "hflip@010"), "hflip@10 and hflip@010 are the same arm"),
        ("arms", ("contrast@9", "contrast(factor=1.5)@9"), "are the same arm"),
        ("arms", (), "study.arms is empty"),
        ("seeds", (), "study.seeds is empty"),
        ("seeds", (1, 2, 1), "seeds names 1 twice"),
        ("seeds", (-1,), "seed is -1"),
        ("sources", ("web:dogs",), "'web:dogs' is not a source; write KIND:WHERE, KIND being faces, folder, zip, tfds"),
        ("sources", (3,), "3 is not a source"),
        ("sources", ("folder:",), "data.path is ''"),
        ("sources", ("tfds",), "data.dataset is ''"),
        ("sources", ("faces:dogs",), "leave it empty"),
        ("sources", ("zip:a.zip", "zip:a.zip"), "sources names zip:a.zip twice"),
        ("sources", ("folder:mine/dogs", "zip:yours/dogs.zip"), "two sources named dogs"),
    ],
)
def test_what_is_no_study(field, value, says):
    with pytest.raises(UserError) as caught:
        plan(configured(**{f"study__{field}": value}))
    assert says in str(caught.value)


def test_data_sets_are_the_papers(tmp_path, monkeypatch):
    # Noise stands for what a GAN would have drawn.
    def noise(config, place):
        count = policy.pool_sizes(policy.parse(config.augment.policy), config.augment.count)["generated"]
        return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)

    monkeypatch.setattr(pools, "generated", noise)
    config = paper.get_config("mini")
    config.data.image_size = 32
    config.study.controls = True
    originals = set()
    for one in study.plan(config, tmp_path):
        prepare.prepare(one.run)
        rows = io.read_json(one.run.manifest)["records"]
        expected = {**PAPER, **CONTROLS}[str(one.arm)]
        assert Counter(row["op"] for row in rows) == {"original": 1000, **expected}
        assert [row["op"] for row in rows[:1000]] == ["original"] * 1000
        originals.add(tuple(row["sha256"] for row in rows[:1000]))
        # An op is applied to as many different images as it can be.
        for op, count in expected.items():
            assert len({row["source_index"] for row in rows if row["op"] == op}) == count
    assert len(originals) == 1 and len(set(originals.pop())) == 1000
