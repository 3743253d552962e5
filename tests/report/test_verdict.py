import re

import pytest

from gan_da_jax.files import io
from gan_da_jax.report import board as findings
from gan_da_jax.report import controls, verdict
from gan_da_jax.report.arms import compare, group


@pytest.fixture
def sentences(read_all):
    def sentences(root):
        [board] = compare(group(read_all(root))[0])
        return verdict.sentences(board, controls.against(board))

    return sentences


@pytest.fixture
def make(tmp_path, make_run):
    """A function that writes runs of arms: policy -> settings of `make_run`, each with so many seeds."""

    def make(seeds, **arms):
        for policy, changes in arms.items():
            for seed in range(seeds):
                settings = {"policy": policy, "count": 20, "seed": seed, "grids": 0, "evaluations": 1} | changes
                make_run(tmp_path / policy / str(seed), **settings)
        return tmp_path

    return make


def test_clear_difference_over_many_seeds_is_claimed(make, sentences):
    best, claim, caveat = sentences(
        make(7, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"distance": 55.0})
    )
    assert re.match(
        r"By FID, hflip@20 is the best of 3 arms on celeba_1000: it reaches [\d.]+ against the [\d.]+ of", best
    )
    assert "(−" in best and best.endswith("the real images score 3.40.")
    assert claim.startswith("This can be claimed: over 7 common seeds") and "p = 0.031" in claim and "2 arms" in claim
    assert "not the Inception network" in caveat


def test_too_few_seeds_claim_nothing(make, sentences):
    root = make(2, none={"distance": 60.0}, hflip={"distance": 20.0})
    assert "cannot be claimed yet" in sentences(root)[1] and "fewer than 6 seeds" in sentences(root)[1]


def test_one_seed_is_chance(make, sentences):
    _, claim, _ = sentences(make(1, none={"distance": 60.0}, hflip={"distance": 20.0}))
    assert claim.startswith("This cannot be claimed: with one common seed") and "6 seeds are needed" in claim


def test_equal_arms_are_not_claimed_with_many_seeds(make, sentences):
    arms = {"none": {"distance": 40.0}, "hflip": {"distance": 40.0}}
    best, claim, _ = sentences(make(8, **arms))
    assert "which chance may explain" in claim or claim.startswith("By FID, 0 of 1 arms")


def test_originals_alone_may_be_best(make, sentences):
    best, claim, _ = sentences(make(7, none={"distance": 20.0}, hflip={"distance": 60.0}))
    for part in ("none is the best of 2 arms", "no augmentation has a better mean", "before hflip@20"):
        assert part in best
    assert "1 of 1 arms differ from none" in claim


def test_without_none_nothing_is_held_against_it(make, sentences):
    best, claim, _ = sentences(make(2, hflip={"distance": 20.0}, vflip={"distance": 60.0}))
    assert "with no arm none" in best and "no arm has a seed in common with an arm none" in claim


def test_one_arm_has_no_rival(make, sentences):
    best, claim, _ = sentences(make(1, hflip={"distance": 20.0}))
    assert "there is no other arm" in best and claim.startswith("Nothing can be claimed")


def test_inception_score_alone_decides_nothing(make, sentences):
    best, claim, _ = sentences(make(7, none={"level": 2.0}, hflip={"level": 9.0}, vflip={"level": 5.0}))
    assert re.search(r"hflip@20 has the highest Inception Score, [\d.]+, and is best as the field", best)
    assert re.search(r"none has the lowest, [\d.]+, and is best as the paper", best) and "neither FID nor KID" in best
    assert claim.startswith("By Inception Score, 2 of 2 arms differ from none")


def test_without_classes_no_reading_is_mentioned(make, sentences):
    found = " ".join(sentences(make(2, none={"level": None, "distance": 9.0}, hflip={"level": None, "distance": 5.0})))
    assert "Inception Score of" not in found and "real images score" not in found


