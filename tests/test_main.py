"""The command line as a user meets it: wrong input gets one line, early, and nothing is written."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.main import VERBS, main

BASE = ["--config=configs/default.py", "--config.data.image_size=32"]


def jpeg(seed: int = 0, size: int = 40) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def folder(tmp_path: Path, **files: bytes) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    for i in range(12):
        (place / f"{i:03d}.jpg").write_bytes(jpeg(i))
    for name, data in files.items():
        (place / name.replace("__", ".")).write_bytes(data)
    return place


def bomb() -> bytes:
    """A file of a few kilobytes that is 10,000 x 10,000 pixels large."""
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    return buffer.getvalue()


def from_folder(place: Path, count: int = 12) -> list[str]:
    return ["--config.data.source=folder", f"--config.data.path={place}", f"--config.data.count={count}"]


def mixed_zip(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("a.jpg", jpeg(1))
        archive.writestr("b.jpg", b"this is a text")
    return tmp_path / "images.zip"


def text_config(tmp_path: Path, text: str) -> str:
    (tmp_path / "mine.py").write_text(text)
    return f"--config={tmp_path}/mine.py"


# What is given, and what the one line must say. Each is a function of the test's folder.
BAD = {
    "no verb": (lambda t: [], ["no verb", "prepare, train"]),
    "unknown verb": (lambda t: ["trian", *BASE], ["'trian'", "did you mean train"]),
    "no config": (lambda t: ["train", f"--workdir={t}/run"], ["needs --config"]),
    "no workdir": (lambda t: ["train", *BASE], ["needs --workdir"]),
    "absent config": (lambda t: ["train", "--config=configs/mine.py"], ["configs/mine.py", "configs/quickstart.py"]),
    "unknown flag": (lambda t: ["train", *BASE, "--fast"], ["fast"]),
    "a flag of another verb": (
        lambda t: ["train", *BASE, f"--workdir={t}/run", "--export=x"],
        ["--export", "of train"],
    ),
    "stray word": (lambda t: ["train", *BASE, "quickly"], ["'quickly'"]),
    "unknown field": (lambda t: ["train", *BASE, "--config.trian.epochs=3"], ["trian"]),
    "wrong type": (lambda t: ["train", *BASE, "--config.data.count=many"], ["data.count", "many"]),
    "field before config": (lambda t: ["train", "--config.seed=1", *BASE], ["--config.seed=1", "before"]),
    "impossible value": (
        lambda t: ["train", *BASE, f"--workdir={t}/run", "--config.data.count=0"],
        ["data.count is 0"],
    ),
    "unknown op": (lambda t: ["train", *BASE, f"--workdir={t}/run", "--config.augment.policy=spin"], ["spin", "hflip"]),
    "config with an error": (lambda t: ["train", text_config(t, "1/0"), f"--workdir={t}/run"], ["division by zero"]),
    "config with a typo": (
        lambda t: ["train", text_config(t, "def get_config(: pass")],
        ["invalid syntax, line 1", "mine.py"],
    ),
    "config without get_config": (lambda t: ["train", text_config(t, "x = 1")], ["get_config"]),
    "config of another type": (lambda t: ["train", text_config(t, "get_config = dict")], ["ConfigDict"]),
    "workdir is a file": (lambda t: ["train", *BASE, f"--workdir={(t / 'f').write_text('') or t}/f"], ["not a folder"]),
    "absent folder": (lambda t: ["prepare", *BASE, *from_folder(t / "no"), f"--workdir={t}/run"], ["/no", "not"]),
    "a zip as folder": (
        lambda t: ["prepare", *BASE, *from_folder(mixed_zip(t)), f"--workdir={t}/run"],
        ["images.zip", "data.source=zip"],
    ),
    "too few images": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t), count=50), f"--workdir={t}/run"],
        ["12", "50", "images"],
    ),
    "too few for more": (
        lambda t: [
            *["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/run"],
            *["--config.augment.policy=more", "--config.augment.count=5"],
        ],
        ["12 images", "17 are asked for"],
    ),
    "bad files": (
        lambda t: [
            *["prepare", *BASE, f"--workdir={t}/run"],
            *from_folder(folder(t, cut__jpg=jpeg(50)[:300], text__jpg=b"hello", empty__png=b"", twin__jpg=jpeg(3))),
        ],
        ["cut.jpg", "text.jpg", "empty.png", "twin.jpg", "data.skip_bad=true"],
    ),
    "bad files in a zip": (
        lambda t: [
            *["prepare", *BASE, f"--workdir={t}/run", "--config.data.source=zip"],
            *[f"--config.data.path={mixed_zip(t)}", "--config.data.count=1", "--config.evaluate.splits=1"],
        ],
        ["b.jpg", "data.skip_bad=true"],
    ),
    "export into a full folder": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/run", f"--export={t}/images"],
        ["--export", "not an empty folder"],
    ),
    "evaluate before train": (
        lambda t: ["evaluate", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=faces_attributes"],
        ["no checkpoint", "train"],
    ),
    "a tap that is not there": (
        lambda t: [
            *["evaluate", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=faces_attributes", "--dry_run"],
            "--config.evaluate.tap=2048",
        ],
        ["faces_attributes", "no tap '2048'", "64, logits"],
    ),
    "a class that is not there": (
        lambda t: [
            *["evaluate", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=resnet50", "--dry_run"],
            "--config.evaluate.classes=pomeranien",
        ],
        ["no class 'pomeranien'", "did you mean pomeranian"],
    ),
    "absent weights": (
        lambda t: ["evaluate", *BASE, f"--workdir={t}/run", f"--config.evaluate.weights={t}/no.h5"],
        ["no.h5"],
    ),
    "a run inside the images": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/images/run"],
        ["images/run", "inside the folder of images"],
    ),
    "fewer images than ops": (
        lambda t: [
            *["prepare", *BASE, f"--workdir={t}/run", "--config.augment.policy=hflip+generated"],
            "--config.augment.count=1",
        ],
        ["augment.count is 1", "2 ops"],
    ),
    "too few for more, before a GAN is trained": (
        lambda t: [
            *["train", *BASE, *from_folder(folder(t)), f"--workdir={t}/run"],
            *["--config.augment.policy=generated+more", "--config.augment.count=4"],
        ],
        ["12 images", "14 are asked for"],
    ),
    "an absurdly large image": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t, bomb__png=bomb())), f"--workdir={t}/run"],
        ["bomb.png", "64 million", "data.skip_bad=true"],
    ),
    "damaged config.json": (
        lambda t: [
            *["evaluate", *BASE, f"--workdir={t}"],
            f"--config.data.resize={(t / 'config.json').write_text('[]') and 'stretch'}",
        ],
        ["config.json", "not that of a run"],
    ),
    "config that needs a file": (
        lambda t: ["train", text_config(t, "def get_config(): open('/no/list')"), f"--workdir={t}/run"],
        ["/no/list"],
    ),
    "config that exits": (lambda t: ["train", text_config(t, "import sys; sys.exit(3)"), f"--workdir={t}/run"], ["3"]),
    "another folder called configs": (
        lambda t: ["train", f"--config={t}/configs/quickstart.py", f"--workdir={t}/run"],
        ["configs/quickstart.py is not a file"],
    ),
    "export below a file": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/w/run", f"--export={t}/images/000.jpg/x"],
        ["000.jpg"],
    ),
    "no place for the cache": (
        lambda t: ["weights", "fetch", f"{(t / 'file').write_text('') or 'inception'}"],
        ["inception", "there are"],
    ),
    "score without images": (lambda t: ["score"], ["needs --images"]),
    "score nothing": (lambda t: ["score", f"--images={t}/no"], ["/no"]),
    "weights of nothing": (lambda t: ["weights", "show"], ["weights show", "weights list"]),
    "nothing to report": (lambda t: ["report", f"--workdir={t}/run"], ["run"]),
    "a study without its source": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", f"--config.study.sources=('folder:{t}/no',)"],
        ["/no does not exist"],
    ),
    "a study of seeds that are none": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--config.study.seeds=('a',)"],
        ["study.seeds names 'a'"],
    ),
    "a study of an arm that is none": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--config.study.arms=('none','hflip')"],
        ["'hflip' is no arm", "hflip@1000"],
    ),
    "an arm that the study has not": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--only=spin@3"],
        ["--only=spin@3", "vflip@1000"],
    ),
    "an index beyond the study": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--index=12"],
        ["--index is 12", "0 to 11"],
    ),
    "a study that asks for a class that is not there": (
        lambda t: [
            *["study", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=resnet50"],
            "--config.evaluate.classes=pomeranien",
        ],
        ["did you mean pomeranian"],
    ),
    "generator is the workdir": (
        lambda t: [
            *["train", *BASE, f"--workdir={t}/run", "--config.augment.policy=generated"],
            f"--config.augment.generator={t}/run",
        ],
        ["augment.generator"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_leaves_nothing(case, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(
        sys.modules, "config_config", raising=False
    )  # where ml_collections keeps the config file loaded last
    arguments, says = BAD[case]
    arguments = arguments(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    last = error.splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in error
    for words in says:
        assert words in last
    assert not (tmp_path / "run").exists()


def test_bad_files_can_be_left_out(tmp_path, capsys):
    place = folder(tmp_path, cut__jpg=jpeg(50)[:300], twin__jpg=jpeg(3))
    arguments = ["prepare", *BASE, *from_folder(place), f"--workdir={tmp_path}/run", "--config.data.skip_bad=true"]
    assert main(arguments) == 0
    assert "2 bad files left out" in capsys.readouterr().out


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in VERBS)


def test_shipped_configs_are_found_from_any_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--config=configs/quickstart.py", "--workdir=run", "--dry_run"]) == 0
    assert main(["train", "--config", "configs/quickstart.py", "--workdir", "run", "--dry_run"]) == 0
    assert capsys.readouterr().out.count("steps of 16 images") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_module_runs_as_a_command(tmp_path):
    done = subprocess.run([sys.executable, "-m", "gan_da_jax", "nonsense"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.startswith("error: 'nonsense' is not a verb")
