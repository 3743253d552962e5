"""An audit passes on an honest run and study, and names the place of every tampering, of a careful forger's, too."""

import contextlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan_da_jax
from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.devices import parallel
from gan_da_jax.files import checkpoint, io
from gan_da_jax.main import main
from gan_da_jax.pipeline import pools, train
from gan_da_jax.runs import environment, networks
from gan_da_jax.runs.config import restored
from gan_da_jax.runs.folder import Run
from gan_da_jax.verbs import audit
from helpers import SCORED, command, draw_faces, refused, written

COUNT = 24
FIELDS = SCORED | {"data.count": COUNT, "train.kimg": 0.096, "train.checkpoint_every": 2}  # 12 steps
RUN = "pictures/generated@8/seed0"  # its lines are of the steps 4, 6, 8 and 12; 6 and 12 are saved
OTHER = "pictures/hflip@8/seed0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A study of three arms, the pictures that it was made from beside it."""
    root = tmp_path_factory.mktemp("audit")
    sources = (f"folder:{draw_faces(root / 'pictures', COUNT)}",)
    arms = ("none", "hflip@8", "generated@8")
    assert main(command("study", root / "study", **FIELDS, study__sources=sources, study__arms=arms)) == 0
    return root / "study"


@pytest.fixture(scope="module", autouse=True)
def shared_cache(tmp_path_factory):
    """What is learnt of originals serves all audits of this file: else each would train the meters again."""
    folder = tmp_path_factory.mktemp("shared")

    @contextlib.contextmanager
    def anew():
        pools.read.cache_clear()
        yield folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "_anew", anew)
        yield


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "study"))


@pytest.fixture
def drawn(whole, monkeypatch):
    """The pages as they were drawn first, in place of drawing them again, which takes seconds."""
    files = {f"report/{path.name}": path.read_bytes() for path in (whole / "report").iterdir()}
    monkeypatch.setattr(audit.checks.build, "pages", lambda *_: files)


