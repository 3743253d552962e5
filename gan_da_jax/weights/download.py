"""Fetches published weights once, and never keeps a file that is not the published one under its name."""

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path, PurePosixPath

from gan_da_jax import records
from gan_da_jax.errors import UserError
from gan_da_jax.progress import Progress
from gan_da_jax.weights.registry import PUBLISHED, Published

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without an answer


def destination(published: Published) -> Path:
    """Where the file is kept, and where a user may put it by hand."""
    return records.cache_dir() / "weights" / PurePosixPath(published.address).name


def fetch(name: str) -> Path:
    """Returns the path of the published weights `name`, downloading them first if they are not there.

    Raises:
        UserError: the address cannot be reached, the transfer breaks off, or the file's hash is not the published one.
    """
    published = PUBLISHED[name]
    path = destination(published)
    if path.exists():
        found = _hash(path, published)
        if found != published.hash:
            raise UserError(f"{path} has {found}, but {published.hash} is published: delete it or replace it")
        return path
    with records.atomic(path) as temporary:
        _download(name, published, temporary, path)
        found = _hash(temporary, published)
        if found != published.hash:
            aside = path.with_name(f"{path.name}.refused")
            os.replace(temporary, aside)
            raise UserError(
                f"{published.address} gave a file with {found}, but {published.hash} is published: "
                f"it is not used; it is kept as {aside}"
            )
    return path


def _download(name: str, published: Published, temporary: Path, path: Path) -> None:
    by_hand = f"download it elsewhere and put it at {path}, or name it with --config.evaluate.weights=FILE"
    received = 0
    try:
        request = urllib.request.Request(published.address, headers={"User-Agent": "gan_da_jax"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, open(temporary, "wb") as file:
            progress = Progress(f"downloading {name}", total=-(-published.size // _CHUNK), unit="MiB")
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                received += len(chunk)
                progress.advance(1)
            progress.close()
    except (OSError, http.client.HTTPException) as error:
        raise UserError(f"cannot download {published.address} ({error}): {by_hand}") from None
    if received < published.size:
        raise UserError(
            f"{published.address} broke off after {received} of {published.size} bytes: try again, or {by_hand}"
        )


def _hash(path: Path, published: Published) -> str:
    algorithm = published.hash.partition(":")[0]
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
