"""All checks of a run, and of a study with its report, in order: the cheap ones first."""

import contextlib
import functools
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

from gan_da_jax.audit import bundle
from gan_da_jax.audit.finding import Differs, Finding, Noted, Unchecked, difference, find
from gan_da_jax.audit.recomputed import Recomputed
from gan_da_jax.audit.recorded import Recorded
from gan_da_jax.data import dataset
from gan_da_jax.errors import UserError
from gan_da_jax.files import io, schemas
from gan_da_jax.report import build, study_file
from gan_da_jax.runs import environment
from gan_da_jax.runs.arm import Arm
from gan_da_jax.runs.config import source_name


def of_run(one: Recorded, again: Recomputed, start: int, end: int) -> Iterator[Finding]:
    """Audit a run.

    Args:
        one: the files of the run.
        again: what computes the same again.
        start: the step of the checkpoint from which it is trained again, or 0.
        end: the step of the next checkpoint, which the training must reach again; 0 if there is none. It and the last
            checkpoint are scored again.
    """
    yield find("config", one.check_config)
    yield find("metrics", one.check_metrics)
    yield find("scores", one.check_scores)
    yield find("files", one.check_files)
    yield find("checkpoints", one.check_checkpoints)
    yield find("data set", one.check_dataset)
    yield find("references", one.check_references)
    yield find("source", again.source_again)
    yield find("references' source", again.references_again)
    yield find("generated images", again.generated_again)
    yield find("training", lambda: again.train_again(start, end))
    for step in sorted({end, *one.saved[-1:]} - {0}):
        yield find(f"samples of {step}", functools.partial(again.sample_again, step))
        yield find(f"scores of {step}", functools.partial(again.score_again, step))
    yield find("environment", one.check_environment)


def of_folder(workdir: Path, runs: list[Recorded]) -> Iterator[Finding]:
    """Audit what a folder holds beside its runs: the plan of a study, the report, and the list of a bundle."""
    if (workdir / bundle.SUMS).is_file():
        yield find("bundle", lambda: _bundle(workdir))
    if runs[0].workdir != workdir:
        yield find("study", lambda: _study(workdir, runs))
        yield find("originals", lambda: _originals(runs))
    if runs[0].workdir != workdir or (workdir / "summary.json").is_file():  # a run by itself needs no report
        yield find("report's numbers", lambda: _summary(workdir, runs))
        yield find("report's pages", lambda: _pages(workdir, runs))


def failed(workdir: Path) -> list[str]:
    """Return the names of the runs that a study has noted as failed; [] where it has noted nothing."""
    with contextlib.suppress(UserError):  # which `_study` tells of
        noted = study_file.read(workdir, [])
        return list(noted.failed) if noted else []
    return []


def _bundle(workdir: Path) -> str:
    count, differing = bundle.differing(workdir)
    if differing:
        raise Differs(f"{differing[0]} is not the file of the bundle")
    return f"{count} files with the hashes of {bundle.SUMS}"


def _study(workdir: Path, runs: list[Recorded]) -> str:
    """Check that study.json is as it was written, and that the runs are the planned ones, each in its own folder."""
    if not (workdir / "study.json").is_file():
        raise Unchecked("the folder is not a study: it has no study.json")
    noted = io.read_json(workdir / "study.json")
    schemas.require(noted, schemas.STUDY, str(workdir / "study.json"))
    if io.seal(noted) != noted:
        raise Differs("study.json was edited: its sha256 does not fit its content")
    planned = {f"{arm}/seed{seed}" for arm in noted["arms"] for seed in noted["seeds"]}
    found = {one.workdir.relative_to(workdir).as_posix(): one for one in runs}
    for name in sorted(planned - found.keys() - set(failed(workdir))):
        raise Differs(f"{name} is in study.json, but not in the folder")
    for name, one in found.items():
        holds = Arm.of(one.config).folder(source_name(one.config).replace("/", "_"), one.config.seed)
        if name in planned and name != holds:
            raise Differs(f"{name} holds the run {holds}")
    return f"study.json: {len(planned)} runs planned, {len(noted['failed'])} failed, the others are there"


def _originals(runs: list[Recorded]) -> str:
    """Check that the arms of a study have the very same originals, for each seed."""
    first: dict[tuple, tuple[str, list[str]]] = {}
    for one in runs:
        made = dataset.read(one.folder.dataset)
        hashes = [row["sha256"] for row in made["records"] if row["op"] == "original"]
        key = (source_name(one.config), one.config.data.image_size, one.config.seed)
        name, known = first.setdefault(key, (str(one.workdir), hashes))
        if known != hashes:
            raise Differs(f"{one.workdir} has other originals than {name}")
    return f"the same in all arms, for {len(first)} sources and seeds"


def _summary(workdir: Path, runs: list[Recorded]) -> str:
    if not (workdir / "summary.json").is_file():
        raise Unchecked("there is no report")
    files = build.summary(build.gather(workdir))
    old, new = io.read_json(workdir / "summary.json"), json.loads(files["summary.json"])
    if place := difference(old, new):
        reworded = _another("gan_da_jax", runs) and not difference(_without_words(old), _without_words(new))
        if not reworded:
            raise Differs(f"summary.json: {place}")
        files.pop("summary.json")
    for name, data in files.items():
        if (workdir / name).read_bytes() != data:
            raise Differs(f"{name} is not what the runs' scores come to")
    if "summary.json" not in files:
        raise Noted("the numbers are what the runs' scores come to, the words another version's; report again for ours")
    return "summary.json and summary.csv are what the runs' scores come to"


def _without_words(summary: dict) -> dict:
    """Return a summary without the sentences of its boards, which another version words otherwise."""
    boards = [
        {name: value for name, value in board.items() if name not in ("verdict", "caveats")}
        for board in summary["boards"]
    ]
    return summary | {"boards": boards}


def _another(package: str, runs: list[Recorded]) -> bool:
    """Say whether some run was last worked on with another version of a package."""
    now = environment.current()["versions"][package]
    return any(one.config_json["versions"].get(package) != now for one in runs)


def _pages(workdir: Path, runs: list[Recorded]) -> str:
    page = workdir / "report" / "index.html"
    if not page.is_file():
        raise Unchecked("there is no report")
    title = re.search("<title>(.*): data augmentation", page.read_text())  # the name of the folder when it was written
    files = build.pages(build.gather(workdir), html.unescape(title[1]) if title else workdir.resolve().name)
    differing = [name for name, data in files.items() if not _holds(workdir / name, data)]
    differing += [f"report/{path.name}" for path in build.stale(workdir, files)]
    if not differing:
        return f"{len(files)} files drawn again, the same byte for byte"
    for package in ("gan_da_jax", "matplotlib", "pillow"):
        if _another(package, runs):
            raise Noted(f"{differing[0]} is drawn otherwise by another version of {package}, and was not compared")
    raise Differs(f"{differing[0]} is not what the runs' files come to")


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data
