"""The paragraphs below a verdict: their numbers, from the lines of scores.jsonl by hand, and whom they name."""

import pytest

from gan_da_jax.files import io
from gan_da_jax.report.explanation import paragraphs

ALONE = "training on the originals alone (`none`)"


def mean(root, policy, seeds, read):
    numbers = [read(io.read_jsonl(root / policy / str(seed) / "scores.jsonl")[-1]) for seed in range(seeds)]
    return f"{sum(numbers) / seeds:.2f}"


def inception_score(row):
    return row["inception_score"]["mean"]


def test_highest_lowest_and_nearest_are_named_with_their_means(make, board_of):
    levels = {"none": (3.0, 60.0), "hflip": (5.0, 20.0), "vflip": (9.0, 40.0)}
    arms = {policy: {"level": level, "distance": distance} for policy, (level, distance) in levels.items()}
    root = make(2, **arms)
    training, readings, distances = paragraphs(board_of(root), [])
    assert "celeba_1000, the DCGAN was trained for each of 3 arms" in training
    assert "scored on 1,000 generated images by the classifier `faces_attributes` (98.2% right" in training
    highest, lowest = (mean(root, policy, 2, inception_score) for policy in ("vflip", "none"))
    assert f"Score, {highest}, is from vflip@20; the lowest, {lowest}, is from {ALONE}; the real" in training
    assert "the real images score 3.40" in training
    field, paper = readings.split("The study that this tool follows")
    assert "vflip@20 is then best" in field and f"{ALONE} is then best" in paper and ALONE not in field
    fid = mean(root, "hflip", 2, lambda row: row["fid"])
    assert "from the 20 originals" in distances
    assert (
        f"By it, hflip@20, which neither reading prefers, comes first of the arms that may be used, with {fid}."
        in distances
    )
    assert "KID puts the same arm first" in distances


@pytest.mark.parametrize(("nearest", "which"), [("vflip", "the field's"), ("none", "the paper's")])
def test_the_reading_that_prefers_the_nearest_is_named(make, board_of, nearest, which):
    levels = {"none": 3.0, "hflip": 5.0, "vflip": 9.0}
    arms = {one: {"level": level, "distance": 20.0 if one == nearest else 60.0} for one, level in levels.items()}
    assert f"which {which} reading also prefers" in paragraphs(board_of(make(1, **arms)), [])[2]


def test_distances_that_disagree_name_both_arms(make, board_of):
    extra = {"kid": {"mean": 0.5, "std": 0.1, "subsets": 100, "subset_size": 10}}
    root = make(1, none={"distance": 60.0}, hflip={"distance": 20.0, "extra": extra}, vflip={"distance": 90.0})
    kid = f"{io.read_jsonl(root / 'none/0/scores.jsonl')[-1]['kid']['mean']:#.3g}"
    said = paragraphs(board_of(root), [])[2]
    assert "By it, hflip@20" in said and f"KID puts {ALONE} first ({kid})." in said


def test_one_arm_is_described_without_comparison(make, board_of):
    root = make(1, hflip={"distance": 20.0, "repeats": 3, "extra": {"samples": 1, "real_images": 1}})
    training, readings, distances = paragraphs(board_of(root), [])
    assert "trained on the originals and the 20 images that hflip adds" in training
    assert "scored on 3 sets of 1 generated image each" in training
    assert "highest" not in training and "is then best" not in readings + distances
    assert "from the 1 original in" in distances and "It is " in distances


def test_without_classes_there_is_no_reading_and_the_distance_leads(make, board_of):
    root = make(1, none={"level": None, "distance": 60.0}, hflip={"level": None, "distance": 20.0})
    training, distances = paragraphs(board_of(root), [])
    best, worst = (mean(root, policy, 1, lambda row: row["fid"]) for policy in ("hflip", "none"))
    assert f"The best FID, {best}, is from hflip@20; the worst, {worst}, is from {ALONE}" in training
    assert "reading" not in training + distances


def test_without_distances_there_is_no_paragraph_on_them(make, board_of):
    assert len(paragraphs(board_of(make(1, none={}, hflip={})), [])) == 2


@pytest.mark.parametrize(
    ("tau", "reading", "said"),
    [
        (0.8, "paper", "FID ranks the 5 arms as the paper's reading does (tau = 0.80)."),
        (-0.6, "field", "FID ranks the 5 arms as the field's reading does (tau = 0.60)."),
        (0.2, None, "FID ranks the 5 arms as neither reading does (tau = 0.20 with the paper's)."),
        (-0.2, None, "FID ranks the 5 arms as neither reading does (tau = 0.20 with the field's)."),
    ],
)
def test_the_agreement_that_is_given_is_told(make, board_of, tau, reading, said):
    board = board_of(make(1, none={"distance": 60.0}))
    fid = next(score for score in board.scores if score.key == "fid")
    text = paragraphs(board, [(fid, {"arms": 5, "tau": tau, "reading": reading})])[-1]
    assert said in text and "Kendall's tau compares" in text
    assert "tau" not in paragraphs(board, [])[-1]


@pytest.mark.parametrize(
    ("halves", "said"),
    [
        ((0.0, 0.0), "Samples are drawn by the generator as it was trained, not averaged."),
        ((10.0, 10.0), "Samples are drawn by the averaged generator (EMA, half-life 10 kimg, or 5% of what was shown"),
        ((0.5, 10.0), "Samples are drawn by the averaged generator (EMA, half-life 0.5 or 10 kimg, or 5%"),
        ((0.0, 10.0), "Samples of some arms are drawn by the averaged generator (EMA, half-life 10 kimg, or 5%"),
    ],
)
def test_which_generator_draws_the_samples_is_said(make, board_of, halves, said):
    arms = {policy: {"train": {"ema_kimg": half}} for policy, half in zip(("none", "hflip"), halves, strict=True)}
    text = paragraphs(board_of(make(1, **arms)), [])[0]
    assert said in text
    assert text.count("generator as it was trained") == (0.0 in halves)
