"""How long work says how far it is, and how it is asked to stop."""

import datetime
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from tqdm import tqdm


class Progress:
    """A bar with speed and time left on a terminal; otherwise a plain line now and then, for a log file."""

    def __init__(self, what: str, *, total: int, done: int = 0, unit: str = "images", every: float = 10.0):
        """Count from `done` to `total`; plain lines come at least `every` seconds apart, and at the end."""
        self._what, self._total, self._unit, self._every = what, total, unit, every
        self._done = self._first = done
        self._start = self._spoke = time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=done, desc=what, unit=f" {unit}", dynamic_ncols=True, smoothing=0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, count: int, note: str = "") -> None:
        """Say that `count` more are done; `note` is shown beside them."""
        self._done = min(self._done + count, self._total)
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(self._done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._spoke >= self._every or self._done == self._total:
            self._spoke = now
            speed = (self._done - self._first) / max(now - self._start, 1e-9)
            left = datetime.timedelta(seconds=round((self._total - self._done) / max(speed, 1e-9)))
            rate = f"{speed:.1f} {self._unit}/s, {left} left"
            print(f"{self._what}: {self._done}/{self._total} {self._unit}, {rate}{note and '  ' + note}", flush=True)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Note Ctrl-C and SIGTERM inside the block in the list that it yields; a second one acts at once, as usual."""
    requests: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        requests.append(number)
        print(
            "Stopping after the next save. Press Ctrl-C again to stop now (unsaved steps are lost).",
            file=sys.stderr,
            flush=True,
        )
        signal.signal(number, previous[signal.Signals(number)])

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in previous:
            signal.signal(number, note)
        yield requests
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
