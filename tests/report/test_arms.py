import pytest

from gan_da_jax.files import io
from gan_da_jax.report.arms import compare, differing, group


@pytest.fixture
def arms_of(read_all):
    return lambda root: group(read_all(root))[0]


def add(folder, field, changed):
    """Gives the config of a run another field, or another value of a field."""
    entry = io.read_json(folder / "config.json")
    part, name = field.split(".")
    entry["config"].setdefault(part, {})[name] = changed
    io.write_json(folder / "config.json", entry)


def test_originals_come_first_then_single_policies_then_pairs(study, arms_of):
    arms = arms_of(study)
    assert [str(arm.arm) for arm in arms] == ["none", "hflip@20", "vflip@20", "contrast+hflip@20"]
    assert [[run.seed for run in arm.runs] for arm in arms] == [[0, 1], [0, 1], [0], [0, 1]]
    assert [arm.evaluated for arm in arms] == [True, True, False, True]


def test_copies_and_other_settings_are_no_seeds(tmp_path, make_run, read_all):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    make_run(tmp_path / "c", train={"batch_size": 32})
    make_run(tmp_path / "d", seed=1)
    make_run(tmp_path / "e", seed=1, epochs=9)  # more epochs are not a repeat of fewer
    arms, left_out = group(read_all(tmp_path))
    assert [(arm.label, [run.name for run in arm.runs]) for arm in arms] == [
        ("none", ["a", "d"]),
        ("none (train.batch_size=32)", ["c"]),
        ("none (train.epochs=9)", ["e"]),
    ]
    assert arms[1].settings == {"train.batch_size": 32} and left_out == {"b": "a"}


LATER = ["augment.online", "augment.counts", "train.keep_best", "train.loss", "model.name", "data.crop"]


@pytest.mark.parametrize("field", LATER)
def test_arms_that_differ_in_a_field_of_later_versions_are_not_repeats(tmp_path, make_run, read_all, field):
    for seed in (0, 1):
        make_run(tmp_path / f"plain{seed}", policy="hflip", count=20, seed=seed)
    add(make_run(tmp_path / "other", policy="hflip", count=20), field, "colour")
    arms, left_out = group(read_all(tmp_path))
    assert [(arm.label, len(arm.runs)) for arm in arms] == [("hflip@20", 2), (f"hflip@20 ({field}=colour)", 1)]
    assert left_out == {}


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("augment.generator", "/elsewhere"),
        ("train.checkpoint_every", 7),
        ("train.keep", 3),
        ("data.resident_mb", 1.5),
        ("evaluate.samples", 9),
        ("study.seeds", [0, 1, 2]),
    ],
)
def test_fields_without_effect_on_training_do_not_separate_arms(tmp_path, make_run, read_all, field, changed):
    make_run(tmp_path / "0", policy="hflip", count=20)
    add(make_run(tmp_path / "1", policy="hflip", count=20, seed=1), field, changed)
    [arm], _ = group(read_all(tmp_path))
    assert (arm.label, len(arm.runs)) == ("hflip@20", 2)


def test_two_ways_to_write_a_policy_are_one_arm(tmp_path, make_run, read_all):
    for seed, policy in enumerate(("contrast", "contrast(factor=1.5)", "contrast(factor=2)")):
        make_run(tmp_path / str(seed), policy=policy, count=20, seed=seed)
    assert sorted(len(arm.runs) for arm in group(read_all(tmp_path))[0]) == [1, 2]


def test_of_copies_the_one_with_scores_is_kept(tmp_path, make_run, read_all):
    make_run(tmp_path / "a", evaluations=0)  # such as the GAN of generated images, which nobody evaluates
    make_run(tmp_path / "b")
    arms, left_out = group(read_all(tmp_path))
    assert [run.name for arm in arms for run in arm.runs] == ["b"] and left_out == {"a": "b"}


def test_sources_of_one_name_are_kept_apart(tmp_path, make_run, read_all):
    for name, path in (("a", "/one/faces"), ("b", "/two/faces")):
        make_run(tmp_path / name, source="faces")
        manifest = io.read_json(tmp_path / name / "dataset/manifest.json")
        manifest["source"]["path"] = path
        io.write_json(tmp_path / name / "dataset/manifest.json", manifest)
    arms, _ = group(read_all(tmp_path))
    assert [arm.source for arm in arms] == ["faces (/one/faces)", "faces (/two/faces)"]


