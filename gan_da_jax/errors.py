"""The two ways in which a command ends without a traceback and without having done its work."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """The user's input is wrong.

    The message is one line: what is wrong, where, what to do. The command line prints it as `error: MESSAGE` and exits
    with status 2.
    """


def reason(error: BaseException) -> str:
    """Say on one line, in at most 200 characters, what an error says, or its kind where it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest a known word for a message about an unknown one: `did you mean hflip? `, or "" where none is like it."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {close[0]}? " if close else ""


class Failure(Exception):
    """The input was right, but the work could not be finished: it was interrupted, or training has diverged.

    The message is one line: what happened, what is saved, how to go on. The command line prints it as it is and exits
    with status 1.
    """


class Interrupted(Failure):
    """A person, or the system, has asked the command to stop; the work that is done is saved."""
