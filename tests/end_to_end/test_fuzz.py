"""Damaged input through the command line: it works or it is refused with one line; nothing else ever comes of it."""

import copy
import io
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_da_jax.configs import default
from gan_da_jax.main import main
from gan_da_jax.metrics.columns import catalogue
from gan_da_jax.report import arms, board, study_file, tables
from gan_da_jax.report.page import render
from gan_da_jax.runs import read
from gan_da_jax.runs.config import flatten
from helpers import CONFIG, command


def fuzzed(examples: int):
    """The same examples every time, so that nobody's change fails by chance."""
    unhealthy = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(derandomize=True, deadline=None, max_examples=examples, suppress_health_check=unhealthy)


def survives(arguments: list[str], capsys) -> bool:
    """Whether a command works; where it does not, it is to say why in one line that can be shown."""
    sys.modules.pop("config_config", None)
    capsys.readouterr()
    status = main(arguments)
    error = capsys.readouterr().err.splitlines()
    assert status in (0, 2)
    if status:
        assert error[-1].startswith("error: ") and error[-1].isprintable() and "Traceback" not in "".join(error)
    return status == 0


# What becomes of the bytes of a file: the place as a share of its length, and what is done there.
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.one_of(
            st.tuples(st.just("set"), st.integers(0, 255)),
            st.tuples(st.just("cut"), st.integers(1, 40)),
            st.tuples(st.just("repeat"), st.integers(1, 40)),
            st.tuples(st.just("insert"), st.binary(min_size=1, max_size=8)),
            st.tuples(st.just("end"), st.none()),
        ),
    ),
    min_size=1,
    max_size=6,
)


def damaged(data: bytes, edits: list) -> bytes:
    for share, (what, how) in edits:
        at = int(share * len(data))
        if what == "set":
            data = data[:at] + bytes([how]) + data[at + 1 :]
        elif what == "cut":
            data = data[:at] + data[at + how :]
        elif what == "repeat":
            data = data[: at + how] + data[at:]
        elif what == "insert":
            data = data[:at] + how + data[at:]
        else:
            data = data[:at]
    return data


def picture(number: int, form: str) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (24, 16, 3), np.uint8)
    image, more = Image.fromarray(pixels), Image.fromarray(255 - pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"save_all": True, "append_images": [more]} if number % 2 and form != "JPEG" else {}
    image.save(buffer, form, exif=exif, progressive=True, **options)
    return buffer.getvalue()


PICTURES = [
    (f"{number}.{form.lower()}", picture(number, form)) for form in ("PNG", "JPEG", "WEBP") for number in (0, 1)
]


def prepare(source: str, path: Path, workdir: Path, *more: str) -> list[str]:
    given = {"data.source": source, "data.path": path, "data.image_size": 32, "data.count": 1, "evaluate.splits": 1}
    fields = [f"--config.{name}={value}" for name, value in given.items()]
    return ["prepare", CONFIG, f"--workdir={workdir}", "--dry_run", *fields, *more]


@fuzzed(120)
@given(chosen=st.sampled_from(PICTURES), edits=EDITS)
def test_image_files(tmp_path, capsys, chosen, edits):
    shutil.rmtree(tmp_path / "images", ignore_errors=True)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / chosen[0]).write_bytes(damaged(chosen[1], edits))
    survives(prepare("folder", tmp_path / "images", tmp_path / "run"), capsys)
    assert not (tmp_path / "run").exists()


