"""The real images that a run is scored against and not trained on: chosen, checked, and kept with the run."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax.data import collection, dataset, reference
from gan_da_jax.data.reference import Reference
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.data.sources.images import shown
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools
from gan_da_jax.prng import stream
from gan_da_jax.runs.config import set_aside, source_name
from gan_da_jax.runs.folder import Run
from gan_da_jax.runs.reference import LEAST, MOST, Asked, parse

# Chooses among more images than MOST at a path: the same for all runs, whatever their seed, so that the runs of an arm
# are scored against the same images.
SEED = 0

_FIELD = "config.evaluate.reference"


def asked(config: ConfigDict) -> dict[str, Any] | None:
    """Say what makes the reference of a config, as JSON values: equal where the images are; None where it has none."""
    wanted = parse(config.evaluate.reference)
    if wanted.kind == "originals":
        return None
    if wanted.kind == "heldout" and not wanted.share:
        return {"reference": str(wanted)} | pools.other_end(config)
    return {"reference": str(wanted)}


def plan(run: Run) -> str:
    """Say what the reference of a run is, "" for none; a `UserError` if it cannot be had."""
    wanted = asked(run.config)
    if wanted is None:
        return ""
    _stay_outside(run)
    if kept := next((one for one in reference.entries(run.references).values() if one["asked"] == wanted), None):
        return f"{run}: scored against {_said(kept['identity'])} too, as prepared before"
    return f"{run}: would be scored against {_said(make(run).identity)} too"


def count(run: Run) -> int:
    """Count the images of the reference of a run, 0 for none; at the most, where its source is not downloaded yet.

    Raises:
        UserError: the images cannot be had.
    """
    config, wanted = run.config, asked(run.config)
    if wanted is None:
        return 0
    for kept in reference.entries(run.references).values():
        if kept["asked"] == wanted:
            return kept["identity"]["images"]
    if aside := set_aside(config):
        return aside
    source = SOURCES[config.data.source]
    ready = not source.downloads or source.is_ready(Location(config.data.path, config.data.dataset))
    return len(images(config, wanted)[0]) if ready or parse(config.evaluate.reference).path else MOST


def of(run: Run) -> Reference | None:
    """Return the reference of a run, None if its config has none; it is made and kept where it was not before.

    Raises:
        UserError: the images cannot be had, are too few, or some of them are training images.
    """
    wanted = asked(run.config)
    if wanted is None:
        return None
    _stay_outside(run)
    kept = reference.load(run.references, asked=wanted)
    if kept is None:
        kept = make(run)
        reference.save(run.references, kept)
    return kept


def make(run: Run) -> Reference:
    """Choose the reference of a run among the images of its source or at the path; a `UserError` as from `of`."""
    config, wanted = run.config, parse(run.config.evaluate.reference)
    by = asked(config) or {}
    if not wanted.path:
        _require_same_source(run)
    pixels, ids = images(config, by)
    if len(pixels) < LEAST:
        found = "images are there" if wanted.path else _left(by)
        raise UserError(
            f"{_FIELD} is {shown(wanted)!r}, but a reference must have at least {LEAST} images: {len(pixels)} {found}"
        )
    if wanted.path and (number := _count(pixels, _trained(run))):
        raise UserError(
            f"{_FIELD} is {shown(wanted)!r}: {number} of its {len(pixels)} images are training images of the run, in "
            "every pixel, and a score against these rewards copying: take them out"
        )
    kind, source = "path" if wanted.path else str(wanted), _source(config, wanted)
    return reference.build(pixels, ids, kind=kind, name=source["name"], asked=by, source=source)


def images(config: ConfigDict, by: Mapping[str, Any]) -> tuple[np.ndarray, list[str]]:
    """Read the images of a reference.

    Args:
        config: of the run.
        by: what it is made by, as from `asked`.

    Returns:
        uint8 [n, S, S, 3], n >= 0, and the names of the images.

    Raises:
        UserError: the images cannot be had.
    """
    wanted = parse(by["reference"])
    if wanted.path:
        return _at_path(config, wanted)
    return pools.held_out(config, {name: number for name, number in by.items() if name != "reference"})


def _left(by: Mapping[str, Any]) -> str:
    return (
        f"of the source are left beyond the {by['beyond']} that the arms take (data.count, and the most that the op "
        "more takes); add images, lower data.count, or set some of these aside, as by heldout(0.2)"
    )


def _trained(run: Run) -> set[str]:
    """Return the hashes of the real images that a run is trained on: the originals, and those of the op `more`."""
    if run.prepared:
        return {row["sha256"] for row in dataset.read(run.dataset)["records"] if row["op"] in ("original", "more")}
    pools_of, _, _ = pools.real(run.config)
    return {io.sha256(image) for pool in pools_of.values() for image in pool}


def _require_same_source(run: Run) -> None:
    """Refuse a source that changed after the run was prepared: what it holds out now may have been trained on.

    Names count: they choose the images, whose pixels may be decoded a little otherwise on another machine.
    """
    if not run.prepared:
        return
    rows, (_, ids, _) = dataset.read(run.dataset)["records"], pools.real(run.config)
    for op, pool in (("original", "originals"), ("more", "more")):
        if [row["source_id"] for row in rows if row["op"] == op] != ids.get(pool, []):
            raise UserError(
                f"{_FIELD} is {run.config.evaluate.reference!r}, but the source no longer gives the originals of the "
                "run, so they may be among the images that it holds out: restore the source, or name other images"
            )


def _source(config: ConfigDict, wanted: Asked) -> dict[str, str]:
    """Say for the record where the images come from."""
    if not wanted.path:
        return {"name": source_name(config), "path": config.data.path, "dataset": config.data.dataset}
    place = Path(os.path.expanduser(wanted.path)).resolve()
    return {"name": place.stem if place.is_file() else place.name, "path": str(place), "dataset": ""}


def _at_path(config: ConfigDict, wanted: Asked) -> tuple[np.ndarray, list[str]]:
    """Read images of the user's own: an array as it is, files resized as the originals are; the choice is by `SEED`."""
    place = os.path.expanduser(wanted.path)
    if not os.path.exists(place):
        raise UserError(
            f"{_FIELD} is {shown(wanted)!r}, which does not exist; it must be originals, heldout, heldout(SHARE), or a "
            "folder, .zip, .npz or .npy of images"
        )
    if place.endswith((".npz", ".npy")) and os.path.isfile(place):
        return _of_array(wanted.path, config.data.image_size)
    found = pools.read(
        "folder" if os.path.isdir(place) else "zip",
        Location(wanted.path),
        count=0,
        last=MOST,
        image_size=config.data.image_size,
        resize=config.data.resize,
        seed=SEED,
        skip_bad=config.data.skip_bad,
    )
    return found.pixels, found.ids


