"""Stops a run and a study again and again, at random moments, and holds what they end with against undisturbed ones.

    PYTHONPATH=tests python tests/end_to_end/soak.py --kills=200 --seed=0 [--only=run|study]

Most stops are `kill -9`, every second of them while a checkpoint is being written; between them are Ctrl-C and SIGTERM,
which do not count. Importing JAX takes longer than such a run, so that one process imports it and forks each attempt
before any backend starts. Exit status 1 where anything differs; the last line says what was done.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from helpers import SCORED, command, draw_faces

RUN = {"train.epochs": 10}
STUDY = SCORED | {
    **{"data.count": 24, "train.kimg": 0.096, "train.keep": 2},
    "study.arms": ("none", "hflip@8", "generated@8"),
}
# A verb, its fields, and within which share of its time undisturbed it is stopped: it comes to the rest later.
COMMANDS = {"run": ("train", RUN, 0.7), "study": ("study", STUDY, 0.3)}
SAVING = 0.15  # seconds within which a checkpoint is written, about


def words(what: str, workdir: Path) -> list[str]:
    verb, fields, _ = COMMANDS[what]
    sources = {"study.sources": (f"folder:{workdir.parent}/pictures",)} if what == "study" else {}
    return command(verb, workdir, **fields, **sources)


def fork(function, *arguments, log: Path) -> int:
    """Starts a process that exits with what a function returns; both its outputs are appended to a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which libraries have started and a child does not need
        pid = os.fork()
    if pid:
        return pid
    status = 99
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        status = function(*arguments)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def enter(arguments: list[str]) -> int:
    """A command, from the same door as on the command line; but charts, which take seconds, are not drawn."""
    from gan_da_jax.__main__ import run
    from gan_da_jax.report.charts import figures

    figures.svg, figures.png = (lambda figure: b"<svg/>"), (lambda figure: BLANK)
    sys.argv[1:] = arguments
    try:
        run()
    except SystemExit as end:
        return end.code
    return 0


