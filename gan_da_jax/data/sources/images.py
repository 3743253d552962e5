"""What every source of files shares: decoding an image, checking all of them, choosing some of them by seed."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from gan_da_jax.data.sources.source import Drawings, Files
from gan_da_jax.errors import UserError
from gan_da_jax.prng import stream

FORMATS = {"JPEG": (".jpg", ".jpeg"), "PNG": (".png",), "WEBP": (".webp",)}  # Pillow's names, and file name endings
MAX_PIXELS = 64_000_000  # by the header, before any pixel is decoded: a few bytes can claim gigabytes
MAX_BYTES = 256 * 2**20
RESIZES = ("stretch", "center_crop")

MANY_BAD = 1000  # bad files after which the search ends: this is no collection of images
_DRAWINGS = 2**32  # images of a source that draws them
_NAMED = 10  # bad files that a message names


class Images(NamedTuple):
    """The original images of a data set, and what the source had.

    Attributes:
        pixels: uint8 [n, S, S, 3], sRGB, upright, in the order of choice.
        ids: n names, unique within the source.
        available: how many usable images the source has, n <= available.
        skipped: the files that were left out, each {"id": name, "reason": why}.
    """

    pixels: np.ndarray
    ids: list[str]
    available: int
    skipped: list[dict]


class Unreadable(Exception):
    """One file is of no use as an image; the message is the reason, without the file's name."""


def wanted(name: str) -> bool:
    """Tell whether a relative posix path ends like an image, is not hidden and is no resource fork from a Mac."""
    path = PurePosixPath(name)
    hidden = any(part == "__MACOSX" or part.startswith(".") and part != ".." for part in path.parts)
    return not hidden and path.suffix.lower() in sum(FORMATS.values(), ())


