"""What a config may say: types, ranges and allowed values, checked before any work starts."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.classifiers.registry import CLASSIFIERS
from gan_da_jax.configs import default
from gan_da_jax.data import order
from gan_da_jax.data.sources.images import RESIZES
from gan_da_jax.data.sources import SOURCES, Location, require_location
from gan_da_jax.errors import UserError
from gan_da_jax.errors import did_you_mean
from gan_da_jax.metrics import classes
from gan_da_jax.gan.dcgan import DTYPES
from gan_da_jax.gan.dcgan import IMAGE_SIZES

# Fields that say how to look at a run or where its images lie, and how long to train. They leave what is trained as it
# is, bit for bit, so they may differ when the same workdir is used again; but generated images come from a GAN that was
# trained as long.
FREE_FIELDS = (
    "data.resident_mb",
    "train.checkpoint_every",
    "train.keep",
    "evaluate.",
    "augment.generator",
    "study.",
)
BUDGET_FIELDS = ("train.epochs", "train.kimg")

# The least value that a number may have, what it counts, and the largest: beyond it no device of these years would hold
# the network or the batch, and no disk the images.
_RANGES = {
    "data.count": (1, "image", 10**8),
    "data.resident_mb": (0, "megabytes", 10**9),
    "augment.count": (1, "image, or set augment.policy to none", 10**8),
    "model.latent_dim": (1, "number", 2**16),
    "model.width": (1, "channel", 2**12),
    "train.batch_size": (2, "images, since BatchNorm needs two", 2**16),
    "train.checkpoint_every": (1, "epoch", 10**6),
    "train.keep": (2, "checkpoints, since training is proved by going from one to the next", 10**6),
    "evaluate.samples": (1, "image", 10**8),
    "evaluate.repeats": (1, "set", 10**4),
    "evaluate.splits": (1, "part", 10**8),
    "study.processes": (1, "process", 10**3),
}
_MOST_EPOCHS = 10**6  # passes over the data set
_MOST_STEPS = 2**31 - 1  # a step is an int32 on the device


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields ("data.count", 1000) and so on for every field of a nested mapping."""
    for name, value in config.items():
        if hasattr(value, "items"):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def require_field(name: str) -> None:
    """Raises a `UserError` unless `name`, as in `train.epochs`, is a field; it names the one that may be meant."""
    known = dict(flatten(default.get_config()))
    if name not in known:
        raise UserError(f"config.{name} is not a field: {did_you_mean(name, known)}configs/default.py lists them all")


def check(config: ConfigDict) -> None:
    """Raises a `UserError` that names the first field that is unknown, missing, of a wrong type or impossible."""
    fields, known = dict(flatten(config)), dict(flatten(default.get_config()))
    for name in fields:
        require_field(name)
    for name, reference in known.items():
        if name not in fields:
            raise UserError(f"config.{name} is missing: start your config from a copy of configs/default.py")
        kinds = (int, float) if isinstance(reference, float) else (type(reference),)
        if isinstance(reference, tuple) and isinstance(fields[name], list):
            fields[name] = tuple(fields[name])  # as config.json and overrides have it
        if not isinstance(fields[name], kinds) or (isinstance(fields[name], bool) and not isinstance(reference, bool)):
            raise UserError(f"config.{name} is {fields[name]!r}, but it takes a value like {reference!r}")
        if isinstance(reference, str) and "\0" in fields[name]:
            raise UserError(f"config.{name} is {fields[name]!r}: no path and no name holds a zero byte")
        if isinstance(reference, float) and not math.isfinite(fields[name]):
            raise UserError(f"config.{name} is {fields[name]}: it must be a finite number")

    for name, kind in (("study.sources", str), ("study.arms", str), ("study.seeds", int)):
        for value in fields[name]:
            if type(value) is not kind:
                raise UserError(f"config.{name} names {value!r}, but each of its values is of type {kind.__name__}")
    for name, allowed in (
        ("data.source", tuple(SOURCES)),
        ("data.resize", RESIZES),
        ("data.image_size", IMAGE_SIZES),
        ("model.dtype", DTYPES),
        ("evaluate.classifier", tuple(CLASSIFIERS)),
    ):
        if fields[name] not in allowed:
            hint = did_you_mean(str(fields[name]), map(str, allowed)) if isinstance(fields[name], str) else ""
            raise UserError(f"config.{name} is {fields[name]!r}: {hint}it is one of {', '.join(map(str, allowed))}")
    wanted_classes(config)
    parts = policy.parse(config.augment.policy)
    if config.augment.count < len(parts):
        raise UserError(f"config.augment.count is {config.augment.count}, but {len(parts)} ops need an image each")
    for name, (least, unit, most) in _RANGES.items():
        if fields[name] < least and not (name == "augment.count" and not parts):
            raise UserError(f"config.{name} is {fields[name]}, but it is at least {least} {unit}")
        if fields[name] > most:
            raise UserError(f"config.{name} is {fields[name]}, but it is at most {most}")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"config.seed is {config.seed}, but it is 0 to {2**32 - 1}")
    require_location(config.data.source, Location(config.data.path, config.data.dataset))
    if config.train.kimg < 0 or (config.train.kimg == 0 and config.train.epochs < 1):
        raise UserError("config.train.epochs is at least 1 epoch, or config.train.kimg is above 0")
    _check_budget(config)
    if not 0 < config.train.learning_rate <= 1:
        raise UserError(f"config.train.learning_rate is {config.train.learning_rate}, but it is above 0 and at most 1")
    if not 0 <= config.train.beta1 < 1:
        raise UserError(f"config.train.beta1 is {config.train.beta1}, but it is at least 0 and below 1")
    if config.evaluate.samples < config.evaluate.splits or config.data.count < config.evaluate.splits:
        raise UserError(
            f"config.evaluate.splits is {config.evaluate.splits}, but it is at most config.evaluate.samples "
            f"({config.evaluate.samples}) and config.data.count ({config.data.count}): a split needs an image"
        )


