"""What a verb of the command line is: what it does, the flags that it takes, the function that does it."""

from collections.abc import Callable
from typing import NamedTuple


class Flag(NamedTuple):
    """A flag of the command line.

    Attributes:
        name: as after the two dashes, and the keyword argument of a verb's function.
        help: what it is for, in one line.
        kind: `text`, `number` (whole), `switch`, `path` (a `pathlib.Path`), `file` (a str), or `config`.
        example: how it is given, for messages.
    """

    name: str
    help: str
    kind: str = "text"
    example: str = ""


class Verb(NamedTuple):
    """One verb.

    Attributes:
        does: what it does, for a person, in one line.
        run: does it; takes the values of the flags that were given by their names, and `dry_run`.
        needs: the flags that must be given.
        takes: the flags that may be given as well.
        words: how many words may stand after the verb; where there can be any, `run` gets them as `words`.
    """

    does: str
    run: Callable[..., None]
    needs: tuple[Flag, ...] = ()
    takes: tuple[Flag, ...] = ()
    words: int = 0


CONFIG = Flag("config", "Config file, as in configs/quickstart.py.", "config", "--config=configs/quickstart.py")
WORKDIR = Flag("workdir", "The folder of the run or study.", "path", "--workdir=DIR")
DRY_RUN = Flag("dry_run", "Check everything, print the plan, stop.", "switch")

# Of the verbs that several processes can do together.
PROCESSES = (
    Flag("distributed", "This is one of several processes of the command.", "switch"),
    Flag("coordinator_address", "HOST:PORT of process 0, where no scheduler tells it."),
    Flag("num_processes", "How many processes there are.", "number"),
    Flag("process_id", "Which of them this is, from 0.", "number"),
)
