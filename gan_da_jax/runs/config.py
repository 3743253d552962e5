"""What a config may say: types, ranges and allowed values, checked before any work starts."""

import math
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.classifiers.registry import CLASSIFIERS
from gan_da_jax.configs import default
from gan_da_jax.data import order
from gan_da_jax.data.sources import SOURCES, Location, require_location
from gan_da_jax.data.sources.images import RESIZES
from gan_da_jax.errors import UserError, did_you_mean
from gan_da_jax.gan import LOSSES, NETWORKS
from gan_da_jax.metrics import classes
from gan_da_jax.runs import reference

# Fields, and groups of fields, that say how to look at a run or how it uses the machine: what is trained is the same,
# bit for bit, whatever they are. A later field that is in no such list makes another run and another arm.
_FREE_FIELDS = ("augment.generator", "data.resident_mb", "train.checkpoint_every", "train.keep")
_FREE_GROUPS = ("evaluate.", "study.")
# These may differ when the same workdir is used again, but not where there are generated images, which come from a GAN
# that was trained as long.
_BUDGET_FIELDS = ("train.epochs", "train.kimg")


class Range(NamedTuple):
    """The values that a number may have.

    Attributes:
        least: the smallest value.
        most: the largest value; no device of these years would hold a larger network or batch, and no disk the images.
        why: what makes it the smallest value, where it is not plain; "" otherwise.
    """

    least: int
    most: int
    why: str = ""


