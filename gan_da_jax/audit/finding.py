"""The result of a check, and where two records differ."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.columns import catalogue

SAME, DIFFERS, UNCHECKED, NOTED = "same", "DIFFERS", "not checked", "noted"

_SHARES = ("leakage", "memorisation", "classes", "classifier_accuracy")  # beside the scores that are shares
_WORDS = ("reasons", "most_frequent", "files", "samples_sha256")  # fields that rounding may change as it likes


class Differs(Exception):
    """Something is not as it was recorded; the message names the file, record or number."""


class Unchecked(Exception):
    """Something cannot be checked here; the message says why."""


class Noted(Exception):
    """Something that a reader should know, but no difference from the record."""


class Finding(NamedTuple):
    """The result of one check: `result` is one of SAME, DIFFERS, UNCHECKED and NOTED, `detail` says it for people."""

    check: str
    result: str
    detail: str


def find(name: str, function: Callable[[], str]) -> Finding:
    """Do one check; files that were edited may make it fail in any way, which is a difference as well."""
    try:
        return Finding(name, SAME, function())
    except Unchecked as reason:
        return Finding(name, UNCHECKED, str(reason))
    except Noted as note:
        return Finding(name, NOTED, str(note))
    except (Differs, UserError) as difference:
        return Finding(name, DIFFERS, str(difference))
    except (MemoryError, jax.errors.JaxRuntimeError):  # says nothing of the files
        raise
    except Exception as error:
        return Finding(name, DIFFERS, f"its files cannot be understood ({type(error).__name__}: {error})")


def difference(old: Any, new: Any, tolerance: float = 0, where: str = "") -> str:
    """Name the first place in which two JSON values differ, as in `kid.mean is 0.2, again 0.3`; "" if they do not."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            place = f"{where}.{name}" if where else str(name)
            if name not in old or name not in new:
                return f"{place} is {'missing' if name in new else 'in excess'}"
            if tolerance and name in _WORDS:
                continue
            if found := difference(old[name], new[name], tolerance, place):
                return found
        return ""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        places = (difference(a, b, tolerance, f"{where}[{i}]") for i, (a, b) in enumerate(zip(old, new, strict=True)))
        return next(filter(None, places), "")
    number = all(type(value) in (int, float) for value in (old, new))
    if tolerance and number:
        # Shares, and what is best near 0, where no ratio means anything.
        plain = {*_SHARES, *(score.key for score in catalogue() if score.share or score.better == "near 0")}
        if abs(old - new) <= tolerance * (1 if where.split(".")[0] in plain else max(abs(old), abs(new), 0.01)):
            return ""
    return "" if old == new and type(old) is type(new) else f"{where} is {old!r}, again {new!r}"
