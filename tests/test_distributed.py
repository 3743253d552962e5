"""Several processes on one command: loopback in place of a network, virtual devices in place of GPUs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from gan_da_jax import checkpoint, hosts, records
from gan_da_jax.main import main

SMALL = {
    "data.count": 20,
    "data.image_size": 32,
    "model.width": 4,
    "model.latent_dim": 8,
    "train.batch_size": 8,
    "train.checkpoint_every": 1,
    "augment.policy": "contrast+hflip",
    "augment.count": 9,
}
PATIENCE = hosts.HEARTBEAT_SECONDS + 200  # seconds, on a machine with other work to do

# Several commands for the start of one set of processes. Of the workdir `unseen`, process 1 sees nothing.
COMMANDS = """
import json, sys
from gan_da_jax import hosts
from gan_da_jax.data import manifest
from gan_da_jax.errors import UserError
from gan_da_jax.main import main
from gan_da_jax.stages import train

number, count, port = map(int, sys.argv[1:4])
if count > 1:
    hosts.connect(coordinator_address=f"127.0.0.1:{port}", num_processes=count, process_id=number)
if hosts.leads():
    with hosts.dismissing():
        print("statuses", [main(arguments) for arguments in json.loads(sys.argv[4])])
else:
    load = manifest.load

    def see(folder):
        if number == 1 and "unseen" in str(folder):
            raise UserError(f"{folder} is not there")
        return load(folder)

    manifest.load = see
    train.follow()
