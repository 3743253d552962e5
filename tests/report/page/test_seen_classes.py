"""What a classifier sees in single samples, against the lines of scores.jsonl by hand."""

import pytest

from gan_da_jax.files import io
from gan_da_jax.report.page.seen_classes import of_board


def classes(root, policy, seeds):
    """By seed, of all sets of samples."""
    return [[row["classes"] for row in io.read_jsonl(root / policy / str(seed) / "scores.jsonl")] for seed in seeds]


def test_shares_are_means_and_counts_are_of_one_set(make, board_of):
    options = {"wanted": ("pug", "husky"), "repeats": 3, "grids": 2}
    root = make(2, none=options, hflip=options)
    [found] = of_board(board_of(root))
    assert found["wanted"] == ["pug", "husky"]
    assert [arm["standing"].arm.label for arm in found["arms"]] == ["none", "hflip@20"]
    for arm, policy in zip(found["arms"], ("none", "hflip"), strict=True):
        seen = [one for sets in classes(root, policy, (0, 1)) for one in sets]
        assert len(seen) == 6
        for share in ("top1_share", "mean_probability"):
            assert arm[share] == pytest.approx(sum(one[share] for one in seen) / 6)
        assert arm["seed"] == 0 and arm["frequent"] == [[f"class {n}", 400 - 50 * n] for n in range(5)]
        assert (arm["sheet"].width, arm["sheet"].height) == (128, 32)


def test_other_wanted_classes_are_apart_and_without_any_there_is_no_share(make, board_of):
    root = make(1, none={}, hflip={"wanted": ("pug",)}, vflip={"wanted": ("husky",)}, invert={"wanted": ("pug",)})
    found = of_board(board_of(root))
    labels = {tuple(one["wanted"]): [arm["standing"].arm.label for arm in one["arms"]] for one in found}
    assert labels == {(): ["none"], ("pug",): ["hflip@20", "invert@20"], ("husky",): ["vflip@20"]}
    [none] = found[0]["arms"]
    assert none["top1_share"] is None and none["mean_probability"] is None and none["sheet"] is None


def test_sets_that_were_asked_for_other_classes_are_left_out_of_the_mean(make, board_of):
    root = make(2, none={"wanted": ("pug",)})
    path = root / "none/1/scores.jsonl"
    io.write_jsonl(path, [row | {"classes": row["classes"] | {"wanted": ["husky"]}} for row in io.read_jsonl(path)])
    [found] = of_board(board_of(root))
    assert found["arms"][0]["top1_share"] == classes(root, "none", (0,))[0][0]["top1_share"]


def test_the_first_seed_that_was_looked_at_counts_and_arms_that_never_were_are_missing(make, board_of):
    root = make(2, none={"wanted": ("pug",)}, hflip={"level": None, "distance": 20.0})
    path = root / "none/0/scores.jsonl"
    io.write_jsonl(path, [row | {"classes": None} for row in io.read_jsonl(path)])
    [found] = of_board(board_of(root))
    [arm] = found["arms"]
    assert (arm["standing"].arm.label, arm["seed"]) == ("none", 1)
    assert arm["top1_share"] == classes(root, "none", (1,))[0][0]["top1_share"]
