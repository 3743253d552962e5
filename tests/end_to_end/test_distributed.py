"""Several processes on one command: loopback in place of a network, virtual devices in place of GPUs."""

import multiprocessing
import os
import runpy
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.devices import hosts
from gan_da_jax.files import checkpoint, io
from gan_da_jax.main import main
from helpers import FORKS, command, free_port

PATIENCE = hosts.HEARTBEAT_SECONDS + 200  # seconds, on a machine with other work to do
WORK = str(Path(__file__).with_name("process.py"))


def train(workdir, *flags, **fields):
    return command("train", workdir, *flags, **fields)


class Started(NamedTuple):
    """A process, and the folder of what it says."""

    process: multiprocessing.process.BaseProcess
    folder: Path

    def end(self) -> tuple[int, str, str]:
        """Waits for its end; its exit status, output and errors."""
        self.process.join(PATIENCE)
        return self.process.exitcode, *((self.folder / name).read_text() for name in ("out", "err"))


@pytest.fixture
def start(tmp_path):
    """A function that starts processes, which do not outlive the test."""
    started = []

    def start(function, *arguments, devices=1):
        flags = (
            f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"  # compiled sooner
        )
        given = {
            "function": function,
            "arguments": arguments,
            "environment": {"GAN_DA_CACHE": os.environ["GAN_DA_CACHE"], "XLA_FLAGS": flags},
            "folder": tmp_path / f"process{len(started)}",
        }
        given["folder"].mkdir()
        started.append(FORKS.Process(target=runpy.run_path, args=(WORK, {"given": given})))
        started[-1].start()
        return Started(started[-1], given["folder"])

    yield start
    for process in started:
        process.kill()
        process.join()


def losses(workdir):
    names = ("discriminator_loss", "generator_loss", "real_logit", "fake_logit")
    return np.array([[row[name] for name in names] for row in io.read_jsonl(workdir / "metrics.jsonl")])


def steps(workdir):
    return [row["step"] for row in io.read_jsonl(workdir / "metrics.jsonl")]


def grid(workdir, step):
    with Image.open(workdir / f"samples/step_{step:08d}.png") as image:
        return np.asarray(image, int)


def test_one_two_and_four_processes_train_the_same_gan_and_continue_each_other(start, tmp_path):
    one, two, four = tmp_path / "1x4", tmp_path / "2x2", tmp_path / "4x1"
    streamed = {"data__resident_mb": 0.04}  # two shards of 3 steps, of 2 images each
    layouts = {
        (1, 4): [train(one, train__epochs=1)],
        (2, 2): [
            train(two, train__epochs=1, **streamed),
            train(tmp_path / "unseen", train__epochs=1),
            train(one, train__epochs=2, **streamed),
        ],
        (4, 1): [train(four, train__epochs=1), train(two, train__epochs=2)],
    }
    for (count, devices), commands in layouts.items():
        port = free_port()
        started = [start("together", i, count, port, *commands, devices=devices) for i in range(count)]
        statuses, out, errors = zip(*(process.end() for process in started), strict=True)
        assert statuses == (0,) * count, (out, errors)
        assert f"statuses {[2 if 'unseen' in arguments[2] else 0 for arguments in commands]}" in out[0], errors
        if count == 2:
            assert "3 steps at a time" in out[0]
            assert "error: process 1: " in errors[0] and "all processes must see the same --workdir" in errors[0]

    for other in (two, four):
        np.testing.assert_allclose(losses(other)[:1], losses(one)[:1], atol=1e-5)
        assert np.abs(grid(other, 4) - grid(one, 4)).max() <= 1
    for workdir in (one, two, four):
        assert len(io.read_json(workdir / "config.json")["devices"]) == 4

    alone = tmp_path / "1x1"
    for workdir in (four, alone):
        assert main(train(workdir, train__epochs=2)) == 0
    for workdir in (one, two, four):
        assert steps(workdir) == [4, 8] == checkpoint.steps(workdir / "checkpoints")
        np.testing.assert_allclose(losses(workdir), losses(alone), atol=1e-4)


def wait_for(condition, started):
    deadline = time.monotonic() + PATIENCE
    while not condition() and all(one.process.is_alive() for one in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition(), [one.end() for one in started]


def test_a_stop_or_the_end_of_one_process_ends_all_and_the_job_continues(start, tmp_path):
    workdir = tmp_path / "run"

    def begin():
        together = ["--distributed", f"--coordinator_address=127.0.0.1:{free_port()}", "--num_processes=2"]
        arguments = train(workdir, *together, train__epochs=20000)
        return [start("command", *arguments, f"--process_id={i}") for i in range(2)]

    started = begin()
    wait_for(lambda: steps(workdir), started)
    started[1].process.terminate()  # as when a scheduler takes one host back
    statuses, out, errors = zip(*(one.end() for one in started), strict=True)
    assert statuses == (1, 1), errors
    assert "steps of 8 images" in out[0] and str(workdir) not in out[1]  # process 0 tells of the work
    assert "interrupted; saved at step" in errors[0] and "process 0 stopped early" in errors[1], errors
    saved = checkpoint.steps(workdir / "checkpoints")[-1]
    assert steps(workdir)[-1] == saved

    for lost in (1, 0):
        started = begin()
        wait_for(lambda saved=saved: steps(workdir)[-1] > saved, started)
        started[lost].process.kill()
        statuses, out, errors = zip(*(one.end() for one in started), strict=True)
        assert statuses[1 - lost] not in (None, 0, 2), errors
        assert f"continues from step {saved} " in out[0]
        # Unless JAX's own way to end it, which is not the same in all versions, came first.
        if statuses[1 - lost] == 1 and "Terminating process" not in errors[1 - lost]:
            assert "Lost contact with another process" in errors[1 - lost]
            assert "Traceback" not in errors[1 - lost]
        saved = checkpoint.steps(workdir / "checkpoints")[-1]
    epochs = -(-(saved + 1) * 8 // 29)
    assert main(train(workdir, train__epochs=epochs)) == 0
    assert steps(workdir)[-1] > saved


def test_flags_that_cannot_be_used_are_named_and_processes_that_do_not_come(start, tmp_path):
    bad = [
        (["--num_processes=2"], "--num_processes is for several processes; give --distributed"),
        (["--distributed", "--coordinator_address=here"], "--coordinator_address=here is not HOST:PORT"),
        (["--distributed", "--num_processes=2", "--process_id=2"], "--process_id=2 must be at least 0 and below"),
        (["--distributed", "--num_processes=0"], "--num_processes=0 must be at least 1"),
        (["--distributed"], "the processes cannot find each other"),
        (["--distributed", "--num_processes=2", "--process_id=1"], "give --coordinator_address=HOST:PORT"),
        (
            ["--distributed", f"--coordinator_address=127.0.0.1:{free_port()}", "--num_processes=2", "--process_id=1"],
            "the 2 processes have not all met at 127.0.0.1:",
        ),
    ]
    commands = [train(tmp_path / "run", *flags, train__epochs=1) for flags, _ in bad]
    status, _, errors = start("refuse", *commands).end()
    assert status == 2, errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(bad) and errors.splitlines().count("2") == len(bad) - 1, errors
    for line, (_, expected) in zip(lines, bad, strict=True):
        assert expected in line
    assert not (tmp_path / "run").exists()
