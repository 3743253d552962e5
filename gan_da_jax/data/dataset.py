"""The data set of a run: originals and augmented images, described so that it can be made again bit for bit."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gan_da_jax import augment
from gan_da_jax.augment import policy
from gan_da_jax.errors import UserError
from gan_da_jax.files import io, schemas

POOLS = ("originals", "generated", "more")


def manifest_file(folder: Path) -> Path:
    """Return the manifest of a data set's folder; where it is there, the data set is complete."""
    return folder / "manifest.json"


def pool_file(folder: Path, name: str) -> Path:
    """Return the file of the images of a pool, one of `POOLS`."""
    return folder / f"{name}.npy"


def images(parts: Sequence[policy.Part], draws: Sequence[policy.Draw], pools: Mapping[str, np.ndarray]) -> np.ndarray:
    """Make the data set, on the host: it may be larger than the device's memory.

    Args:
        parts: the policy, as `policy.parse` gives it.
        draws: the augmented images, as `policy.draw` gives them.
        pools: uint8 [n, S, S, 3] by name: `originals`, and `generated` and `more` where the policy needs them.

    Returns:
        uint8 [originals + len(draws), S, S, 3]: the originals, then the augmented images in the order of `draws`. With
        no draws it is the array of the originals itself.
    """
    originals, arguments = pools["originals"], dict(parts)
    if not draws:
        return originals
    pixels = np.empty((len(originals) + len(draws), *originals.shape[1:]), np.uint8)
    pixels[: len(originals)] = originals
    end = len(originals)
    for op, group in itertools.groupby(draws, key=lambda draw: draw.op):
        chosen = pools[augment.OPS[op].pool][[draw.source_index for draw in group]]
        start, end = end, end + len(chosen)
        pixels[start:end] = augment.apply(op, arguments[op], chosen)
    return pixels


def build(
    *,
    source: dict,
    policy_text: str,
    count: int,
    seed: int,
    pools: Mapping[str, np.ndarray],
    ids: Mapping[str, Sequence[str]],
) -> tuple[dict, np.ndarray]:
    """Make a data set and its manifest.

    Args:
        source: where the originals come from, for the record.
        policy_text: as in `contrast+hflip`.
        count: augmented images; 0 for the policy `none`.
        seed: the run's seed.
        pools: see `images`.
        ids: the name of each image in each pool.

    Returns:
        The manifest, and the images uint8 [n, S, S, 3].
    """
    parts = policy.parse(policy_text)
    originals = len(pools["originals"])
    draws = policy.draw(parts, count=count, originals=originals, seed=seed) if parts else []
    pixels = images(parts, draws, pools)
    whole = [policy.Draw("original", i) for i in range(originals)] + draws
    rows = [
        {
            "index": index,
            "op": op,
            "source_id": ids[augment.OPS[op].pool if op in augment.OPS else "originals"][source_index],
            "source_index": source_index,
            "sha256": io.sha256(pixels[index]),
        }
        for index, (op, source_index) in enumerate(whole)
    ]
    return {
        "format": 1,
        "source": source,
        "policy": policy_text,
        "count": count,
        "seed": seed,
        "images_sha256": io.sha256(pixels),
        "records": rows,
    }, pixels


def read(folder: Path) -> dict:
    """Read the manifest of a data set's folder; a `UserError` if it is absent or of another form."""
    path = manifest_file(folder)
    manifest = io.read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != 1:
        raise UserError(f"{path} is not a manifest of format 1: prepare the data set again in a new workdir")
    schemas.require(manifest, schemas.MANIFEST, str(path))
    return manifest


def originals(folder: Path) -> np.ndarray:
    """Read the originals of a prepared data set, uint8 [n, S, S, 3], and check their hashes; UserError as in `load`."""
    rows = [row for row in read(folder)["records"] if row["op"] == "original"]
    pixels = io.load_array(pool_file(folder, "originals"))
    _require_same(folder, pixels, rows)
    return pixels


def load(folder: Path) -> tuple[dict, np.ndarray]:
    """Make the images of a prepared data set and check them by their hashes.

    Args:
        folder: the folder of the data set.

    Returns:
        The manifest, and the images uint8 [n, S, S, 3], on the host; originals alone stay in their file and are read as
        they are needed.

    Raises:
        UserError: a file is absent or unreadable, or the manifest describes other images.
    """
    manifest = read(folder)
    try:
        draws = [policy.Draw(row["op"], row["source_index"]) for row in manifest["records"] if row["op"] != "original"]
        needed = {"originals"} | {augment.OPS[op].pool for op, _ in draws}
        pools = {pool: io.map_array(pool_file(folder, pool)) for pool in POOLS if pool in needed}
        pixels = images(policy.parse(manifest["policy"]), draws, pools)
    except (KeyError, TypeError, IndexError, ValueError):
        raise _not_as_described(folder) from None
    _require_same(folder, pixels, manifest["records"])
    if io.sha256(pixels) != manifest["images_sha256"] or len(draws) != manifest["count"]:
        raise _not_as_described(folder)
    return manifest, pixels


def _require_same(folder: Path, pixels: np.ndarray, rows: list[dict]) -> None:
    indices = [row["index"] for row in rows]
    same = pixels.dtype == np.uint8 and pixels.ndim == 4 and indices == list(range(len(pixels)))
    if not same or [row["sha256"] for row in rows] != list(map(io.sha256, pixels)):
        raise _not_as_described(folder)


def _not_as_described(folder: Path) -> UserError:
    return UserError(
        f"{folder} does not hold the images its manifest.json describes: prepare it again in a new workdir"
    )
