"""Downloads of published weights, once each; a file that is not the published one is never kept under its name."""

import fcntl
import hashlib
import http
import http.client
import os
import urllib.request
from pathlib import Path, PurePosixPath

from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.progress import Progress

_CHUNK = 1 << 20
_TIMEOUT = 30  # seconds without an answer


def destination(published: Published) -> Path:
    """Say where the file is kept, and where a user may put it by hand."""
    return io.cache_dir() / "weights" / PurePosixPath(published.address).name


def part(path: Path) -> Path:
    """Say where the beginning of an interrupted download of `path` waits for the next call."""
    return path.with_name(f"{path.name}.part")


def converted(name: str) -> Path:
    """Say where a converted file of the weights `name` is kept; it is used where the published one is not there."""
    return io.cache_dir() / "weights" / f"{name}.safetensors"


def is_published(path: Path, published: Published) -> bool:
    """Tell whether the file at `path` is the published one, by its length and hash."""
    return path.stat().st_size == published.size and _hash(path, published) == published.hash


def kept(name: str, published: Published) -> Path | None:
    """Find the weights `name` in the cache, the published file before a converted one; None if neither is there."""
    return next((path for path in (destination(published), converted(name)) if path.exists()), None)


def find(name: str, published: Published) -> Path:
    """Return the path of the weights `name`, as `kept`, or else as `fetch`; UserError as there."""
    path = kept(name, published)
    return path if path == converted(name) else fetch(name, published)


def fetch(name: str, published: Published) -> Path:
    """Return the path of published weights, downloading them first if they are not there.

    The next call goes on from where a download was interrupted. Several processes may fetch the same at once.

    Args:
        name: of the network.
        published: the file.

    Raises:
        UserError: the address cannot be reached, the transfer breaks off, the file's hash is not the published one, or
            the cache cannot be written to.
    """
    path = destination(published)
    if path.exists():
        found = _hash(path, published)
        if found != published.hash:
            raise UserError(f"{path} has {found}, but {published.hash} is published: delete it or replace it")
        return path
    try:
        _fetch(name, published, path)
    except OSError as error:
        raise UserError(
            f"{path.parent} cannot be written to ({error.strerror}): set GAN_DA_CACHE to a folder of your own"
        ) from None
    return path


def _fetch(name: str, published: Published, path: Path) -> None:
    partial = part(path)  # written in place, so that its beginning stays, however the process ends
    partial.parent.mkdir(parents=True, exist_ok=True)
    with open(partial, "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # wait for another process that downloads the file
        if path.exists():
            return
        try:
            _download(name, published, partial, path)
        finally:
            if not partial.stat().st_size:
                partial.unlink()
        found = _hash(partial, published)
        if found != published.hash:
            aside = path.with_name(f"{path.name}.refused")
            partial.replace(aside)
            raise UserError(
                f"{published.address} gave a file with {found}, but {published.hash} is published: "
                f"it is not used; it is kept as {aside}"
            )
        partial.replace(path)


def _download(name: str, published: Published, temporary: Path, path: Path) -> None:
    """Append the missing bytes to `temporary`, or all of them where the server cannot begin in the middle."""
    by_hand = (
        f"download it elsewhere and put it at {path}, or give the file with --weights=FILE (score) or "
        f"--config.evaluate.weights=FILE (evaluate)"
    )
    received = temporary.stat().st_size
    if received >= published.size:
        return
    headers = {"User-Agent": "gan_da_jax"} | ({"Range": f"bytes={received}-"} if received else {})
    try:
        request = urllib.request.Request(published.address, headers=headers)
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response, open(temporary, "ab") as file:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                file.truncate(0)
                received = 0
            total = -(-published.size // _CHUNK)
            progress = Progress(f"downloading {name}", total=total, done=received // _CHUNK, unit="MiB")
            while received <= published.size and (chunk := response.read(_CHUNK)):
                file.write(chunk)
                received += len(chunk)
                progress.advance(1)
            progress.close()
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "code", None) == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            os.truncate(temporary, 0)  # it is longer than the server's file, so it is no beginning of it
        raise UserError(f"cannot download {published.address} ({error}): {by_hand}") from None
    if received < published.size:
        raise UserError(
            f"{published.address} broke off after {received} of {published.size} bytes: try again (it continues "
            f"from there), or {by_hand}"
        )


def _hash(path: Path, published: Published) -> str:
    algorithm = published.hash.partition(":")[0]
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
