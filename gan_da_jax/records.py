"""Files that a run leaves behind: JSON, JSON lines, arrays and pictures, each written whole or not at all."""

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from PIL import Image

from gan_da_jax.errors import UserError


def cache_dir() -> Path:
    """The folder for downloads and trained classifiers: `GAN_DA_CACHE`, else the platform's cache folder."""
    try:
        return Path(os.environ.get("GAN_DA_CACHE") or platformdirs.user_cache_dir("gan_da_jax")).expanduser().absolute()
    except RuntimeError:
        raise UserError("there is no home folder for the cache: set GAN_DA_CACHE to a folder of your own") from None


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, which takes its place once the block has ended without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; a run's files are like any other
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: str | Path, data: bytes) -> None:
    """Writes `data` to `path`: afterwards there is either the old file or the new one, never a torn one."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically. NaN and infinities are refused (ValueError): JSON has none."""
    write_atomic(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """Reads a JSON file; one that is absent or no JSON is a `UserError` that names it."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: is this the workdir of a run?") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): restore it or start again in a new workdir") from None


def write_jsonl(path: str | Path, rows: list[dict]) -> None:
    """Writes one JSON object a line, atomically."""
    write_atomic(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode())


def append_jsonl(path: str | Path, row: dict) -> None:
    """Appends one JSON object as one line, with a single write; a line torn by an earlier crash is ended first."""
    with open(path, "ab+") as file:
        torn = file.tell() > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write((b"\n" if torn else b"") + json.dumps(row, allow_nan=False).encode() + b"\n")


def read_jsonl(path: str | Path) -> list[dict]:
    """Reads the objects of a JSON-lines file ([] if it is absent); lines torn by a crash are passed over."""
    path = Path(path)
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError, RecursionError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def sha256(data: bytes | np.ndarray) -> str:
    """The SHA-256 of bytes, or of an array's elements in C order, as 64 hex digits."""
    return hashlib.sha256(data if isinstance(data, bytes) else np.ascontiguousarray(data).view(np.uint8)).hexdigest()


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Writes a `.npy` file, atomically."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)


def save_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Writes arrays by name to a `.npz` file, atomically; it can be read without pickles."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load_array(path: str | Path) -> np.ndarray:
    """Reads a `.npy` file; one that is absent, truncated or holds pickled objects is a `UserError` that names it."""
    return _array(path, lazy=False)


def map_array(path: str | Path) -> np.ndarray:
    """Opens a `.npy` file as an array that cannot be written to and is read where it is used; see `load_array`."""
    return _array(path, lazy=True)


def _array(path: str | Path, *, lazy: bool) -> np.ndarray:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # fails where the header claims more than there is
        return mapped if lazy else np.array(mapped)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: is this the workdir of a run?") from None
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is not a readable .npy file ({error}): prepare the data set again") from None


def png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [H, W, 3] as a PNG file's bytes; lossless."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(path: str | Path, pixels: np.ndarray) -> None:
    """Writes uint8 [H, W, 3] as a PNG file, atomically; lossless."""
    write_atomic(path, png(pixels))
