import pytest

from gan_da_jax.report.arms import compare, differing, group


@pytest.fixture
def arms_of(read_all):
    return lambda root: group(read_all(root))[0]


def test_originals_come_first_then_single_policies_then_pairs(study, arms_of):
    arms = arms_of(study)
    assert [arm.name for arm in arms] == ["none", "hflip@20", "vflip@20", "contrast+hflip@20"]
    assert [[run.seed for run in arm.runs] for arm in arms] == [[0, 1], [0, 1], [0], [0, 1]]
    assert [arm.evaluated for arm in arms] == [True, True, False, True]


def test_copies_and_other_settings_are_no_seeds(tmp_path, make_run, read_all):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    make_run(tmp_path / "c", train={"batch_size": 32})
    make_run(tmp_path / "d", seed=1, epochs=9)  # how long a run trains leaves its arm as it is
    arms, left_out = group(read_all(tmp_path))
    assert [(arm.label, [run.name for run in arm.runs]) for arm in arms] == [
        ("none", ["a", "d"]),
        ("none (train.batch_size=32)", ["c"]),
    ]
    assert arms[1].settings == {"train.batch_size": 32} and left_out == {"b": "a"}


def test_differing_keeps_what_is_not_shared():
    assert differing([{"a": 1, "b": 2, "c": [1]}, {"a": 1, "b": 3, "c": [1], "d": 4}]) == [
        {"b": 2, "d": None},
        {"b": 3, "d": 4},
    ]
    assert differing([{"a": 1}]) == [{}]


def test_seed_that_is_behind_waits(tmp_path, make_run, arms_of):
    make_run(tmp_path / "a", seed=0, epochs=4)
    make_run(tmp_path / "b", seed=1, epochs=4, evaluations=1)
    [board] = compare(arms_of(tmp_path))
    [standing] = board.standings
    assert list(standing.last) == [0] and standing.last[0]["step"] == 64
    assert len(standing.course) == 3


def test_classifiers_and_sources_have_boards_of_their_own(tmp_path, make_run, arms_of):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", policy="hflip", count=20)
    make_run(tmp_path / "c", policy="vflip", count=20, classifier="inception_v3_2015")
    make_run(tmp_path / "d", source="pomeranian")
    make_run(tmp_path / "e", policy="invert", count=20, evaluations=0)
    boards = compare(arms_of(tmp_path))
    assert [(board.source, board.classifier, [s.arm.name for s in board.standings]) for board in boards] == [
        ("celeba_1000", "faces_attributes", ["none", "hflip@20"]),
        ("celeba_1000", "inception_v3_2015", ["vflip@20"]),
        ("pomeranian", "faces_attributes", ["none"]),
    ]


def test_board_ranks_only_arms_that_have_the_score(tmp_path, make_run, arms_of):
    make_run(tmp_path / "a", level=2.0, extra={"fid": 62.0})
    make_run(tmp_path / "b", policy="hflip", count=20, level=9.0)
    make_run(tmp_path / "c", policy="vflip", count=20, level=5.0, extra={"fid": 70.0})
    [board] = compare(arms_of(tmp_path))
    first, _, fid = board.scores
    assert (first.key, fid.key) == ("inception_score", "fid")
    assert [standing.arm.name for standing in board.ranked(first)] == ["hflip@20", "vflip@20", "none"]
    assert [standing.arm.name for standing in board.ranked(fid)] == ["vflip@20", "none"]
    assert board.real(first) == pytest.approx(3.4) and board.real(fid) is None