_RANGES = {
    "seed": Range(0, 2**32 - 1),
    "data.count": Range(1, 10**8),
    "data.resident_mb": Range(0, 10**9),
    "augment.count": Range(1, 10**8, "or set config.augment.policy to 'none'"),
    "model.latent_dim": Range(1, 2**16),
    "model.width": Range(1, 2**12),
    "train.batch_size": Range(2, 2**16, "since BatchNorm needs two images"),
    "train.checkpoint_every": Range(1, 10**6),
    "train.keep": Range(2, 10**6, "since an audit trains from one checkpoint to the next"),
    "evaluate.samples": Range(1, 10**8),
    "evaluate.repeats": Range(1, 10**4),
    "evaluate.splits": Range(1, 10**8),
    "study.processes": Range(1, 10**3),
}
# Intervals of which an end does not belong to them: how they are written, and whether a number is inside.
_INTERVALS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "train.learning_rate": ("(0, 1]", lambda value: 0 < value <= 1),
    "train.beta1": ("[0, 1)", lambda value: 0 <= value < 1),
    "train.kimg": ("[0, inf)", lambda value: value >= 0),
    "study.leak_limit": ("[0, 1]", lambda value: 0 <= value <= 1),
    "study.copy_limit": ("[0, 1]", lambda value: 0 <= value <= 1),
    "train.ema_kimg": ("[0, inf)", lambda value: value >= 0),
}
_CHOICES: dict[str, Collection[str]] = {
    "data.source": SOURCES,
    "data.resize": RESIZES,
    "model.name": NETWORKS,
    "train.loss": LOSSES,
    "evaluate.classifier": CLASSIFIERS,
}
# What runs did that were made before a field existed, where today's default is something else.
_BEFORE: dict[str, Any] = {"train.ema_kimg": 0.0}
_LISTS = {"study.sources": str, "study.arms": str, "study.seeds": int}  # the types of what they hold
_MOST_EPOCHS = 10**6  # passes over the data set
_MOST_STEPS = 2**31 - 1  # a step is an int32 on the device


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ("data.count", 1000) and so on for every field of a nested mapping."""
    for name, value in config.items():
        if hasattr(value, "items"):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def require_field(name: str) -> None:
    """Raise a `UserError` unless `name`, as in `train.epochs`, is a field; it names the one that may be meant."""
    known = dict(flatten(default.get_config()))
    if name not in known:
        raise UserError(f"config.{name} is not a field: {did_you_mean(name, known)}configs/default.py lists them all")


def check(config: ConfigDict) -> None:
    """Raise a `UserError` that names the first field that is unknown, missing, of a wrong type or impossible."""
    fields = _typed_fields(config)
    _check_values(fields)
    network = NETWORKS[config.model.name]
    _require_one_of(network.image_sizes, "data.image_size", fields, f" for the network {config.model.name}")
    _require_one_of(network.dtypes, "model.dtype", fields, f" for the network {config.model.name}")
    wanted_classes(config)
    require_location(config.data.source, Location(config.data.path, config.data.dataset))
    _check_augmentation(config)
    _check_reference(config)
    _check_budget(config)
    splits, samples, count = config.evaluate.splits, config.evaluate.samples, training_count(config)
    if splits > min(samples, count):
        originals = "the originals" if set_aside(config) else "config.data.count"
        raise UserError(
            f"config.evaluate.splits is {splits}; it must be at most config.evaluate.samples ({samples}) and "
            f"{originals} ({count}), since a split needs an image"
        )


def _typed_fields(config: ConfigDict) -> dict[str, Any]:
    """Return the fields of a config, flat, each of the type that it has in configs/default.py."""
    fields, known = dict(flatten(config)), dict(flatten(default.get_config()))
    for name in fields:
        require_field(name)
    for name, usual in known.items():
        if name not in fields:
            raise UserError(f"config.{name} is missing: start your config from a copy of configs/default.py")
        if isinstance(usual, tuple) and isinstance(fields[name], list):
            fields[name] = tuple(fields[name])  # as config.json and overrides have it
        value, kinds = fields[name], (int, float) if isinstance(usual, float) else (type(usual),)
        if not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(usual, bool)):
            raise UserError(f"config.{name} is {value!r}; it must be a value like {usual!r}")
        if isinstance(value, str) and "\0" in value:
            raise UserError(f"config.{name} is {value!r}: it contains a NUL character")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"config.{name} is {value}; it must be a finite number")
    return fields


def _check_values(fields: dict[str, Any]) -> None:
    """Hold each field by itself against the tables above."""
    for name, kind in _LISTS.items():
        for value in fields[name]:
            if type(value) is not kind:
                raise UserError(f"config.{name} names {value!r}; each of its values must be of type {kind.__name__}")
    for name, choices in _CHOICES.items():
        _require_one_of(choices, name, fields)
    for name, allowed in _RANGES.items():
        if fields[name] < allowed.least and name != "augment.count":  # which has no effect where there is no policy
            raise UserError(_too_low(name, fields[name]))
        if fields[name] > allowed.most:
            raise UserError(f"config.{name} is {fields[name]}; it must be at most {allowed.most:,}")
    for name, (interval, holds) in _INTERVALS.items():
        if not holds(fields[name]):
            raise UserError(f"config.{name} is {fields[name]}; it must be in {interval}")


def _too_low(name: str, value: float) -> str:
    least, _, why = _RANGES[name]
    return f"config.{name} is {value}; it must be at least {least}{why and ', ' + why}"


def _check_augmentation(config: ConfigDict) -> None:
    parts, count = policy.parse(config.augment.policy), config.augment.count
    if parts and count < _RANGES["augment.count"].least:
        raise UserError(_too_low("augment.count", count))
    if count < len(parts):
        raise UserError(f"config.augment.count is {count}; it must be at least {len(parts)}, an image for each op")


def _check_reference(config: ConfigDict) -> None:
    """Refuse what is no reference, and a share of the images that is too small to compare with or leaves none."""
    asked, count, aside = reference.parse(config.evaluate.reference), config.data.count, set_aside(config)
    if asked.share and not reference.LEAST <= aside < count:
        raise UserError(
            f"config.evaluate.reference is {config.evaluate.reference!r}, which sets {aside} of {count} images "
            f"(config.data.count) aside; it must set aside at least {reference.LEAST}, and leave one to train on"
        )


def _require_one_of(allowed: Collection, name: str, fields: dict[str, Any], where: str = "") -> None:
    value = fields[name]
    if value not in allowed:
        hint = did_you_mean(value, allowed) if isinstance(value, str) else ""
        raise UserError(f"config.{name} is {value!r}: {hint}it must be one of {', '.join(map(str, allowed))}{where}")


def _check_budget(config: ConfigDict) -> None:
    train, images = config.train, training_count(config) + augmented_count(config)
    if not train.kimg and train.epochs < 1:
        raise UserError(
            f"config.train.epochs is {train.epochs}; it must be at least 1, or config.train.kimg must be above 0"
        )
    field, epochs = ("kimg", train.kimg * 1000 / images) if train.kimg else ("epochs", train.epochs)
    if epochs > _MOST_EPOCHS:
        raise UserError(
            f"config.train.{field} is {train[field]}, {epochs:.3g} epochs; the maximum is {_MOST_EPOCHS:,} epochs"
        )
    steps = order.steps_of(kimg=train.kimg, epochs=train.epochs, images=images, batch_size=train.batch_size)
    if steps > _MOST_STEPS:
        raise UserError(
            f"config.train.{field} is {train[field]}, {steps:.3g} steps; the maximum is {_MOST_STEPS:,} steps"
        )


def wanted_classes(config: ConfigDict) -> tuple[int, ...]:
    """Return the numbers of the classes that `evaluate.classes` names, () if empty; a `UserError` if one is unknown."""
    asked = [name for name in config.evaluate.classes.split(",") if name.strip()]
    return classes.select(asked, CLASSIFIERS[config.evaluate.classifier].classes) if asked else ()


def source_name(config: ConfigDict) -> str:
    """Name the source of a config's originals as people do: the data set, the last part of the path, or `faces`."""
    data = config.data
    path = Path(os.path.expanduser(data.path)).resolve().name.removesuffix(".zip") if data.path else data.source
    return data.dataset or path


