import re

import pytest

from gan_da_jax.files import io
from gan_da_jax.report import controls, verdict
from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.board import account_of


@pytest.fixture
def sentences(read_all):
    """A function: a study with one board -> the statements of its verdict."""

    def sentences(root):
        [board] = compare(group(read_all(root))[0])
        return verdict.statements(board, controls.against(board))

    return sentences


def test_clear_difference_over_many_seeds_is_claimed(make, sentences):
    best, claim, caveat = sentences(
        make(7, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"distance": 55.0})
    )
    assert re.match(
        r"By FID \(lower is better\), hflip@20 was best of 3 arms on celeba_1000: [\d.]+, against [\d.]+ for "
        r"training on the originals alone \(`none`\), a difference of −[\d.]+\. The best arm's Inception Score of ",
        best,
    )
    assert best.endswith("the real images score 3.40.")
    assert claim.startswith("This can be claimed: over 7 common seeds the difference is −")
    assert "by Dunnett's test, corrected for 2 arms; p = 0.031 by ranks" in claim
    assert "not the Inception network" in caveat


def test_two_seeds_can_be_enough_for_a_clear_difference(make, sentences):
    claim = sentences(make(2, none={"distance": 60.0}, hflip={"distance": 20.0}))[1]
    assert claim.startswith("This can be claimed: over 2 common seeds") and "by Student's t test" in claim


def test_a_small_difference_over_few_seeds_is_not_claimed_and_says_how_many_more(make, sentences):
    root = make(2, none={"distance": 40.0}, hflip={"distance": 40.0}, vflip={"distance": 60.0})
    for policy, scores in (("none", (40.0, 42.0)), ("hflip", (36.0, 42.0))):
        for seed, score in enumerate(scores):
            path = root / policy / str(seed) / "scores.jsonl"
            io.write_jsonl(path, [row | {"fid": score} for row in io.read_jsonl(path)])
    claim = sentences(root)[1]
    assert claim.startswith("This cannot be claimed: over 2 common seeds the difference is −")
    [more] = re.findall(r"about (\d+) more seeds? would show it", claim)
    assert int(more) >= 1


def test_one_seed_is_chance(make, sentences):
    _, claim, _ = sentences(make(1, none={"distance": 60.0}, hflip={"distance": 20.0}))
    assert claim.startswith("This cannot be claimed: with one common seed") and "one common seed" in claim


def test_equal_arms_are_not_claimed_with_many_seeds(make, sentences):
    arms = {"none": {"distance": 40.0}, "hflip": {"distance": 40.0}}
    best, claim, _ = sentences(make(8, **arms))
    assert "which chance may explain" in claim or claim.startswith(
        "By FID, no arm differs from training on the originals"
    )


def test_originals_alone_may_be_best(make, sentences):
    best, claim, _ = sentences(make(7, none={"distance": 20.0}, hflip={"distance": 60.0}))
    for part in (
        "By FID (lower is better), training on the originals alone (`none`) was best of 2 arms",
        "ahead of hflip@20 with",
        "no augmentation improved on it",
    ):
        assert part in best
    assert claim.startswith("By FID, 1 of 1 arms differs from training on the originals alone (`none`)")


def test_without_none_nothing_is_held_against_it(make, sentences):
    best, claim, _ = sentences(make(2, hflip={"distance": 20.0}, vflip={"distance": 60.0}))
    assert "No arm `none` of the same settings was scored" in best
    assert claim.startswith(
        "Nothing can be claimed: no arm shares its settings and a seed with training on the originals"
    )


def test_one_arm_has_no_rival(make, sentences):
    best, claim, _ = sentences(make(1, hflip={"distance": 20.0}))
    assert "There is no other arm" in best and claim.startswith("One arm proves nothing")


def test_inception_score_alone_decides_nothing(make, sentences):
    best, claim, _ = sentences(make(7, none={"level": 2.0}, hflip={"level": 9.0}, vflip={"level": 5.0}))
    assert re.search(r"hflip@20 has the highest Inception Score \([\d.]+\), best as the field reads it", best)
    assert re.search(r"alone \(`none`\) the lowest \([\d.]+\), best as the paper reads it", best)
    assert "FID or KID could decide, but neither was measured" in best
    assert claim.startswith("By Inception Score, 2 of 2 arms differ from training on the originals alone (`none`)")


