"""One of several processes in tests/test_distributed.py, which forks it from one that has imported JAX already."""

import os
import sys
from pathlib import Path

import jax

from gan_da_jax import __main__
from gan_da_jax.data import dataset
from gan_da_jax.devices import hosts
from gan_da_jax.errors import UserError
from gan_da_jax.main import main
from gan_da_jax.pipeline import train


def command(*arguments: str) -> None:
    """A command as on the command line."""
    sys.argv[1:] = arguments
    __main__.run()


def together(number: int, count: int, port: int, *commands: list[str]) -> None:
    """Several commands for one start of a set of processes. Of a workdir `unseen`, process 1 sees nothing."""
    if count > 1:
        hosts.connect(coordinator_address=f"127.0.0.1:{port}", num_processes=count, process_id=number)
    if hosts.leads():
        with hosts.dismissing():
            print("statuses", [main(arguments) for arguments in commands])
    else:
        load = dataset.load

        def see(folder):
            if number == 1 and "unseen" in str(folder):
                raise UserError(f"{folder} is not there")
            return load(folder)

        dataset.load = see
        train.follow()
    if count > 1:
        hosts.disconnect()


def refuse(*commands: list[str]) -> None:
    """Commands that are wrong, each with its exit status; the last one's ends the process."""
    hosts.CONNECT_SECONDS = 3
    for arguments in commands:
        print(main(arguments), file=sys.stderr)


# From the test: the `function` to be done, its `arguments`, the `environment`, the `folder` for what it says.
given = globals()["given"]
os.environ.update(given["environment"])
jax.config.update("jax_platforms", "cpu")
for descriptor, name in ((1, "out"), (2, "err")):
    os.dup2(os.open(Path(given["folder"]) / name, os.O_WRONLY | os.O_CREAT), descriptor)
globals()[given["function"]](*given["arguments"])
