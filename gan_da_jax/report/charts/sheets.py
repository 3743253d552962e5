"""Arms -> rows of pictures of a source: what each op makes of the originals, and what each arm's GAN draws."""

from pathlib import Path

import numpy as np

from gan_da_jax.report import pictures
from gan_da_jax.report.arms import Arm

GRID_ROWS = 8  # of a grid of 64 samples

Rows = list[tuple[str, np.ndarray]]


def previews(arms: list[Arm]) -> Rows:
    """The originals and below them the same after each op of these arms, every op once.

    Args:
        arms: arms of one source.

    Raises:
        UserError: a preview is no readable picture.
    """
    found: dict[str, tuple[Path, int, int]] = {}
    for arm in arms:
        paths = [run.folder / "dataset" / "preview.png" for run in arm.runs]
        path = next((path for path in paths if path.is_file()), None)
        if path is not None and arm.terms:
            for row, term in enumerate(["originals", *arm.terms]):
                found.setdefault(term, (path, row, 1 + len(arm.terms)))
    return [(term, pictures.strip(*place)) for term, place in found.items()]


def samples(arms: list[Arm]) -> Rows:
    """The first row of the last sample grid of each arm's first seed: everywhere the same latent vectors.

    Raises:
        UserError: a grid is no readable picture.
    """
    last = {arm.label: list(pictures.frames(arm.runs[0].folder / "samples").values())[-1:] for arm in arms}
    return [(label, pictures.strip(path, 0, GRID_ROWS)) for label, paths in last.items() for path in paths]
