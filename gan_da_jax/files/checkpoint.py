"""Checkpoints of a run: WORKDIR/checkpoints/<step>/. The only file that knows Orbax."""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint
from orbax.checkpoint import v1 as ocp

from gan_da_jax.errors import UserError, reason
from gan_da_jax.files import io

_DAMAGED, _DELETED = ".damaged", ".deleted"  # ends of the names of former checkpoints
_HALF = ".orbax-checkpoint-tmp"  # in the names of unfinished ones

# A state is whole on every device, so process 0 has all of it: it saves and loads alone, and waits for no other.
_ALONE = {"primary_host": 0, "active_processes": {0}, "barrier_sync_key_prefix": "gan_da"}


class Damaged(UserError):
    """A checkpoint is not what was saved."""


class Incompatible(UserError):
    """A checkpoint is whole, but holds another tree of arrays than the one that is asked for."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Orbax inside the block: it logs each file that it opens, and in many pages each error that it raises."""
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def steps(directory: Path) -> list[int]:
    """List the steps of the finished checkpoints, ascending; half-written ones do not count."""
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal() and path.is_dir())


def save(directory: Path, step: int, state: Any) -> None:
    """Write a tree of arrays as checkpoint `step`, whole or not at all; a full disk is a `UserError`.

    It replaces damaged checkpoints that were set aside: they are removed, unless they are of later steps.
    """
    directory.mkdir(parents=True, exist_ok=True)
    needed, free = sum(leaf.nbytes for leaf in jax.tree.leaves(state)), shutil.disk_usage(directory).free
    if free < needed:
        raise UserError(
            f"{directory / str(step)} needs {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free: "
            "make room, and go on"
        )
    try:
        with _quiet():
            if jax.process_count() > 1:
                _save_alone(directory.absolute() / str(step), state)
            else:
                with ocp.training.Checkpointer(directory.absolute(), cleanup_tmp_directories=True) as checkpointer:
                    checkpointer.save(step, state, force=True)  # else a step before the newest one is passed over
    except Exception as error:  # Orbax passes on what its threads meet, in exceptions of many kinds
        with contextlib.suppress(OSError):
            clean(directory)
        raise UserError(
            f"{directory / str(step)} cannot be written ({_reason(error)}): make room, and go on"
        ) from error
    for path in directory.glob(f"*{_DAMAGED}"):
        if int(path.name.removesuffix(_DAMAGED)) <= step:
            shutil.rmtree(path)


def _save_alone(path: Path, state: Any) -> None:
    """Save by one of several processes; in Orbax' newer interface all of them would have to take part."""
    options = orbax.checkpoint.options.MultiprocessingOptions(**_ALONE)
    composite = orbax.checkpoint.CompositeOptions(multiprocessing_options=options)
    handler = orbax.checkpoint.CompositeCheckpointHandler(composite_options=composite)
    with orbax.checkpoint.Checkpointer(handler, multiprocessing_options=options) as checkpointer:
        arrays = jax.tree.map(np.asarray, state)  # else they would be taken for parts of larger ones
        checkpointer.save(path, orbax.checkpoint.args.Composite(state=orbax.checkpoint.args.PyTreeSave(arrays)))


def load(directory: Path, step: int, like: Any) -> Any:
    """Read checkpoint `step` into the shapes, dtypes and device placement of the tree `like`.

    Raises:
        Damaged: the checkpoint cannot be read.
        Incompatible: its arrays have other names, shapes or dtypes, so that other code or another network made it.
    """
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), like)
    path = directory.absolute() / str(step)
    try:
        context = ocp.Context()
        for option, value in _ALONE.items():
            setattr(context.multiprocessing, option, value)
        with _quiet(), context:
            saved = ocp.metadata(path).metadata  # without an error, but empty, where files are damaged
            difference = _difference(_parts(saved), _parts(abstract)) if jax.tree.leaves(saved) else ""
            if not difference:
                return ocp.load(path, abstract)
    except (PermissionError, MemoryError, jax.errors.JaxRuntimeError):  # says nothing of the checkpoint
        raise
    except Exception as error:  # on damaged files the readers raise almost anything
        raise Damaged(f"{directory / str(step)} cannot be read ({_reason(error)})") from error
    raise Incompatible(
        f"{directory / str(step)} was made by another version or for another network: {difference}. Keep that folder "
        f"and use the versions in its run's config.json, or choose a new --workdir"
    )


def _parts(tree: Any) -> dict[str, str]:
    """Return the dtype and the shape of each array of a tree, by its name, such as generator/params/Dense_0/kernel.

    Nodes without an array, which Orbax also saves, are "empty".
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "dtype") else "empty"
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: not jax.tree.leaves(node))
    }


def _difference(saved: dict[str, str], wanted: dict[str, str]) -> str:
    """Say where the arrays of a checkpoint, as from `_parts`, first differ from the wanted ones; "" if nowhere."""
    for name in sorted(saved.keys() | wanted.keys()):
        if saved.get(name) != wanted.get(name):
            return f"its {name} is {saved.get(name, 'absent')}, where this run has {wanted.get(name, 'nothing')}"
    return ""


def set_aside(directory: Path, step: int) -> None:
    """Take a damaged checkpoint out of the finished ones; it stays until a good one replaces it."""
    _rename(directory, step, _DAMAGED)


def delete(directory: Path, step: int) -> None:
    """Remove a checkpoint, which at no moment is there in part."""
    shutil.rmtree(_rename(directory, step, _DELETED))


def clean(directory: Path) -> None:
    """Remove the remains of checkpoints that killed processes left: half-written ones, and half-deleted ones."""
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.name.endswith(_DELETED) or _HALF in path.name:
            shutil.rmtree(path)


def _rename(directory: Path, step: int, suffix: str) -> Path:
    target = directory / f"{step}{suffix}"
    if target.exists():
        shutil.rmtree(target)
    return (directory / str(step)).rename(target)


def digest(state: Any) -> str:
    """Return the SHA-256 over the names, shapes, dtypes and bytes of all arrays of a tree, in the tree's order."""
    rows = [
        f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype} {io.sha256(leaf)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    ]
    return io.sha256("\n".join(rows).encode())


def _reason(error: BaseException) -> str:
    """Say the cause of an error, which Orbax wraps in pages of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return reason(error)
