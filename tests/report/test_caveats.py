"""What limits an answer: each caveat where it applies, and only there, with numbers from the lines of scores.jsonl."""

import pytest

from gan_da_jax.classifiers.registry import CLASSIFIERS
from gan_da_jax.files import io
from gan_da_jax.report import controls, verdict


@pytest.fixture
def caveats_of(board_of):
    """A function: a study with one board -> its caveats but the last, about the classifier."""

    def caveats_of(root):
        board = board_of(root)
        *found, last = verdict.of_board(board, controls.against(board)).caveats
        assert last == CLASSIFIERS[board.classifier].caveat
        return found

    return caveats_of


def test_arms_that_are_alike_in_all_have_no_caveat_but_the_classifiers(make, caveats_of):
    assert caveats_of(make(2, none={"distance": 60.0}, hflip={"distance": 20.0})) == []


def test_leaks_and_copies_are_no_caveats(make, caveats_of):
    """They decide which arms may be used."""
    worst = {"distance": 20.0, "leakage": {"hflip": 0.9}, "memorised": 0.9}
    assert caveats_of(make(2, none={"distance": 60.0, "leakage": {"hflip": 0.0}}, hflip=worst)) == []


@pytest.mark.parametrize(("last", "told"), [(4.0, True), (4.9, False)])
def test_a_score_that_still_falls_is_told(make, caveats_of, last, told):
    root = make(2, none={"distance": 9.0})
    for path in root.rglob("scores.jsonl"):
        [row] = io.read_jsonl(path)
        course = [(60.0, 9.0), (75.0, 5.0), (100.0, last)]
        io.write_jsonl(path, [row | {"step": int(at), "kimg": at, "fid": fid} for at, fid in course])
    said = "Not settled: in the last quarter of the training, FID still fell by up to 20%"
    assert [one.startswith(said) and "beyond 100." in one for one in caveats_of(root)] == [True] * told


def test_weights_are_counted(make, caveats_of):
    arms = {policy: {"extra": {"weights_sha256": hashed * 32}} for policy, hashed in (("none", "aa"), ("hflip", "bb"))}
    [found] = caveats_of(make(2, **arms, vflip={"extra": {"weights_sha256": "cc" * 32}}))
    assert "(3 versions of faces_attributes)" in found


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"kimg": 1.03}, []),  # by 1.024: within a percent
        ({"kimg": 2.048}, ["equally many epochs (1), but not for equally many updates (1.024 to 2.048 thousand"]),
        ({"kimg": 2.048, "epoch": 2.0}, ["trained equally long (epoch 1 to 2, 1.024 to 2.048 thousand"]),
    ],
)
def test_unequal_budgets_are_told_with_both_ends(make, caveats_of, extra, said):
    found = caveats_of(make(1, none={}, hflip={"extra": extra}))
    assert len(found) == len(said)
    assert all(text in one for text, one in zip(said, found, strict=True))


@pytest.mark.parametrize(("then", "told"), [(1.05, False), (1.3, True)])
def test_an_arm_that_got_worse_by_more_than_a_tenth_is_told(make, caveats_of, then, told):
    root = make(2, none={"distance": 90.0}, hflip={"distance": 20.0})
    for policy in ("none", "hflip"):
        for seed in (0, 1):
            path = root / policy / str(seed) / "scores.jsonl"
            row = io.read_jsonl(path)[-1]
            worse = row | {"step": row["step"] + 16, "fid": then * row["fid"]}
            io.write_jsonl(path, [row, worse])
    last = [io.read_jsonl(root / "hflip" / str(seed) / "scores.jsonl")[-1]["fid"] for seed in (0, 1)]
    numbers = f"FID {sum(last) / 2:.2f} at the last checkpoint, {sum(last) / 2 / then:.2f} at the best"
    assert [numbers in one and "hflip@20 got worse" in one for one in caveats_of(root)] == [True] * told


@pytest.mark.parametrize(("tap", "told"), [("64", True), ("2048", False)])
def test_fids_of_another_tap_than_the_published_are_told(make, board_of, tap, told):
    options = {"classifier": "inception_v3_2015", "distance": 20.0, "extra": {"tap": tap}}
    board = board_of(make(1, none=options))
    assert (CLASSIFIERS["inception_v3_2015"].other_tap in verdict.of_board(board, {}).caveats) == told


def test_a_diverged_training_is_told(make, caveats_of):
    root = make(1, none={"distance": 60.0}, hflip={"distance": 20.0})
    path = root / "hflip/0/metrics.jsonl"
    rows = io.read_jsonl(path)
    io.write_jsonl(path, [*rows[:-1], rows[-1] | {"diverged": "generator_loss"}])
    [found] = caveats_of(root)
    assert found.startswith("The training of hflip@20, seed 0, diverged by step 64")