def _of_array(path: str, size: int) -> tuple[np.ndarray, list[str]]:
    with collection.opened(path) as found:
        pixels = np.stack(list(found.read()))
    if pixels.shape[1:3] != (size, size):
        high, wide = pixels.shape[1:3]
        raise UserError(
            f"{_FIELD} is {shown(path)!r}, whose images have {wide} x {high} pixels; an array must have the size that "
            f"is trained, {size} x {size} (data.image_size)"
        )
    numbers = np.arange(len(pixels))
    if len(pixels) > MOST:
        numbers = np.sort(np.asarray(jax.random.permutation(stream(SEED, "reference"), len(pixels)))[:MOST])
    return pixels[numbers], [str(number) for number in numbers]


def _count(pixels: np.ndarray, trained: Collection[str]) -> int:
    return sum(io.sha256(image) in trained for image in pixels)


def _stay_outside(run: Run) -> None:
    """Refuse a folder of images that the run writes its own pictures into."""
    path = parse(run.config.evaluate.reference).path
    if path and os.path.isdir(os.path.expanduser(path)) and SOURCES["folder"].encloses(Location(path), run.workdir):
        raise UserError(f"{run} is inside the folder of images of {_FIELD}, {shown(path)}: choose another place")


def _said(identity: dict[str, Any]) -> str:
    what = identity["name"] if identity["kind"] == "path" else identity["kind"]
    return f"{identity['images']} real images ({shown(what)})"
