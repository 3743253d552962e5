import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from gan_da_jax.data import dataset
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.files import checkpoint, io
from gan_da_jax.main import main
from gan_da_jax.pipeline.train import loop_of
from gan_da_jax.runs import networks
from gan_da_jax.runs.folder import Folder, Run
from gan_da_jax.training.loop import Loop
from helpers import SMALL, command, configured, refused, written


def arrays(workdir: Path, step: int | None = None):
    directory = workdir / "checkpoints"
    step = checkpoint.steps(directory)[-1] if step is None else step
    return parallel.host(checkpoint.load(directory, step, networks.initial_state(configured(**SMALL))))


def metrics(workdir: Path) -> list[dict]:
    return io.read_jsonl(workdir / "metrics.jsonl")


def environment(devices: int = 1) -> dict[str, str]:
    return {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("whole") / "run"
    assert main(command("train", workdir)) == 0
    return workdir


def test_files_of_a_run(whole):
    config = io.read_json(whole / "config.json")
    assert config["config"]["model"]["width"] == 4 and "jax" in config["versions"] and config["devices"]
    # 29 images in batches of 8: epochs end after 3.6, 7.25, 10.9 and 14.5 steps; the last batch ends in a fifth epoch.
    ends = [4, 8, 11, 15]
    assert checkpoint.steps(whole / "checkpoints") == ends
    rows = metrics(whole)
    assert [row["step"] for row in rows] == ends and [row["steps"] for row in rows] == [4, 4, 3, 4]
    assert rows[-1]["kimg"] == 0.12 and rows[-1]["epoch"] == round(120 / 29, 4)
    assert all(
        np.isfinite([row["generator_loss"], row["discriminator_loss"], row["images_per_second"]]).all() for row in rows
    )
    for row in rows:
        assert row["state_sha256"] == checkpoint.digest(arrays(whole, row["step"]))
        with Image.open(whole / "samples" / f"step_{row['step']:08d}.png") as grid:
            assert grid.size == (8 * 34 + 2, 8 * 34 + 2)


def test_two_and_two_epochs_equal_four_bit_for_bit(whole, tmp_path, capsys):
    assert main(command("train", tmp_path / "run", train__epochs=2)) == 0
    assert main(command("train", tmp_path / "run")) == 0
    assert "continues from step 8 of 15" in capsys.readouterr().out
    digests = [[row.get("state_sha256") for row in metrics(workdir)] for workdir in (whole, tmp_path / "run")]
    assert digests[0] == digests[1] and None not in digests[0]
    assert (tmp_path / "run/samples/step_00000015.png").read_bytes() == (
        whole / "samples/step_00000015.png"
    ).read_bytes()


def test_a_finished_run_is_left_alone(whole, capsys):
    before = written(whole)
    assert main(command("train", whole)) == 0
    assert "trained to step 15 already" in capsys.readouterr().out
    assert written(whole) == before


def test_another_config_is_refused_and_named(whole, capsys):
    before = (whole / "config.json").read_bytes()
    error = refused(command("train", whole, seed=1, model__width=8), capsys)
    assert "model.width (4, now 8), seed (0, now 1)" in error
    assert "trained to step 15 already, beyond the 4" in refused(command("train", whole, train__epochs=1), capsys)
    assert (whole / "config.json").read_bytes() == before


def digests(workdir: Path) -> list[tuple[int, str]]:
    return [(row["step"], row["state_sha256"]) for row in metrics(workdir)]


def test_a_streamed_data_set_trains_the_same_bit_for_bit_and_a_run_may_change_to_and_fro(whole, tmp_path, capsys):
    for epochs, limit, told in ((2, 0.08, 1), (3, 0.0, 0), (4, 0.001, 1)):  # two steps, all, less than two steps
        arguments = command("train", tmp_path / "run", train__epochs=epochs, data__resident_mb=limit)
        assert main(arguments) == 0
        assert capsys.readouterr().out.count("0.0891 MB of images are streamed, 1 steps at a time") == told
    assert digests(tmp_path / "run") == digests(whole)


ON_EIGHT_DEVICES = """
import json, sys
from gan_da_jax.main import main
for arguments in json.loads(sys.argv[1]):
    assert main(arguments) == 0
"""


def test_eight_devices_train_the_same_gan_resident_or_streamed(whole, tmp_path):
    commands = [
        command("train", tmp_path / "run"),
        # Two shards of 3 steps, of an image each; from step 8 on they begin at other steps than they would have.
        command("train", tmp_path / "streamed", data__resident_mb=0.02, train__epochs=2),
        command("train", tmp_path / "streamed", data__resident_mb=0.02),
    ]
    subprocess.run(
        [sys.executable, "-c", ON_EIGHT_DEVICES, json.dumps(commands)], env=environment(8), check=True, timeout=600
    )
    assert len(io.read_json(tmp_path / "run/config.json")["devices"]) == 8
    assert digests(tmp_path / "streamed") == digests(tmp_path / "run")
    for one, eight in zip(metrics(whole), metrics(tmp_path / "run"), strict=True):
        for name in ("generator_loss", "discriminator_loss", "real_logit", "fake_logit"):
            assert eight[name] == pytest.approx(one[name], abs=1e-4)
    first = [
        np.asarray(Image.open(workdir / "samples/step_00000004.png"), int) for workdir in (whole, tmp_path / "run")
    ]
    assert np.abs(first[0] - first[1]).max() <= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_continues_bit_for_bit(whole, tmp_path, number, capsys):
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_da_jax", *command("train", tmp_path / "run", train__epochs=20000)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not metrics(tmp_path / "run") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert "interrupted; saved at step" in errors.splitlines()[-1] and "Traceback" not in errors
    step = checkpoint.steps(tmp_path / "run/checkpoints")[-1]
    assert metrics(tmp_path / "run")[-1]["step"] == step
    # Wherever it was stopped, going on from there to the next end of an epoch gives what was never stopped.
    epochs = -(-(step + 1) * 8 // 29)
    assert main(command("train", tmp_path / "run", train__epochs=epochs)) == 0
    assert main(command("train", tmp_path / "other", train__epochs=epochs, train__checkpoint_every=epochs)) == 0
    assert metrics(tmp_path / "run")[-1]["state_sha256"] == metrics(tmp_path / "other")[-1]["state_sha256"]


def test_lines_of_lost_steps_are_dropped(whole, tmp_path):
    assert main(command("train", tmp_path / "run", train__epochs=2)) == 0
    path = tmp_path / "run/metrics.jsonl"
    with open(path, "a") as file:  # as if killed after step 11 was noted and before it was saved
        file.write(json.dumps({"step": 11, "epoch": 3.0, "kimg": 0.1}) + '\n{"step": 1')
    assert main(command("train", tmp_path / "run")) == 0
    assert [row["step"] for row in metrics(tmp_path / "run")] == [4, 8, 11, 15]
    assert metrics(tmp_path / "run")[-1]["state_sha256"] == metrics(whole)[-1]["state_sha256"]


def test_two_processes_keep_out_of_each_other(whole, capsys):
    with Folder(whole).alone():
        error = refused(command("train", whole, train__epochs=5), capsys)
    assert f"another process works in {whole}" in error


def test_more_epochs_would_need_other_generated_images(tmp_path, capsys):
    generated = {"augment__policy": "generated", "augment__count": 5, "train__epochs": 1}
    assert main(command("train", tmp_path / "run", **generated)) == 0
    error = refused(command("train", tmp_path / "run", **generated | {"train__epochs": 2}), capsys)
    assert "train.epochs (1, now 2)" in error


def test_a_kill_between_the_last_note_and_its_checkpoint_loses_neither(whole, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint, "save", kill)
        main(command("train", tmp_path / "run", train__checkpoint_every=4))
    assert main(command("train", tmp_path / "run", train__checkpoint_every=4)) == 0
    assert [row["step"] for row in metrics(tmp_path / "run")] == [4, 8, 11, 15]
    assert metrics(tmp_path / "run")[-1]["state_sha256"] == metrics(whole)[-1]["state_sha256"]
    assert (tmp_path / "run/samples/step_00000015.png").exists()


def test_dry_run_writes_nothing(tmp_path, capsys):
    assert main(command("train", tmp_path / "run", "--dry_run")) == 0
    assert "15 steps of 8 images, 0.12 kimg" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def spoil(checkpoints: Path, *steps: int) -> None:
    for path in (path for step in steps for path in (checkpoints / f"{step}/state").rglob("*")):
        if path.is_file():
            path.write_bytes(b"")


@pytest.mark.parametrize("steps", [(8, 11, 15), (4, 8, 11, 15)])
def test_damaged_checkpoints_are_told_of_and_made_again_from_the_one_before(whole, tmp_path, steps, capsys):
    shutil.copytree(whole, tmp_path / "run")
    spoil(tmp_path / "run/checkpoints", *steps)
    (tmp_path / "run/checkpoints/17.orbax-checkpoint-tmp/state").mkdir(parents=True)
    (tmp_path / "run/samples/.step_00000017.png.abcdefgh.partial").write_bytes(b"half")
    assert main(command("train", tmp_path / "run")) == 0
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert [f"checkpoints/{step} cannot be read" in line for step, line in zip(reversed(steps), lines, strict=True)]
    assert ("continues from step 4 of 15" in told.out) == (4 not in steps)
    for folder in ("checkpoints", "samples"):
        assert sorted(os.listdir(tmp_path / "run" / folder)) == sorted(os.listdir(whole / folder))
    for step in (4, 8, 11, 15):
        assert checkpoint.digest(arrays(tmp_path / "run", step)) == checkpoint.digest(arrays(whole, step))
    assert [row["state_sha256"] for row in metrics(tmp_path / "run")] == [row["state_sha256"] for row in metrics(whole)]


def test_checkpoints_of_another_version_are_refused_and_stay(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    for step in (11, 15):
        state = arrays(whole, step)
        other = parallel.replicate(state.replace(extra={"another": state.extra["average"]}))
        shutil.rmtree(tmp_path / f"run/checkpoints/{step}")
        checkpoint.save(tmp_path / "run/checkpoints", step, other)

    def files():
        return {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}

    before = files()
    error = refused(command("train", tmp_path / "run"), capsys)
    assert "checkpoints/15 was made by another version" in error and "choose a new --workdir" in error
    assert files() == before


def test_a_checkpoint_of_another_state_is_no_checkpoint(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/15")
    shutil.copytree(whole / "checkpoints/8", tmp_path / "run/checkpoints/15")
    config = configured(**SMALL)
    with pytest.raises(UserError, match="15 is not the state that metrics.jsonl notes; delete that folder"):
        Run(config, tmp_path / "run").trained_state(15)
    assert main(command("train", tmp_path / "run")) == 0
    assert "15 is not the state that metrics.jsonl notes; ignoring it" in capsys.readouterr().err
    Run(config, tmp_path / "run").trained_state(15)


def test_training_that_diverges_stops_at_the_step_and_keeps_what_is_good(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gan_da_jax.main.check", lambda config: None)  # which allows no such learning rate
    wild = {"train__learning_rate": 1e10, "train__epochs": 20}
    assert main(command("train", tmp_path / "run", **wild)) == 1
    told = capsys.readouterr().err
    *rows, last = metrics(tmp_path / "run")
    assert told.startswith(f"{tmp_path}/run: training diverged at step {last['step']} of ") and told.count("\n") == 1
    assert last["diverged"] and None in last.values()
    for row in rows:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(arrays(tmp_path / "run", row["step"])))
    # By the same program, one step at a time.
    config = configured(**SMALL)
    config.train.learning_rate = 1e10
    loop = loop_of(Run(config, tmp_path / "run"), dataset.load(tmp_path / "run/dataset")[1], limit=None)
    state = networks.initial_state(config)
    for step in range(last["step"]):
        state, found = loop.advance(state, step, 1)
        finite = np.isfinite([float(values[0]) for values in found.values()]).all()
        assert finite == (step + 1 < last["step"]), (step, found)
    assert main(["report", f"--workdir={tmp_path / 'run'}"]) == 0
    assert f"diverged by step {last['step']}" in capsys.readouterr().out
    assert f"seed 0 diverged by step {last['step']} " in (tmp_path / "run/report/index.html").read_text()


def test_a_state_that_is_not_finite_is_never_saved(tmp_path, monkeypatch, capsys):
    """The gradient of the last step of an epoch: no loss has shown it yet."""
    advance = Loop.advance

    def broken(*arguments):
        state, found = advance(*arguments)
        lost = np.nan if int(state.step) == 8 else 1
        return state.replace(generator=jax.tree.map(lambda leaf: leaf * lost, state.generator)), found

    monkeypatch.setattr(Loop, "advance", broken)
    assert main(command("train", tmp_path / "run")) == 1
    assert "diverged by step 8 of 15: its state is no longer finite" in capsys.readouterr().err
    assert checkpoint.steps(tmp_path / "run/checkpoints") == [4]
    noted = [(row["step"], row.get("diverged")) for row in metrics(tmp_path / "run")]
    assert noted == [(4, None), (8, "its state is")]
