import re

import pytest

from gan_da_jax.files import io
from gan_da_jax.report import controls, verdict
from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.board import account_of

ALONE = "Use the originals alone (`none`): "


@pytest.fixture
def answer(read_all):
    """A function: a study with one board -> its verdict."""

    def answer(root):
        [board] = compare(group(read_all(root))[0])
        return verdict.of_board(board, controls.against(board))

    return answer


@pytest.fixture
def sentences(answer):
    """A function: a study with one board -> the statements of its verdict."""
    return lambda root: answer(root).statements


def test_a_clear_difference_is_claimed_with_three_seeds(make, answer):
    measured = {"leakage": {"vflip": 0.0}, "memorised": 0.05}
    arms = {policy: measured | {"distance": far} for policy, far in (("none", 60.0), ("hflip", 20.0), ("vflip", 55.0))}
    found = answer(make(3, **arms))
    assert re.fullmatch(
        r"Use hflip@20: by FID \(lower is better\), it is the best of the 3 arms on celeba_1000 that may be used, "
        r"[\d.]+\. That is 6\d% lower than the [\d.]+ for training on the originals alone \(`none`\) \(95% interval "
        r"−\d+% to −\d+%; 3 seeds, Dunnett's test, p = [\de.-]+\)\.",
        found.statements[0],
    )
    assert found.use.arm.label == "hflip@20"
    assert found.statements[1] == "No arm leaks, copies or diverges beyond the limits."
    assert "not the Inception network" in found.statements[2]


def test_one_seed_names_nothing(make, answer):
    found = answer(make(1, none={"distance": 60.0}, hflip={"distance": 20.0}))
    assert found.use is None
    assert found.statements[0].startswith("Use none of these yet: on celeba_1000, hflip@20 reached")
    assert "Train each arm with at least 3 seeds" in found.statements[0]


def test_equal_arms_are_not_told_apart(make, answer):
    arms = {"none": {"distance": 40.0}, "hflip": {"distance": 40.0}, "contrast": {"distance": 40.0}}
    found = answer(make(3, **arms))
    assert found.statements[0].startswith(ALONE) and found.use.arm.arm.baseline
    if "is shown to be better" in found.statements[0]:
        assert "which chance may explain" in found.statements[0]
    else:
        assert (
            "cannot be told apart from the originals alone (by 95% intervals, no difference is above"
            in found.statements[0]
        )


def test_a_lead_that_chance_may_explain_says_how_many_seeds_it_needs(make, make_run, answer):
    root = make(3, none={"distance": 40.0})
    for seed, distance in enumerate((39.0, 30.0, 40.5)):
        make_run(root / f"h{seed}", policy="hflip", count=20, seed=seed, grids=0, evaluations=1, distance=distance)
    [first, *_] = answer(root).statements
    assert first.startswith(ALONE + "no augmentation on celeba_1000 is shown to be better. hflip@20 comes")
    assert re.search(r"which chance may explain; about \d+ more seeds? would show a difference as large", first)


def test_the_originals_alone_may_lead(make, sentences):
    first, *_ = sentences(make(4, none={"distance": 20.0}, hflip={"distance": 60.0}, contrast={"distance": 25.0}))
    assert first.startswith(ALONE + "by FID (lower is better), no augmentation on celeba_1000 improves on their ")
    assert first.endswith("; contrast@20 and hflip@20 are worse.")


def test_without_none_it_stays_open_whether_augmentation_helps(make, sentences):
    first, *_ = sentences(make(3, hflip={"distance": 20.0}, vflip={"distance": 60.0}))
    assert first.startswith("Use hflip@20: ") and first.endswith(
        "No arm `none` of the same settings was scored, so whether it beats training on the originals alone (`none`) "
        "is open."
    )


def test_one_arm_has_no_rival(make, answer):
    found = answer(make(1, hflip={"distance": 20.0}))
    assert found.use is None and "no other arm to compare it with. Compare it with training on" in found.statements[0]


