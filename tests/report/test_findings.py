"""The paper's findings, on planted studies that agree, disagree, or say nothing."""

import pytest

from gan_da_jax.files import io
from gan_da_jax.report import findings
from gan_da_jax.report.arms import compare, group

HELD_OUT = {"kind": "heldout", "name": "faces", "images": 500, "sha256": "12" * 32}
NOT_SEEN = {"vflip": 0.0, "invert": 0.0}


@pytest.fixture
def of(read_all):
    def of(root):
        boards = compare(group(read_all(root))[0])
        [alike] = findings.by_judge(boards).values()
        return findings.of_boards(alike)

    return of


def plant(make_run, root, source, arms, seeds=3):
    for policy, count, level, leakage in arms:
        for seed in range(seeds):
            where = root / source / f"{policy}@{count}" / str(seed)
            settings = dict(source=source, policy=policy, count=count, seed=seed, originals=2000)
            make_run(where, **settings, grids=0, evaluations=1, level=level, distance=20.0, leakage=leakage)
    return root


def test_all_four_agree_where_they_were_planted(tmp_path, make_run, of):
    arms = [("none", 0, 9.0, NOT_SEEN), ("hflip", 1000, 7.0, NOT_SEEN), ("hflip", 2000, 6.0, NOT_SEEN)]
    arms += [("vflip", 1000, 5.0, {"vflip": 0.4, "invert": 0.0}), ("contrast", 1000, 4.0, NOT_SEEN)]
    for source in ("faces", "dogs"):
        plant(make_run, tmp_path, source, arms)
    unfit, larger, lower, order = of(tmp_path)
    assert [one.here for one in (unfit, larger, lower, order)] == [findings.AGREES] * 4
    assert "vflip@1000: 4" in unfit.number and "2 of 2 cases" in larger.number
    assert lower.number == "lower for 8 of 8 arms; beyond chance for 8" and "tau = 1.00" in order.number


def test_all_four_disagree_where_the_opposite_was_planted(tmp_path, make_run, of):
    arms = [("none", 0, 2.0, NOT_SEEN), ("hflip", 1000, 5.0, NOT_SEEN), ("hflip", 2000, 9.0, NOT_SEEN)]
    plant(make_run, tmp_path, "faces", [*arms, ("vflip", 1000, 7.0, NOT_SEEN)])
    other = [(policy, count, 11.0 - level, leaks) for policy, count, level, leaks in arms]
    unfit, larger, lower, _ = of(tmp_path)
    assert [one.here for one in (unfit, larger, lower)] == [findings.DISAGREES] * 3
    *_, order = of(plant(make_run, tmp_path, "dogs", [*other, ("vflip", 1000, 4.0, NOT_SEEN)]))
    assert order.here == findings.DISAGREES and "tau = −1.00" in order.number


def test_a_source_that_was_scored_against_two_references_is_one_source(tmp_path, make_run, of):
    arms = [("none", 0, 9.0, NOT_SEEN), ("hflip", 1000, 7.0, NOT_SEEN), ("hflip", 2000, 6.0, NOT_SEEN)]
    plant(make_run, tmp_path, "faces", arms)
    for path in list(tmp_path.rglob("scores.jsonl")):
        *rows, last = io.read_jsonl(path)
        io.write_jsonl(path, [*rows, last, last | {"reference": HELD_OUT}])
    _, larger, lower, order = of(tmp_path)
    assert order.here == findings.OPEN and "no two sources" in order.number
    assert "1 of 1 cases" in larger.number and lower.number.startswith("lower for 2 of 2 arms")


def test_nothing_is_said_of_samples_that_show_nothing(tmp_path, make_run, of):
    arms = [("none", 0, 9.0, NOT_SEEN), ("hflip", 1000, 7.0, NOT_SEEN), ("hflip", 2000, 6.0, NOT_SEEN)]
    plant(make_run, tmp_path, "faces", arms)
    for path in list(tmp_path.rglob("scores.jsonl")):
        io.write_jsonl(path, [row | {"precision": 0.0, "coverage": 0.0} for row in io.read_jsonl(path)])
    assert [(one.here, one.number) for one in of(tmp_path)] == [(findings.OPEN, "no arm draws the pictures yet")] * 4


def test_nothing_is_said_of_what_was_not_measured(tmp_path, make_run, of):
    plant(make_run, tmp_path, "faces", [("none", 0, None, NOT_SEEN), ("hflip", 1000, None, NOT_SEEN)])
    assert [one.here for one in of(tmp_path)] == [findings.OPEN] * 4
