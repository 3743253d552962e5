"""`python -m gan_da_jax VERB ...`, and `gan-da VERB ...`."""

import os
import signal
import sys


def run() -> None:
    """Runs the command line and exits with its status."""
    # SIGTERM outside the training loop, which saves first, ends a command as Ctrl-C does: with its clean-up done.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from gan_da_jax.main import main  # takes seconds, in which Ctrl-C is to work as well

        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        status = 1
    if status:  # at once: where a checkpoint could not be written, threads of Orbax wait minutes for each other
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