def test_the_arm_that_scores_best_is_not_named_if_it_leaks(make, answer):
    plain = {"leakage": {"vflip": 0.01, "hflip": None}}
    arms = {"none": {"distance": 60.0}, "hflip": {"distance": 40.0}, "vflip": {"distance": 20.0}}
    arms = {policy: options | plain for policy, options in arms.items()}
    arms["vflip"]["leakage"] = {"vflip": 0.5, "hflip": None}
    found = answer(make(3, **arms))
    assert found.statements[0].startswith("Use hflip@20: ") and "of the 2 arms on" in found.statements[0]
    assert re.fullmatch(
        r"Not to be used: vflip@20 \(with the better FID of [\d.]+\): [45]\d% of its samples look like vflip images "
        r"\(50% expected: the share of its training set\)\. Copies were not measured\. Whether hflip leaks cannot be "
        r"seen: on these originals the meter is blind\.",
        found.statements[1],
    )


def test_copies_bar_every_arm_that_makes_them(make, answer):
    options = {"distance": 60.0, "memorised": 0.5}
    found = answer(make(3, none=options, hflip=options | {"distance": 20.0}))
    assert found.use is None and found.statements[0] == "Use none of these: no arm on celeba_1000 may be used."
    assert found.statements[1].count("are copies of training images, by pixels (5% expected)") == 2


def test_nothing_is_concluded_from_noise(make, answer):
    nothing = {"precision": 0.0, "coverage": 0.0}
    leaking = {"leakage": {"hflip": 0.6}, "memorised": 0.6, "extra": nothing}
    found = answer(make(3, none={"distance": 60.0, "extra": nothing}, hflip={"distance": 20.0} | leaking))
    assert found.use is None and found.statements[:2] == [
        "Use none of these yet: no arm draws the pictures of celeba_1000 yet, as precision and coverage are near 0 in "
        "all arms. Raise train.kimg to about 50; until then the order of the arms means nothing.",
        "Leakage and copies are not read on samples that show nothing.",
    ]


def test_inception_score_alone_decides_nothing(make, answer):
    found = answer(make(7, none={"level": 2.0}, hflip={"level": 9.0}, vflip={"level": 5.0}))
    first = found.statements[0]
    assert found.use is None
    assert re.search(r"hflip@20 has the highest Inception Score \([\d.]+\), best as the field reads it", first)
    assert re.search(r"alone \(`none`\) the lowest \([\d.]+\), best as the paper reads it", first)
    assert "A distance such as FID could decide, but was not measured; the real images score 3.40." in first


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
    assert "`none" in said and "none" not in re.sub("`none[^`]*`|Use none of these", "", said)


def test_an_arm_that_had_the_easier_originals_does_not_lead(make, make_run, answer):
    """Of four seeds hflip has the two whose originals every arm does well on: there it is worse than `none`."""
    root = make(1, none={"distance": 60.0}, vflip={"distance": 55.0})
    for policy, by_seed in (("none", (60, 20, 20)), ("vflip", (55, 18, 18)), ("hflip", (None, 25, 25.5))):
        for seed, distance in enumerate(by_seed, start=1):
            if distance is not None:
                run = {"policy": policy, "count": 20, "grids": 0, "evaluations": 1, "distance": float(distance)}
                make_run(root / policy / str(seed), seed=seed, **run)
    found = answer(root)
    assert found.statements[0].startswith(ALONE)
    assert "vflip@20 comes first by FID (lower is better), over common seeds, with" in found.statements[0]


def test_an_augmentation_that_is_shown_to_be_better_is_used_though_a_wilder_one_leads(make, make_run, answer):
    others = {"contrast": {"distance": 58.0}, "duplicate": {"distance": 43.0}}
    root = make(4, none={"distance": 60.0}, vflip={"distance": 40.0}, **others)
    for seed, distance in enumerate((5.0, 10.0, 80.0, 30.0)):
        make_run(root / f"h{seed}", policy="hflip", count=20, seed=seed, grids=0, evaluations=1, distance=distance)
    found = answer(root)
    assert found.statements[0].startswith("Use vflip@20: ") and found.use.arm.label == "vflip@20"
    assert re.search(r"hflip@20 comes first, with [\d.]+, but is not shown to be better than", found.statements[0])
    [doubt] = [said for said in found.caveats if said.startswith("duplicate@20")]
    assert "vflip@20 differs from it by" in doubt