def set_aside(config: ConfigDict) -> int:
    """Return how many of the `data.count` images `evaluate.reference` sets aside, which then are no originals."""
    return round(reference.parse(config.evaluate.reference).share * config.data.count)


def training_count(config: ConfigDict) -> int:
    """Return the number of originals of a config's data set: `data.count` without the images that are set aside."""
    return config.data.count - set_aside(config)


def augmented_count(config: ConfigDict) -> int:
    """Return the number of augmented images of a config's data set: 0 without a policy."""
    return config.augment.count if policy.parse(config.augment.policy) else 0


def flat_with_defaults(config: dict) -> dict[str, Any]:
    """Return the fields of a config that a run keeps, flat; fields that it does not know yet say what it did then."""
    return dict(flatten(default.get_config())) | _BEFORE | dict(flatten(config))


def restored(config: dict) -> ConfigDict:
    """Restore the config that a run keeps in its config.json; a `UserError` if nobody could have given it."""
    found = default.get_config()
    try:
        for name, value in flat_with_defaults(config).items():
            found.update_from_flattened_dict({name: tuple(value) if isinstance(value, list) else value})
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"it is not a config ({error}): restore it, or start again in a new workdir") from None
    check(found)
    return found


def decisive(config: dict) -> dict[str, Any]:
    """Return the fields of a config, flat with defaults, that decide what is trained: all but the free ones.

    `evaluate.reference` is among them with what it sets aside, and with nothing else that it may ask for.
    """
    fields = flat_with_defaults(config)
    asked = reference.parse(str(fields["evaluate.reference"]))
    found = {name: value for name, value in fields.items() if not _is_free(name)}
    return found | {"evaluate.reference": str(asked) if asked.share else "nothing set aside"}


def _is_free(name: str) -> bool:
    return name in _FREE_FIELDS or name.startswith(_FREE_GROUPS)


def differences(old: dict, new: dict) -> list[str]:
    """Name the fields that differ between two configs and make another run, as in `seed (0, now 1)`."""
    before, after = decisive(old), decisive(new)
    if before.get("augment.policy") == after.get("augment.policy") == "none":
        before["augment.count"] = after["augment.count"]  # of no effect
    generated = any(part.op == "generated" for part in policy.parse(str(after.get("augment.policy", "none"))))
    budget = () if generated else _BUDGET_FIELDS
    return [
        f"{name} ({before.get(name)!r}, now {after.get(name)!r})"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and name not in budget
    ]


def generator_workdir(config: ConfigDict, workdir: Path) -> Path:
    """Return the workdir of the run whose GAN makes the images of the op `generated`."""
    return Path(config.augment.generator) if config.augment.generator else workdir / "generator"


def generator_config(config: ConfigDict) -> ConfigDict:
    """Return the config of the run whose GAN makes `generated` images: the same, on the originals alone."""
    base = config.copy_and_resolve_references()
    with base.unlocked():
        base.augment = default.get_config().augment
    return base
