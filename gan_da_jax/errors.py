"""The two ways in which a command ends without a traceback and without having done its work."""


class UserError(Exception):
    """The user's input is wrong.

    The message is one line: what is wrong, where, what to do. The command line prints it as `error: MESSAGE` and exits
    with status 2.
    """


class Failure(Exception):
    """The input was right, but the work could not be finished: it was interrupted, or training has diverged.

    The message is one line: what happened, what is saved, how to go on. The command line prints it as it is and exits
    with status 1.
    """


class Interrupted(Failure):
    """A person, or the system, has asked the command to stop; what is done is saved."""
