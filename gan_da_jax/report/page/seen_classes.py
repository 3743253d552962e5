"""A board -> what its classifier sees in single samples: the share of wanted classes, frequent classes, examples."""

import statistics
from typing import Any

from gan_da_jax.report import pictures
from gan_da_jax.report.arms import Board, Standing
from gan_da_jax.runs.folder import certainty_name

FREQUENT = 5  # classes listed an arm


def of_board(board: Board) -> list[dict[str, Any]]:
    """List the arms whose last checkpoints were looked at image by image, apart for each set of wanted classes.

    Returns:
        `wanted` (names, [] if no class was), and `arms`: `standing`; `top1_share` and `mean_probability` of the wanted
        classes, averaged over seeds and sets of samples; and of the first set of the first seed alone, so that the
        counts are whole: `seed`, `frequent` ([name, images] each) and `sheet`, the picture of its most and its least
        certain samples, None where there is no such file.

    Raises:
        UserError: a picture is damaged.
    """
    found: dict[tuple[str, ...], list[dict]] = {}
    for standing in board.standings:
        if (arm := _arm(standing, board.classifier)) is not None:
            found.setdefault(arm.pop("wanted"), []).append(arm)
    return [{"wanted": list(wanted), "arms": arms} for wanted, arms in found.items()]


def _arm(standing: Standing, classifier: str) -> dict[str, Any] | None:
    seen = {seed: [each["classes"] for each in row["sets"] if each["classes"]] for seed, row in standing.last.items()}
    seed = next((seed for seed, sets in seen.items() if sets), None)
    if seed is None:
        return None
    first = seen[seed][0]
    alike = [each for sets in seen.values() for each in sets if each["wanted"] == first["wanted"]]
    sheet = standing.run(seed).folder / certainty_name(standing.last[seed]["step"], classifier)
    return {
        "standing": standing,
        "wanted": tuple(first["wanted"]),
        **{
            share: statistics.fmean(each[share] for each in alike) if first["wanted"] else None
            for share in ("top1_share", "mean_probability")
        },
        "seed": seed,
        "frequent": first["most_frequent"][:FREQUENT],
        "sheet": pictures.embed(sheet) if sheet.is_file() else None,
    }