def edit(path: Path, change) -> None:
    """Changes what a JSON file holds; seals stay as they are."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def edit_lines(path: Path, change) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def reseal(run: Path) -> None:
    """Renews every hash and seal of a run, as a forger would who knows how they are made."""
    config = io.read_json(run / "config.json")
    io.write_json(run / "config.json", io.seal(config))
    for name in ("metrics.jsonl", "scores.jsonl"):
        rows, before = io.read_jsonl(run / name), ""
        for row in rows:
            if "files" in row:
                row["files"] = {file: io.file_sha256(run / file) for file in row["files"]}
            row |= io.seal(row, before)
            before = row["sha256"]
        io.write_jsonl(run / name, rows)


def at(rows: list[dict], step: int) -> dict:
    return next(row for row in rows if row["step"] == step)


def flip(path: Path, index: tuple = (5, 3, 2, 1)) -> None:
    array = np.load(path)
    array[index] ^= 1
    np.save(path, array)


def paint(path: Path) -> None:
    pixels = np.array(Image.open(path))
    pixels[9, 9] ^= 255
    Image.fromarray(pixels).save(path)


def replace(checkpoints: Path, step: int, by: Path) -> None:
    shutil.rmtree(checkpoints / str(step))
    shutil.copytree(by, checkpoints / str(step))


def flip_bit_of_largest(folder: Path) -> None:
    path = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def swap_score(rows: list[dict]) -> None:
    at(rows, 12)["fid"] *= 0.9


def scale_loss(rows: list[dict]) -> None:
    at(rows, 6)["generator_loss"] *= 0.999


def another_checkpoint_noted(run: Path) -> None:
    """The state of another arm, with the hash that it has there."""
    replace(run / "checkpoints", 6, run.parents[1] / "hflip@8/seed0/checkpoints/6")
    noted = at(io.read_jsonl(run.parents[1] / "hflip@8/seed0/metrics.jsonl"), 6)["state_sha256"]
    edit_lines(run / "metrics.jsonl", lambda rows: at(rows, 6).update(state_sha256=noted))


def another_average_noted(run: Path) -> None:
    """The state itself, but for the average, which is of a GAN with another seed; with its hash."""
    config = restored(io.read_json(run / "config.json")["config"])
    state = Run(config, run).trained_state(6)
    config.seed = 1
    other = networks.initial_state(config).extra["average"]
    shutil.rmtree(run / "checkpoints/6")
    checkpoint.save(run / "checkpoints", 6, state.replace(extra={"average": other}))
    noted = checkpoint.digest(parallel.host(state.replace(extra={"average": other})))
    edit_lines(run / "metrics.jsonl", lambda rows: at(rows, 6).update(state_sha256=noted))


def other_generated_images(run: Path) -> None:
    """Other images, and a manifest that says the same."""
    images = np.load(run / "dataset/generated.npy")
    images[2] = 255 - images[2]
    np.save(run / "dataset/generated.npy", images)
    pixels = np.concatenate([np.load(run / "dataset/originals.npy"), images])

    def change(made):
        made["images_sha256"] = io.sha256(pixels)
        made["records"][COUNT + 2]["sha256"] = io.sha256(images[2])

    edit(run / "dataset/manifest.json", change)
    parts = pools.policy.parse("generated")
    preview = pools.preview(parts, {"originals": pixels[:COUNT], "generated": images})
    io.save_png(run / "dataset/preview.png", preview)


def rename_original(made: dict) -> None:
    made["records"][3]["source_id"] = "99.png"


def redraw(made: dict) -> None:
    made["records"][COUNT + 1]["source_index"] = 0


def other_probabilities(run: Path) -> None:
    path = run / "probabilities/step_00000012_faces_attributes.npz"
    with np.load(path) as arrays:
        kept = dict(arrays)
    kept["probabilities"][0] = kept["probabilities"][0][::-1]
    io.save_arrays(path, **kept)


def lines(name, change):
    return lambda run: edit_lines(run / name, change)


def fields(name, change):
    return lambda run: edit(run / name, change)


# What is done to a run, whether its hashes are then renewed, and what the audit says first.
TAMPERINGS = {
    "a pixel of an original": (
        lambda run: flip(run / "dataset/originals.npy"),
        False,
        "dataset/originals.npy, image 5",
    ),
    "a pixel of a generated image": (
        lambda run: flip(run / "dataset/generated.npy"),
        False,
        "dataset/generated.npy, image 5",
    ),
    "fewer originals": (
        lambda run: np.save(run / "dataset/originals.npy", np.load(run / "dataset/originals.npy")[1:]),
        False,
        "dataset/originals.npy holds uint8 [23, 32, 32, 3]",
    ),
    "other generated images": (other_generated_images, True, "dataset/generated.npy, image 2: the GAN"),
    "a record's original": (fields("dataset/manifest.json", redraw), False, "dataset/manifest.json is not the file"),
    "a record's original, renewed": (fields("dataset/manifest.json", redraw), True, "manifest.json, record 25"),
    "a record's name, renewed": (
        fields("dataset/manifest.json", rename_original),
        True,
        "manifest.json, record 3: 99.png is not the source's",
    ),
    "the preview": (lambda run: paint(run / "dataset/preview.png"), True, "dataset/preview.png"),
    "a score": (lines("scores.jsonl", swap_score), False, "scores.jsonl, line 2 (step 12)"),
    "a score, renewed": (
        lines("scores.jsonl", swap_score),
        True,
        "scores.jsonl, step 12, set 0, by faces_attributes: fid",
    ),
    "the classifier's hash": (
        lines("scores.jsonl", lambda rows: [row.update(weights_sha256="0" * 64) for row in rows]),
        True,
        "faces_attributes has other weights",
    ),
    "a loss": (lines("metrics.jsonl", scale_loss), False, "metrics.jsonl, line 2 (step 6)"),
    "a loss, renewed": (lines("metrics.jsonl", scale_loss), True, "metrics.jsonl, step 6: generator_loss is"),
    "a score's line taken out": (lines("scores.jsonl", lambda rows: rows.pop(0)), False, "scores.jsonl, line 1"),
    "the last score's line taken out": (
        lines("scores.jsonl", lambda rows: rows.pop()),
        False,
        "scores.jsonl has no line of step 12",
    ),
    "a loss's line taken out, renewed": (
        lines("metrics.jsonl", lambda rows: rows.pop(2)),
        True,
        "metrics.jsonl, step 12: it is said to follow step 8",
    ),
    "a better score's line added, renewed": (
        lines("scores.jsonl", lambda rows: rows.append(rows[-1] | {"fid": 1.0})),
        True,
        "scores.jsonl, step 12, set 0, by faces_attributes: fid is 1.0",
    ),
    "a line added": (
        lambda run: io.append_jsonl(run / "metrics.jsonl", {"step": 13}),
        False,
        "metrics.jsonl, line 5",
    ),
    "a line of something else added": (
        lambda run: (run / "scores.jsonl").open("a").write("edited\n"),
        False,
        "scores.jsonl has 3 lines, 2 of which are JSON objects",
    ),
    "the learning rate": (
        fields("config.json", lambda entry: entry["config"]["train"].update(learning_rate=1e-4)),
        False,
        "config.json was edited",
    ),
    "the learning rate, renewed": (
        fields("config.json", lambda entry: entry["config"]["train"].update(learning_rate=1e-4)),
        True,
        "metrics.jsonl, step 4: discriminator_loss",
    ),
    "the seed, renewed": (
        fields("config.json", lambda entry: entry["config"].update(seed=1)),
        True,
        "manifest.json: seed is 0, again 1",
    ),
    "an impossible field": (
        fields("config.json", lambda entry: entry["config"]["data"].update(image_size=33)),
        True,
        "data: image_size is 33",
    ),
    "the versions": (
        fields("config.json", lambda entry: entry["versions"].update(jax="0.1")),
        False,
        "config.json was",
    ),
    "the versions, renewed": (
        fields("config.json", lambda entry: entry["versions"].update(jax="0.1")),
        True,
        "metrics.jsonl, line 1: made in an environment that config.json does not name",
    ),
    "the checkpoint of another step": (
        lambda run: replace(run / "checkpoints", 12, run / "checkpoints/6"),
        False,
        "checkpoints/12 is not the state",
    ),
    "the checkpoint of another arm": (
        lambda run: replace(run / "checkpoints", 6, run.parents[1] / "hflip@8/seed0/checkpoints/6"),
        False,
        "checkpoints/6 is not the state",
    ),
    "the checkpoint of another arm, noted": (
        another_checkpoint_noted,
        True,
        "checkpoints/6: training leads to another state, from .generator",
    ),
    "the average of another GAN, noted": (
        another_average_noted,
        True,
        "checkpoints/6: training leads to another state, from .extra['average']",
    ),
    "a bit of a checkpoint": (lambda run: flip_bit_of_largest(run / "checkpoints/12"), False, "checkpoints/12"),
    "no last checkpoint": (lambda run: shutil.rmtree(run / "checkpoints/12"), False, "checkpoints/12 is missing"),
    "a grid of samples": (
        lambda run: paint(run / "samples/step_00000006.png"),
        False,
        "samples/step_00000006.png is not the file",
    ),
    "a grid of samples, renewed": (
        lambda run: paint(run / "samples/step_00000006.png"),
        True,
        "samples/step_00000006.png is not what the generator",
    ),
    "a file of probabilities": (
        other_probabilities,
        False,
        "probabilities/step_00000012_faces_attributes.npz is not the file",
    ),
    "a file of probabilities, renewed": (
        other_probabilities,
        True,
        "files.probabilities/step_00000012_faces_attributes.npz is",
    ),
    "a sheet of the surest": (
        lambda run: paint(run / "certainty/step_00000012_faces_attributes.png"),
        False,
        "certainty/step_00000012_faces_attributes.png is not the file",
    ),
    "no sheet of copies": (
        lambda run: (run / "memorisation/step_00000006.png").unlink(),
        False,
        "memorisation/step_00000006.png is missing",
    ),
    "a picture too many": (
        lambda run: shutil.copy(run / "samples/step_00000006.png", run / "samples/step_00000009.png"),
        False,
        "samples/step_00000009.png is in no line",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_named(name, copy, capsys, monkeypatch):
    tamper, renewed, expected = TAMPERINGS[name]
    run = copy / RUN
    tamper(run)
    if renewed:
        reseal(run)
    else:  # the files alone must tell
        for check in ("source_again", "generated_again", "train_again", "sample_again", "score_again"):
            monkeypatch.setattr(audit.Recomputed, check, lambda *_: "left out")
    assert main(["audit", f"--workdir={run}", "--step=0"]) == 1
    said = capsys.readouterr()
    assert expected in said.err and "DIFFERS" in said.out, said.err
    assert not io.read_json(run / "audit.json")["passed"]


def delete_run(study: Path) -> None:
    shutil.rmtree(study / OTHER)


def swap_runs(study: Path) -> None:
    (study / OTHER).rename(study / "kept")
    (study / RUN).rename(study / OTHER)
    (study / "kept").rename(study / RUN)


STUDY_TAMPERINGS = {
    "study.json": (lambda study: edit(study / "study.json", lambda plan: plan["arms"].pop()), "study.json was edited"),
    "a run taken out": (delete_run, f"{OTHER} is in study.json, but not in the folder"),
    "two runs changed about": (swap_runs, f"{RUN} holds the run {OTHER}"),
    "a number of the report": (
        lambda study: edit(study / "summary.json", lambda whole: whole["arms"][1]["scores"]["fid"].update(mean=1.0)),
        "summary.json: arms[1].scores.fid.mean is 1.0, again",
    ),
    "a number of the table": (
        lambda study: (study / "summary.csv").write_text(
            (study / "summary.csv").read_text().replace("none", "nine", 1)
        ),
        "summary.csv is not what",
    ),
    "the page": (
        lambda study: (study / "report/index.html").write_text(
            (study / "report/index.html").read_text().replace("hflip@8", "hflip@9", 1)
        ),
        "report/index.html is not what",
    ),
}


@pytest.mark.parametrize("name", STUDY_TAMPERINGS)
def test_a_tampering_of_a_study_is_named(name, copy, capsys, monkeypatch, drawn):
    tamper, expected = STUDY_TAMPERINGS[name]
    tamper(copy)
    monkeypatch.setattr(audit.checks, "of_run", lambda *_: iter(()))  # its runs are as they were
    assert main(["audit", f"--workdir={copy}", "--step=0"]) == 1
    assert expected in capsys.readouterr().err
    assert not io.read_json(copy / "audit.json")["passed"]


def test_other_weights_of_the_classifier_are_named(copy, tmp_path, capsys, monkeypatch):
    with np.load(classifiers.trained_here("faces_attributes")) as arrays:
        kept = dict(arrays)
    name = next(name for name in kept if name.endswith("bias"))
    io.save_arrays(tmp_path / "other.npz", **kept | {name: kept[name] + 1})
    entry = classifiers.CLASSIFIERS["faces_attributes"]
    other = entry._replace(origin=entry.origin._replace(path=lambda: tmp_path / "other.npz"))
    monkeypatch.setitem(classifiers.CLASSIFIERS, "faces_attributes", other)
    assert main(["audit", f"--workdir={copy / RUN}", "--step=6"]) == 1
    assert "faces_attributes has other weights" in capsys.readouterr().err


def test_an_honest_study_passes_and_only_audit_json_is_written(copy, capsys):
    before = written(copy)
    assert main(["audit", f"--workdir={copy}", "--step=6"]) == 0
    said = capsys.readouterr().out
    assert "DIFFERS" not in said and "not checked" not in said
    assert said.count("losses and states the same bit for bit") == 3
    after = written(copy)
    assert after.keys() - before.keys() == {copy / "audit.json"} and before.items() <= after.items()
    found = io.read_json(copy / "audit.json")
    assert found["passed"] and found["steps"] == dict.fromkeys([RUN, OTHER, "pictures/none/seed0"], 6)


def test_a_bundle_passes_elsewhere_without_the_source(copy, whole, tmp_path, capsys, drawn):
    path = tmp_path / "bundle.zip"
    assert main(["audit", f"--workdir={copy / OTHER}", "--step=6", f"--bundle={path}"]) == 0
    with zipfile.ZipFile(path) as bundle:
        said = bundle.read("seed0/AUDIT.txt").decode()
        bundle.extractall(tmp_path / "elsewhere")
    assert "gan-da audit --workdir=seed0 --step=6" in said and "images" in said and "jax" in said
    capsys.readouterr()
    pictures = whole.parent / "pictures"
    pictures.rename(pictures.with_name("gone"))
    try:
        assert main(["audit", f"--workdir={tmp_path / 'elsewhere/seed0'}", "--step=6"]) == 0
    finally:
        pictures.with_name("gone").rename(pictures)
    said = capsys.readouterr().out
    assert "source             not checked  the source is not here" in said and "bundle             same" in said
    assert "scores of 12       same" in said


def test_what_cannot_be_audited_is_the_users_error(whole, tmp_path, capsys):
    for arguments, expected in (
        ([f"--workdir={tmp_path}"], "no run"),
        ([f"--workdir={whole / RUN}", "--step=5"], "another one follows: 0, 6"),
        ([f"--workdir={whole / RUN}", f"--bundle={whole / RUN / 'a.zip'}"], "inside"),
        ([f"--workdir={whole / RUN}", f"--bundle={tmp_path / 'no' / 'a.zip'}"], "--bundle="),
    ):
        assert expected in refused(["audit", *arguments], capsys)
    assert main(["audit", f"--workdir={whole / RUN}", "--step=6", "--dry_run"]) == 0
    assert "from step 6 to 12" in capsys.readouterr().out and not (whole / RUN / "audit.json").exists()


def test_a_run_that_was_interrupted_passes(tmp_path, capsys, monkeypatch):
    arguments = command("train", tmp_path, **FIELDS, augment__policy="hflip", augment__count=8)
    with monkeypatch.context() as patch:
        patch.setattr(train, "stop_requests", lambda: contextlib.nullcontext([2]))
        assert main(arguments) == main(arguments) == 1  # after a step each
    assert main(arguments) == 0
    assert [row["steps"] for row in io.read_jsonl(tmp_path / "metrics.jsonl")] == [1, 1, 2, 2, 2, 4]
    assert main(["audit", f"--workdir={tmp_path}", "--step=0"]) == 0
    assert "24 images made again from faces" in capsys.readouterr().out


def test_elsewhere_numbers_may_differ_by_a_tolerance_and_it_says_where(copy, capsys, monkeypatch):
    here = environment.current()
    monkeypatch.setattr(environment, "current", lambda: here | {"kind": "another", "backend": "gpu"})
    edit_lines(copy / RUN / "metrics.jsonl", scale_loss)
    reseal(copy / RUN)
    assert main(["audit", f"--workdir={copy / RUN}", "--step=0"]) == 0
    said = capsys.readouterr().out
    assert f"kind ({here['kind']}, now another)" in said and "losses within 5%" in said
    assert "now: on a GPU without XLA_FLAGS=--xla_gpu_deterministic_ops=true" in said
    edit_lines(copy / RUN / "metrics.jsonl", lambda rows: at(rows, 6).update(generator_loss=5.0))
    reseal(copy / RUN)
    assert main(["audit", f"--workdir={copy / RUN}", "--step=0"]) == 1
    assert "generator_loss is 5.0" in capsys.readouterr().err


def made_by_version(run: Path, version: str) -> None:
    """Makes a run look as if another version of the package had made it, in the same environment otherwise."""
    before = environment.digest(next(iter(environment.recorded(io.read_json(run / "config.json")).values())))
    edit(run / "config.json", lambda config: config["versions"].update(gan_da_jax=version))
    after = environment.digest(next(iter(environment.recorded(io.read_json(run / "config.json")).values())))
    for name in ("metrics.jsonl", "scores.jsonl"):
        text = (run / name).read_text()
        assert before in text
        (run / name).write_text(text.replace(before, after))


def drop_what_came_later(rows: list[dict]) -> None:
    for row in rows:
        del row["coverage"], row["leakage"]["vflip"]


@pytest.mark.parametrize(("version", "status"), [("0.0.1", 0), (gan_da_jax.__version__, 1)])
def test_scores_and_meters_that_came_later_do_not_make_old_lines_wrong(copy, capsys, version, status):
    made_by_version(copy / RUN, version)
    edit_lines(copy / RUN / "scores.jsonl", drop_what_came_later)
    reseal(copy / RUN)
    assert main(["audit", f"--workdir={copy / RUN}", "--step=0"]) == status
    assert ("coverage is None, again " in capsys.readouterr().err) == (status == 1)


def test_elsewhere_the_state_of_another_training_is_named(copy, capsys, monkeypatch):
    here = environment.current()
    monkeypatch.setattr(environment, "current", lambda: here | {"kind": "another"})
    config = restored(io.read_json(copy / RUN / "config.json")["config"])
    config.seed = 1
    state = networks.initial_state(config)
    state = state.replace(step=state.step + 6)
    shutil.rmtree(copy / RUN / "checkpoints/6")
    checkpoint.save(copy / RUN / "checkpoints", 6, state)
    digest = checkpoint.digest(parallel.host(state))
    edit_lines(copy / RUN / "metrics.jsonl", lambda rows: at(rows, 6).update(state_sha256=digest))
    reseal(copy / RUN)
    assert main(["audit", f"--workdir={copy / RUN}", "--step=0"]) == 1
    assert "checkpoints/6: training leads to another state" in capsys.readouterr().err


def test_elsewhere_the_average_of_another_training_is_named(copy, capsys, monkeypatch):
    here = environment.current()
    monkeypatch.setattr(environment, "current", lambda: here | {"kind": "another"})
    another_average_noted(copy / RUN)
    reseal(copy / RUN)
    assert main(["audit", f"--workdir={copy / RUN}", "--step=0"]) == 1
    assert "checkpoints/6: training leads to another state, from .extra['average']" in capsys.readouterr().err
