"""The small versions of soak.py and faults.py: each is a process of its own."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATHS = {"PYTHONPATH": os.pathsep.join(sys.path)}  # where this process finds helpers.py


def test_twenty_kills_of_a_run_and_twenty_of_a_study_change_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, HERE / "soak.py", "--kills=20", f"--seed={os.getpid()}"],
        env=os.environ | PATHS | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()[-2:]
    for line, what in zip(lines, ("run", "study"), strict=True):
        name, counts = line.split(": ", 1)
        found = ast.literal_eval(counts[: counts.rindex("}") + 1])
        assert name == what and found["kills"] == 20 and found["while saving"] > 0 and found["differences"] == [], line


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_full_or_broken_disk_at_any_write_call_tears_and_loses_nothing(tmp_path):
    library = tmp_path / "faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "faults.c", "-ldl"], check=True)
    done = subprocess.run(
        [sys.executable, HERE / "faults.py", library, tmp_path / "runs"],
        env=os.environ | PATHS | {"LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["scenario"] for one in found] == ["prepare", "train", "evaluate"]
    for one in found:
        assert one["wrong"] == [] and one["calls"] > 20 and len(one["passed"]) < one["calls"] / 2
