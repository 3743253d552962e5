"""Boards -> the final scores as entries (summary.json), as CSV and as text for the terminal."""

import csv
import io
from typing import Any

from gan_da_jax.metrics.summary import SCORES, written
from gan_da_jax.report.arms import Arm, Board, Standing

# The columns of the CSV file; those of the scores that were measured follow.
COLUMNS = (
    "arm",
    "source",
    "policy",
    "count",
    "images",
    "classifier",
    "weights_sha256",
    "tap",
    "samples",
    "real_images",
    "splits",
    "sets",
    "step",
    "epoch",
    "kimg",
    "settings",
    "seeds",
    "runs",
)


def entries(boards: list[Board]) -> list[dict[str, Any]]:
    """One entry an arm and board: what the arm is, what it was judged by, and its last scores with their intervals."""
    return [_entry(board, standing) for board in boards for standing in board.standings]


def _entry(board: Board, standing: Standing) -> dict[str, Any]:
    arm, row = standing.arm, next(iter(standing.last.values()))
    return {
        "arm": arm.name,
        "source": arm.source,
        "policy": arm.policy,
        "count": arm.count,
        "settings": arm.settings,
        "images": len(arm.runs[0].manifest["records"]),
        "seeds": list(standing.last),
        "classifier": board.classifier,
        "weights_sha256": row["weights_sha256"],
        "tap": board.tap,
        "samples": board.samples,
        "real_images": row["real_images"],
        "splits": board.splits,
        "sets": [len(row["sets"]) for row in standing.last.values()],
        "step": row["step"],
        "epoch": row["epoch"],
        "kimg": row["kimg"],
        "scores": standing.scores,
        "runs": [run.name for run in arm.runs if run.seed in standing.last],
    }


def to_csv(entries: list[dict[str, Any]]) -> str:
    """One line an entry; lists become words, each score the columns mean, ci95_low, ci95_high and values."""
    lines = []
    for entry in entries:
        line = {column: entry[column] for column in COLUMNS} | {
            "settings": " ".join(f"{field}={found}" for field, found in entry["settings"].items()),
            "seeds": " ".join(map(str, entry["seeds"])),
            "sets": " ".join(map(str, entry["sets"])),
            "runs": ";".join(entry["runs"]),
        }
        for key, score in entry["scores"].items():
            low, high = score["ci95"] or (None, None)
            line |= {
                f"{key}_mean": score["mean"],
                f"{key}_ci95_low": low,
                f"{key}_ci95_high": high,
                f"{key}_values": " ".join("" if number is None else str(number) for number in score["values"]),
            }
        lines.append(line)
    text = io.StringIO()
    columns = dict.fromkeys([*COLUMNS, *(column for line in lines for column in line)])
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def to_text(arms: list[Arm], entries: list[dict[str, Any]]) -> str:
    """One aligned line an entry, and one an arm that has none yet."""
    keys = (*(score.key for score in SCORES), "real_inception_score")
    keys = [key for key in keys if any(key in entry["scores"] for entry in entries)]
    rows = [["source", "arm", "seeds", "epoch", "classifier", "tap", *keys]]
    for entry in entries:
        means = {key: found["mean"] for key, found in entry["scores"].items()}
        settings = "".join(f" {field}={found}" for field, found in entry["settings"].items())
        rows.append(
            [
                entry["source"],
                entry["arm"] + settings,
                str(len(entry["seeds"])),
                f"{round(entry['epoch'], 1):g}",
                entry["classifier"],
                entry["tap"],
                *(written(means.get(key)) for key in keys),
            ]
        )
    for arm in arms:
        if not arm.evaluated:
            rows.append([arm.source, arm.label, str(len(arm.runs)), "", "not evaluated", "", *("" for _ in keys)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
