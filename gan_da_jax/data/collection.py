"""Images as they are, of any sizes, for scoring: a folder, a zip file, or an array of another program."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gan_da_jax import records
from gan_da_jax.data import archive, folder
from gan_da_jax.data.images import Unreadable, complaint, decode, in_parallel, shown
from gan_da_jax.errors import UserError

_AHEAD = 64  # images decoded at once: photographs are large


class Collection(NamedTuple):
    """Images in order.

    Attributes:
        count: how many there are, at least 1.
        read: gives them one after the other, uint8 [H, W, 3], each time anew. It raises a `UserError` that names all
            files that cannot be read, once it has come to the end.
    """

    count: int
    read: Callable[[], Iterator[np.ndarray]]


@contextlib.contextmanager
def opened(path: str) -> Iterator[Collection]:
    """Opens the images of a folder, a `.zip`, or a `.npz` or `.npy` that holds uint8 [n, H, W, 3].

    Files are in bytewise order of their relative paths; see `folder.listing` and `archive.opened` for which count.

    Raises:
        UserError: nothing there, no image in it, or an array of another kind.
    """
    if path.endswith((".npz", ".npy")):
        pixels = _array(path)
        yield Collection(len(pixels), lambda: iter(pixels))
    elif os.path.isfile(os.path.expanduser(path)):
        with archive.opened(path) as (names, read):
            yield _files(names, read, f"the zip file {shown(path)}")
    else:
        root = os.path.expanduser(path)
        names = folder.listing(path)
        yield _files(names, lambda name: folder.read(os.path.join(root, name)), f"the folder {shown(path)}")


def _files(names: list[str], read: Callable[[str], bytes], where: str) -> Collection:
    names = sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))

    def attempt(name: str) -> np.ndarray | dict[str, str]:
        try:
            return np.asarray(decode(read(name)))
        except Unreadable as error:
            return {"id": name, "reason": str(error)}

    def images() -> Iterator[np.ndarray]:
        bad = []
        for image in in_parallel(attempt, names, title="reading images", ahead=_AHEAD):
            if isinstance(image, dict):
                bad.append(image)
            elif not bad:
                yield image
        if bad:
            raise UserError(f"{complaint(bad, len(names), where)}: mend or remove them")

    return Collection(len(names), images)


def _array(path: str) -> np.ndarray:
    pixels = records.load_array(path)
    if isinstance(pixels, np.lib.npyio.NpzFile):
        with pixels as arrays:
            if len(arrays.files) != 1:
                raise UserError(f"{shown(path)} holds {len(arrays.files)} arrays: store the images as its only one")
            try:
                pixels = arrays[arrays.files[0]]
            except (ValueError, OSError, EOFError) as error:
                raise UserError(f"{shown(path)} cannot be read ({shown(error)}): store the images again") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
        raise UserError(
            f"{shown(path)} holds {pixels.dtype} {list(pixels.shape)}: images are uint8 [n, H, W, 3], RGB, 0 to 255"
        )
    return pixels
