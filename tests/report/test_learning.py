"""Whether GANs have learnt anything, and whether their scores have settled: planted courses are told apart."""

import pytest

from gan_da_jax.files import io
from gan_da_jax.report import learning

NOTHING = {"precision": 0.0, "recall": 0.0, "density": 0.0, "coverage": 0.01}


def test_no_precision_and_no_coverage_in_any_arm_is_nothing_learnt(make, board_of):
    nothing = {"distance": 40.0, "extra": NOTHING}
    assert learning.nothing_learnt(board_of(make(2, none=nothing, hflip=nothing))) == (
        "precision and coverage are near 0 in all arms"
    )


@pytest.mark.parametrize("other", [{"distance": 40.0}, {"distance": 40.0, "extra": {"precision": 0.0}}])
def test_one_arm_that_covers_something_is_enough(make, board_of, other):
    board = board_of(make(2, none={"distance": 40.0, "extra": NOTHING}, hflip=other))
    assert learning.nothing_learnt(board) is None


@pytest.mark.parametrize(("fid", "learnt"), [(30.0, False), (20.0, True)])
def test_samples_nearer_to_noise_than_to_real_images_are_nothing_learnt(make, board_of, fid, learnt):
    anchors = {"fid": {"halves": 0.2, "noise": 50.0}}
    root = make(2, none={"distance": 9.0, "extra": {"fid": fid, "anchors": anchors}})
    said = learning.nothing_learnt(board_of(root))
    assert (said is None) == learnt and (learnt or "nearer to noise than to real images" in said)


@pytest.mark.parametrize(("kimg", "more"), [(2.0, 50), (10.0, 50), (24.0, 96), (123.0, 500)])
def test_the_advised_budget_is_four_times_as_long_and_at_least_50(make, board_of, kimg, more):
    assert learning.more_kimg(board_of(make(1, none={"extra": {"kimg": kimg}}))) == more


@pytest.mark.parametrize(("last", "falls"), [(4.0, 0.2), (4.7, None)])
def test_a_score_that_falls_by_a_tenth_in_the_last_quarter_has_not_settled(make, board_of, last, falls):
    root = make(1, none={"distance": 9.0})
    [path] = root.rglob("scores.jsonl")
    [row] = io.read_jsonl(path)
    course = [(10.0, 9.0), (75.0, 5.0), (100.0, last)]
    io.write_jsonl(path, [row | {"step": int(at), "kimg": at, "fid": fid} for at, fid in course])
    found = learning.unsettled(board_of(root))
    assert list(found.values()) == pytest.approx([falls] if falls else [])


def test_without_a_checkpoint_before_the_last_quarter_nothing_is_said(make, board_of):
    assert learning.unsettled(board_of(make(2, none={"distance": 9.0}))) == {}
