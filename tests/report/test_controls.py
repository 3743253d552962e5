"""Which arm another is held against, and the differences, recomputed from the lines of scores.jsonl and by SciPy."""

import numpy as np
import pytest
from scipy import stats

from gan_da_jax.files import io
from gan_da_jax.report import controls


def of_label(board, label):
    return next(standing for standing in board.standings if standing.arm.label == label)


def fids(root, policy, seeds):
    return np.array([io.read_jsonl(root / policy / str(seed) / "scores.jsonl")[-1]["fid"] for seed in seeds])


def test_an_arm_is_held_against_what_differs_in_nothing_else(tmp_path, make, make_run, board_of):
    root = make(1, none={}, hflip={}, duplicate={"count": 100})
    make_run(root / "more", policy="duplicate", count=30, evaluations=1)
    make_run(root / "long", policy="vflip", count=20, epochs=4, evaluations=1, train={"learning_rate": 0.5})
    board = board_of(root)

    def found(label, policy):
        one = controls.control(board, of_label(board, label), policy)
        return one and one.arm.label

    assert [found("hflip@20", policy) for policy in controls.CONTROLS] == ["none", "duplicate@30"]
    assert [found("none", policy) for policy in controls.CONTROLS] == [None, None]
    assert [found("duplicate@100", policy) for policy in controls.CONTROLS] == ["none", None]
    assert [found("vflip@20 (train.learning_rate=0.5)", policy) for policy in controls.CONTROLS] == [None, None]


def test_of_two_counts_equally_near_the_smaller_is_the_control(make, make_run, board_of):
    root = make(1, none={}, hflip={"count": 20}, duplicate={"count": 25})
    make_run(root / "fewer", policy="duplicate", count=15, evaluations=1)
    board = board_of(root)
    assert controls.control(board, of_label(board, "hflip@20"), "duplicate").arm.label == "duplicate@15"


def test_differences_are_over_common_seeds_and_corrected_for_the_number_of_arms(make, make_run, board_of):
    root = make(6, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"distance": 55.0})
    make_run(root / "vflip/9", policy="vflip", count=20, seed=9, grids=0, evaluations=1, distance=1.0)
    board = board_of(root)
    found = controls.against(board)
    assert list(found) == ["none"] and set(found["none"]) == {score.key for score in board.scores}
    by_arm = {board.standings[number].arm.label: one for number, one in found["none"]["fid"].items()}
    assert list(by_arm) == ["hflip@20", "vflip@20"]
    p_values = {}
    for policy in ("hflip", "vflip"):
        one, differences = by_arm[f"{policy}@20"], fids(root, policy, range(6)) - fids(root, "none", range(6))
        assert one.seeds == [0, 1, 2, 3, 4, 5]
        assert one.difference == pytest.approx(differences.mean())
        p_values[policy] = stats.wilcoxon(differences, method="exact").pvalue
    logs = np.log([fids(root, policy, range(6)) for policy in ("none", "hflip", "vflip")])
    residuals = logs - logs.mean(0) - logs.mean(1, keepdims=True) + logs.mean()
    half = 2.57 * np.sqrt(2 / 6 * np.sum(residuals**2) / 10)  # Dunnett's table, two arms and 10 degrees of freedom
    for place, policy in enumerate(("hflip", "vflip"), start=1):
        one, found_log = by_arm[f"{policy}@20"], (logs[place] - logs[0]).mean()
        assert one.method == "Dunnett" and one.percent == pytest.approx(100 * np.expm1(found_log))
        assert np.log1p(np.divide(one.ci95, 100)) == pytest.approx(
            [found_log - half, found_log + half], abs=0.003 * half
        )
    smaller, larger = sorted(p_values.values())  # Holm: the smallest times the number of arms, none below one before
    assert by_arm["hflip@20"].p_rank == pytest.approx(min(1, 2 * smaller))
    assert by_arm["vflip@20"].p_rank == pytest.approx(min(1, max(2 * smaller, larger)))


def test_an_arm_without_a_common_seed_is_not_compared(make, make_run, board_of):
    root = make(2, none={"distance": 60.0})
    make_run(root / "hflip", policy="hflip", count=20, seed=5, grids=0, evaluations=1, distance=20.0)
    assert controls.against(board_of(root)) == {}


def test_arms_of_other_settings_are_a_family_of_their_own(tmp_path, make, make_run, board_of):
    root = make(4, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"distance": 50.0})
    shared = controls.against(board_of(root))["none"]["fid"]
    for policy, distance in (("none", 55.0), ("hflip", 30.0)):
        for seed in range(4):
            run = {"policy": policy, "count": 20, "seed": seed, "grids": 0, "evaluations": 1, "distance": distance}
            make_run(root / "other" / policy / str(seed), **run, train={"learning_rate": 0.5})
    board = board_of(root)
    found = {board.standings[number].arm.label: one for number, one in controls.against(board)["none"]["fid"].items()}
    assert found["hflip@20 (train.learning_rate=0.5)"].method == "Student"
    for before, label in zip(shared.values(), ("hflip@20", "vflip@20"), strict=True):
        assert found[label].p == pytest.approx(min(1, 2 * before.p)) and found[label].method == before.method


def test_differences_are_written_in_percent_or_in_the_unit_of_the_score(make, board_of):
    board = board_of(make(3, none={"distance": 60.0}, hflip={"distance": 20.0}))
    by_score = {key: next(iter(found.values())) for key, found in controls.against(board)["none"].items()}
    assert controls.size(by_score["fid"]) == f"−{-by_score['fid'].percent:.0f}%"
    assert [end[-1] for end in controls.ends(by_score["fid"])] == ["%", "%"]
    assert "%" not in controls.size(by_score["kid"]) + "".join(controls.ends(by_score["precision"]))
    assert controls.ends(by_score["kid"]._replace(ci95=None)) == []