def shown(text: object) -> str:
    """Return `text` on one line, for messages: control and undecodable characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def decode(data: bytes) -> Image.Image:
    """Decode a JPEG, PNG or WebP file completely into an upright RGB image with 8 bits a channel.

    EXIF orientation is applied. Transparent pixels are laid on white, as viewers and web pages show them: the colour
    stored beneath them is arbitrary and never meant to be seen. 16-bit channels keep their high byte, CMYK becomes RGB
    without a colour profile, of an animation the first frame counts.

    Raises:
        Unreadable: the file is empty, too large, of another format, truncated or corrupt.
    """
    if not data:
        raise Unreadable("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
        if image.width * image.height > MAX_PIXELS:
            raise Unreadable(f"{image.width} x {image.height} pixels, more than {MAX_PIXELS // 10**6} million")
        image.load()
        return _rgb(_upright(image))
    except UnidentifiedImageError:
        raise Unreadable("not a JPEG, PNG or WebP image") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {MAX_PIXELS // 10**6} million pixels") from None
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise almost anything on corrupt data
        raise Unreadable(f"cannot be decoded: {shown(error) or type(error).__name__}") from None


def fit(image: Image.Image, *, image_size: int, resize: str) -> np.ndarray:
    """Resize an RGB image to uint8 [image_size, image_size, 3] with Pillow's antialiased Lanczos filter.

    An antialiased filter matters: without it the FID moves by 6 and more, while good filters agree within 0.75.

    Args:
        image: any size.
        image_size: S, side in pixels.
        resize: "stretch" to the square, whatever the aspect, or "center_crop" to the largest centred square first.
    """
    if resize == "center_crop":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    return np.asarray(image.resize((image_size, image_size), Image.Resampling.LANCZOS))


def choose(
    found: Files | Drawings,
    *,
    count: int,
    image_size: int,
    resize: str,
    seed: int,
    skip_bad: bool,
    last: int = 0,
    beyond: int = 0,
) -> Images:
    """Choose images of an opened source by `seed`: the first `count`, and up to `last` from the other end.

    Of drawings, the first are numbers 0, 1 ... of `seed`, with ids such as `face_000000`, the others 2**32 - 1 and so
    on down; 2**32 are available. Of files, they are the head of a permutation of the usable files in bytewise order of
    their names, and its end, from the last one backwards. So with the same seed larger numbers only append, and neither
    end depends on how many images are chosen from the other. Files are checked by decoding them completely, on all
    processors; of files with the very same bytes the first by name is usable. Only the chosen images are held in
    memory.

    Args:
        found: what a `Source` opens.
        count: how many of the first to choose.
        image_size: side in pixels of the images returned.
        resize: one of RESIZES, see `fit`; drawings have the right size.
        seed: of the choice, 0 <= seed < 2**32.
        skip_bad: leave bad files and repeats out and record them as `skipped`, instead of refusing the source.
        last: how many images from the other end to choose at the most; they follow the first in the result.
        beyond: of the first images, at least `count`, that none of these may be: others may be trained on them.

    Raises:
        UserError: there are fewer first images, or bad ones and not `skip_bad`; nothing has been written by then.
    """
    if resize not in RESIZES:
        raise UserError(f"data.resize={shown(resize)} is unknown: use {' or '.join(RESIZES)}")
    if isinstance(found, Drawings):
        numbers = np.concatenate([np.arange(count), _DRAWINGS - 1 - np.arange(min(last, _DRAWINGS - beyond))])
        pixels = found.draw(seed, numbers, image_size)
        return Images(pixels, [f"{found.name}_{number:06d}" for number in numbers], _DRAWINGS, [])
    where, names, read = found
    names = sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape"))
    _require(len(names), count, where)
    ends = {"count": count, "last": last, "beyond": max(count, beyond), "seed": seed}
    likely = set(_choice(names, **ends))  # chosen if all turn out usable: then no file is decoded twice

    def check(name: str) -> tuple[bytes, np.ndarray | None, str]:
        try:
            data = read(name)
            image = decode(data)
        except Unreadable as error:
            return b"", None, str(error)
        pixels = fit(image, image_size=image_size, resize=resize) if name in likely else None
        return hashlib.sha256(data).digest(), pixels, ""

    usable: dict[bytes, str] = {}
    kept: dict[str, np.ndarray] = {}
    skipped: list[dict] = []
    looked_at = 0
    for name, (digest, pixels, reason) in zip(names, in_parallel(check, names, "checking images")):  # noqa: B905
        looked_at += 1
        if not reason and digest in usable:
            reason = f"the same bytes as {shown(usable[digest])}"
        if reason:
            skipped.append({"id": name, "reason": reason})
            if len(skipped) == MANY_BAD and not skip_bad:
                break
            continue
        usable[digest] = name
        if pixels is not None:
            kept[name] = pixels
    if skipped and not skip_bad:
        raise UserError(
            f"{complaint(skipped, looked_at, where)}: repair or remove them, or set data.skip_bad=true to leave them "
            "out"
        )
    _require(len(usable), count, where, left_out=len(skipped))

    ids = _choice(list(usable.values()), **ends)
    likely = set(ids)
    missing = [name for name in ids if name not in kept]
    for name, (_, pixels, reason) in zip(missing, in_parallel(check, missing, "reading images"), strict=True):
        if reason:
            raise UserError(
                f"{where}: {shown(name)} changed while it was read ({reason}): leave it alone and run again"
            )
        kept[name] = pixels
    pixels = np.empty((len(ids), image_size, image_size, 3), np.uint8)
    for place, name in zip(pixels, ids, strict=True):
        place[:] = kept.pop(name)
    return Images(pixels, ids, len(usable), skipped)


def in_parallel(function: Callable[[str], Any], names: list[str], title: str, *, ahead: int = 1024) -> Iterator[Any]:
    """Yield `function(name)` for every name, in order, computed by one thread a processor.

    Pillow decodes without holding the interpreter's lock, so threads suffice. Its warnings, which tell of oddities
    that keep no image from being used, are silenced. On a terminal a bar called `title` shows if it takes a while. At
    most `ahead` results are held at once.
    """
    with (
        warnings.catch_warnings(action="ignore"),
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(names), desc=title, unit="image", delay=3, disable=None, leave=False) as progress,
    ):
        for start in range(0, len(names), ahead):
            for result in pool.map(function, names[start : start + ahead]):
                yield result
                progress.update()


def complaint(bad: list[dict], total: int, where: str) -> str:
    """Name bad files, each {"id": name, "reason": why}, the first ten of them, for a message of one line."""
    named = [f"{shown(file['id'])} ({file['reason']})" for file in bad[:_NAMED]]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    return f"{where}: {len(bad)} of {total} images cannot be used: {', '.join(named)}{more}"


def _choice(names: list[str], *, count: int, last: int, beyond: int, seed: int) -> list[str]:
    order = np.asarray(jax.random.permutation(stream(seed, "data", "choice"), len(names)))
    end = order[max(beyond, len(order) - last) :][::-1]
    return [names[index] for index in (*order[:count], *end)]


def _require(usable: int, count: int, where: str, left_out: int = 0) -> None:
    if usable < count:
        kind = f"usable images ({left_out} bad or repeated ones left out)" if left_out else "images"
        raise UserError(
            f"{where} has {usable} {kind}, but {count} are asked for "
            "(data.count, and the images that the op more takes): add images or lower data.count"
        )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block, on which Pillow raises almost anything, says nothing about the pixels
        return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow's own conversion clips 16-bit grey at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
