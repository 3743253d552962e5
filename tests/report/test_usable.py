"""Which arms may be used: planted leaks, copies and divergence are found, and chance is not taken for them."""

import pytest
from scipy import stats

from gan_da_jax.files import io
from gan_da_jax.report import usable


def of_arm(board, policy):
    return next(one for one in board.standings if one.arm.arm.policy == policy)


def faults(board):
    return {one.arm.label: usable.faults(board).get(one.number, []) for one in board.standings}


def test_a_leak_beyond_none_bars_an_arm_and_says_what_was_to_be_expected(make, board_of):
    leaking = {"distance": 5.0, "leakage": {"vflip": 0.5}}
    board = board_of(make(3, none={"distance": 9.0, "leakage": {"vflip": 0.01}}, vflip=leaking))
    [said] = faults(board)["vflip@20"]
    assert said.endswith("% of its samples look like vflip images (50% expected: the share of its training set)")
    assert faults(board)["none"] == []
    assert [one.arm.label for one in usable.candidates(board, board.deciding)] == ["none"]


def test_the_excess_is_students_over_the_common_seeds(make, board_of):
    board = board_of(make(4, none={"leakage": {"vflip": 0.1}}, vflip={"leakage": {"vflip": 0.4}}))
    shares = [[row["leakage"]["vflip"]["share"] for [row] in of_arm(board, arm).sets] for arm in ("vflip", "none")]
    gaps = [one - other for one, other in zip(*shares, strict=True)]
    mean, low, high = usable.leaks(board, of_arm(board, "vflip"))["vflip"].beyond
    sampling = 1.959964 * (2 * (0.06 / 3.92) ** 2 / 4) ** 0.5  # half the meter's interval, of two arms, over four seeds
    expected = stats.t.interval(0.95, 3, loc=sum(gaps) / 4, scale=stats.sem(gaps))
    assert mean == pytest.approx(sum(gaps) / 4)
    assert (low, high) == pytest.approx(
        (min(expected[0], mean - sampling), max(expected[1], mean + sampling)), abs=1e-3
    )


def test_a_spread_between_seeds_is_no_leak(make, make_run, board_of):
    """Of shares of 0 and 24% nothing can be claimed, though their mean is above the limit."""
    root = make(2, none={"leakage": {"vflip": 0.0}})
    for seed, share in enumerate((0.0, 0.24)):
        make_run(root / f"v{seed}", policy="vflip", count=20, seed=seed, grids=0, leakage={"vflip": share})
    assert faults(board_of(root))["vflip@20"] == []


def test_any_op_counts_where_the_originals_alone_say_what_a_meter_reads(make, board_of):
    reading = {"leakage": {"vflip": 0.4, "invert": 0.5}}
    board = board_of(make(3, none={"leakage": {"vflip": 0.02, "invert": 0.02}}, invert=reading))
    first, second = faults(board)["invert@20"]
    assert "invert images (50% expected" in first and second.endswith("look like vflip images")
    alone = board_of(make(3, invert=reading) / "invert")
    assert [said.partition(" (")[0].split()[-2] for said in faults(alone)["invert@20"]] == ["invert"]


def test_a_blind_meter_bars_nothing_and_is_told(make, board_of):
    board = board_of(make(3, none={"leakage": {"hflip": None}}, hflip={"leakage": {"hflip": None}}))
    assert faults(board)["hflip@20"] == [] and usable.blind(board) == ["hflip"]
    assert usable.blind(board_of(make(1, vflip={"leakage": {"vflip": 0.1}}) / "vflip")) == []


@pytest.mark.parametrize(("memorised", "barred"), [(0.3, True), (0.06, False)])
def test_copies_beyond_those_of_real_images_bar_an_arm(make, board_of, memorised, barred):
    board = board_of(make(3, none={"memorised": memorised}, hflip={"memorised": 0.05}))
    assert faults(board)["hflip@20"] == []
    assert [
        said.endswith("are copies of training images, by pixels (5% expected)") for said in faults(board)["none"]
    ] == [True] * barred


def test_the_limits_are_the_studys(make, board_of):
    lax = {"leakage": {"vflip": 0.5}, "memorised": 0.4}
    root = make(3, none={"leakage": {"vflip": 0.0}}, vflip=lax)
    assert len(faults(board_of(root))["vflip@20"]) == 2
    for path in root.rglob("config.json"):
        found = io.read_json(path)
        found["config"]["study"] |= {"leak_limit": 0.9, "copy_limit": 0.9}
        io.write_json(path, found)
    assert faults(board_of(root))["vflip@20"] == []


@pytest.mark.parametrize(("diverged", "barred"), [(1, False), (2, True)])
def test_more_than_a_fifth_of_diverged_runs_bars_an_arm(make, board_of, diverged, barred):
    root = make(5, none={}, hflip={})
    for seed in range(diverged):
        path = root / f"hflip/{seed}/metrics.jsonl"
        *rows, last = io.read_jsonl(path)
        io.write_jsonl(path, [*rows, last | {"diverged": "generator_loss"}])
    assert faults(board_of(root))["hflip@20"] == [f"{diverged} of its 5 runs diverged"] * barred
