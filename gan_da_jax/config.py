"""What a config may say: types, ranges and allowed values, checked before any work starts."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.classifiers import CLASSIFIERS
from gan_da_jax.configs import default
from gan_da_jax.data.images import RESIZES
from gan_da_jax.data.sources import SOURCES
from gan_da_jax.errors import UserError
from gan_da_jax.metrics import classes
from gan_da_jax.models.dcgan import DTYPES, IMAGE_SIZES

# Fields that say how to look at a run or where its images lie, and how long to train. They leave what is trained as it
# is, bit for bit, so they may differ when the same workdir is used again; but generated images come from a GAN that was
# trained as long.
FREE_FIELDS = ("data.resident_mb", "train.checkpoint_every", "evaluate.", "augment.generator", "study.")
BUDGET_FIELDS = ("train.epochs", "train.kimg")

# The least value that a number may have, and what it counts; an upper bound where there is one.
_LEAST = {
    "data.count": (1, "image"),
    "data.resident_mb": (0, "megabytes"),
    "augment.count": (1, "image, or set augment.policy to none"),
    "model.latent_dim": (1, "number"),
    "model.width": (1, "channel"),
    "train.batch_size": (2, "images, since BatchNorm needs two"),
    "train.checkpoint_every": (1, "epoch"),
    "evaluate.samples": (1, "image"),
    "evaluate.repeats": (1, "set"),
    "evaluate.splits": (1, "part"),
    "study.processes": (1, "process"),
}


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields ("data.count", 1000) and so on for every field of a nested mapping."""
    for name, value in config.items():
        if hasattr(value, "items"):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def check(config: ConfigDict) -> None:
    """Raises a `UserError` that names the first field that is unknown, missing, of a wrong type or impossible."""
    fields, known = dict(flatten(config)), dict(flatten(default.get_config()))
    for name in fields.keys() - known.keys():
        raise UserError(f"config.{name} is not a field; configs/default.py lists them all")
    for name, reference in known.items():
        if name not in fields:
            raise UserError(f"config.{name} is missing: start your config from a copy of configs/default.py")
        kinds = (int, float) if isinstance(reference, float) else (type(reference),)
        if isinstance(reference, tuple) and isinstance(fields[name], list):
            fields[name] = tuple(fields[name])  # as config.json and overrides have it
        if not isinstance(fields[name], kinds) or (isinstance(fields[name], bool) and not isinstance(reference, bool)):
            raise UserError(f"config.{name} is {fields[name]!r}, but it takes a value like {reference!r}")
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
            raise UserError(f"config.{name} is {fields[name]!r}, but it is one of: {', '.join(map(str, allowed))}")
    wanted_classes(config)
    parts = policy.parse(config.augment.policy)
    if config.augment.count < len(parts):
        raise UserError(f"config.augment.count is {config.augment.count}, but {len(parts)} ops need an image each")
    for name, (least, unit) in _LEAST.items():
        if fields[name] < least and not (name == "augment.count" and not parts):
            raise UserError(f"config.{name} is {fields[name]}, but it is at least {least} {unit}")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"config.seed is {config.seed}, but it is 0 to {2**32 - 1}")
    source = config.data.source
    if source != "tfds" and (source == "faces") != (config.data.path == ""):
        hint = "leave it empty" if source == "faces" else "name the images, as in --config.data.path=DIR"
        raise UserError(f"config.data.path is {config.data.path!r} for data.source {source}: {hint}")
    if (source == "tfds") != (config.data.dataset != ""):
        hint = "name one, as in --config.data.dataset=celeb_a" if source == "tfds" else "leave it empty, or use tfds"
        raise UserError(f"config.data.dataset is {config.data.dataset!r} for data.source {source}: {hint}")
    if config.train.kimg < 0 or (config.train.kimg == 0 and config.train.epochs < 1):
        raise UserError("config.train.epochs is at least 1 epoch, or config.train.kimg is above 0")
    if not config.train.learning_rate > 0:
        raise UserError(f"config.train.learning_rate is {config.train.learning_rate}, but it is above 0")
    if not 0 <= config.train.beta1 < 1:
        raise UserError(f"config.train.beta1 is {config.train.beta1}, but it is at least 0 and below 1")
    if config.evaluate.samples < config.evaluate.splits or config.data.count < config.evaluate.splits:
        raise UserError(
            f"config.evaluate.splits is {config.evaluate.splits}, but it is at most config.evaluate.samples "
            f"({config.evaluate.samples}) and config.data.count ({config.data.count}): a split needs an image"
        )


def wanted_classes(config: ConfigDict) -> tuple[int, ...]:
    """The numbers of the classes that `evaluate.classes` names, none if empty; a `UserError` if one is unknown."""
    asked = [name for name in config.evaluate.classes.split(",") if name.strip()]
    return classes.select(asked, CLASSIFIERS[config.evaluate.classifier].classes) if asked else ()


def source_name(config: ConfigDict) -> str:
    """What people call the source of a config's originals: the data set, the last part of the path, or `faces`."""
    data = config.data
    path = Path(data.path).expanduser().resolve().name.removesuffix(".zip") if data.path else data.source
    return data.dataset or path


def augmented_count(config: ConfigDict) -> int:
    """The number of augmented images of a config's data set: 0 without a policy."""
    return config.augment.count if policy.parse(config.augment.policy) else 0


def recorded(config: dict) -> dict[str, Any]:
    """The fields of a config that a run keeps, flat; those that it does not know yet have their defaults."""
    return dict(flatten(default.get_config())) | dict(flatten(config))


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
