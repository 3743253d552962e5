"""Arms of a source -> rows of pictures: what each op makes of the originals, and what each arm's GAN draws."""

from pathlib import Path

import numpy as np

from gan_da_jax.report import pictures
from gan_da_jax.report.arms import ArmRuns
from gan_da_jax.runs.folder import Folder

GRID_ROWS = 8  # of a grid of 64 samples

Rows = list[tuple[str, np.ndarray]]


def previews(arms: list[ArmRuns]) -> Rows:
    """Show the originals and, below them, the same images after each op of these arms, every op once.

    Args:
        arms: arms of one source.

    Raises:
        UserError: a preview is not a readable picture.
    """
    rows: dict[str, tuple[Path, int, int]] = {}
    for arm in arms:
        paths = [Folder(run.folder).preview for run in arm.runs]
        path = next((path for path in paths if path.is_file()), None)
        names = ["originals", *map(str, arm.arm.parts)]
        if path is not None and not arm.arm.baseline:
            for row, name in enumerate(names):
                rows.setdefault(name, (path, row, len(names)))
    return [(name, pictures.strip(*row)) for name, row in rows.items()]


def samples(arms: list[ArmRuns]) -> Rows:
    """Show the first row of the last sample grid of each arm's first seed: the same latent vectors for each arm.

    Raises:
        UserError: a grid is not a readable picture.
    """
    last = {arm.label: list(Folder(arm.runs[0].folder).sample_grids().values())[-1:] for arm in arms}
    return [(label, pictures.strip(path, 0, GRID_ROWS)) for label, paths in last.items() for path in paths]
