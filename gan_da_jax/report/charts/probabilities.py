"""A run's files of class probabilities -> p(y) of its samples and of the real images, and p(y|x) of single samples."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.runs.folder import probabilities_name

SHOWN = 8  # classes at most, the last of them all others together
SINGLE = 3  # samples


class Probabilities(NamedTuple):
    """Classes with their probabilities: float64 [K] for `real` (or None) and `samples`, [n, K] for `single` samples."""

    names: list[str]
    real: np.ndarray | None
    samples: np.ndarray
    single: np.ndarray


def of_board(board: Board) -> dict[int, Probabilities]:
    """Read the probabilities for each arm of a board, by its number: last checkpoint, first seed, first samples.

    All arms have the same classes in the same order: the ones likeliest in the samples of any arm or in real images.

    Raises:
        UserError: a file is damaged.
    """
    read = ((standing.number, _read(standing, board.classifier)) for standing in board.standings)
    found = {number: one for number, one in read if one is not None}
    if not found:
        return {}
    marginals = [one for each in found.values() for one in (each.samples, each.real) if one is not None]
    likeliest = np.max(marginals, axis=0)
    return {number: _condensed(one, likeliest) for number, one in found.items()}


def condense(names: list[str], probabilities: np.ndarray, by: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Keep the classes of the greatest numbers in `by`, float [K], and add the others up.

    Args:
        names: of all K classes.
        probabilities: float [n, K].
        by: what the classes are chosen by; of equal ones the first.

    Returns:
        `SHOWN` names at most, the greatest first and the others last; and their probabilities, float [n, shown].
    """
    order = np.argsort(-by, kind="stable")
    if len(names) <= SHOWN:
        return [names[index] for index in order], probabilities[:, order]
    kept, rest = order[: SHOWN - 1], order[SHOWN - 1 :]
    merged = np.concatenate([probabilities[:, kept], probabilities[:, rest].sum(1, keepdims=True)], 1)
    return [*(names[index] for index in kept), f"{len(rest):,} others"], merged


def _read(standing: Standing, classifier: str) -> Probabilities | None:
    for seed, row in standing.last.items():
        folder = standing.run(seed).folder
        path = folder / probabilities_name(row["step"], classifier)
        if path.is_file():
            names, samples = _load(path)
            originals = folder / probabilities_name(None, classifier)
            real = _load(originals)[1].mean(0) if originals.is_file() else None
            return Probabilities(names, real, samples.mean(0), samples[:SINGLE])
    return None


def _condensed(all_classes: Probabilities, by: np.ndarray) -> Probabilities:
    names, real, samples, single = all_classes
    shown, table = condense(names, np.vstack([samples, *single, *([] if real is None else [real])]), by)
    return Probabilities(shown, None if real is None else table[-1], table[0], table[1 : 1 + len(single)])


def _load(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            names, table = file["classes"].astype(str), file["probabilities"].astype(np.float64)
        if table.shape != (len(table), *names.shape) or not table.size or not np.isfinite(table).all():
            raise ValueError(f"{table.shape} numbers for {names.shape} classes, or not all of them finite")
    except Exception as error:  # NumPy's readers raise almost anything on damaged data
        raise UserError(f"{path} does not hold class probabilities ({error}): delete it and evaluate again") from None
    return names.tolist(), table
