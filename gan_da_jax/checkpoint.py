"""Checkpoints of a run: WORKDIR/checkpoints/<step>/. The only file that knows Orbax."""

import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint
from orbax.checkpoint import v1 as ocp

from gan_da_jax import records
from gan_da_jax.errors import UserError

# A state is whole on every device, so process 0 has all of it: it saves and loads alone, and waits for no other.
_ALONE = {"primary_host": 0, "active_processes": {0}, "barrier_sync_key_prefix": "gan_da"}

logging.getLogger("absl").setLevel(logging.WARNING)  # Orbax tells of every file it opens


def steps(directory: Path) -> list[int]:
    """The steps of the finished checkpoints, ascending; half-written ones do not count."""
    if not directory.is_dir():
        return []
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal() and path.is_dir())


def save(directory: Path, step: int, state: Any) -> None:
    """Writes a tree of arrays as checkpoint `step`, whole or not at all; a full disk is a `UserError`."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        if jax.process_count() > 1:
            _save_alone(directory.absolute() / str(step), state)
            return
        with ocp.training.Checkpointer(directory.absolute(), cleanup_tmp_directories=True) as checkpointer:
            checkpointer.save(step, state, force=True)
    except (ValueError, OSError) as error:
        raise UserError(
            f"{directory / str(step)} cannot be written ({_reason(error)}): make room, and go on"
        ) from error


def load(directory: Path, step: int, like: Any) -> Any:
    """Reads checkpoint `step` into the shapes, dtypes and device placement of the tree `like`.

    Raises:
        UserError: the checkpoint cannot be read or belongs to another network.
    """
    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), like)
    try:
        context = ocp.Context()
        for option, value in _ALONE.items():
            setattr(context.multiprocessing, option, value)
        with context:
            return ocp.load(directory.absolute() / str(step), abstract)
    except (ValueError, KeyError, TypeError, OSError) as error:
        advice = "delete that folder to use the checkpoint before it"
        raise UserError(f"{directory / str(step)} cannot be read ({_reason(error)}): {advice}") from error


def _save_alone(path: Path, state: Any) -> None:
    """What `save` does, by one of several processes; in Orbax' newer interface all of them would have to take part."""
    options = orbax.checkpoint.options.MultiprocessingOptions(**_ALONE)
    composite = orbax.checkpoint.CompositeOptions(multiprocessing_options=options)
    handler = orbax.checkpoint.CompositeCheckpointHandler(composite_options=composite)
    with orbax.checkpoint.Checkpointer(handler, multiprocessing_options=options) as checkpointer:
        arrays = jax.tree.map(np.asarray, state)  # else they would be taken for parts of larger ones
        checkpointer.save(path, orbax.checkpoint.args.Composite(state=orbax.checkpoint.args.PyTreeSave(arrays)))


def digest(state: Any) -> str:
    """The SHA-256 over the names, shapes, dtypes and bytes of all arrays of a tree, in the tree's order."""
    rows = [
        f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype} {records.sha256(leaf)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    ]
    return records.sha256("\n".join(rows).encode())


def _reason(error: BaseException) -> str:
    """The first words of what went wrong in the end; Orbax wraps it in pages of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200] or type(error).__name__