def _check_budget(config: ConfigDict) -> None:
    train, images = config.train, config.data.count + augmented_count(config)
    field, epochs = ("kimg", train.kimg * 1000 / images) if train.kimg else ("epochs", train.epochs)
    if epochs > _MOST_EPOCHS:
        raise UserError(f"config.train.{field} is {train[field]}, {epochs:.3g} epochs, but {_MOST_EPOCHS} are the most")
    steps = order.steps_of(kimg=train.kimg, epochs=train.epochs, images=images, batch_size=train.batch_size)
    if steps > _MOST_STEPS:
        raise UserError(f"config.train.{field} is {train[field]}, {steps:.3g} steps, but {_MOST_STEPS} are the most")


def wanted_classes(config: ConfigDict) -> tuple[int, ...]:
    """The numbers of the classes that `evaluate.classes` names, none if empty; a `UserError` if one is unknown."""
    asked = [name for name in config.evaluate.classes.split(",") if name.strip()]
    return classes.select(asked, CLASSIFIERS[config.evaluate.classifier].classes) if asked else ()


def source_name(config: ConfigDict) -> str:
    """What people call the source of a config's originals: the data set, the last part of the path, or `faces`."""
    data = config.data
    path = Path(os.path.expanduser(data.path)).resolve().name.removesuffix(".zip") if data.path else data.source
    return data.dataset or path


def augmented_count(config: ConfigDict) -> int:
    """The number of augmented images of a config's data set: 0 without a policy."""
    return config.augment.count if policy.parse(config.augment.policy) else 0


def recorded(config: dict) -> dict[str, Any]:
    """The fields of a config that a run keeps, flat; those that it does not know yet have their defaults."""
    return dict(flatten(default.get_config())) | dict(flatten(config))


def restored(config: dict) -> ConfigDict:
    """The config that a run keeps in its config.json; a `UserError` if it is none that could have been given."""
    found = default.get_config()
    try:
        for name, value in recorded(config).items():
            found.update_from_flattened_dict({name: tuple(value) if isinstance(value, list) else value})
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"it is no config ({error}): restore it, or start again in a new workdir") from None
    check(found)
    return found


def differences(old: dict, new: dict) -> list[str]:
    """Names the fields that differ between two configs and make another run of it, as in `seed (0, now 1)`."""
    before, after = recorded(old), dict(flatten(new))
    if before.get("augment.policy") == after.get("augment.policy") == "none":
        before["augment.count"] = after["augment.count"]  # of no effect
    generated = any(part.op == "generated" for part in policy.parse(str(after.get("augment.policy", "none"))))
    free = FREE_FIELDS if generated else FREE_FIELDS + BUDGET_FIELDS
    return [
        f"{name} ({before.get(name)!r}, now {after.get(name)!r})"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and not name.startswith(free)
    ]


def generator_workdir(config: ConfigDict, workdir: Path) -> Path:
    """Where the run lives whose GAN makes the images of the op `generated`."""
    return Path(config.augment.generator) if config.augment.generator else workdir / "generator"


def generator_config(config: ConfigDict) -> ConfigDict:
    """The config of that run: the same, on the originals alone."""
    base = config.copy_and_resolve_references()
    with base.unlocked():
        base.augment = default.get_config().augment
    return base
