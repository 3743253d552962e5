"""The checks of a run's files, on files written as the verbs write them, and then edited."""

import json
import shutil
from pathlib import Path

import pytest

from gan_da_jax.audit.finding import Differs
from gan_da_jax.audit.recorded import Recorded
from gan_da_jax.errors import UserError
from gan_da_jax.files import checkpoint

IMAGES = {"originals": 1024, "train": {"batch_size": 64}}  # 16 steps an epoch, as the fixture writes them


@pytest.fixture(scope="module")
def written(tmp_path_factory, make_run) -> Path:
    return make_run(tmp_path_factory.mktemp("recorded") / "run", **IMAGES, evaluations=4, memorised=0.1, grids=4)


@pytest.fixture
def run(written, tmp_path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "run"))


def edit(path: Path, change) -> None:
    """Changes the lines of a file, without their seals."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    change(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_files_that_nobody_edited_are_the_same(run):
    recorded = Recorded(run)
    assert "4 lines to step 64" in recorded.check_metrics() and "4 lines" in recorded.check_scores()
    grids, sheets = len(list((run / "samples").iterdir())), len(list((run / "memorisation").iterdir()))
    assert (grids, sheets) == (4, 4)
    files = grids + sheets + len(list((run / "certainty").iterdir())) + 1  # and the manifest
    assert recorded.check_files().startswith(f"{files} files")
    assert "as it was written" in recorded.check_config()


EDITS = {
    "a loss": ("metrics.jsonl", lambda rows: rows[1].update(generator_loss=1.0), "line 2 (step 32): edited"),
    "a line taken out": ("metrics.jsonl", lambda rows: rows.pop(1), "line 2 (step 48): edited, or does not follow"),
    "the last line taken out": ("metrics.jsonl", lambda rows: rows.pop(), "ends with step 48, the training with 64"),
    "lines in another order": ("metrics.jsonl", lambda rows: rows.reverse(), "line 1 (step 64)"),
    "a score": ("scores.jsonl", lambda rows: rows[3].update(samples=9), "line 4 (step 64): edited"),
    "a score's line taken out": ("scores.jsonl", lambda rows: rows.pop(0), "line 1 (step 32)"),
    "the last score's line taken out": ("scores.jsonl", lambda rows: rows.pop(), "has no line of step 64"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_line_and_a_missing_one_are_named(name, run):
    file, change, expected = EDITS[name]
    checks = {"metrics.jsonl": Recorded.check_metrics, "scores.jsonl": Recorded.check_scores}
    edit(run / file, change)
    with pytest.raises(Differs) as found:
        checks[file](Recorded(run))
    assert file in str(found.value) and expected in str(found.value)
    for other, check in checks.items():  # the other file is as it was
        assert other == file or check(Recorded(run))


def test_an_edited_config_is_named(run):
    entry = json.loads((run / "config.json").read_text())
    entry["config"]["train"]["learning_rate"] = 1e-4
    (run / "config.json").write_text(json.dumps(entry))
    with pytest.raises(Differs, match="config.json was edited"):
        Recorded(run).check_config()


def test_a_foreign_an_edited_and_a_missing_picture_are_named(run):
    picture = run / "samples/step_00000064.png"
    before = picture.read_bytes()
    shutil.copy(picture, run / "samples/step_00000009.png")
    with pytest.raises(Differs, match="samples/step_00000009.png is in no line"):
        Recorded(run).check_files()
    (run / "samples/step_00000009.png").unlink()
    picture.write_bytes(before + b"\n")
    with pytest.raises(Differs, match="samples/step_00000064.png is not the file that was written"):
        Recorded(run).check_files()
    picture.unlink()
    with pytest.raises(Differs, match="samples/step_00000064.png is missing"):
        Recorded(run).check_files()
    picture.write_bytes(before)
    assert Recorded(run).check_files()


def test_scored_checkpoints_may_be_gone_but_for_the_last(run):
    with pytest.raises(Differs, match="checkpoints/64 is missing"):
        Recorded(run).check_checkpoints()
    (run / "scores.jsonl").unlink()
    with pytest.raises(Differs, match="checkpoints/16 is missing"):
        Recorded(run).check_checkpoints()


def test_a_checkpoint_that_cannot_be_read_is_named(run):
    for step in (48, 64):
        (run / f"checkpoints/{step}").mkdir(parents=True)
    recorded = Recorded(run)
    recorded.saved = [48, 64]
    with pytest.raises(checkpoint.Damaged, match="checkpoints/48"):
        recorded.check_checkpoints()


def test_a_stretch_leads_from_a_checkpoint_or_the_beginning_to_the_next(run):
    recorded = Recorded(run)
    assert recorded.saved == [] and recorded.stretch(None) == (0, 0)
    recorded.saved = [16, 48, 64]
    assert [recorded.stretch(step) for step in (0, 16, 48)] == [(0, 16), (16, 48), (48, 64)]
    assert {recorded.stretch(None) for _ in range(200)} == {(0, 16), (16, 48), (48, 64)}
    for step in (64, 32, 17, -16):
        with pytest.raises(UserError, match=f"--step={step} must be 0 or a checkpoint.*: 0, 16, 48$"):
            recorded.stretch(step)
