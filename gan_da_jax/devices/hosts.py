"""The processes of one command: process 0 runs it and writes all files, the others only contribute their devices.

Process 0 decides which run, which steps next and when to stop, and tells the others, so that no process must come to
the same decision alone. Messages go through JAX's coordination service, on which one may wait for hours; states go from
device to device. With one process, all of it does nothing.
"""

import contextlib
import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import jax

from gan_da_jax.errors import Interrupted, UserError, reason

CONNECT_SECONDS = 300  # how long the processes of a command wait for each other to start
HEARTBEAT_SECONDS = 100  # after so long without a sign of life a process counts as dead, which ends the others
SHUTDOWN_SECONDS = 60  # how long one that is done waits for the others to be done

_KEPT = 100  # messages, after which one is deleted; nobody is that far behind, as all of them work on the same steps


class Lost(Interrupted):
    """Another process has gone."""


def connect(*, coordinator_address: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Find the other processes, before anything else is asked of JAX.

    JAX finds an argument out that is None: under Slurm, Open MPI, on TPU VMs, and under Kubernetes with the package
    `kubernetes`.

    Args:
        coordinator_address: HOST:PORT, where process 0 listens.
        num_processes: how many processes there are.
        process_id: which of them this is, from 0.

    Raises:
        UserError: something is missing or impossible, the others do not come, or this JAX has no service for messages.
    """
    _service()
    given = (coordinator_address, num_processes, process_id)
    if coordinator_address is not None and not coordinator_address.rpartition(":")[2].isdecimal():
        raise UserError(f"--coordinator_address={coordinator_address} is not HOST:PORT, as in 10.0.0.1:8476")
    if process_id is not None and not 0 <= process_id < (num_processes or process_id + 1):
        raise UserError(f"--process_id={process_id} must be at least 0 and below --num_processes")
    if num_processes is not None and num_processes < 1:
        raise UserError(f"--num_processes={num_processes} must be at least 1")
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM for itself
    alarm = threading.Timer(CONNECT_SECONDS, _not_met)  # JAX's own would end in a crash
    alarm.daemon = True
    alarm.start()
    try:
        jax.distributed.initialize(
            *given,
            # Where flags say all, nothing else may choose: Slurm, for one, would leave each process one device.
            cluster_detection_method=None if None in given else "deactivate",
            initialization_timeout=2 * CONNECT_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--distributed: the processes cannot find each other ({reason(error)}): give "
            "--coordinator_address=HOST:PORT, --num_processes and --process_id, all three, where no scheduler does"
        ) from None
    finally:
        alarm.cancel()


def disconnect() -> None:
    """Wait for the other processes to be done as well, at most `SHUTDOWN_SECONDS`, and let them go."""
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # they have gone already
        jax.distributed.shutdown()


def leads() -> bool:
    """Tell whether this process is the one that runs the command."""
    return jax.process_index() == 0


@contextlib.contextmanager
def dismissing() -> Iterator[None]:
    """Let the others go at the end of the block, which process 0 works in."""
    try:
        yield
    except BaseException:
        tell("leave", False)
        raise
    tell("leave", True)


@contextlib.contextmanager
def together(**task: Any) -> Iterator[None]:
    """Make the others take part in a task, as JSON, inside the block; they are free again after it."""
    tell("start", task)
    try:
        yield
    finally:
        tell("end")


def tell(*message: Any) -> None:
    """Send a message, as JSON, to the other processes, which `hear` it."""
    if jax.process_count() > 1:
        number = next(_told)
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # where nobody is left to hear it, that shows elsewhere
            _client().key_value_set(f"gan_da/told/{number}", json.dumps(message))
            if number >= _KEPT:
                _client().key_value_delete(f"gan_da/told/{number - _KEPT}")


def hear() -> list[Any]:
    """Wait for the next message of process 0."""
    return json.loads(_wait_for(f"gan_da/told/{next(_heard)}"))


def answer(error: str = "") -> None:
    """Tell process 0 that this one is ready for the task that it heard of, or why it is not."""
    _client().key_value_set(f"gan_da/answers/{next(_answered)}/{jax.process_index()}", error)


def require_answers() -> None:
    """Wait until all others are ready; a `UserError` if one says that it cannot be."""
    number = next(_answered)
    for process in range(1, jax.process_count()):
        if error := _wait_for(f"gan_da/answers/{number}/{process}"):
            raise UserError(f"process {process}: {error}")


def ask_to_stop() -> None:
    """Ask process 0 to save and stop."""
    _client().key_value_set(f"gan_da/stop/{jax.process_index()}", "", allow_overwrite=True)


def asked_to_stop() -> bool:
    """Tell whether another process asks to stop."""
    return jax.process_count() > 1 and bool(_client().key_value_dir_get("gan_da/stop/"))


@contextlib.contextmanager
def in_step() -> Iterator[None]:
    """Say in one line if a computation of all devices inside the block ends because another process has gone."""
    try:
        yield
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        known = "Gloo" in str(error) if isinstance(error, ValueError) else "RESOURCE_EXHAUSTED" not in str(error)
        if jax.process_count() == 1 or not known:
            raise
        raise _lost(error) from None


def _not_met() -> None:
    state = _service()
    print(
        f"error: --distributed: the {state.num_processes} processes have not all met at {state.coordinator_address} "
        f"within {CONNECT_SECONDS} s: check that address, --num_processes, and that each of them has started",
        file=sys.stderr,
        flush=True,
    )
    os._exit(2)  # the call that waits for them cannot be ended otherwise


def _service() -> Any:
    """Return JAX's coordination service. Its messages have no public name: nothing else here imports a private one."""
    try:
        from jax._src.distributed import global_state
    except ImportError:
        raise UserError(
            f"--distributed does not work with JAX {jax.__version__}: install a version that gan_da_jax asks for"
        ) from None
    return global_state


def _client() -> Any:
    return _service().client


def _wait_for(key: str) -> str:
    while True:
        try:
            return _client().blocking_key_value_get(key, 1000)  # milliseconds; signals are looked at in between
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise _lost(error) from None


def _lost(error: Exception) -> Lost:
    return Lost(
        f"Lost contact with another process ({reason(error)}). Stopping all processes; run the same command again to "
        "resume."
    )


_told, _heard, _answered = itertools.count(), itertools.count(), itertools.count()