"""


def command(workdir, verb="train", **fields):
    values = SMALL | {name.replace("__", "."): value for name, value in fields.items()}
    return [
        verb,
        "--config=configs/default.py",
        f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in values.items()),
    ]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def start():
    """A function that starts processes, which do not outlive the test."""
    started = []

    def start(*arguments, devices=1):
        environment = {
            **os.environ,
            # They are so many that most of their time goes into compiling.
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0",
            "JAX_PLATFORMS": "cpu",
        }
        started.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def start_all(start, count, devices, commands):
    port = free_port()
    return [start("-c", COMMANDS, i, count, port, json.dumps(commands), devices=devices) for i in range(count)]


def losses(workdir):
    names = ("discriminator_loss", "generator_loss", "real_logit", "fake_logit")
    return np.array([[row[name] for name in names] for row in records.read_jsonl(workdir / "metrics.jsonl")])


def steps(workdir):
    return [row["step"] for row in records.read_jsonl(workdir / "metrics.jsonl")]


def grid(workdir, step):
    with Image.open(workdir / f"samples/step_{step:08d}.png") as image:
        return np.asarray(image, int)


def test_one_two_and_four_processes_train_the_same_gan_and_continue_each_other(start, tmp_path):
    streamed = {"data__resident_mb": 0.04}  # two shards of 3 steps, of 2 images each
    moving = tmp_path / "moving"
    layouts = {
        (1, 4): [command(tmp_path / "1x4", train__epochs=2), command(moving, train__epochs=1)],
        (2, 2): [
            command(tmp_path / "2x2", train__epochs=2, **streamed),
            command(tmp_path / "unseen", train__epochs=1),
            command(moving, train__epochs=2, **streamed),
        ],
        (4, 1): [command(tmp_path / "4x1", train__epochs=2), command(moving, train__epochs=3)],
    }
    for (count, devices), commands in layouts.items():
        processes = start_all(start, count, devices, commands)
        said = [process.communicate(timeout=PATIENCE) for process in processes]
        assert [process.returncode for process in processes] == [0] * count, said
        statuses = [2 if "unseen" in arguments[2] else 0 for arguments in commands]
        assert f"statuses {statuses}" in said[0][0], said
        if count == 2:
            assert "3 steps at a time" in said[0][0]
            assert "error: process 1: " in said[0][1] and "all processes are to see the same --workdir" in said[0][1]
        assert len(records.read_json(tmp_path / f"{count}x{devices}/config.json")["devices"]) == 4

    assert steps(tmp_path / "1x4") == [4, 8]
    for other in ("2x2", "4x1"):
        np.testing.assert_allclose(losses(tmp_path / other), losses(tmp_path / "1x4"), atol=1e-5)
        assert np.abs(grid(tmp_path / other, 4) - grid(tmp_path / "1x4", 4)).max() <= 1

    assert main(command(moving, train__epochs=4)) == 0  # by one device
    assert steps(moving) == [4, 8, 11, 15] == checkpoint.steps(moving / "checkpoints")
    assert main(command(tmp_path / "1x1", train__epochs=4)) == 0
    np.testing.assert_allclose(losses(moving), losses(tmp_path / "1x1"), atol=1e-4)


def wait_for(condition, processes):
    deadline = time.monotonic() + PATIENCE
    while not condition() and all(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition(), [process.communicate(timeout=PATIENCE) for process in processes]


def test_a_stop_or_the_end_of_one_process_ends_all_and_the_job_continues(start, tmp_path):
    workdir = tmp_path / "run"

    def begin():
        together = ["--distributed", f"--coordinator_address=127.0.0.1:{free_port()}", "--num_processes=2"]
        arguments = command(workdir, train__epochs=20000)
        return [start("-m", "gan_da_jax", *arguments, *together, f"--process_id={i}") for i in range(2)]

    processes = begin()
    wait_for(lambda: steps(workdir), processes)
    processes[1].send_signal(signal.SIGTERM)  # as when one host is to be given back
    told, said = zip(*(process.communicate(timeout=PATIENCE) for process in processes), strict=True)
    assert [process.returncode for process in processes] == [1, 1], said
    assert "steps of 8 images" in told[0] and str(workdir) not in told[1]  # process 0 tells of the work
    assert "interrupted; saved at step" in said[0] and "process 0 has ended before" in said[1], said
    saved = checkpoint.steps(workdir / "checkpoints")[-1]
    assert steps(workdir)[-1] == saved

    for lost in (1, 0):
        processes = begin()
        wait_for(lambda saved=saved: steps(workdir)[-1] > saved, processes)
        processes[lost].kill()
        out, errors = zip(*(process.communicate(timeout=PATIENCE) for process in processes), strict=True)
        assert processes[1 - lost].returncode not in (0, 2), errors
        assert f"continues from step {saved} " in out[0]
        if processes[1 - lost].returncode == 1:  # unless JAX's own way to end it, by a signal, came first
            assert "another process of this command has gone" in errors[1 - lost]
            assert "Traceback" not in errors[1 - lost]
        saved = checkpoint.steps(workdir / "checkpoints")[-1]
    epochs = -(-(saved + 1) * 8 // 29)
    assert main(command(workdir, train__epochs=epochs)) == 0
    assert steps(workdir)[-1] > saved


BAD_FLAGS = """
import json, sys
from gan_da_jax import hosts
from gan_da_jax.main import main
hosts.CONNECT_SECONDS = 3
for flags in json.loads(sys.argv[2]):
    print(main([*json.loads(sys.argv[1]), *flags]), file=sys.stderr)
"""


def test_flags_that_cannot_be_used_are_named_and_processes_that_do_not_come(start, tmp_path):
    bad = [
        (["--num_processes=2"], "--num_processes is for several processes; give --distributed"),
        (["--distributed", "--coordinator_address=here"], "--coordinator_address=here is not HOST:PORT"),
        (["--distributed", "--num_processes=2", "--process_id=2"], "--process_id=2 is not one of 0 to"),
        (["--distributed", "--num_processes=0"], "--num_processes=0 is not a number of processes"),
        (["--distributed"], "the processes cannot find each other"),
        (["--distributed", "--num_processes=2", "--process_id=1"], "give --coordinator_address=HOST:PORT"),
        (
            ["--distributed", f"--coordinator_address=127.0.0.1:{free_port()}", "--num_processes=2", "--process_id=1"],
            "the 2 processes have not all met at 127.0.0.1:",
        ),
    ]
    arguments = [json.dumps(command(tmp_path / "run", train__epochs=1)), json.dumps([flags for flags, _ in bad])]
    process = start("-c", BAD_FLAGS, *arguments)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(bad) and errors.splitlines().count("2") == len(bad) - 1, errors
    for line, (_, expected) in zip(lines, bad, strict=True):
        assert expected in line
    assert not (tmp_path / "run").exists()
