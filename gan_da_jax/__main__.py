"""`python -m gan_da_jax VERB ...`, and `gan-da VERB ...`."""

import io
import os
import signal
import sys


def run() -> None:
    """Run the command line and exit with its status."""
    # SIGTERM outside the training loop, which saves first, ends a command as Ctrl-C does: with its clean-up done.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from gan_da_jax.main import main  # takes seconds, in which Ctrl-C must work as well

        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to resume.", file=sys.stderr)
        status = 1
    except OSError as error:  # of what was to be shown: the disk is full, or nobody reads it
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries once more when it ends
        status = 2
    if status:  # at once: where a checkpoint could not be written, threads of Orbax wait minutes for each other
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