def test_the_originals_alone_are_not_used_if_they_copy(make, answer):
    arms = {"none": {"distance": 40.0, "memorised": 0.5}, "hflip": {"distance": 39.0}, "vflip": {"distance": 38.0}}
    found = answer(make(3, **arms))
    assert not found.use.arm.arm.baseline
    assert found.statements[0].endswith(
        "It is not shown to be better than training on the originals alone (`none`), which may not be used."
    )


def test_an_arm_whose_runs_all_diverged_is_named_though_it_has_no_score(make, answer):
    root = make(3, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"evaluations": 0})
    for path in (root / "vflip").rglob("metrics.jsonl"):
        *rows, last = io.read_jsonl(path)
        io.write_jsonl(path, [*rows, last | {"diverged": "generator_loss"}])
    assert answer(root).statements[1].startswith("Not to be used: vflip@20: 3 of its 3 runs diverged.")


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"none": {"distance": 60.0}, "more": {"distance": 20.0}}, "there is no other arm to compare it with. Compare"),
        ({"none": {"distance": 60.0}, "hflip": {}}, "no other arm that may be used has that score."),
        (
            {"none": {"extra": {"fid": 6.0}}, "hflip": {"extra": {"fid": 5.0}}},
            "nothing shows how much of that is chance",
        ),
    ],
)
def test_the_reason_for_no_answer_is_the_right_one(make, answer, arms, said):
    found = answer(make(3, **arms))
    assert found.use is None and said in found.statements[0]


def test_settings_tell_two_arms_without_augmentation_apart(make, make_run, answer):
    root = make(3, none={"distance": 20.0}, hflip={"distance": 60.0})
    for seed in range(3):
        make_run(root / f"other{seed}", seed=seed, grids=0, evaluations=1, distance=30.0, train={"learning_rate": 0.5})
    first = answer(root).statements[0]
    assert first.startswith(ALONE) and "the originals alone (`none`, train.learning_rate=0.5)" in first


def test_what_was_not_measured_is_told(make, sentences):
    _, second, _ = sentences(make(2, none={"distance": 60.0}, hflip={"distance": 20.0}))
    assert second == "No arm diverges beyond the limits. Leakage and copies were not measured."


def test_more_real_images_are_no_augmentation(make, sentences):
    first, *_ = sentences(make(3, none={"distance": 60.0}, hflip={"distance": 40.0}, more={"distance": 5.0}))
    assert first.startswith("Use hflip@20: ") and "best of the 2 arms" in first


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": {"weights_sha256": "ee" * 32}}, "weights differ"),
        ({"extra": {"kimg": 99.0}}, "equally many epochs"),
        ({"extra": {"kimg": 99.0, "epoch": 9.0}}, "trained equally long"),
        (
            {"extra": {"kid": {"mean": 9.0, "std": 0.1}}},
            "disagree: hflip@20 is best by FID, training on the originals alone (`none`) is best by KID",
        ),
    ],
)
def test_the_gravest_caveat_comes_first(make, sentences, changes, said):
    assert said in sentences(make(3, none={"distance": 60.0}, hflip={"distance": 20.0} | changes))[2]


def test_arms_of_other_seeds_are_a_caveat(make, make_run, sentences):
    root = make(3, none={"distance": 60.0}, hflip={"distance": 20.0})
    make_run(root / "vflip", policy="vflip", count=20, seed=1, grids=0, evaluations=1, distance=30.0)
    assert "Not all arms have the same seeds" in sentences(root)[2]


def test_duplicate_that_does_as_well_is_a_caveat(make, sentences):
    *_, caveat = sentences(make(3, none={"distance": 60.0}, hflip={"distance": 20.0}, duplicate={"distance": 20.5}))
    assert caveat.startswith("duplicate@20, which only shows originals more often")


def test_arm_that_got_worse_is_a_caveat(make, sentences):
    root = make(2, none={"distance": 60.0, "evaluations": 2}, hflip={"distance": 20.0, "evaluations": 2})
    for path in root.rglob("scores.jsonl"):
        first, last = io.read_jsonl(path)
        io.write_jsonl(path, [first | {"fid": 5.0 if "hflip" in path.parts else last["fid"]}, last])
    assert "After its best checkpoint, hflip@20 got worse" in sentences(root)[2]
