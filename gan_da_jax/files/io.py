"""Files that a run leaves behind: JSON, JSON lines, arrays and pictures, each written whole or not at all."""

import contextlib
import fcntl
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

_TEMPORARY = ".partial"  # how the names of temporary files end


def cache_dir() -> Path:
    """Return the folder for downloads and trained classifiers: `GAN_DA_CACHE`, else the platform's cache folder."""
    try:
        return Path(os.environ.get("GAN_DA_CACHE") or platformdirs.user_cache_dir("gan_da_jax")).expanduser().absolute()
    except RuntimeError:
        raise UserError("there is no home folder for the cache: set GAN_DA_CACHE to a folder of your own") from None


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place once the block has ended without an error.

    `sweep` removes the temporary file that a killed process leaves.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_TEMPORARY, dir=path.parent)
    temporary = Path(name)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # tells `sweep` that somebody is at work on it
        yield temporary
        os.fsync(handle)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files; a run's files are like any other
        temporary.replace(path)
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def sweep(*folders: Path) -> None:
    """Remove the temporary files in folders, not below them, that killed processes left; living ones keep theirs."""
    for path in (path for folder in folders for path in folder.glob(f".*{_TEMPORARY}")):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`: afterwards there is either the old file or the new one, never a torn one."""
    with atomic(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinities are refused (ValueError): JSON has none."""
    write_atomic(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: str | Path) -> Any:
    """Read a JSON file; one that is absent or no JSON is a `UserError` that names it."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: is this the workdir of a run?") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}): restore it or start again in a new workdir") from None


def write_jsonl(path: str | Path, rows: list[dict]) -> None:
    """Write one JSON object a line, atomically."""
    write_atomic(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode())


def append_jsonl(path: str | Path, row: dict) -> None:
    """Append one JSON object as one line, or leave the file as it was; a line that a crash has torn is cut off."""
    line = json.dumps(row, allow_nan=False).encode() + b"\n"
    with open(path, "ab+", buffering=0) as file:
        end = file.tell()
        if end > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            written = Path(path).read_bytes()
            start = written.rfind(b"\n") + 1
            if _row(written[start:]) is None:
                file.truncate(end := start)
            else:  # it lacks its end only
                line = b"\n" + line
        try:
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def seal(value: dict, after: str = "") -> dict:
    """Add to an object the SHA-256 of its JSON, as its field `sha256`.

    Args:
        value: the object; a seal that it has is replaced.
        after: the seal of the object before it, where there is an order, so that none can be taken out or put between.
    """
    bare = {name: each for name, each in value.items() if name != "sha256"}
    text = after + json.dumps(bare, sort_keys=True, allow_nan=False)
    return bare | {"sha256": sha256(text.encode())}


def append_sealed(path: str | Path, row: dict) -> None:
    """Append one object, sealed after the last one, as `append_jsonl` does."""
    rows = read_jsonl(path)
    append_jsonl(path, seal(row, rows[-1].get("sha256", "") if rows else ""))


def read_jsonl(path: str | Path) -> list[dict]:
    """Read the objects of a JSON-lines file ([] if it is absent); lines torn by a crash are passed over."""
    path = Path(path)
    rows = map(_row, path.read_bytes().splitlines() if path.exists() else [])
    return [row for row in rows if row is not None]


def _row(line: bytes) -> dict | None:
    """Return the object that a line holds; None if it holds none, or not a whole one."""
    with contextlib.suppress(ValueError, RecursionError):
        row = json.loads(line)
        return row if isinstance(row, dict) else None
    return None


def sha256(data: bytes | np.ndarray) -> str:
    """Return the SHA-256 of bytes, or of an array's elements in C order, as 64 hex digits."""
    return hashlib.sha256(
        data if isinstance(data, bytes) else np.ascontiguousarray(data).view(np.uint8).data
    ).hexdigest()


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_array(path: str | Path, array: np.ndarray) -> None:
    """Write a `.npy` file, atomically."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array, allow_pickle=False)


def save_arrays(path: str | Path, **arrays: np.ndarray) -> None:
    """Write arrays by name to a `.npz` file, atomically; it can be read without pickles."""
    write_atomic(path, npz(**arrays))


def npz(**arrays: np.ndarray) -> bytes:
    """Return the bytes of the file that `save_arrays` writes; the same for equal arrays."""
    buffer = io.BytesIO()
    named: dict[str, Any] = arrays  # an option of `savez`, which is none of them, has another type
    np.savez(buffer, **named)
    return buffer.getvalue()


def load_array(path: str | Path) -> np.ndarray:
    """Read a `.npy` file; one that is absent, truncated or holds pickled objects is a `UserError` that names it."""
    return _array(path, lazy=False)


def map_array(path: str | Path) -> np.ndarray:
    """Open a `.npy` file as an array that cannot be written to and is read where it is used; see `load_array`."""
    return _array(path, lazy=True)


def _array(path: str | Path, *, lazy: bool) -> np.ndarray:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # fails where the header claims more than there is
        return mapped if lazy else np.array(mapped)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: is this the workdir of a run?") from None
    except MemoryError:
        raise
    except Exception as error:  # NumPy's readers raise almost anything on damaged data
        raise UserError(f"{path} is not a readable .npy file ({error}): prepare the data set again") from None


def png(pixels: np.ndarray) -> bytes:
    """Encode uint8 [H, W, 3] as a PNG file's bytes; lossless."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 [H, W, 3] as a PNG file, atomically; lossless."""
    write_atomic(path, png(pixels))
