"""What the files of a run must hold; a file that holds something else, for it may be edited, is refused."""

import re
import reprlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.gan import NETWORKS
from gan_da_jax.metrics import columns


class Kind(NamedTuple):
    """Values that have no parts: what they are called, and whether a value is one of them."""

    name: str
    holds: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e30  # neither NaN nor infinite, and so small when squared


def _is_side(value: Any) -> bool:
    return type(value) is int and any(value in network.image_sizes for network in NETWORKS.values())


TEXT = Kind("a text", lambda value: isinstance(value, str))
COUNT = Kind("a whole number of at least 0", lambda value: type(value) is int and 0 <= value < 2**53)
NUMBER = Kind("a finite number", _number)
POSITIVE = Kind("a finite number above 0", lambda value: _number(value) and value > 0)
SIDE = Kind("the size of the images of a network", _is_side)
SHA256 = Kind("64 hex digits", lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None)

# A form is a kind; {name: form}, in which a name may be absent if it ends in ?; {...: form}, whatever the names;
# [form], any number of them; (form, form), exactly this number; Maybe(form): null, or that form; or a function that
# returns a form, which depends on a table that may grow.
Form = Any


class Maybe(NamedTuple):
    """Null, or a value of this form."""

    form: Form


_SPREAD = {"mean": NUMBER, "std": NUMBER}
_POSITION = {"step": COUNT, "epoch": POSITIVE, "kimg": POSITIVE}

_SET = Kind("a text, true, false or null", lambda value: value is None or isinstance(value, str | bool))
ENVIRONMENT = {
    "versions": {...: TEXT},
    "devices": [TEXT],
    "backend": TEXT,
    "kind?": TEXT,
    "flags?": {...: _SET},
}
CONFIG = {
    "config": {
        "seed": COUNT,
        "data": {"image_size": SIDE},
        "augment": {"policy": TEXT},
        "model": {"latent_dim": COUNT, "width": COUNT},
        "train": {"batch_size": COUNT},
    },
    **ENVIRONMENT,
    "earlier?": [ENVIRONMENT],
}
MANIFEST = {
    "source": {"name": TEXT, "path": TEXT, "image_size": COUNT, "skipped": [{"id": TEXT, "reason": TEXT}]},
    "policy": TEXT,
    "count": COUNT,
    "seed": COUNT,
    "images_sha256": SHA256,
    "records": [{"index": COUNT, "op": TEXT, "source_id": TEXT, "source_index": COUNT, "sha256": SHA256}],
}
_REFERENCE = {"kind": TEXT, "name": TEXT, "images": COUNT, "sha256": SHA256}
REFERENCE = {
    "asked": {"reference": TEXT, "last?": COUNT, "beyond?": COUNT},
    "identity": _REFERENCE,
    "source": {"name": TEXT, "path": TEXT, "dataset": TEXT},
    "records": [{"id": TEXT, "sha256": SHA256}],
}
_MADE = {"files?": {...: SHA256}, "environment_sha256?": SHA256}  # how and with what a line was made
METRICS = {
    **_POSITION,
    **_MADE,
    "steps?": COUNT,
    "diverged?": TEXT,
    "generator_loss?": Maybe(NUMBER),
    "discriminator_loss?": Maybe(NUMBER),
    "images_per_second?": NUMBER,
    "state_sha256?": SHA256,
}
_EVALUATION = {
    **_POSITION,
    **_MADE,
    "repeat": COUNT,
    "samples": COUNT,
    "seed": COUNT,
    "classifier": TEXT,
    "classifier_accuracy": Maybe(NUMBER),
    "weights_sha256": SHA256,
    "tap": TEXT,
    "splits": COUNT,
    "inception_score_1_interval": Maybe((NUMBER, NUMBER)),
    "classes": Maybe(
        {
            "wanted": [TEXT],
            "top1_share": Maybe(NUMBER),
            "mean_probability": Maybe(NUMBER),
            "most_frequent": [(TEXT, COUNT)],
        }
    ),
    "leakage?": Maybe(
        {...: {"share": Maybe(NUMBER), "low": Maybe(NUMBER), "high": Maybe(NUMBER), "accuracy": Maybe(NUMBER)}}
    ),
    "memorisation?": Maybe({...: Maybe({"share": NUMBER, "expected": NUMBER})}),
    "real_images": COUNT,
    "reference?": Maybe(_REFERENCE),
    "anchors?": {...: {"noise": Maybe(NUMBER), "halves": Maybe(NUMBER)}},
    "reasons": {...: TEXT},
}


def _evaluation() -> Form:
    """Return the form of a line of scores.jsonl: an evaluation with the scores of the catalogue."""
    numbers = {
        f"{key}?": Maybe(_SPREAD if score.spread else NUMBER)
        for score in columns.catalogue()
        for key in (score.key, score.real)
        if key
    }
    return _EVALUATION | numbers


SCORES = _evaluation
STUDY = {"arms": [TEXT], "seeds": [COUNT], "failed": [{"run": TEXT, "reason": TEXT}]}


def rows(path: str | Path, form: Form) -> list[dict]:
    """Read a JSON-lines file, as `io.read_jsonl`; a `UserError` if one of its objects is not of this form."""
    found = io.read_jsonl(path)
    for number, row in enumerate(found, 1):
        require(row, form, f"{path}, object {number}")
    return found


def require(value: Any, form: Form, where: str) -> None:
    """Raise a `UserError` that names the first part of `value` which is not of its form.

    Args:
        value: as JSON has it.
        form: one of the forms above, or a part of one.
        where: the file, or a part of it, as in `scores.jsonl, line 3`.
    """
    match form:
        case FunctionType():
            require(value, form(), where)
        case Maybe():
            if value is not None:
                require(value, form.form, where)
        case Kind():
            _that(form.holds(value), value, form.name, where)
        case list():
            _that(isinstance(value, list), value, "a list", where)
            for number, one in enumerate(value):
                require(one, form[0], f"{where}[{number}]")
        case tuple():
            _that(isinstance(value, list) and len(value) == len(form), value, f"a list of {len(form)}", where)
            for number, (one, its) in enumerate(zip(value, form, strict=True)):
                require(one, its, f"{where}[{number}]")
        case dict():
            _that(isinstance(value, dict), value, "an object", where)
            for name, its in form.items():
                if name is ...:
                    for other, one in value.items():
                        require(one, its, f"{where}: {other}")
                elif name.removesuffix("?") in value:
                    require(value[name.removesuffix("?")], its, f"{where}: {name.removesuffix('?')}")
                elif not name.endswith("?"):
                    raise UserError(f"{where} lacks {name!r}: {_ADVICE}")


_ADVICE = "was it edited, or written by another version? Restore it, or start again in a new workdir"


def _that(holds: bool, value: Any, name: str, where: str) -> None:
    if not holds:
        raise UserError(f"{where} is {reprlib.repr(value)}, but a run writes {name} there: {_ADVICE}")
