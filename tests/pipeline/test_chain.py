"""From images to a report, through the command line, for every policy of the paper and a pair."""

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy import special, stats

import helpers
from gan_da_jax import gan
from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.files import checkpoint, io
from gan_da_jax.main import main
from gan_da_jax.runs import networks
from gan_da_jax.runs.folder import Run
from gan_da_jax.training import sampling

# 39 images in batches of 16: the two epochs end after 3 and 5 steps.
FIELDS = helpers.SMALL | {"data.count": 24, "train.batch_size": 16, "train.epochs": 2, "augment.count": 15}
FIELDS |= {"evaluate.classifier": "faces_attributes", "evaluate.samples": 40, "evaluate.splits": 4}


def command(verb: str, workdir: Path, policy: str, *flags: str) -> list[str]:
    return helpers.command(verb, workdir, *flags, **FIELDS | {"augment.policy": policy})


def do(*arguments: str) -> None:
    assert main(list(arguments)) == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    for policy in ("none", "hflip", "contrast+generated"):
        # The `none` run is a GAN trained on the originals alone: the generated images can come from it.
        shared = f"--config.augment.generator={folder}/none"
        do(*command("train", folder / policy, policy, shared))
        do(*command("evaluate", folder / policy, policy, shared))
    do("report", f"--workdir={folder}")
    return folder


def test_every_op_is_prepared(tmp_path):
    for policy, ops in {
        "contrast": {"contrast": 15},
        "invert": {"invert": 15},
        "vflip": {"vflip": 15},
        "duplicate": {"duplicate": 15},
        "more": {"more": 15},
        "contrast+hflip": {"contrast": 8, "hflip": 7},
    }.items():
        do(*command("prepare", tmp_path / policy, policy))
        made = io.read_json(tmp_path / policy / "dataset/manifest.json")
        assert Counter(row["op"] for row in made["records"]) == {"original": 24, **ops}
        np.testing.assert_array_equal(
            io.load_array(tmp_path / policy / "dataset/originals.npy"),
            io.load_array(tmp_path / "contrast/dataset/originals.npy"),
        )
        assert Image.open(tmp_path / policy / "dataset/preview.png").size[1] == (1 + len(ops)) * 34 + 2


def test_export_writes_what_the_gan_sees_bit_for_bit(tmp_path):
    do(*command("prepare", tmp_path / "run", "invert+vflip", f"--export={tmp_path}/png"))
    made = io.read_json(tmp_path / "run/dataset/manifest.json")
    originals = io.load_array(tmp_path / "run/dataset/originals.npy")
    undo = {"original": lambda image: image, "invert": ImageOps.invert, "vflip": ImageOps.flip}
    assert len(list((tmp_path / "png").iterdir())) == 39
    for row in made["records"]:
        image = Image.open(tmp_path / "png" / f"{row['index']:05d}_{row['op']}.png")
        assert io.sha256(np.asarray(image)) == row["sha256"]
        np.testing.assert_array_equal(np.asarray(undo[row["op"]](image)), originals[row["source_index"]])


def test_generated_images_come_from_the_run_on_the_originals(study):
    made = io.read_json(study / "contrast+generated/dataset/manifest.json")
    assert Counter(row["op"] for row in made["records"]) == {"original": 24, "contrast": 8, "generated": 7}
    assert not (study / "contrast+generated/generator").exists()
    config = helpers.configured(**FIELDS)
    generator = gan.shown(networks.network(config), Run(config, study / "none").trained_state(3))
    vectors = sampling.latents(seed=0, stream="generated", count=7, latent_dim=8)
    images = sampling.sampler(networks.network(config))(generator, vectors)
    np.testing.assert_array_equal(io.load_array(study / "contrast+generated/dataset/generated.npy"), images)


def test_a_generator_is_trained_when_there_is_none_and_then_reused(tmp_path, capsys):
    do(*command("prepare", tmp_path / "run", "generated"))
    place = tmp_path / "run/generator"
    assert checkpoint.steps(place / "checkpoints")[-1] == 3
    assert io.read_json(place / "config.json")["config"]["augment"]["policy"] == "none"
    before = helpers.written(place)
    do(*command("prepare", tmp_path / "other", "generated+hflip", f"--config.augment.generator={place}"))
    assert helpers.written(place) == before
    other_seed = command(
        "prepare", tmp_path / "third", "generated", f"--config.augment.generator={place}", "--config.seed=1"
    )
    assert "seed (0, now 1)" in helpers.refused(other_seed, capsys)


