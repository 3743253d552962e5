"""The source `folder`: images of a folder and the folders inside it."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from zipfile import is_zipfile

from gan_da_jax.data.sources.images import MAX_BYTES, Unreadable, shown, wanted
from gan_da_jax.data.sources.source import Files, Source, path_exists
from gan_da_jax.errors import UserError


@contextlib.contextmanager
def opened(path: str) -> Iterator[Files]:
    """Yield the images of the folder `path`, each named by its relative path, as `listing` finds them."""
    root = os.path.expanduser(path)
    yield Files(f"the folder {shown(path)}", listing(path), lambda name: read(os.path.join(root, name)))


def listing(path: str) -> list[str]:
    """List the images below the folder `path` as relative posix paths.

    Names count, not contents: .jpg, .jpeg, .png and .webp in any case. Hidden files and folders and `__MACOSX` are
    passed over. Links are followed, but no folder is entered twice, so loops of links end.

    Raises:
        UserError: there is no such folder, it holds no image, or a folder inside it may not be entered.
    """
    if not path:
        raise UserError("the path of the folder of images is empty: give one")
    root = os.path.expanduser(path)
    if not os.path.exists(root):
        raise UserError(f"{shown(path)} does not exist: name a folder of images")
    if not os.path.isdir(root):
        advice = "use data.source=zip" if is_zipfile(root) else "name a folder of images"
        raise UserError(f"{shown(path)} is a file, not a folder: {advice}")

    def refuse(error: OSError) -> None:
        raise UserError(f"{shown(error.filename)} cannot be entered ({error.strerror}): change its permissions")

    names, entered = [], set()
    for folder, below, files in os.walk(root, onerror=refuse, followlinks=True):
        place = os.stat(folder)
        if (place.st_dev, place.st_ino) in entered:
            below.clear()
            continue
        entered.add((place.st_dev, place.st_ino))
        below.sort()  # which of two links to a folder is entered must not depend on the file system
        names += [name for file in files if wanted(name := Path(folder, file).relative_to(root).as_posix())]
    if not names:
        raise UserError(f"the folder {shown(path)} has no image in it, no .jpg, .jpeg, .png or .webp: check the path")
    return names


def read(path: str) -> bytes:
    """Read one image file.

    Raises:
        Unreadable: it is absent, forbidden, larger than MAX_BYTES, or no regular file (a pipe would never end).
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a regular file")
        if status.st_size > MAX_BYTES:
            raise Unreadable(f"{status.st_size >> 20} MiB, more than {MAX_BYTES >> 20} MiB")
        return Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None


SOURCE = Source(opened=lambda location: opened(location.path), path="needed", reads_folder=True, is_ready=path_exists)
