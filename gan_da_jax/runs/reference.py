"""What `evaluate.reference` asks for: the real images, which nobody trains on, that samples are scored against."""

import re
from typing import Literal, NamedTuple

from gan_da_jax.errors import UserError

LEAST, MOST = 100, 10_000  # images of a reference


class Asked(NamedTuple):
    """What the field asks for.

    Attributes:
        kind: `originals`: no reference; `heldout`: images that the arms of the study leave of the source, or a share of
            `data.count` that is set aside; `path`: images of the user's own.
        share: of `data.count` that is set aside, in (0, 1); 0 where nothing is.
        path: a folder, `.zip`, `.npz` or `.npy`; "" where none is named.
    """

    kind: Literal["originals", "heldout", "path"]
    share: float = 0.0
    path: str = ""

    def __str__(self) -> str:
        return self.path or self.kind + (f"({self.share:g})" if self.share else "")


def parse(text: str) -> Asked:
    """Read `originals`, `heldout`, `heldout(SHARE)` or a path; a `UserError` if it is none of them.

    Whatever is no such word is a path, and whether there is anything shows when it is read.
    """
    if text == "originals":
        return Asked("originals")
    if text == "heldout":
        return Asked("heldout")
    if found := re.fullmatch(r"heldout\((.*)\)", text):
        try:
            share = float(found[1])
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            raise UserError(
                f"config.evaluate.reference is {text!r}: the share that is set aside must be in (0, 1), as in "
                "heldout(0.2)"
            )
        return Asked("heldout", share)
    if not text.strip():
        raise UserError(
            "config.evaluate.reference is empty; it must be originals, heldout, heldout(SHARE), or a folder, .zip, "
            ".npz or .npy of images"
        )
    return Asked("path", path=text)