def test_scores_are_the_formula_on_the_samples(study):
    rows = io.read_jsonl(study / "hflip/scores.jsonl")
    assert [row["step"] for row in rows] == checkpoint.steps(study / "hflip/checkpoints") == [3, 5]
    row = rows[-1]
    assert row["samples"] == 40 and row["real_images"] == 24 and row["classifier"] == "faces_attributes"
    config = helpers.configured(**FIELDS | {"augment.policy": "hflip"})
    classifier = classifiers.load("faces_attributes", "")
    assert row["weights_sha256"] == classifier.weights_sha256 and row["classifier_accuracy"] == classifier.accuracy
    generator = gan.shown(networks.network(config), Run(config, study / "hflip").trained_state(row["step"]))
    vectors = sampling.latents(seed=0, stream="evaluate 0", count=40, latent_dim=8)
    images = sampling.sampler(networks.network(config))(generator, vectors)

    def score(images: np.ndarray, splits: int) -> list[float]:
        logits = np.asarray(classifier.apply(images)["logits"], np.float64)
        p = special.softmax(logits, axis=1)
        parts = [p[i * len(p) // splits : (i + 1) * len(p) // splits] for i in range(splits)]
        return [float(np.exp(np.mean([stats.entropy(one, part.mean(0)) for one in part]))) for part in parts]

    four = score(images, 4)
    assert row["inception_score"]["mean"] == pytest.approx(np.mean(four), rel=1e-5)
    assert row["inception_score"]["std"] == pytest.approx(np.std(four), rel=1e-3, abs=1e-6)
    assert row["inception_score_1"] == pytest.approx(score(images, 1)[0], rel=1e-5)
    originals = io.load_array(study / "hflip/dataset/originals.npy")
    for name, of in (("step_00000005", images), ("originals", originals)):
        with np.load(study / f"hflip/probabilities/{name}_faces_attributes.npz", allow_pickle=False) as kept:
            expected = special.softmax(np.asarray(classifier.apply(of)["logits"], np.float64), axis=1)
            np.testing.assert_allclose(kept["probabilities"], expected, atol=1e-5)
            assert tuple(kept["classes"]) == classifier.classes
    assert row["real_inception_score"]["mean"] == pytest.approx(np.mean(score(originals, 4)), rel=1e-5)
    assert row["real_inception_score_1"] == pytest.approx(score(originals, 1)[0], rel=1e-5)


def test_leakage_and_copies_are_in_every_row_and_on_a_sheet(study):
    for row in io.read_jsonl(study / "contrast+generated/scores.jsonl"):
        assert list(row["leakage"]) == ["contrast", "invert", "hflip", "vflip"]
        for op, reading in row["leakage"].items():
            assert 0 <= reading["accuracy"] <= 1
            assert (reading["share"] is None) == (f"leakage.{op}" in row["reasons"])
        assert row["memorisation"]["pixels"]["expected"] == row["memorisation"]["features"]["expected"] == 1 / 25
        sheet = Image.open(study / f"contrast+generated/memorisation/step_{row['step']:08d}.png")
        assert sheet.size == (8 * 34 + 2, 2 * 34 + 2)


def test_rows_of_before_the_meters_are_made_again(study):
    path = study / "none/scores.jsonl"
    before = io.read_jsonl(path)
    fields = ("leakage", "memorisation")
    io.write_jsonl(path, [{name: row[name] for name in row if name not in fields} for row in before])
    do(*command("evaluate", study / "none", "none"))
    after = io.read_jsonl(path)
    io.write_jsonl(path, before)
    assert [row | {"sha256": ""} for row in after[len(before) :]] == [row | {"sha256": ""} for row in before]


def test_evaluating_again_adds_only_what_is_new(study, capsys):
    before = io.read_jsonl(study / "none/scores.jsonl")
    do(*command("evaluate", study / "none", "none"))
    assert "scored already" in capsys.readouterr().out
    assert io.read_jsonl(study / "none/scores.jsonl") == before
    do(*command("evaluate", study / "none", "none", "--config.evaluate.samples=50"))
    after = io.read_jsonl(study / "none/scores.jsonl")
    assert after[: len(before)] == before and [row["samples"] for row in after[len(before) :]] == [50] * len(before)
    io.write_jsonl(study / "none/scores.jsonl", before)


def test_report_says_what_the_files_say(study):
    summary = json.loads((study / "summary.json").read_text())
    assert [arm["arm"] for arm in summary["arms"]] == ["none", "hflip@15", "contrast+generated@15"]
    for arm in summary["arms"]:
        last = io.read_jsonl(study / arm["runs"][0] / "scores.jsonl")[-1]
        assert arm["scores"]["inception_score"]["mean"] == last["inception_score"]["mean"]
        assert arm["scores"]["real_inception_score"]["mean"] == last["real_inception_score"]["mean"]
    with open(study / "summary.csv") as file:
        assert [row["arm"] for row in csv.DictReader(file)] == [arm["arm"] for arm in summary["arms"]]
    assert "contrast+generated" in (study / "report/index.html").read_text()