def packed(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in PICTURES[:3]:
            archive.writestr(name, data)
    return buffer.getvalue()


ZIPS = [packed(method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)]


@fuzzed(120)
@given(whole=st.sampled_from(ZIPS), edits=EDITS, at_the_end=st.booleans(), skip_bad=st.booleans())
def test_zip_files(tmp_path, capsys, whole, edits, at_the_end, skip_bad):
    index = whole.index(b"PK\x01\x02") if at_the_end else 0  # where the names, sizes and places stand
    (tmp_path / "images.zip").write_bytes(whole[:index] + damaged(whole[index:], edits))
    more = [f"--config.data.skip_bad={skip_bad}"]
    survives(prepare("zip", tmp_path / "images.zip", tmp_path / "run", *more), capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.zip"]


FIELDS = sorted(dict(flatten(default.get_config())))
WORDS = st.sampled_from(
    ["", "-1", "0", "1e999", "nan", "-0.0", "9" * 40, "None", "True", "()", "('a',1)", "[[[", "{}", "1_0", "0x10", "\0"]
    + ["none", "hflip", "contrast(factor=2)", "+", "generated", "more", "(", ")", "factor=", ",", "**", "@", "é\udcff"]
)


@fuzzed(200)
@given(
    overrides=st.lists(
        st.tuples(
            st.sampled_from(FIELDS),
            st.one_of(
                st.text(max_size=12),
                st.integers().map(str),
                st.floats().map(str),
                st.lists(WORDS, max_size=6).map("".join),
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_configs(tmp_path, capsys, overrides):
    arguments = [f"--config.{name}={value}" for name, value in overrides]
    survives(["evaluate", CONFIG, f"--workdir={tmp_path}/run", "--dry_run", *arguments], capsys)
    assert not (tmp_path / "run").exists()


LEAVES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**400, 1e308, 5e-324, "", "none", "hflip", "\0", "\ud800", "</script>"]),
)
VALUES = st.recursive(
    LEAVES, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=5), of, max_size=3)
)


def changed(value, data):
    """A value of JSON in which something, anywhere in it, is replaced, gone, there twice or called differently."""
    value = copy.deepcopy(value)
    place = value
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner and data.draw(st.integers(0, 3))):
            break
        place = inner
    match data.draw(st.sampled_from(["replace", "replace", "remove", "repeat", "rename"])):
        case "replace":
            place[key] = data.draw(VALUES)
        case "remove":
            del place[key]
        case "repeat" if isinstance(place, list):
            place.insert(0, inner)
        case _:
            if isinstance(place, dict):
                place[data.draw(st.text(max_size=5))] = place.pop(key)
    return value


def edit(path: Path, data) -> None:
    """Changes what a JSON or JSON-lines file says, or its bytes."""
    if data.draw(st.integers(0, 4)) == 0:
        path.write_bytes(damaged(path.read_bytes(), data.draw(EDITS)))
    elif path.suffix == ".json":
        path.write_text(json.dumps(changed(json.loads(path.read_text()), data)))
    else:
        lines = changed([json.loads(line) for line in path.read_text().splitlines()], data)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("prepared") / "run"
    few = {"data.count": 6, "augment.policy": "hflip", "augment.count": 3, "evaluate.splits": 1}
    arguments = command("prepare", workdir, **few)
    assert main(arguments) == 0
    return arguments, workdir


@fuzzed(60)
@given(data=st.data())
def test_manifests_and_originals(prepared, capsys, data):
    arguments, workdir = prepared
    path = workdir / data.draw(st.sampled_from(["dataset/manifest.json", "config.json", "dataset/originals.npy"]))
    kept = path.read_bytes()
    try:
        if path.suffix == ".npy":
            path.write_bytes(damaged(kept, data.draw(EDITS)))
        else:
            edit(path, data)
        survives(arguments, capsys)
    finally:
        path.write_bytes(kept)


@pytest.fixture(scope="module")
def study(tmp_path_factory, make_run):
    root = tmp_path_factory.mktemp("study")
    told = {"epochs": 2, "grids": 0, "distance": 5.0, "wanted": ("hat",), "memorised": 0.1, "repeats": 2}
    for policy, seeds in (("none", (0, 1)), ("hflip", (0, 1))):
        for seed in seeds:
            make_run(root / f"{policy}/seed{seed}", policy=policy, count=20, seed=seed, leakage={"hflip": 0.2}, **told)
    failed = [{"run": "celeba_1000/vflip@20/seed0", "reason": "no memory"}]
    (root / "study.json").write_text(json.dumps({"format": 1, "arms": ["a/none"], "seeds": [0], "failed": failed}))
    return root


FILES = ("scores.jsonl", "scores.jsonl", "metrics.jsonl", "config.json", "dataset/manifest.json", "../../study.json")


class Blank(NamedTuple):
    """A chart of nothing: drawing is slow, and is given numbers that are checked by then."""

    svg: bytes = b"<svg/>"


KINDS = ("ranking", "curve", "bars", "counts", "leakage", "memorisation")
CHARTS = {(kind, number, score.key): Blank() for kind in KINDS for number in range(4) for score in catalogue()}


@fuzzed(60)
@given(data=st.data())
def test_files_of_a_report(study, capsys, data):
    path = study / "hflip" / "seed1" / data.draw(st.sampled_from(FILES))
    kept = path.read_bytes()
    try:
        edit(path, data)
        if survives(["report", f"--workdir={study}", "--dry_run"], capsys):
            found, left_out = arms.group([read.read(folder, study) for folder in read.find(study)])
            boards = arms.compare(found)
            tables.to_csv(tables.entries(boards))
            board.entries(boards)
            if data.draw(st.integers(0, 2)) == 0:  # it takes long
                render.render("study", found, boards, left_out, study_file.read(study, found), CHARTS)
    finally:
        path.write_bytes(kept)