def end(pid: int) -> int | None:
    """The exit status of a process, negative if a signal ended it; None if it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def sizes(workdir: Path) -> dict[str, int]:
    """The sizes of a run's or study's metrics.jsonl: each gets a line right before a checkpoint is saved."""
    files = (path for runs in ("", "*/*/*/") for path in glob.glob(f"{workdir}/{runs}metrics.jsonl"))
    return {path: os.path.getsize(path) for path in files}


def stop(pid: int, workdir: Path, number: int, *, delay: float, saving: bool) -> int:
    """Sends a signal after a delay from now on, or from the start of the next save on; returns the exit status."""
    before = sizes(workdir)
    while saving:
        if (status := end(pid)) is not None:
            return status
        time.sleep(0.001)
        now = sizes(workdir)
        saving = not any(size > before.get(path, 0) for path, size in now.items())
        before = now
    deadline = time.monotonic() + delay
    while time.monotonic() < deadline:
        if (status := end(pid)) is not None:
            return status
        time.sleep(0.001)
    os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def torment(what: str, root: Path, kills: int, rng: np.random.Generator) -> dict:
    """Does a command undisturbed, and then again and again while it is stopped; returns what was counted and found."""
    log, workdir, whole = root / "log.txt", root / "it", root / "whole"
    for _ in range(2):  # the first time, it compiles what is then found in the cache
        shutil.rmtree(workdir, ignore_errors=True)
        start = time.monotonic()
        if os.waitpid(fork(enter, words(what, workdir), log=log), 0)[1]:
            raise SystemExit(f"undisturbed, it fails:\n{log.read_text()}")
    reach = COMMANDS[what][2] * (time.monotonic() - start)
    workdir.rename(whole)  # all are made in the same place, which they name and hash
    counts = {"kills": 0, "while saving": 0, "interruptions": 0, "ends": 0}
    while True:
        status = None
        while status != 0:
            kind = rng.choice(["anywhere", "saving", "polite"], p=[0.45, 0.45, 0.1])
            if counts["kills"] >= kills:
                delay, number = 1e9, signal.SIGKILL
            elif kind == "saving":
                delay, number = rng.uniform(0, SAVING), signal.SIGKILL
            else:
                delay = rng.uniform(0, reach)
                number = signal.SIGKILL if kind == "anywhere" else rng.choice([signal.SIGINT, signal.SIGTERM])
            pid = fork(enter, words(what, workdir), log=log)
            status = stop(pid, workdir, int(number), delay=delay, saving=kind == "saving")
            counts["kills"] += status == -signal.SIGKILL
            counts["while saving"] += status == -signal.SIGKILL and kind == "saving"
            counts["interruptions"] += number != signal.SIGKILL and status not in (0,)
            if status not in (0, 1, -number):
                raise SystemExit(f"exit status {status}:\n{log.read_text()[-3000:]}")
        counts["ends"] += 1
        found = root / "differences.json"
        if os.waitpid(fork(compare, whole, workdir, found, log=log), 0)[1]:
            raise SystemExit(f"cannot be compared:\n{log.read_text()[-3000:]}")
        if differences := json.loads(found.read_text()):
            return counts | {"differences": differences, "log": str(log)}
        shutil.rmtree(workdir)
        if counts["kills"] >= kills:
            return counts | {"differences": []}


def compare(whole: Path, other: Path, found: Path) -> int:
    """Writes the names of all that differs between two folders of a run or study, to a file as JSON."""
    one, two = contents(whole), contents(other)
    differing = [name for name in sorted(one.keys() | two.keys()) if one.get(name) != two.get(name)]
    found.write_text(json.dumps(differing))
    return 0


def contents(root: Path) -> dict[str, object]:
    """All that must not depend on interruptions: files by name, and the arrays of checkpoints by their hash."""
    from ml_collections import ConfigDict

    from gan_da_jax.devices import parallel
    from gan_da_jax.files import checkpoint, io
    from gan_da_jax.runs import networks, schedule

    found: dict[str, object] = {}
    configs = {path.parent: ConfigDict(io.read_json(path)["config"]) for path in root.rglob("config.json")}
    for folder, config in configs.items():
        for path in (folder / "checkpoints").glob("*"):
            arrays = parallel.host(checkpoint.load(path.parent, int(path.name), networks.abstract_state(config)))
            found[path.relative_to(root).as_posix()] = checkpoint.digest(arrays)
    for path in (path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        if "/checkpoints/" in f"/{name}" or path.name in (".lock", ".study.lock"):
            continue
        if path.name == "metrics.jsonl":  # an interruption adds a line, and divides the epoch that a mean is over
            planned = schedule.of(configs[path.parent]).checkpoints
            rows = io.read_jsonl(path)
            found[name] = {row["step"]: row.get("state_sha256") for row in rows if row["step"] in planned}
        elif path.suffix in (".json", ".jsonl", ".csv"):
            found[name] = path.read_text()
        elif path.parent.name != "report":  # which shows how fast it was
            found[name] = io.sha256(path.read_bytes())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=tuple(COMMANDS))
    given = parser.parse_args()

    import gan_da_jax.main
    import gan_da_jax.report.charts.figures  # noqa: F401  both take seconds, once
    from gan_da_jax.files import io

    global BLANK
    BLANK = io.png(np.zeros((1, 1, 3), np.uint8))

    different = False
    for what in [given.only] if given.only else COMMANDS:
        root = Path(tempfile.mkdtemp(prefix=f"soak-{what}-"))
        draw_faces(root / "pictures")
        start = time.monotonic()
        counts = torment(what, root, given.kills, np.random.default_rng(given.seed))
        print(f"{what}: {counts}, {time.monotonic() - start:.0f} s", flush=True)
        different |= bool(counts["differences"])
        if not counts["differences"]:
            shutil.rmtree(root)
    sys.exit(different)


if __name__ == "__main__":
    main()
