"""What tests of several folders share: a GAN that trains in seconds, its commands, and pictures to train it on."""

import multiprocessing
import socket
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax.configs import default
from gan_da_jax.data.sources import faces
from gan_da_jax.files import io
from gan_da_jax.main import main

# Importing JAX takes longer than what a test's processes do: one imports it, and the others are forked from that one.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["gan_da_jax.main"])

CONFIG = "--config=configs/default.py"
# 29 images in batches of 8: four epochs are 15 steps. One network for all tests, so that it is compiled once.
SMALL = {
    "data.count": 20,
    "data.image_size": 32,
    "model.width": 4,
    "model.latent_dim": 8,
    "train.batch_size": 8,
    "train.epochs": 4,
    "train.checkpoint_every": 1,
    "augment.policy": "contrast+hflip",
    "augment.count": 9,
}
SCORED = {"evaluate.classifier": "faces_attributes", "evaluate.samples": 32, "evaluate.splits": 4}


def command(verb: str, workdir: Path | None, *flags: str, **fields) -> list[str]:
    """The words of `gan-da VERB` on the small config; `train__epochs=2` sets its field train.epochs."""
    given = [verb, CONFIG, *([] if workdir is None else [f"--workdir={workdir}"])]
    return [*given, *(f"--config.{name}={value}" for name, value in (SMALL | dotted(fields)).items()), *flags]


def configured(**fields) -> ConfigDict:
    """The default config with other values in these fields, which are named as in `command`."""
    config = default.get_config()
    config.update_from_flattened_dict(dotted(fields))
    return config


def dotted(fields: dict) -> dict:
    return {name.replace("__", "."): value for name, value in fields.items()}


def refused(arguments: list[str], capsys) -> str:
    """The one line with which a command refuses what it is given."""
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error


def written(folder: Path) -> dict[Path, int]:
    """Every file below a folder, with the time at which it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def draw_faces(folder: Path, count: int = 24) -> Path:
    """Writes procedural faces of 32 pixels as PNG files into a folder."""
    for index, image in enumerate(faces.render(7, np.arange(count), 32)[0]):
        io.save_png(folder / f"{index:02d}.png", image)
    return folder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def equations(jaxpr) -> Iterator:
    """Every operation of a program and of the programs in it."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda it: hasattr(it, "jaxpr")):
            if hasattr(inner, "jaxpr"):
                yield from equations(inner.jaxpr)
