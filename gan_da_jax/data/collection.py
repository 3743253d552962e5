"""Images as they are, of any sizes, for scoring: a folder, a zip file, or an array of another program."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gan_da_jax.data.sources import folder, zip_file
from gan_da_jax.data.sources.images import MANY_BAD, Unreadable, complaint, decode, in_parallel, shown
from gan_da_jax.data.sources.source import Files
from gan_da_jax.errors import UserError

_AHEAD = 64  # images decoded at once: photographs are large


class Collection(NamedTuple):
    """Images in order.

    Attributes:
        names: what each is called, at least 1: its relative path, or its number where they come as an array.
        read: gives them one after the other, uint8 [H, W, 3], each time anew. It raises a `UserError` that names all
            files that cannot be read, once it has come to the end.
    """

    names: list[str]
    read: Callable[[], Iterator[np.ndarray]]

    @property
    def size(self) -> int:
        """The number of images."""
        return len(self.names)


@contextlib.contextmanager
def opened(path: str) -> Iterator[Collection]:
    """Open the images of a folder, a `.zip`, or a `.npz` or `.npy` that holds uint8 [n, H, W, 3].

    Files are in bytewise order of their relative paths, which is torch-fidelity's order too; see `folder.listing` and
    `zip_file.opened` for which files count, and `images.decode` for modes other than RGB.

    Raises:
        UserError: nothing is there, there is no image in it, or the array is of another kind.
    """
    place = os.path.expanduser(path)
    if not os.path.exists(place):
        what = f"{shown(path)} does not exist" if path else "the path of the images is empty"
        raise UserError(f"{what}: name a folder, .zip, .npz or .npy of images")
    if os.path.isdir(place):
        with folder.opened(path) as files:
            yield _of_files(files)
    elif place.endswith((".npz", ".npy")):
        pixels = _array(place)
        yield Collection([str(number) for number in range(len(pixels))], lambda: iter(pixels))
    else:
        with zip_file.opened(path) as files:
            yield _of_files(files)


def _of_files(files: Files) -> Collection:
    names = sorted(files.names, key=lambda name: name.encode("utf-8", "surrogateescape"))

    def attempt(name: str) -> np.ndarray | dict[str, str]:
        try:
            return np.asarray(decode(files.read(name)))
        except Unreadable as error:
            return {"id": name, "reason": str(error)}

    def images() -> Iterator[np.ndarray]:
        bad, looked_at = [], 0
        for image in in_parallel(attempt, names, title="reading images", ahead=_AHEAD):
            looked_at += 1
            if isinstance(image, dict):
                bad.append(image)
                if len(bad) == MANY_BAD:
                    break
            elif not bad:
                yield image
        if bad:
            raise UserError(f"{complaint(bad, looked_at, files.where)}: repair or remove them")

    return Collection(names, images)


def _array(path: str) -> np.ndarray:
    try:
        pixels = np.load(path, allow_pickle=False)
        if isinstance(pixels, np.lib.npyio.NpzFile):
            with pixels as arrays:
                if len(arrays.files) != 1:
                    held = f"{len(arrays.files)} arrays ({', '.join(map(shown, arrays.files))})"
                    raise UserError(f"{shown(path)} holds {held}: store the images as its only one")
                pixels = np.asarray(arrays[arrays.files[0]])  # an entry that is no .npy comes as bytes
    except UserError:
        raise
    except Exception as error:  # NumPy's readers raise almost anything on damaged data
        reason = shown(error) or type(error).__name__
        raise UserError(f"{shown(path)} cannot be read as an array ({reason}): store the images again") from None
    require_pixels(pixels, shown(path))
    return pixels


def require_pixels(pixels: np.ndarray, where: str) -> None:
    """Raise a `UserError` unless an array holds images, at least one; `where` is what the message calls the array."""
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
        raise UserError(
            f"{where} holds {pixels.dtype} {list(pixels.shape)}: images must be uint8 [n, H, W, 3], RGB, 0 to 255"
        )
