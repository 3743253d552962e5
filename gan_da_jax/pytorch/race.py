"""Programs measured against each other: each in a process of its own, taking turns.

Whatever else the machine does slows whoever runs. By turns it slows all alike, and the ratio of two is the ratio of the
medians of turns that lie side by side. A process of its own keeps memory and threads of one out of the way of others.

A contender is a generator function, which a spawned process must be able to import. It first yields what it has to say
of itself, a dict, when it is ready to run at full speed; then, each time it is asked, it works for one turn and yields
its rate, such as images per second.
"""

import contextlib
import multiprocessing
import os
import resource
import statistics
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from gan_da_jax.errors import Failure


class Contender(NamedTuple):
    """A generator function, its keyword arguments, and environment variables that are set before it starts."""

    function: Callable[..., Iterator[Any]]
    arguments: Mapping[str, Any] = {}
    environment: Mapping[str, str] = {}


class Result(NamedTuple):
    """What a contender said of itself, its rate in each turn, and the most memory that its process has held, in GiB."""

    about: dict
    rates: list[float]
    peak_gib: float

    @property
    def median(self) -> float:
        """Of its rates."""
        return statistics.median(self.rates)


class Ratio(NamedTuple):
    """How many times as fast one is as the other: by the medians, and in the worst and the best turn."""

    median: float
    low: float
    high: float


def ratio(one: Result, other: Result) -> Ratio:
    """Compare two contenders that have raced each other."""
    turns = [ours / theirs for ours, theirs in zip(one.rates, other.rates, strict=True)]
    return Ratio(one.median / other.median, min(turns), max(turns))


def run(
    contenders: Mapping[str, Contender], *, turns: int, told: Callable[[str], None] = lambda line: None
) -> dict[str, Result]:
    """Let contenders take turns; they get ready one after the other.

    Args:
        contenders: by name.
        turns: of each; one more, which is not counted, comes before.
        told: is told what is being done, a line each time.

    Raises:
        Failure: a contender has failed; the message names it and says why.
    """
    with contextlib.ExitStack() as stack:
        racers, abouts = {}, {}
        for name, contender in contenders.items():
            told(f"{name}: getting ready")
            racers[name] = stack.enter_context(started(name, contender))
            abouts[name] = racers[name].result()
        told(f"{', '.join(racers)}: {turns} turns each")
        rates: dict[str, list[float]] = {name: [] for name in racers}
        for _ in range(turns + 1):
            for name, racer in racers.items():
                racer.start()
                rates[name].append(racer.result())
        return {name: Result(abouts[name], rates[name][1:], racer.peak_gib) for name, racer in racers.items()}


class Racer:
    """A contender in its process, which works from each `start` to what `result` then returns."""

    def __init__(self, name: str, connection: Connection):
        self.name, self.peak_gib, self._connection = name, 0.0, connection

    def start(self) -> None:
        """Give it the next turn."""
        with contextlib.suppress(BrokenPipeError):  # `result` says why
            self._connection.send(True)

    def result(self) -> Any:
        """Wait for what it yields: first what it says of itself, then the rate of each turn."""
        try:
            value, self.peak_gib, error = self._connection.recv()
        except (EOFError, ConnectionResetError):
            raise Failure(f"{self.name} was killed; is there enough memory?") from None
        if error:
            raise Failure(f"{self.name} has failed: {error}")
        return value


@contextlib.contextmanager
def started(name: str, contender: Contender) -> Iterator[Racer]:
    """Start a contender in a process of its own, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, contender), name=name)
    with _environment(contender.environment):  # what it imports, it imports before it could set any
        process.start()
    theirs.close()
    try:
        yield Racer(name, ours)
    finally:
        ours.close()  # it ends once it notices
        process.join(10)
        process.terminate()
        process.join()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started inside the block."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def _serve(connection: Connection, contender: Contender) -> None:
    """Run a contender until nobody listens."""
    try:
        for value in contender.function(**contender.arguments):
            connection.send((value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, ""))
            connection.recv()
        raise RuntimeError("it has ended before the race")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:  # whatever it is, the other process can only tell of it
        traceback.print_exc()
        with contextlib.suppress(OSError):
            connection.send((None, 0.0, " ".join(str(error).split())[:500] or type(error).__name__))
