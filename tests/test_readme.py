"""Every README: its links resolve, its commands pass with --dry_run, and what it names in the code is there.

Each block of commands runs in bash, where all programs are recorders that note how they are called. The calls of gan-da
are then made in this process, with --dry_run, on a small config and in a folder that holds what the commands name.

Exempt: without PyTorch `compare`, and without TensorFlow the source `tfds`, must end with the line that says what to
install. Nothing is compiled, downloaded or given to a cluster: of cc and sbatch only the call is looked at, of a
program in the repository only whether it is there. A `.pth` file becomes a .safetensors, which needs no PyTorch.
"""

import importlib.util
import json
import re
import runpy
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.files import torch_file
from gan_da_jax.main import VERBS, main
from gan_da_jax.runs.config import require_field

ROOT = Path(__file__).parents[1]
FOLDERS = (".github", "configs", "launch", "gan_da_jax", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
READMES = [page for page in PAGES if page.name == "README.md"]
HOUSE = ROOT / "gan_da_jax" / "README.md"
PROGRAMS = ("gan-da", "python", "cc", "sbatch")
SMALL = {"data.count": 24, "data.image_size": 32, "augment.count": 24, "model.width": 4, "model.latent_dim": 8} | {
    "train.batch_size": 8,
    "train.kimg": 0.0,
    "train.epochs": 2,
    "train.checkpoint_every": 1,
}
ON_A_RUN = ("evaluate", "report", "audit", "weights")  # verbs whose run is there already
RUNS = ("runs/one", "runs/mine/pictures/none/seed0", "SHARED/study/faces/none/seed0")  # where the READMEs have one


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """The text without fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The #anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, text: str) -> list[str]:
    """The relative links of a page's text that lead nowhere."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if re.match(r"https?://", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_resolves(page):
    assert not broken(page, prose(page))


def test_a_broken_link_is_found():
    assert broken(HOUSE, "[a](nowhere.md) [b](#layers) [c](../README.md#no-such-heading)") == [
        "nowhere.md",
        "../README.md#no-such-heading",
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the commands of the READMEs find what they name: `fresh` without runs, `finished` with them."""
    base = tmp_path_factory.mktemp("readme")
    fresh, finished = base / "fresh", base / "finished"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    for folder in (fresh / "path/to/pictures", fresh / "samples"):
        folder.mkdir(parents=True)
        for number, image in enumerate(pixels):
            Image.fromarray(image).save(folder / f"{number}.png")
    for archive in ("originals.zip", "img_align_celeba.zip"):
        with zipfile.ZipFile(fresh / archive, "w") as file:
            for picture in (fresh / "samples").iterdir():
                file.write(picture, picture.name)
    run = finished / RUNS[0]
    small = [f"--config.{field}={value}" for field, value in SMALL.items()]
    config = ["--config=configs/quickstart.py", "--config.augment.policy=hflip", *small]
    assert main(["train", *config, f"--workdir={run}"]) == 0
    for other in RUNS[1:]:
        shutil.copytree(run, finished / other)
    assert main(["weights", "export", str(run), f"--out={base}"]) == 0
    (base / "generator.safetensors").rename(fresh / "netG.safetensors")
    with np.load(ROOT / "tests/golden/inception_v3_2015.npz") as golden:
        shapes = json.loads(str(golden["shapes"]))
    zeros = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
    torch_file.write(finished / "inception.safetensors", zeros)
    return base


def recorded(block: str, folder: Path) -> list[list[str]]:
    """The calls that a block of commands makes, by name of the program and its arguments."""
    (folder / "bin").mkdir()
    (folder / "launch").mkdir()
    launchers = [path.relative_to(ROOT) for path in (ROOT / "launch").glob("*.sh")]
    for program in (*(Path("bin") / name for name in PROGRAMS), *launchers):
        (folder / program).write_text('#!/bin/sh\nprintf "%s\\0" "$0" "$@" >> "$CALLS"\nprintf "\\n\\0" >> "$CALLS"\n')
        (folder / program).chmod(0o755)
    calls = folder / "calls"
    subprocess.run(
        [shutil.which("bash"), "-euo", "pipefail", "-c", block],
        env={"PATH": str(folder / "bin"), "CALLS": str(calls)},
        cwd=folder,
        check=True,
        timeout=60,
    )
    return [
        [words[0].removeprefix(f"{folder}/bin/"), *words[1:]]
        for call in calls.read_text().removesuffix("\n\0").split("\n\0")
        for words in [call.removesuffix("\0").split("\0")]
    ]


def require(call: list[str], place: Path, monkeypatch, capsys) -> None:
    """Asserts that a call could be made: that its files are there, and that gan-da takes its arguments."""
    program, *words = call
    given = [program, *words] if program.startswith("launch/") else words
    files = [word for word in given if re.match(r"(launch|tests)/", word)]
    for file in files:
        assert (ROOT / file).exists(), f"{file}, which {call} names, is not there"
    if program in ("sbatch", "launch/local.sh", "launch/tpu_vm.sh"):  # what follows the launcher is a command
        words = given[given.index(files[0]) + 1 :]
    elif program == "python" and words[:2] == ["-m", "gan_da_jax"]:
        words = words[2:]
    elif program != "gan-da":
        return
    words = [word.replace(".pth", ".safetensors") for word in words]
    if any(word.startswith("--config=") for word in words):
        small = SMALL | {"evaluate.reference": "originals"}  # the folder has too few pictures to hold any out
        words += [f"--config.{field}={value}" for field, value in small.items()]
    needs = "torch" if words[0] == "compare" else None
    if "--config.data.source=tfds" in words:
        words, needs = [*words, f"--config.data.path={place / 'tfds'}"], "tensorflow"
    monkeypatch.chdir(place / ("finished" if words[0] in ON_A_RUN else "fresh"))
    status, said = main([*words, "--dry_run"]), capsys.readouterr().err
    if needs and importlib.util.find_spec(needs) is None:
        assert status == 2 and "pip install" in said, said
    else:
        assert status == 0, said


BLOCKS = [
    pytest.param(block, id=f"{name(page)}-{number}")
    for page in READMES
    for number, block in enumerate(blocks(page, "bash"))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_command_passes_as_a_dry_run(block, place, tmp_path, monkeypatch, capsys):
    for call in recorded(block, tmp_path):
        require(call, place, monkeypatch, capsys)


@pytest.mark.parametrize(
    "line",
    [
        "gan-da trian --config=configs/quickstart.py --workdir=runs/x",
        "gan-da train --config=configs/quickstart.py --workdir=runs/x --quickly",
        "launch/local.sh train --config=configs/quickstart.py --workdir=runs/x --config.train.epoch=3",
        "gan-da score --images=elsewhere/",
        "python tests/benchmarks/speed.py",
    ],
)
def test_a_wrong_command_is_found(line, place, tmp_path, monkeypatch, capsys):
    (call,) = recorded(line, tmp_path)
    with pytest.raises(AssertionError):
        require(call, place, monkeypatch, capsys)


def test_an_unknown_program_is_found(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        recorded("launch/fast.sh train", tmp_path)


def test_every_field_and_extra_that_is_named_is_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for page in READMES:
        named = re.findall(r"`((?:data|augment|model|train|evaluate|study)\.(?!json)[a-z_]+)(?:=[^`]*)?`", prose(page))
        for field in {*named, *re.findall(r"--config\.([\w.]+)=", page.read_text())}:
            require_field(field)
        assert {*re.findall(r"pip install '\.\[(\w+)\]'", page.read_text())} <= extras.keys(), page


def test_the_first_page_explains_every_verb():
    assert {*re.findall(r"^\| \[`(\w+)`\]\(", (ROOT / "README.md").read_text(), re.MULTILINE)} == VERBS.keys()


def test_the_layers_are_those_that_the_imports_are_held_to():
    (drawn,) = blocks(HOUSE, "text")
    ranks = [{*line.split()} for line in reversed(drawn.splitlines())]
    tested = runpy.run_path(str(ROOT / "tests" / "test_imports.py"))["LAYERS"]
    assert ranks == [rank for rank in tested if rank != {"__main__"}]
    described = {link.split("/")[0] for link in re.findall(r"\]\(([\w/.]+)\)", prose(HOUSE))}
    code = {part.name for part in HOUSE.parent.iterdir() if part.is_dir() or part.suffix == ".py"}
    assert code - described - {"__pycache__"} == {"__init__.py"}


def test_every_table_that_a_recipe_names_is_there():
    recipes = re.findall(r"`([A-Z]+)` in `([\w/]+\.py)`", prose(HOUSE))
    assert len(recipes) == 7
    for table, file in recipes:
        assert re.search(rf"^{table}\b.* = ", (HOUSE.parent / file).read_text(), re.MULTILINE), (table, file)
