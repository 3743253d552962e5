"""A run: what its config asks for, and the folder that belongs to it."""

import contextlib
import fcntl
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import gan, prng
from gan_da_jax.data import order
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.files import checkpoint, io, schemas
from gan_da_jax.runs import environment
from gan_da_jax.runs.config import augmented_count, differences
from gan_da_jax.training import feed, sampling


class Occupied(UserError):
    """Another process works in the folder."""


def check(workdir: Path, config: ConfigDict) -> None:
    """Raises a `UserError` where the workdir cannot be this config's: another run's, of edited files, or no folder."""
    place = next(place for place in (workdir, *workdir.absolute().parents) if place.exists())
    if not place.is_dir():
        raise UserError(f"--workdir={workdir}: {place} is not a folder; choose another workdir")
    if (workdir / "config.json").exists():
        changed = differences(recorded(workdir)["config"], config.to_dict())
        if changed:
            raise UserError(
                f"{workdir} holds a run with another config, which differs in {', '.join(changed)}; "
                f"choose another --workdir, or give that config"
            )
    schemas.rows(workdir / "metrics.jsonl", schemas.METRICS)
    schemas.rows(workdir / "scores.jsonl", schemas.SCORES)


def recorded(workdir: Path) -> dict:
    """What config.json says: the `config` that a run was made with, and where; a `UserError` if it is no such file."""
    path = workdir / "config.json"
    found = io.read_json(path)
    schemas.require(found, schemas.CONFIG, str(path))
    return found


def claim(workdir: Path, config: ConfigDict) -> None:
    """Writes config.json, the resolved config with the environment; a workdir that fails `check` is left alone.

    The environments that the run was worked on in before are kept as `earlier`, for its lines name them by their hash.
    """
    check(workdir, config)
    _record(workdir, json.loads(config.to_json()))


def visit(workdir: Path) -> str:
    """Notes in config.json that work on a run goes on in this environment; returns the hash that stands for it."""
    _record(workdir, recorded(workdir)["config"])
    return environment.digest(environment.current())


def environments(entry: dict) -> dict[str, dict]:
    """The environments that config.json, as from `recorded`, tells of, by their hashes; the last one comes first."""
    last = {name: entry[name] for name in environment.current() if name in entry}
    return {environment.digest(one): one for one in (last, *entry.get("earlier", []))}


def _record(workdir: Path, config: dict) -> None:
    path = workdir / "config.json"
    old = recorded(workdir) if path.exists() else {}
    now = environment.current()
    known = environments(old) if old else {}
    known.pop(environment.digest(now), None)
    entry = io.seal({"config": config, **now, "earlier": list(known.values())})
    try:
        if old != entry:
            io.write_json(path, entry)
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


def sweep(workdir: Path) -> None:
    """Removes the temporary files that processes which were killed have left in a run's folders."""
    folders = ("", "dataset", "samples", "probabilities", "certainty", "memorisation")
    io.sweep(*(workdir / folder for folder in folders))


def trained(config: ConfigDict, workdir: Path) -> bool:
    """Whether a run has its last checkpoint; `saved_state` proves that it is what was saved."""
    return total_steps(config) in checkpoint.steps(workdir / "checkpoints")


def saved_state(config: ConfigDict, workdir: Path, step: int) -> gan.State:
    """The state at a checkpoint, proved by the hash that metrics.jsonl notes.

    Raises:
        checkpoint.Damaged: it cannot be read, is another network's, or is not what was saved.
    """
    directory = workdir / "checkpoints"
    state = checkpoint.load(directory, step, abstract_state(config))
    noted = {row.get("step"): row.get("state_sha256") for row in io.read_jsonl(workdir / "metrics.jsonl")}
    if checkpoint.digest(parallel.host(state)) != noted.get(step):
        raise checkpoint.Damaged(f"{directory / str(step)} is not the state that metrics.jsonl notes")
    return state


def newest_state(config: ConfigDict, workdir: Path) -> gan.State | None:
    """The state at the newest checkpoint that is what was saved; damaged ones are told of, and set aside.

    None if there is no such checkpoint: then training starts anew.
    """
    directory = workdir / "checkpoints"
    for step in reversed(checkpoint.steps(directory)):
        try:
            return saved_state(config, workdir, step)
        except checkpoint.Damaged as error:
            print(f"warning: {error}; it is set aside, and made again from the one before it", file=sys.stderr)
            checkpoint.set_aside(directory, step)
    return None


def drop_extras(config: ConfigDict, workdir: Path) -> None:
    """Removes the checkpoints of interruptions, and their sample grids, once one that was planned is later.

    They are of no more use, and of a run that was not interrupted there are none. Of scored ones, planned before
    `train.checkpoint_every` was changed, the scores keep the place in the curves; they are left to `drop_scored`.
    """
    saved, planned = checkpoint.steps(workdir / "checkpoints"), checkpoint_steps(config)
    scored = _scored(workdir)
    last = max((step for step in saved if step in planned), default=0)
    for step in saved:
        if step < last and step not in planned and step not in scored:
            checkpoint.delete(workdir / "checkpoints", step)
            (workdir / "samples" / f"step_{step:08d}.png").unlink(missing_ok=True)


