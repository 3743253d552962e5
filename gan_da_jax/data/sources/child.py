"""A call in a Python process of its own, for libraries that crash when this process imports them beside others."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from gan_da_jax.errors import Failure, UserError


def call(module: str, function: str, **arguments: Any) -> None:
    """Call a function in a new Python process and wait for it; its output goes to stderr.

    The process is started afresh, never forked, so the threads of JAX do no harm. When this process is interrupted or
    ends in any way, the function sees a KeyboardInterrupt and can clean up.

    Args:
        module: the module's full name.
        function: the function's name; its result is dropped.
        **arguments: of the function, as JSON can hold them.

    Raises:
        UserError: as the function raised it.
        Failure: the process has ended in another way; it has printed why to stderr, unless it was killed.
    """
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"from {__name__} import answer; answer()"],
        env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=_stderr(),
        start_new_session=True,  # Ctrl-C is for this process, which ends that one
        text=True,
    )
    assert process.stdin and process.stdout
    try:
        with contextlib.suppress(BrokenPipeError):  # the status says why
            print(json.dumps([module, function, arguments]), file=process.stdin, flush=True)
        answer = process.stdout.read()
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # which ends it
        process.stdout.close()
        process.wait()
    if not answer:
        raise Failure(f"the process of {module}.{function} has ended without an answer; is there enough memory?")
    if error := json.loads(answer):
        raise UserError(error)


def _stderr() -> int | None:
    """Return where this process writes its messages, such as a log file; None for the stderr that it began with."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # it is no file: a notebook's, or a test's
        return None


def answer() -> None:
    """Run in the new process: read one call from stdin, and answer with the message of its `UserError`, or ""."""
    signal.signal(signal.SIGTERM, _interrupt)
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print there
    module, function, arguments = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    status, error = 0, ""
    try:
        try:
            getattr(importlib.import_module(module), function)(**arguments)
        except UserError as refused:
            error = str(refused)
        print(json.dumps(error), file=pipe, flush=True)
    except (KeyboardInterrupt, BrokenPipeError):
        status = 1
    sys.stdout.flush()
    os._exit(status)  # at once: threads of downloads need not be waited for


def _stop_with_parent() -> None:
    sys.stdin.read()  # ends when the other process closes the pipe, or has ended
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupt(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: nothing may interrupt the clean-up
    raise KeyboardInterrupt
