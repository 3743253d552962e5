"""A whole study through the command line: what it leaves, how it goes on after a kill, and what it says of failures."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import helpers
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import Failure, Interrupted
from gan_da_jax.files import io
from gan_da_jax.main import main
from gan_da_jax.pipeline import chain, pools
from gan_da_jax.runs.folder import Folder
from gan_da_jax.verbs import study
from helpers import SCORED, configured, draw_faces, refused, written

COUNT = 24  # the originals, and all there are: `more` finds no further ones
FIELDS = SCORED | {"data.count": COUNT, "train.kimg": 0.096, "train.checkpoint_every": 2}  # 12 steps
ARMS = ("none", "hflip@8", "generated@8")
STEPS = [6, 12]


def command(workdir: Path, *flags: str, source: str, arms: tuple = ARMS, seeds: tuple = (0, 1)) -> list[str]:
    chosen = {"study.arms": arms, "study.seeds": seeds, "study.sources": (source,)}
    return helpers.command("study", workdir, *flags, **FIELDS | chosen)


def failed(workdir: Path) -> dict[str, str]:
    return {one["run"]: one["reason"] for one in io.read_json(workdir / "study.json")["failed"]}


def arms_of(workdir: Path) -> list[dict]:
    return io.read_json(workdir / "summary.json")["arms"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> str:
    return f"folder:{draw_faces(tmp_path_factory.mktemp('source') / 'pictures', COUNT)}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pictures) -> Path:
    workdir = tmp_path_factory.mktemp("study")
    assert main(command(workdir, source=pictures)) == 0
    return workdir


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    """The study again, to be spoilt: its runs name the folder that they were made in, which is free to differ."""
    return Path(shutil.copytree(whole, tmp_path / "study"))


@pytest.fixture
def no_report(monkeypatch):
    """Reports take seconds; a test that is about something else only counts them."""
    reports = []
    monkeypatch.setattr("gan_da_jax.verbs.report.main", reports.append)
    return reports


def test_a_study_leaves_all_runs_and_a_report(whole):
    assert failed(whole) == {}
    study = io.read_json(whole / "study.json")
    arms = [f"pictures/{arm}" for arm in ARMS]
    assert study["arms"] == arms and study["seeds"] == [0, 1]
    assert [(arm["arm"], arm["seeds"]) for arm in arms_of(whole)] == [
        ("none", [0, 1]),
        ("generated@8", [0, 1]),
        ("hflip@8", [0, 1]),
    ]
    assert "<title>" in (whole / "report/index.html").read_text()
    assert {path.name for path in whole.iterdir() if path.is_dir()} == {"pictures", "report"}
    for seed in (0, 1):
        originals = set()
        for arm in ARMS:
            place = whole / "pictures" / arm / f"seed{seed}"
            assert [row["step"] for row in io.read_jsonl(place / "scores.jsonl")] == STEPS
            assert not (place / "generator").exists()
            made = io.read_json(place / "dataset/manifest.json")
            assert made["seed"] == seed
            originals.add(tuple(row["sha256"] for row in made["records"] if row["op"] == "original"))
        assert len(originals) == 1
    losses = [io.read_jsonl(path)[-1]["generator_loss"] for path in whole.rglob("metrics.jsonl")]
    assert len(set(losses)) == 6


def test_done_again_it_only_reports(whole, pictures, capsys):
    runs, summary = written(whole / "pictures"), (whole / "summary.json").read_bytes()
    assert main(command(whole, source=pictures)) == 0
    said = capsys.readouterr().out
    assert written(whole / "pictures") == runs
    assert said.count("all checkpoints are scored already") == said.count("done in ") == 6
    assert len([line for line in said.splitlines() if "/seed" in line]) == 3 * 6
    assert (whole / "summary.json").read_bytes() == summary


def test_killed_at_any_moment_two_processes_end_with_the_same_scores_as_one(whole, pictures, tmp_path):
    arms = ("none", "generated@8")
    arguments = command(tmp_path / "killed", "--config.study.processes=2", source=pictures, arms=arms, seeds=(0,))
    of_none, of_generated = (tmp_path / "killed/pictures" / arm / "seed0" for arm in arms)
    waits = np.random.default_rng().uniform(0, 0.3, 2)  # so that the moment is another one each time
    moments = (of_none / "metrics.jsonl", of_generated / "metrics.jsonl")
    for moment, wait in zip(moments, waits, strict=True):
        process = subprocess.Popen(
            [sys.executable, "-m", "gan_da_jax", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 240
        while not moment.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, errors
    assert main(arguments) == 0, waits
    assert (tmp_path / "killed/process2.log").read_text().count("study: pictures/none/seed0")

    for arm in arms:
        shutil.copytree(whole / "pictures" / arm / "seed0", tmp_path / "whole/pictures" / arm / "seed0")
    assert main(["report", f"--workdir={tmp_path / 'whole'}"]) == 0
    assert arms_of(tmp_path / "killed") == arms_of(tmp_path / "whole"), waits
    for name in ("dataset/manifest.json", "probabilities/step_00000012_faces_attributes.npz"):
        for place in (of_none, of_generated):
            other = tmp_path / "whole" / place.relative_to(tmp_path / "killed")
            assert (place / name).read_bytes() == (other / name).read_bytes(), waits


def test_runs_that_fail_are_told_do_not_stop_the_others_and_are_mended(whole, copy, pictures, capsys, no_report):
    spoilt = [copy / "pictures" / name for name in ("none/seed0", "hflip@8/seed1", "generated@8/seed0")]
    # One last checkpoint is of no use, one is another run's: these are made again. One data set is not what it was.
    for path in (spoilt[0] / "checkpoints/12").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    shutil.rmtree(spoilt[1] / "checkpoints/12")
    shutil.copytree(copy / "pictures/none/seed1/checkpoints/12", spoilt[1] / "checkpoints/12")
    pixels = io.load_array(spoilt[2] / "dataset/originals.npy")
    io.save_array(spoilt[2] / "dataset/originals.npy", pixels[::-1])
    (copy / "pictures/generated@8/seed1/scores.jsonl").unlink()

    assert main(command(copy, source=pictures)) == 1
    told = capsys.readouterr()
    *warnings, last = told.err.splitlines()
    assert [f"{place / 'checkpoints/12'} " in line for place, line in zip(spoilt, warnings, strict=False)] == [True] * 2
    [reason] = failed(copy).values()
    assert "manifest.json" in reason and reason in told.out
    assert last == f"{copy}: 1 of 6 runs failed: pictures/generated@8/seed0: {reason}"
    assert len(io.read_jsonl(copy / "pictures/generated@8/seed1/scores.jsonl")) == 2
    assert no_report == [copy]

    io.save_array(spoilt[2] / "dataset/originals.npy", pixels)
    assert main(command(copy, "--only=none", source=pictures)) == 0
    assert len(failed(copy)) == 1  # what is not tried again stays as it was
    assert main(command(copy, source=pictures)) == 0
    assert failed(copy) == {}
    for place in spoilt:
        for name in ("metrics.jsonl", "scores.jsonl"):
            rows, before = (io.read_jsonl(p / name) for p in (place, whole / place.relative_to(copy)))
            assert [row.get("state_sha256") for row in rows] == [row.get("state_sha256") for row in before]


def test_too_few_images_for_one_arm_and_a_source_that_has_changed(copy, pictures, capsys, no_report):
    arguments = command(copy, source=pictures, arms=("none", "more@8", "hflip@8"))
    (copy / "pictures/hflip@8/seed1/scores.jsonl").unlink()
    assert main(arguments) == 1
    assert set(failed(copy)) == {"pictures/more@8/seed0", "pictures/more@8/seed1"}
    assert "24 images" in capsys.readouterr().err
    assert len(io.read_jsonl(copy / "pictures/hflip@8/seed1/scores.jsonl")) == 2
    added = [Path(pictures.removeprefix("folder:")) / f"{index}.png" for index in range(COUNT, COUNT + 8)]
    try:
        for path, image in zip(added, faces.render(8, np.arange(8), 32)[0], strict=True):
            io.save_png(path, image)
        assert main([*arguments, "--only=more@8"]) == 1  # enough now, but the other arms know nothing of them
    finally:
        for path in added:
            path.unlink(missing_ok=True)
        pools.read.cache_clear()  # which a command of its own process begins without
    assert "none/seed0 has other originals: was the source changed?" in failed(copy)["pictures/more@8/seed0"]
    assert main(command(copy, source=pictures)) == 0  # without that arm, nothing has failed
    assert failed(copy) == {}


def test_one_arm_of_an_array_job(copy, pictures, no_report):
    scores = {arm: copy / "pictures" / arm / "seed0/scores.jsonl" for arm in ARMS}
    for path in scores.values():
        path.unlink()
    for choice, done in (("--index=1", {"hflip@8"}), ("--only=pictures/none", {"hflip@8", "none"})):
        assert main(command(copy, choice, source=pictures)) == 0
        assert {arm for arm, path in scores.items() if path.exists()} == done
    assert no_report == []


def test_a_run_that_another_process_has_is_left_to_it(copy, pictures, capsys, no_report):
    for arm in ("none", "hflip@8"):
        (copy / "pictures" / arm / "seed0/scores.jsonl").unlink()
    with Folder(copy / "pictures/none/seed0").alone(name=".study.lock"):
        assert main(command(copy, source=pictures)) == 0
    told = capsys.readouterr().out
    assert "study: pictures/none/seed0 is left to the process that works on it" in told
    assert "no report yet" in told.splitlines()[-1] and no_report == []
    assert not (copy / "pictures/none/seed0/scores.jsonl").exists()
    assert (copy / "pictures/hflip@8/seed0/scores.jsonl").exists()


def test_where_every_run_fails_there_is_no_report(tmp_path, pictures, capsys):
    assert main(command(tmp_path / "study", source=pictures, arms=("more@8",))) == 1
    told = capsys.readouterr().err
    assert "2 of 2 runs failed: pictures/more@8/seed0: " in told and "; no report: no run" in told


def test_dry_run_tells_the_plan_and_writes_nothing(tmp_path, pictures, capsys):
    assert main(command(tmp_path / "study", "--dry_run", source=pictures)) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {words[0]: words[1:] for words in map(str.split, lines) if words[0].startswith("pictures/")}
    assert table == {
        "pictures/none": ["2", "24", "12", "4.0", "0.1", "0.0"],
        "pictures/hflip@8": ["2", "32", "12", "3.0", "0.1", "0.0"],
        "pictures/generated@8": ["2", "32", "12", "3.0", "0.1", "0.0"],
    }
    assert any(line.startswith(f"6 runs, 72 steps, {6 * 2 * 32} samples to score") for line in lines)
    assert any(line.startswith("training: about ") for line in lines)
    assert any(line.startswith("scoring: ") for line in lines)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--config.study.sources=folder:/no/such"], "/no/such"),
        (["--config.data.count=50"], "24 images"),
        (["--config.study.arms=spin@3"], "spin is not an op"),
        (["--index=3"], "--index is 3; the arms of the study are 0 to 2"),
        (["--index=0", "--only=none"], "--only and --index"),
        (["--config.evaluate.tap=2048"], "no tap '2048'"),
        (["--config.evaluate.classifier=inception_v3", "--config.evaluate.weights=/no/weights.h5"], "/no/weights.h5"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry_run"]], ids=["", "dry"])
def test_wrong_input_gets_one_line_before_any_work(tmp_path, pictures, capsys, extra, says, dry):
    assert says in refused(command(tmp_path / "study", *extra, *dry, source=pictures), capsys)
    assert list(tmp_path.iterdir()) == []


def test_only_an_interruption_stops_a_study(tmp_path, no_report, monkeypatch):
    config = configured(**FIELDS, study__arms=("hflip@8", "vflip@8", "none"), study__seeds=(0, 1))
    errors = {"none": ValueError("first line\nsecond"), "hflip@8": MemoryError(), "vflip@8": Failure("diverged")}
    tried = []

    def perform(run):
        tried.append(run.workdir.relative_to(tmp_path).as_posix())
        if run.config.seed == 0:
            raise errors[run.workdir.parent.name]
        if run.workdir.parent.name == "hflip@8":
            raise Interrupted("stopped")
        yield "done"

    monkeypatch.setattr(chain, "perform", perform)
    with pytest.raises(Interrupted):
        study.main(config, tmp_path)
    assert tried == [
        f"faces/{name}" for name in ("none/seed0", "hflip@8/seed0", "vflip@8/seed0", "none/seed1", "hflip@8/seed1")
    ]
    reasons = failed(tmp_path)
    assert list(reasons) == tried[:3]
    assert reasons["faces/none/seed0"] == "first line second" and reasons["faces/vflip@8/seed0"] == "diverged"
    assert reasons["faces/hflip@8/seed0"].startswith("Out of memory")
    assert no_report == []
