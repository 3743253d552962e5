"""The source `zip`: images inside a zip file, such as the official `img_align_celeba.zip`, as it was downloaded."""

import contextlib
import lzma
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator

from gan_da_jax.data.sources.images import MAX_BYTES, Unreadable, shown, wanted
from gan_da_jax.data.sources.source import Files, Source, path_exists
from gan_da_jax.errors import UserError

_PIECE = 4096  # bytes; LZMA makes at most 30 MB of this number of packed ones
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError)


@contextlib.contextmanager
def opened(path: str) -> Iterator[Files]:
    """Yield the images in the zip file `path`, each named as its entry.

    Nothing is extracted to the disk, so an entry that points elsewhere ("../x.jpg") is a mere name. However much an
    entry unpacks to, at most MAX_BYTES of it are held. Hidden entries and `__MACOSX` are passed over. Of entries with
    the same name the last counts, as after unpacking.

    Raises:
        UserError: there is no such file, it is no zip file, or no image is in it.
    """
    if not path:
        raise UserError("the path of the zip file of images is empty: give one")
    file = os.path.expanduser(path)
    if not os.path.exists(file):
        raise UserError(f"{shown(path)} does not exist: name a zip file of images")
    if os.path.isdir(file):
        raise UserError(f"{shown(path)} is a folder, not a zip file: use data.source=folder")
    try:
        archive = zipfile.ZipFile(file)
    except (*_BROKEN, NotImplementedError) as error:
        raise UserError(
            f"{shown(path)} is not a whole zip file ({shown(error)}): download it again, or check the path"
        ) from None
    with archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        entries = {entry.filename: entry for entry in files if wanted(entry.filename)}
        if not entries:
            nested = any(entry.filename.lower().endswith(".zip") for entry in files)
            advice = "it holds other zip files: unpack those and name one of them" if nested else "check the path"
            raise UserError(f"the zip file {shown(path)} has no image in it, no .jpg, .jpeg, .png or .webp: {advice}")
        lock = threading.Lock()  # a ZipFile promises nothing about threads

        def read(name: str) -> bytes:
            entry = entries[name]
            if entry.flag_bits & 1:
                raise Unreadable("encrypted")
            if entry.compress_type == zipfile.ZIP_BZIP2:  # its smallest pieces may unpack to gigabytes
                raise Unreadable("packed with bzip2: pack it with Deflate, or not at all")
            if entry.file_size > MAX_BYTES:
                raise Unreadable(f"{entry.file_size >> 20} MiB, more than {MAX_BYTES >> 20} MiB")
            try:
                with lock, archive.open(entry) as file:
                    # In pieces, which end at the stated size: at once, it would unpack all that there is.
                    return b"".join(iter(lambda: file.read(_PIECE), b""))
            except (*_BROKEN, NotImplementedError) as error:
                raise Unreadable(f"corrupt in the zip file: {shown(error) or type(error).__name__}") from None

        yield Files(f"the zip file {shown(path)}", list(entries), read)


SOURCE = Source(opened=lambda location: opened(location.path), path="needed", is_ready=path_exists)
