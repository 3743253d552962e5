"""Leakage and copies of a board, against the lines of scores.jsonl by hand."""

import pytest

from gan_da_jax.files import io
from gan_da_jax.report.page.leaks_and_copies import copies, leaks


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def last_rows(root, policy, seeds):
    return [row for seed in range(seeds) for row in io.read_jsonl(root / policy / str(seed) / "scores.jsonl")]


def test_leakage_is_the_mean_over_seeds_and_every_meter_is_named_with_its_accuracy(make, board_of):
    blind = {"share": None, "low": None, "high": None, "accuracy": 0.6}
    root = make(
        2,
        none={"leakage": {"hflip": 0.1, "invert": None}},
        hflip={"leakage": {"hflip": 0.3, "vflip": 0.2}, "repeats": 3},
        vflip={},
        invert={"extra": {"leakage": {"invert": blind}, "reasons": {"leakage.invert": "too few", "fid": "too few"}}},
    )
    found = leaks(board_of(root))
    arms = {standing.arm.label: of_ops for standing, of_ops in found["arms"]}
    assert list(arms) == ["none", "hflip@20", "invert@20"]
    for policy, label in (("none", "none"), ("hflip", "hflip@20")):
        rows = last_rows(root, policy, 2)
        assert arms[label]["hflip"]["mean"] == pytest.approx(mean(row["leakage"]["hflip"]["share"] for row in rows))
    assert arms["none"]["invert"]["mean"] is None
    # 0.97 where a meter reads; blind ones had 0.52 and here 0.6, one arm each.
    assert found["ops"] == pytest.approx({"hflip": 0.97, "invert": (0.52 + 0.6) / 2, "vflip": 0.97})
    assert found["reasons"] == [("invert", "originals look the same"), ("invert", "too few")]


def test_copies_are_the_mean_over_seeds_beside_what_is_expected(make, board_of):
    root = make(2, none={"memorised": 0.1}, hflip={"memorised": 0.4}, vflip={})
    found = copies(board_of(root))
    assert found["spaces"] == ["pixels", "features"]
    assert [standing.arm.label for standing, _ in found["arms"]] == ["none", "hflip@20"]
    for (_, of_spaces), policy in zip(found["arms"], ("none", "hflip"), strict=True):
        rows = last_rows(root, policy, 2)
        for space, expected in (("pixels", 0.05), ("features", 0.07)):
            shares = [row["memorisation"][space]["share"] for row in rows]
            assert of_spaces[space]["mean"] == pytest.approx(mean(shares)) and len(set(shares)) == 2
            assert of_spaces[space]["expected"] == expected


def test_an_arm_shows_the_sheet_of_its_first_seed_that_has_one(make, board_of):
    root = make(3, none={"memorised": 0.1}, hflip={"memorised": 0.1})
    (root / "none/0/memorisation/step_00000016.png").unlink()
    for seed in range(3):
        (root / f"hflip/{seed}/memorisation/step_00000016.png").unlink()
    [(standing, seed, picture)] = copies(board_of(root))["sheets"]
    assert (standing.arm.label, seed) == ("none", 1)
    assert (picture.width, picture.height) == (128, 32)  # as `make_run` draws it: 8 x 2 tiles of 16 pixels


def test_what_was_not_looked_for_is_none(make, board_of):
    board = board_of(make(1, none={}, hflip={}))
    assert leaks(board) is None and copies(board) is None