def test_runs_of_before_a_field_came_are_of_the_same_arm(tmp_path, make_run, read_all):
    for seed in range(3):
        make_run(tmp_path / str(seed), seed=seed)
    path = tmp_path / "0" / "config.json"
    entry = io.read_json(path)
    entry["config"]["data"]["dataset"] = ""
    io.write_json(path, entry)
    [arm], _ = group(read_all(tmp_path))
    assert (arm.label, len(arm.runs)) == ("none", 3)


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
    assert [(board.source, board.classifier, [str(s.arm.arm) for s in board.standings]) for board in boards] == [
        ("celeba_1000", "faces_attributes", ["none", "hflip@20"]),
        ("celeba_1000", "inception_v3_2015", ["vflip@20"]),
        ("pomeranian", "faces_attributes", ["none"]),
    ]


def test_board_ranks_only_arms_that_have_the_score(tmp_path, make_run, arms_of):
    make_run(tmp_path / "a", level=2.0, distance=30.0)
    make_run(tmp_path / "b", policy="hflip", count=20, level=9.0)
    make_run(tmp_path / "c", policy="vflip", count=20, level=5.0, distance=70.0)
    [board] = compare(arms_of(tmp_path))
    first, _, fid, *_ = board.scores
    assert (first.key, fid.key) == ("inception_score", "fid")
    assert [str(standing.arm.arm) for standing in board.ranked(first)] == ["hflip@20", "vflip@20", "none"]
    assert [str(standing.arm.arm) for standing in board.ranked(fid)] == ["none", "vflip@20"]
    assert board.real(first) == pytest.approx(3.4) and board.real(fid) is None


def test_a_score_that_is_best_near_0_ranks_by_its_size(make, board_of):
    found = {"none": -9.0, "hflip": 0.5, "vflip": 4.0}
    arms = {policy: {"distance": 9.0, "held_out": 9.0, "extra": {"c_t": c_t}} for policy, c_t in found.items()}
    board = board_of(make(1, **arms))
    [c_t] = [score for score in board.scores if score.key == "c_t"]
    assert [standing.arm.label for standing in board.ranked(c_t)] == ["hflip@20", "vflip@20", "none"]


def test_sets_of_samples_of_one_checkpoint_are_averaged_before_seeds(tmp_path, make_run, arms_of):
    for seed, repeats in ((0, 1), (1, 3)):
        make_run(tmp_path / str(seed), seed=seed, repeats=repeats, distance=20.0)
    arms = arms_of(tmp_path)
    [board] = compare(arms)
    [standing] = board.standings
    for run in arms[0].runs:
        last = [row for row in run.scores if row["step"] == 64]
        assert standing.last[run.seed]["sets"] == last
        assert standing.last[run.seed]["fid"] == pytest.approx(sum(row["fid"] for row in last) / len(last))
    assert standing.scores["fid"]["values"] == [row["fid"] for row in standing.last.values()]
    assert [row["step"] for row in standing.course] == [16, 64, 16, 64]


def test_taps_have_boards_of_their_own_and_distances_lead_without_classes(tmp_path, make_run, arms_of):
    make_run(tmp_path / "a", distance=20.0)
    make_run(tmp_path / "b", policy="hflip", count=20, distance=30.0, level=None, extra={"tap": "192"})
    first, second = compare(arms_of(tmp_path))
    assert [(board.tap, board.scores[0].key) for board in (first, second)] == [
        ("192", "fid"),
        ("64", "inception_score"),
    ]


def test_arm_without_any_score_is_on_no_board(tmp_path, make_run, arms_of):
    make_run(tmp_path / "a", level=None)
    arms = arms_of(tmp_path)
    assert compare(arms) == [] and not arms[0].evaluated
    make_run(tmp_path / "b", policy="hflip", count=20)
    [board] = compare(arms_of(tmp_path))
    assert [standing.scores == {} for standing in board.standings] == [True, False]


@pytest.mark.parametrize(
    ("extra", "unit"), [({}, "epoch"), ({"epoch": 2.0}, "kimg"), ({"epoch": 2.0, "kimg": 9.0}, "epoch")]
)
def test_curves_count_what_the_arms_have_in_common(tmp_path, make_run, arms_of, extra, unit):
    make_run(tmp_path / "none")
    make_run(tmp_path / "hflip", policy="hflip", count=20, extra=extra)
    (board,) = compare(arms_of(tmp_path))
    assert board.unit == unit


def test_runs_that_set_images_aside_are_no_repeats_of_runs_that_do_not(tmp_path, make_run, read_all):
    for name in ("whole", "aside", "held_out"):
        make_run(tmp_path / name, grids=0)
    for name, text in (("aside", "heldout(0.2)"), ("held_out", "heldout")):
        entry = io.read_json(tmp_path / name / "config.json")
        entry["config"]["evaluate"]["reference"] = text
        io.write_json(tmp_path / name / "config.json", io.seal(entry))
    arms, left_out = group(read_all(tmp_path))
    assert [arm.settings for arm in arms] == [{}, {"evaluate.reference": "heldout(0.2)"}]
    assert left_out in ({"whole": "held_out"}, {"held_out": "whole"})
