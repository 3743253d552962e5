"""Fails each write call of a run in turn, as on a full or a broken disk, through faults.c, which is preloaded.

    LD_PRELOAD=./faults.so PYTHONPATH=tests python tests/end_to_end/faults.py ./faults.so FOLDER [--both] [--only=NAME]

The command that meets a failure ends with exit status 2 and one line, and leaves of each file the old one or the new
one; given again, without a failure, it ends with the very files of a command that met none. Programs are compiled once.
"""

import argparse
import contextlib
import ctypes
import errno
import io
import json
import os
import shutil
from pathlib import Path

from soak import contents

import helpers
from gan_da_jax.classifiers import extract
from gan_da_jax.evaluation import leakage_meters
from gan_da_jax.files import io as records
from gan_da_jax.main import main
from gan_da_jax.runs import networks
from gan_da_jax.training import loop, sampling

FEW = helpers.SCORED | {"train.epochs": 10, "train.keep": 2}
# Each is a command, and the commands before it. `train` drops lines, and checkpoints that are not planned.
SCENARIOS = {
    "prepare": ([], ("prepare", {})),
    "train": ([("train", {"train.epochs": 2})], ("train", {"train.epochs": 3, "train.checkpoint_every": 3})),
    "evaluate": ([("train", {"train.epochs": 1})], ("evaluate", {"train.epochs": 1})),
}
BOTH = ((errno.ENOSPC, 10**9), (errno.EIO, 0))  # a disk stays full; an error may be one of its kind


def remember(module, name: str) -> None:
    """Lets a function of a module be called once: here it is always given the same."""
    function, found = getattr(module, name), []

    def once(*arguments, **named):
        found[:] = found or [function(*arguments, **named)]
        return found[0]

    setattr(module, name, once)


def do(verb: str, fields: dict, workdir: Path) -> tuple[int, str]:
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        status = main(helpers.command(verb, workdir, **FEW | fields))
    return status, errors.getvalue()


def visible(workdir: Path) -> dict[str, object]:
    """What is in a folder and of use, without timings, their seals, and the insides of checkpoints, which are whole."""
    found: dict[str, object] = {}
    for path in sorted(workdir.rglob("*")):
        name = path.relative_to(workdir)
        if name.parts[0] == "checkpoints":
            if path.parent.name == "checkpoints" and path.name.isdecimal():  # else it is half-written or put aside
                found[str(name)] = "is there"
        elif path.suffix == ".jsonl":
            timed = ("seconds", "images_per_second", "sha256")
            found[str(name)] = [{k: v for k, v in row.items() if k not in timed} for row in records.read_jsonl(path)]
        elif path.is_file() and path.name != ".lock":
            found[str(name)] = path.read_bytes()
    return found


def torn(now: dict, old: dict, new: dict) -> list[str]:
    """The names of what is neither as it was nor as it must become; of lines, any number may be there yet."""

    def fits(name: str) -> bool:
        versions = [found[name] for found in (old, new) if name in found]
        return any(now[name] == (one[: len(now[name])] if isinstance(one, list) else one) for one in versions)

    return [name for name in now if not fits(name)]


def fail(scenario: str, library: ctypes.CDLL, root: Path, both: bool) -> dict:
    """Does one scenario once for every call that writes; returns what was counted, and what went wrong.

    Where a save has failed, threads of Orbax live on, which a command takes with it: each attempt has a folder of its
    own, and is continued in a copy, so that nothing that comes late disturbs another.
    """
    before, command = SCENARIOS[scenario]
    old = root / "old"
    for verb, fields in before:
        assert do(verb, fields, old)[0] == 0
    old.mkdir(parents=True, exist_ok=True)
    if (old / "metrics.jsonl").exists():
        records.append_jsonl(old / "metrics.jsonl", {"step": 10**6, "epoch": 1e5, "kimg": 1e4})  # was not saved

    def attempt(workdir: Path, first: int, last: int, error: int) -> tuple[int, str]:
        shutil.copytree(old, workdir)
        library.faults_arm(str(workdir).encode(), ctypes.c_long(first), ctypes.c_long(last), error)
        try:
            return do(*command, workdir)
        finally:
            library.faults_disarm()

    assert attempt(root / "whole", 0, 0, 0)[0] == 0
    calls, wrong, passed, continued = library.faults_calls(), [], [], []
    new, expected = visible(root / "whole"), contents(root / "whole")
    for call in range(1, calls + 1):
        for error, more in BOTH if both else BOTH[call % 2 :][:1]:
            workdir, again = root / f"{call} {error}", root / f"{call} {error} again"
            status, said = attempt(workdir, call, call + more, error)
            if status == 0:
                passed.append(call)
            elif status != 2 or not said.splitlines()[-1].startswith("error: "):  # after what threads of Orbax cry
                wrong.append([call, error, status, said])
            with contextlib.suppress(shutil.Error):  # of what such a thread has removed meanwhile
                shutil.copytree(workdir, again)
            left = visible(again)
            if found := torn(left, visible(old), new):
                wrong.append([call, error, "torn", found])
            if left in continued:
                continue
            continued.append(left)
            if (status := do(*command, again))[0]:
                wrong.append([call, error, "again", status])
            elif (now := contents(again)) != expected:
                names = now.keys() | expected.keys()
                wrong.append([call, error, "differs", [n for n in names if now.get(n) != expected.get(n)]])
    return {"scenario": scenario, "calls": calls, "states": len(continued), "passed": passed, "wrong": wrong}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("library", help="faults.c, compiled and preloaded")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--both", action="store_true", help="each call with either error, not with one of them in turn")
    parser.add_argument("--only", choices=tuple(SCENARIOS))
    given = parser.parse_args()
    for module, name in (
        (loop, "_compiled"),
        (sampling, "sampler"),
        (extract, "extractor"),
        (leakage_meters, "meters"),
        (networks, "abstract_state"),
    ):
        remember(module, name)
    for scenario in [given.only] if given.only else SCENARIOS:
        print(json.dumps(fail(scenario, ctypes.CDLL(given.library), given.folder / scenario, given.both)), flush=True)
    os._exit(0)  # threads of Orbax may still wait for what could not be written
