"""A run: what its config asks for, and the folder that belongs to it."""

import contextlib
import fcntl
import importlib.metadata
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

import gan_da_jax
from gan_da_jax import checkpoint, forms, gan, parallel, prng, records
from gan_da_jax.config import augmented_count, differences
from gan_da_jax.data import manifest, order
from gan_da_jax.errors import UserError

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pillow")


class Occupied(UserError):
    """Another process works in the folder."""


def check(workdir: Path, config: ConfigDict) -> None:
    """Raises a `UserError` where the workdir cannot be this config's: another run's, of edited files, or no folder."""
    place = next(place for place in (workdir, *workdir.absolute().parents) if place.exists())
    if not place.is_dir():
        raise UserError(f"--workdir={workdir}: {place} is not a folder; choose another workdir")
    if (workdir / "config.json").exists():
        recorded = records.read_json(workdir / "config.json")
        forms.require(recorded, forms.CONFIG, str(workdir / "config.json"))
        changed = differences(recorded["config"], config.to_dict())
        if changed:
            raise UserError(
                f"{workdir} holds a run with another config, which differs in {', '.join(changed)}; "
                f"choose another --workdir, or give that config"
            )
    forms.rows(workdir / "metrics.jsonl", forms.METRICS)
    forms.rows(workdir / "scores.jsonl", forms.SCORES)


def claim(workdir: Path, config: ConfigDict) -> None:
    """Writes config.json, the resolved config with versions and devices; a workdir that fails `check` is left alone."""
    check(workdir, config)
    versions = {"gan_da_jax": gan_da_jax.__version__, "python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    entry = {
        "config": json.loads(config.to_json()),
        "versions": versions,
        "backend": jax.default_backend(),
        "devices": parallel.devices(),
    }
    path = workdir / "config.json"
    try:
        if not path.exists() or records.read_json(path) != entry:
            records.write_json(path, entry)
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be written to ({error.strerror}); choose another one") from None


@contextlib.contextmanager
def alone(workdir: Path, *, wait: bool = False, name: str = ".lock") -> Iterator[None]:
    """Keeps other processes out of a workdir inside the block.

    Args:
        workdir: the folder.
        wait: whether to wait for another process that is in there already, instead of an `Occupied`.
        name: of the file that is locked; what is locked under different names does not keep each other out.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / name, "a") as file:  # not "w", which would touch it
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Occupied(f"another process works in {workdir}; wait for it, or choose another --workdir") from None
        yield


def intact(config: ConfigDict, workdir: Path) -> bool:
    """Whether a run is trained to its end, and its data set and last state are those that it noted.

    Raises:
        UserError: it is trained to the end, but one of them is not.
    """
    last = total_steps(config)
    if last not in checkpoint.steps(workdir / "checkpoints"):
        return False
    manifest.load(workdir / "dataset")
    saved_state(config, workdir, last)
    return True


def saved_state(config: ConfigDict, workdir: Path, step: int) -> gan.State:
    """The state of a checkpoint; a `UserError` if it is not the one that the run noted when it was saved."""
    state = checkpoint.load(workdir / "checkpoints", step, abstract_state(config))
    noted = {row["step"]: row.get("state_sha256") for row in records.read_jsonl(workdir / "metrics.jsonl")}
    if checkpoint.digest(parallel.host(state)) != noted.get(step):
        raise UserError(
            f"{workdir / 'checkpoints' / str(step)} is not the state that metrics.jsonl notes: restore them, or delete "
            "that folder to train from the checkpoint before it"
        )
    return state


def network(config: ConfigDict) -> gan.Gan:
    """The networks that a config describes."""
    return gan.create(
        image_size=config.data.image_size,
        latent_dim=config.model.latent_dim,
        width=config.model.width,
        learning_rate=config.train.learning_rate,
        beta1=config.train.beta1,
        dtype=config.model.dtype,
    )


def initial_state(config: ConfigDict) -> gan.State:
    """The state before the first step, whole on every device."""
    key = prng.stream(config.seed, "init")
    # It runs once, and XLA takes longer to optimize it than it does to run. At level 0 the numbers would be others.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return parallel.replicate(jax.jit(lambda key: gan.init(network(config), key), compiler_options=options)(key))


def abstract_state(config: ConfigDict) -> gan.State:
    """The shapes, dtypes and placement of a state, without computing one."""
    shapes = jax.eval_shape(lambda: gan.init(network(config), prng.stream(config.seed, "init")))
    return parallel.abstract(shapes)


def images(config: ConfigDict) -> int:
    """The size of the data set: originals and augmented images."""
    return config.data.count + augmented_count(config)


def resident_bytes(config: ConfigDict) -> float | None:
    """The bytes of images that a device may hold; None for any number."""
    memory = parallel.memory()
    automatic = memory and memory / 2
    return config.data.resident_mb * 1e6 or automatic


def total_steps(config: ConfigDict) -> int:
    """The steps of the whole run."""
    return order.steps_of(
        kimg=config.train.kimg, epochs=config.train.epochs, images=images(config), batch_size=config.train.batch_size
    )


def epoch_steps(config: ConfigDict) -> list[int]:
    """The steps at which an epoch is complete, ascending, and the run's last step."""
    return _steps_after(config, images(config))


def checkpoint_steps(config: ConfigDict) -> list[int]:
    """The steps that are saved, ascending: every `train.checkpoint_every` epochs, and the run's last step.

    With a budget in kimg these are epochs of the originals alone, so that all arms are looked at after as many images.
    """
    return _steps_after(
        config, config.train.checkpoint_every * (config.data.count if config.train.kimg else images(config))
    )


def _steps_after(config: ConfigDict, shown: int) -> list[int]:
    """The steps at which `shown` more images have been shown, and the run's last step."""
    total = total_steps(config)
    ends = range(shown, total * config.train.batch_size, shown)
    return sorted({-(-end // config.train.batch_size) for end in ends} | {total})


def position(config: ConfigDict, step: int) -> dict[str, Any]:
    """Where a step lies: `step`, `epoch` (passes over the data set) and `kimg` (thousands of images shown)."""
    shown = step * config.train.batch_size
    return {"step": step, "epoch": round(shown / images(config), 4), "kimg": round(shown / 1000, 4)}


def trained_generator(config: ConfigDict, workdir: Path, step: int) -> Any:
    """The generator's variables at a checkpoint."""
    return saved_state(config, workdir, step).generator
