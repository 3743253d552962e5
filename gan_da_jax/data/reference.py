"""The references of a run: sets of real images that it is not trained on, each kept with what it was asked for by.

A reference is two files, named by a hash of what it is: `.npy` with its images, and `.json`, which is written last.
Lines of scores say what it is, so the same images under another name are kept beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.files import io, schemas


class Reference(NamedTuple):
    """Real images that nobody trains on.

    Attributes:
        pixels: uint8 [n, S, S, 3].
        entry: what its `.json` says: `asked`, what it was made by; `identity`, which goes into every line of scores
            that it gave: `kind`, `name`, `images` and `sha256`; and `records`, the name and SHA-256 of each image.
    """

    pixels: np.ndarray
    entry: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What it is: equal where the images are."""
        return self.entry["identity"]


def build(
    pixels: np.ndarray, ids: Sequence[str], *, kind: str, name: str, asked: Mapping[str, Any], source: Mapping[str, str]
) -> Reference:
    """Make a reference of images.

    Args:
        pixels: uint8 [n, S, S, 3].
        ids: the name of each image.
        kind: `heldout`, `heldout(0.2)` or `path`.
        name: what people call the images.
        asked: what it is made by, as JSON values; whoever asks by the same gets it.
        source: where the images come from, for the record.
    """
    rows = [{"id": one, "sha256": io.sha256(image)} for one, image in zip(ids, pixels, strict=True)]
    identity = {"kind": kind, "name": name, "images": len(pixels), "sha256": io.sha256(pixels)}
    entry = {"format": 1, "asked": dict(asked), "identity": identity, "source": dict(source), "records": rows}
    return Reference(pixels, io.seal(entry))


def save(folder: Path, reference: Reference) -> None:
    """Keep a reference in the folder of references of a run."""
    stem = io.seal({"identity": reference.identity})["sha256"][:16]
    io.save_array(folder / f"{stem}.npy", reference.pixels)
    io.write_json(folder / f"{stem}.json", reference.entry)


def entries(folder: Path) -> dict[Path, dict[str, Any]]:
    """Read what the files of all references say, by the file of the images; a `UserError` for other files."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        entry = io.read_json(path)
        schemas.require(entry, schemas.REFERENCE, str(path))
        found[path.with_suffix(".npy")] = entry
    return found


def load(folder: Path, **wanted: Any) -> Reference | None:
    """Read the first reference whose entry has these fields, as in `asked={...}`; None if there is none.

    Raises:
        UserError: its images are not the described ones.
    """
    for path, entry in entries(folder).items():
        if wanted.items() <= entry.items():
            return Reference(images(path, entry), entry)
    return None


def images(path: Path, entry: Mapping[str, Any]) -> np.ndarray:
    """Read the images of a reference, uint8 [n, S, S, 3]; a `UserError` if its entry describes others."""
    pixels = io.load_array(path)
    known = [row["sha256"] for row in entry["records"]]
    same = pixels.dtype == np.uint8 and pixels.ndim == 4 and len(pixels) == len(known) == entry["identity"]["images"]
    if not same or io.sha256(pixels) != entry["identity"]["sha256"]:
        raise UserError(f"{path} does not hold the images that its .json describes: delete both, and evaluate again")
    for number, (image, sha256) in enumerate(zip(pixels, known, strict=True)):
        if io.sha256(image) != sha256:
            raise UserError(f"{path}, image {number}: its .json has another SHA-256: delete both, and evaluate again")
    return pixels