def drop_scored(config: ConfigDict, workdir: Path, best: set[int]) -> None:
    """Removes checkpoints that are scored, but for the newest `train.keep`, and the `best`."""
    saved, scored = checkpoint.steps(workdir / "checkpoints"), _scored(workdir)
    for step in saved[: -config.train.keep]:
        if step in scored and step not in best:
            checkpoint.delete(workdir / "checkpoints", step)


def _scored(workdir: Path) -> set[int]:
    """The steps that scores.jsonl has lines of."""
    return {row.get("step") for row in io.read_jsonl(workdir / "scores.jsonl")}


def described(workdir: Path) -> dict[str, str]:
    """The hashes of the files that say what a run is trained on; those of the images are in the manifest."""
    names = ("dataset/manifest.json", "dataset/preview.png")
    return {name: io.file_sha256(workdir / name) for name in names if (workdir / name).is_file()}


def settings(config: ConfigDict) -> dict[str, Any]:
    """What `gan.create` takes for a config's networks, but for the dtype they compute in."""
    return dict(
        image_size=config.data.image_size,
        latent_dim=config.model.latent_dim,
        width=config.model.width,
        learning_rate=config.train.learning_rate,
        beta1=config.train.beta1,
    )


def network(config: ConfigDict) -> gan.Gan:
    """The networks that a config describes."""
    return _network(**settings(config), dtype=config.model.dtype)


_network = functools.lru_cache(maxsize=8)(gan.create)  # one object, so that what is compiled for it serves again


def initial_state(config: ConfigDict) -> gan.State:
    """The state before the first step, whole on every device."""
    return parallel.replicate(_first(network(config))(prng.stream(config.seed, "init")))


@functools.lru_cache(maxsize=4)
def _first(network: gan.Gan) -> Callable[[jax.Array], gan.State]:
    # It runs once, and XLA takes longer to optimize it than it does to run. At level 0 the numbers would be others.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(lambda key: gan.init(network, key), compiler_options=options)


def abstract_state(config: ConfigDict) -> gan.State:
    """The shapes, dtypes and placement of a state, without computing one."""
    return parallel.abstract(_shapes(network(config)))


@functools.lru_cache(maxsize=4)
def _shapes(network: gan.Gan) -> gan.State:
    return jax.eval_shape(lambda: gan.init(network, prng.stream(0, "init")))


def zero_state(config: ConfigDict, *, step: int) -> gan.State:
    """A state of zeros after so many steps, whole on every device, whose place another one is to take."""
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract_state(config))
    return parallel.replicate(zeros.replace(step=np.int32(step)))


def images(config: ConfigDict) -> int:
    """The size of the data set: originals and augmented images."""
    return config.data.count + augmented_count(config)


def resident_bytes(config: ConfigDict) -> float | None:
    """The bytes of images that a device may hold; None for any number."""
    memory = parallel.memory()
    automatic = memory and memory / 2
    return config.data.resident_mb * 1e6 or automatic


def feed_of(config: ConfigDict, images: np.ndarray, *, limit: float | None) -> feed.Resident | feed.Streamed:
    """How the images uint8 [N, S, S, 3] of a run come to its steps; `limit` as `resident_bytes` gives it."""
    batch = config.train.batch_size
    return feed.create(
        images,
        seed=config.seed,
        batch_size=batch,
        steps=feed.chunk_steps(len(images), batch),
        until=total_steps(config),
        limit=limit,
    )


def averages(measured: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    """What a line of metrics.jsonl says of its steps: the mean of each metric, given float32 [steps] by chunks."""
    return {name: float(np.mean(np.concatenate([chunk[name] for chunk in measured]))) for name in measured[0]}


def sample_grid(config: ConfigDict, sample: Callable[[Any, np.ndarray], np.ndarray], generator: Any) -> np.ndarray:
    """What a generator makes of a run's 64 fixed latent vectors, uint8 [H, W, 3]; `sample` is a `sampling.sampler`."""
    fixed = sampling.latents(seed=config.seed, stream="grid", count=64, latent_dim=config.model.latent_dim)
    return sampling.grid(sample(generator, fixed), columns=8)


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


def trained_state(config: ConfigDict, workdir: Path, step: int) -> gan.State:
    """The state at a checkpoint, for whoever does not train; a `UserError` if it is not what was saved."""
    try:
        return saved_state(config, workdir, step)
    except checkpoint.Damaged as error:
        raise UserError(f"{error}; delete that folder and those of later steps, and train again") from error
