"""A board -> which arms' samples look augmented, beside what is expected of them, and which are taken for copies."""

import statistics
from typing import Any

from gan_da_jax.metrics.shares import memorisation
from gan_da_jax.report import pictures
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.runs.folder import memorisation_name


def leaks(board: Board) -> dict[str, Any] | None:
    """Gather the leakage of every arm of a board; None if no meter was read.

    Returns:
        `ops`, all that were looked for, with the accuracy of their meters, averaged over the arms, None where no arm
        has one; `arms`: (standing, entry of each op as `Standing.leakage` gives it); and `reasons`, why meters are
        blind or shares missing.
    """
    found = [(standing, standing.leakage) for standing in board.standings]
    found = [(standing, of_ops) for standing, of_ops in found if of_ops]
    if not found:
        return None
    accuracies: dict[str, list[float]] = {}
    for _, of_ops in found:
        for op, one in of_ops.items():
            accuracies.setdefault(op, []).extend([] if one["accuracy"] is None else [one["accuracy"]])
    ops = {op: statistics.fmean(read) if read else None for op, read in accuracies.items()}
    return {"ops": ops, "arms": found, "reasons": _reasons(board, "leakage")}


def copies(board: Board) -> dict[str, Any] | None:
    """Gather the memorisation of every arm of a board; None if it was not looked for.

    Returns:
        `spaces`; `arms`: (standing, entry of each space as `shares.memorisation` gives it); `sheets`: the closest pairs
        of the first seed that has such a picture, (standing, seed, picture) each; and `reasons`, why some are missing.

    Raises:
        UserError: a sheet is not a readable picture.
    """
    found = [(standing, memorisation(standing.sets)) for standing in board.standings]
    found = [(standing, of_spaces) for standing, of_spaces in found if of_spaces]
    if not found:
        return None
    spaces = list(dict.fromkeys(space for _, of_spaces in found for space in of_spaces))
    sheets = [sheet for standing, _ in found if (sheet := _sheet(standing))]
    return {"spaces": spaces, "arms": found, "sheets": sheets, "reasons": _reasons(board, "memorisation")}


def _sheet(standing: Standing) -> tuple[Standing, int, pictures.Picture] | None:
    for seed, row in standing.last.items():
        path = standing.run(seed).folder / memorisation_name(row["step"])
        if path.is_file():
            return standing, seed, pictures.embed(path)
    return None


def _reasons(board: Board, field: str) -> list[tuple[str, str]]:
    """Say what of a field is missing, and why, each once."""
    rows = [row for standing in board.standings for sets in standing.sets for row in sets]
    found = [
        (name.removeprefix(f"{field}."), reason)
        for row in rows
        for name, reason in row["reasons"].items()
        if name == field or name.startswith(f"{field}.")
    ]
    return list(dict.fromkeys(found))
