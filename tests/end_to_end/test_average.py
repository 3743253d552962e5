"""Whole commands with an averaged generator: whatever shows a run shows the average, and runs of before have none."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import gan_da_jax
from gan_da_jax import gan
from gan_da_jax.devices import parallel
from gan_da_jax.files import io, torch_file
from gan_da_jax.main import main
from gan_da_jax.pipeline import pools
from gan_da_jax.pytorch import convert
from gan_da_jax.runs.folder import Run, samples_name
from gan_da_jax.training import sampling
from helpers import SCORED, SMALL, command, configured, refused

# In so few steps an average is hardly behind; with large ones, pictures show it.
FIELDS = SCORED | {"augment.policy": "none", "train.checkpoint_every": 4, "train.learning_rate": 0.02}
STEPS = 10  # 20 images in batches of 8, four epochs


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("average") / "run"
    assert main(command("train", workdir, **FIELDS)) == 0
    assert main(command("evaluate", workdir, **FIELDS)) == 0
    return workdir


@pytest.fixture(scope="module")
def state(whole):
    return parallel.host(Run.open(whole).trained_state(STEPS))


@pytest.fixture(scope="module")
def average(state):
    """The generator with the averaged parameters, and statistics from more latents than the package takes."""
    network = Run(configured(**SMALL | FIELDS), Path()).network
    variables = {**state.generator, "params": state.extra["average"]}
    latents = np.random.default_rng(5).standard_normal((100, 128, 8), np.float32)
    for batch in latents:
        _, changed = network.generator.apply(variables, batch, train=True, mutable=["batch_stats"])
        variables |= changed
    return variables


def apart(images, others):
    return np.abs(images.astype(int) - others).mean()


def drawn(whole, variables, *, seed, stream, count):
    vectors = sampling.latents(seed=seed, stream=stream, count=count, latent_dim=8)
    return sampling.sampler(Run.open(whole).network)(variables, vectors)


def test_sample_grids_show_the_average(whole, state, average):
    kept = np.asarray(Image.open(whole / samples_name(STEPS)))
    of_average, of_raw = (
        sampling.grid(drawn(whole, variables, seed=0, stream="grid", count=64), columns=8)
        for variables in (average, state.generator)
    )
    assert apart(kept, of_average) < 0.5 * apart(kept, of_raw)


def test_samples_of_the_api_are_the_averages(whole, state, average):
    images = gan_da_jax.sample(gan_da_jax.load_run(whole), 16, seed=3)
    of_average, of_raw = (
        drawn(whole, variables, seed=3, stream="sample", count=16) for variables in (average, state.generator)
    )
    assert apart(images, of_average) < 0.5 * apart(images, of_raw)


def test_generated_images_are_the_averages(whole, state, average):
    images = pools.generated(configured(**SMALL | FIELDS | {"augment.policy": "generated"}), whole)
    of_average, of_raw = (
        drawn(whole, variables, seed=0, stream="generated", count=9) for variables in (average, state.generator)
    )
    assert apart(images, of_average) < 0.5 * apart(images, of_raw)


def test_scores_are_of_samples_that_are_the_averages(whole, state):
    network = Run.open(whole).network
    row = io.read_jsonl(whole / "scores.jsonl")[-1]
    samples = {
        io.sha256(drawn(whole, variables, seed=0, stream="evaluate 0", count=32)): name
        for name, variables in (("average", gan.shown(network, state)), ("raw", state.generator))
    }
    assert row["step"] == STEPS and samples[row["samples_sha256"]] == "average"


def test_exported_weights_are_the_averages(whole, state, tmp_path):
    assert main(["weights", "export", str(whole), f"--out={tmp_path}"]) == 0
    exported = convert.from_torch(torch_file.read(tmp_path / "generator.safetensors")).variables
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.extra["average"]):
        np.testing.assert_array_equal(leaf, dict(jax.tree_util.tree_leaves_with_path(exported["params"]))[path])


def test_turning_the_average_off_or_on_makes_another_run(whole, capsys):
    error = refused(command("train", whole, **FIELDS, train__ema_kimg=0.0), capsys)
    assert "differs in train.ema_kimg (10.0, now 0.0)" in error


@pytest.fixture(scope="module")
def older(tmp_path_factory) -> Path:
    """A run as versions left it that knew no average, half-trained."""
    run = tmp_path_factory.mktemp("older") / "run"
    assert main(command("train", run, **FIELDS | {"train.epochs": 2}, train__ema_kimg=0.0)) == 0
    kept = io.read_json(run / "config.json")
    del kept["config"]["train"]["ema_kimg"]
    io.write_json(run / "config.json", io.seal(kept))
    return run


def test_a_run_of_before_has_no_average_and_gets_none(older, capsys):
    assert Run.open(older).config.train.ema_kimg == 0
    error = refused(command("train", older, **FIELDS), capsys)
    assert "differs in train.ema_kimg (0.0, now 10.0)" in error


def test_a_run_of_before_is_trained_on_scored_audited_and_reported_without_one(older, tmp_path, capsys):
    run = Path(shutil.copytree(older, tmp_path / "run"))
    report = ["report", f"--workdir={run}"]
    assert main(report) == 0
    said = "Samples are drawn by the generator as it was trained, not averaged."
    assert said in (run / "report/index.html").read_text()
    for verb in ("train", "evaluate"):
        assert main(command(verb, run, **FIELDS, train__ema_kimg=0.0)) == 0
    kept = io.read_json(run / "config.json")
    del kept["config"]["train"]["ema_kimg"]
    io.write_json(run / "config.json", io.seal(kept))
    assert Run.open(run).trained_state(STEPS).extra == {}
    assert main(report) == 0 and said in (run / "report/index.html").read_text()
    assert main(["audit", f"--workdir={run}", "--step=0"]) == 0, capsys.readouterr().err