def test_more_real_images_are_no_augmentation(make, sentences):
    best, *_ = sentences(make(2, none={"distance": 60.0}, hflip={"distance": 40.0}, more={"distance": 5.0}))
    assert "hflip@20 is the best of 2 arms" in best


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": {"weights_sha256": "ee" * 32}}, "weights differ"),
        ({"extra": {"kimg": 99.0}}, "equal in epochs"),
        ({"extra": {"kimg": 99.0, "epoch": 9.0}}, "equally far trained"),
        ({"leakage": {"vflip": 0.5, "hflip": 0.2, "invert": None}}, "look like hflip images"),
        ({"leakage": {"vflip": 0.5}}, "not the Inception network"),  # which hflip cannot have leaked
        ({"leakage": {"vflip": 0.01}, "memorised": 0.3}, "closer to one original than to any other, in pixels"),
        ({"extra": {"kid": {"mean": 9.0, "std": 0.1}}}, "do not agree: hflip@20 is best by FID, none is best by KID"),
        ({"memorised": 0.05}, "not the Inception network"),
    ],
)
def test_the_gravest_caveat_comes_first(make, sentences, changes, said):
    assert said in sentences(make(3, none={"distance": 60.0}, hflip={"distance": 20.0} | changes))[2]


@pytest.mark.parametrize(("of_none", "said"), [(0.1, "reads 1"), (0.29, "not the Inception network")])
def test_leakage_is_what_goes_beyond_none(make, sentences, of_none, said):
    arms = {"none": {"distance": 60.0, "leakage": {"hflip": of_none}}}
    assert said in sentences(make(3, **arms, hflip={"distance": 20.0, "leakage": {"hflip": 0.3}}))[2]


def test_arms_of_other_seeds_are_a_caveat(make, make_run, sentences):
    root = make(3, none={"distance": 60.0}, hflip={"distance": 20.0})
    make_run(root / "vflip", policy="vflip", count=20, seed=1, grids=0, evaluations=1, distance=30.0)
    assert "Not all arms have the same seeds" in sentences(root)[2]


def test_duplicate_that_does_as_well_is_a_caveat(make, sentences):
    *_, caveat = sentences(make(3, none={"distance": 60.0}, hflip={"distance": 20.0}, duplicate={"distance": 20.5}))
    assert caveat.startswith("duplicate@20, which merely shows originals more often")


def test_arm_that_got_worse_is_a_caveat(make, sentences):
    root = make(2, none={"distance": 60.0, "evaluations": 2}, hflip={"distance": 20.0, "evaluations": 2})
    for path in (root / "hflip").rglob("scores.jsonl"):
        first, last = io.read_jsonl(path)
        io.write_jsonl(path, [first | {"fid": 5.0}, last])
    assert "hflip@20 got worse after its best" in sentences(root)[2]


@pytest.mark.parametrize(("sign", "reading"), [(1, "paper"), (-1, "field"), (0, None)])
def test_fid_agrees_with_a_reading_where_it_orders_the_arms_alike(make, read_all, sign, reading):
    policies = ("none", "hflip", "vflip", "invert", "contrast")
    distances = [60, 20, 40, 30, 50] if sign == 0 else [40 + 8 * sign * n for n in range(5)]
    arms = {
        p: {"level": 2.0 + n, "distance": float(d)} for n, (p, d) in enumerate(zip(policies, distances, strict=True))
    }
    [board] = compare(group(read_all(make(1, **arms)))[0])
    (fid, found), _ = findings.agreement(board)
    assert (fid.key, found["arms"], found["reading"]) == ("fid", 5, reading)
    assert found["tau"] == pytest.approx(sign, abs=0.01)


def test_three_arms_have_no_order_to_agree_with(make, read_all):
    root = make(1, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"distance": 40.0})
    assert findings.agreement(compare(group(read_all(root))[0])[0]) == []
