"""Pictures for the page: a run's sample grids and previews, small enough to be embedded, and data: URIs."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from gan_da_jax.errors import UserError

FRAMES = 5  # sample grids shown of a run: the first, the last and three between
# Pixels across: pictures up to the first are embedded as they are, wider ones as JPEG files of the second at most, or
# the page of a study would take 100 MB. Sample grids of 64 images of 32 and 64 pixels just fit.
LOSSLESS, WIDEST = 320, 532


class Picture(NamedTuple):
    """A picture as a data: URI, and its size in pixels."""

    uri: str
    width: int
    height: int


def embed(path: Path) -> Picture:
    """Read a picture for the page: a small one as it is, a larger one as a JPEG of at most `WIDEST` pixels across.

    Raises:
        UserError: the file is not a PNG picture.
    """
    return _embed(_open(path), WIDEST)


def embed_png(png: bytes) -> Picture:
    """Embed the bytes of a PNG file, as wide as they are: a figure that consists of pictures."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return _embed(image, image.width)


def strip(path: Path, row: int, rows: int) -> np.ndarray:
    """Read one row of a picture file that shows `rows` rows of equal height: uint8 [H, W, 3], at most `WIDEST` across.

    Raises:
        UserError: the file is not a PNG picture, or has fewer pixels than rows.
    """
    image = _open(path)
    if image.height < rows:
        raise UserError(f"{path} is not a picture of {rows} rows: delete it and report again")
    cut = image.crop((0, round(row * image.height / rows), image.width, round((row + 1) * image.height / rows)))
    cut.thumbnail((WIDEST, cut.height), Image.Resampling.LANCZOS)
    return np.asarray(cut)


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=("PNG",)).convert("RGB")
    except Exception as error:  # Pillow's decoders raise almost anything on corrupt data
        raise UserError(f"{path} is not a readable picture ({error}): delete it and report again") from None


def _embed(image: Image.Image, widest: int) -> Picture:
    buffer = io.BytesIO()
    if image.width <= LOSSLESS:
        kind = "image/png"
        image.save(buffer, "PNG")
    else:
        kind = "image/jpeg"
        image.thumbnail((widest, image.height), Image.Resampling.LANCZOS)
        image.save(buffer, "JPEG", quality=85, subsampling=0)
    return Picture(uri(kind, buffer.getvalue()), image.width, image.height)


def uri(kind: str, data: bytes) -> str:
    """Return the data: URI of a file of the media type `kind`."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def frames(grids: Mapping[int, Path]) -> dict[int, Path]:
    """Choose the first and the last of a run's sample grids, and some evenly between: step -> file, ascending."""
    steps = list(grids)
    chosen = dict.fromkeys(round(index) for index in np.linspace(0, len(steps) - 1, FRAMES)) if steps else ()
    return {steps[index]: grids[steps[index]] for index in chosen}