@pytest.mark.parametrize(
    "arms",
    [
        {"none": {"distance": 20.0}},
        {"none": {"level": 2.0}, "hflip": {"level": 9.0}},
        {"none": {"distance": 20.0}, "hflip": {"distance": 60.0, "level": 1.5, "extra": {"kimg": 99.0}}},
        {"none": {"distance": 60.0, "leakage": {"hflip": 0.1}}, "hflip": {"distance": 20.0, "leakage": {"hflip": 0.4}}},
        {"none": {"distance": 60.0, "extra": {"kid": {"mean": -9.0, "std": 0.1}}}, "hflip": {"distance": 20.0}},
        {"none": {"distance": 20.0, "train": {"batch_size": 32}, "memorised": 0.4}, "hflip": {"distance": 60.0}},
    ],
)
def test_the_arm_none_is_no_bare_word(make, read_all, arms):
    """In a sentence, "none is the best of 3 arms" says that no arm is."""
    [board] = compare(group(read_all(make(2, **arms)))[0])
    account = account_of(board)
    said = " ".join([*account["verdict"], *account["caveats"], *account["explanation"]])
    assert "`none" in said and "none" not in re.sub("`none[^`]*`", "", said)


def test_without_classes_no_reading_is_mentioned(make, sentences):
    found = " ".join(sentences(make(2, none={"level": None, "distance": 9.0}, hflip={"level": None, "distance": 5.0})))
    assert "Inception Score of" not in found and "real images score" not in found


def test_more_real_images_are_no_augmentation(make, sentences):
    best, *_ = sentences(make(2, none={"distance": 60.0}, hflip={"distance": 40.0}, more={"distance": 5.0}))
    assert "hflip@20 was best of 2 arms" in best


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": {"weights_sha256": "ee" * 32}}, "weights differ"),
        ({"extra": {"kimg": 99.0}}, "equally many epochs"),
        ({"extra": {"kimg": 99.0, "epoch": 9.0}}, "trained equally long"),
        ({"leakage": {"vflip": 0.5, "hflip": 0.2, "invert": None}}, "look like hflip images"),
        ({"leakage": {"vflip": 0.5}}, "not the Inception network"),  # which hflip cannot have leaked
        ({"leakage": {"vflip": 0.01}, "memorised": 0.3}, "closer to one original than to any other, in pixels"),
        (
            {"extra": {"kid": {"mean": 9.0, "std": 0.1}}},
            "disagree: hflip@20 is best by FID, training on the originals alone (`none`) is best by KID",
        ),
        ({"memorised": 0.05}, "not the Inception network"),
    ],
)
def test_the_gravest_caveat_comes_first(make, sentences, changes, said):
    assert said in sentences(make(3, none={"distance": 60.0}, hflip={"distance": 20.0} | changes))[2]


@pytest.mark.parametrize(
    ("of_none", "said"), [(0.1, "for the arm `none`, which cannot leak"), (0.29, "not the Inception network")]
)
def test_leakage_is_what_goes_beyond_none(make, sentences, of_none, said):
    arms = {"none": {"distance": 60.0, "leakage": {"hflip": of_none}}}
    assert said in sentences(make(3, **arms, hflip={"distance": 20.0, "leakage": {"hflip": 0.3}}))[2]


def test_arms_of_other_seeds_are_a_caveat(make, make_run, sentences):
    root = make(3, none={"distance": 60.0}, hflip={"distance": 20.0})
    make_run(root / "vflip", policy="vflip", count=20, seed=1, grids=0, evaluations=1, distance=30.0)
    assert "Not all arms have the same seeds" in sentences(root)[2]


def test_duplicate_that_does_as_well_is_a_caveat(make, sentences):
    *_, caveat = sentences(make(3, none={"distance": 60.0}, hflip={"distance": 20.0}, duplicate={"distance": 20.5}))
    assert caveat.startswith("duplicate@20, which only shows originals more often")


def test_arm_that_got_worse_is_a_caveat(make, sentences):
    root = make(2, none={"distance": 60.0, "evaluations": 2}, hflip={"distance": 20.0, "evaluations": 2})
    for path in (root / "hflip").rglob("scores.jsonl"):
        first, last = io.read_jsonl(path)
        io.write_jsonl(path, [first | {"fid": 5.0}, last])
    assert "After its best checkpoint, hflip@20 got worse" in sentences(root)[2]
