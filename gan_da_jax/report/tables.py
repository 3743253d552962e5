"""Boards -> the final scores as entries (summary.json), as CSV and as text for the terminal."""

import csv
import io
from typing import Any

from gan_da_jax.metrics.columns import catalogue, written
from gan_da_jax.metrics.shares import memorisation
from gan_da_jax.report import controls
from gan_da_jax.report.arms import ArmRuns, Best, Board, Standing
from gan_da_jax.report.health import troubles

# The first columns of the CSV file; the columns of the scores that were measured follow.
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
    "reference",
    "splits",
    "sets",
    "step",
    "epoch",
    "kimg",
    "settings",
    "seeds",
    "runs",
)


_OF_COMPARISON = ("p", "p_rank", "seeds_needed", "method", "p_spread")


def entries(boards: list[Board]) -> list[dict[str, Any]]:
    """Make one entry for each arm and board: what the arm is, what it was scored by, and its scores.

    `scores` are of the last checkpoints, with their intervals, and `best` of the best ones; `against` holds the
    comparisons with the arms `none` and `duplicate`, `leakage` and `memorisation` the shares of samples.
    """
    return [
        _entry(board, standing, against)
        for board in boards
        for against in [controls.against(board)]
        for standing in board.standings
    ]


def _entry(board: Board, standing: Standing, against: dict[str, dict[str, dict]]) -> dict[str, Any]:
    arm, row = standing.arm, next(iter(standing.last.values()))
    return {
        "arm": str(arm.arm),
        "source": arm.source,
        "policy": arm.arm.policy,
        "count": arm.arm.count,
        "settings": arm.settings,
        "images": len(arm.runs[0].manifest["records"]),
        "seeds": list(standing.last),
        "classifier": board.classifier,
        "weights_sha256": row["weights_sha256"],
        "tap": board.tap,
        "samples": board.samples,
        "real_images": row["real_images"],
        "reference": board.reference,
        "splits": board.splits,
        "sets": [len(row["sets"]) for row in standing.last.values()],
        "step": row["step"],
        "epoch": row["epoch"],
        "kimg": row["kimg"],
        "scores": standing.scores,
        "best": _best(standing.best),
        "against": {
            policy: found
            for policy, by_score in against.items()
            if (found := _comparisons(board, standing, policy, by_score))
        },
        "leakage": standing.leakage,
        "memorisation": memorisation(standing.sets),
        "runs": [run.name for run in arm.runs if run.seed in standing.last],
    }


def _best(best: Best | None) -> dict[str, Any] | None:
    if best is None:
        return None
    rows = best.rows.values()
    return {
        "by": best.by,
        "steps": [row["step"] for row in rows],
        "epochs": [row["epoch"] for row in rows],
        "kimg": [row["kimg"] for row in rows],
        "scores": best.scores,
    }


def _comparisons(board: Board, standing: Standing, policy: str, by_score: dict[str, dict]) -> dict[str, Any]:
    control = controls.control(board, standing, policy)
    if control is None:
        return {}
    return {
        key: {**comparisons[standing.number]._asdict(), "control": str(control.arm.arm)}
        for key, comparisons in by_score.items()
        if standing.number in comparisons
    }


def to_csv(entries: list[dict[str, Any]]) -> str:
    """Write one line an entry; a number with an interval fills the columns mean, ci95_low, ci95_high and values.

    The columns of a score begin with its key; the scores of the best checkpoint with `best_`; the comparisons with the
    key and `_against_none` or `_against_duplicate`; the shares with `leakage_` and the op, or `memorisation_`.
    """
    lines = []
    for entry in entries:
        line = {column: entry[column] for column in COLUMNS} | {
            "settings": " ".join(f"{field}={found}" for field, found in entry["settings"].items()),
            "seeds": " ".join(map(str, entry["seeds"])),
            "sets": " ".join(map(str, entry["sets"])),
            "runs": ";".join(entry["runs"]),
        }
        for key, score in entry["scores"].items():
            line |= _columns(key, score)
        if entry["best"]:
            line |= {"best_by": entry["best"]["by"], "best_epochs": " ".join(map(str, entry["best"]["epochs"]))}
            for key, score in entry["best"]["scores"].items():
                line |= _columns(f"best_{key}", score)
        for policy, by_score in entry["against"].items():
            for key, found in by_score.items():
                name = f"{key}_against_{policy}"
                line |= {f"{name}_{field}": found[field] for field in ("difference", "percent")}
                line |= _ends(name, found["ci95"])
                line |= {f"{name}_{field}": found[field] for field in _OF_COMPARISON}
        for op, found in entry["leakage"].items():
            line |= _columns(f"leakage_{op}", found) | {
                f"leakage_{op}_{name}": found[name] for name in ("accuracy", "expected")
            }
        for space, found in entry["memorisation"].items():
            name = f"memorisation_{space}"
            line |= _columns(name, found) | {f"{name}_expected": found["expected"]}
        lines.append(line)
    text = io.StringIO()
    columns = dict.fromkeys([*COLUMNS, *(column for line in lines for column in line)])
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _columns(name: str, found: dict[str, Any]) -> dict[str, Any]:
    values = " ".join("" if number is None else str(number) for number in found["values"])
    return {f"{name}_mean": found["mean"]} | _ends(name, found["ci95"]) | {f"{name}_values": values}


def _ends(name: str, ci95: list[float] | None) -> dict[str, float | None]:
    low, high = ci95 or (None, None)
    return {f"{name}_ci95_low": low, f"{name}_ci95_high": high}


def to_text(arms: list[ArmRuns], entries: list[dict[str, Any]]) -> str:
    """Write one aligned line for each entry, each arm that has none yet, and whatever went wrong in a training."""
    columns = (*(score.key for score in catalogue()), "real_inception_score")
    instead = {
        score.plain: score.key for score in catalogue() if score.plain
    }  # scores that others are shown in place of
    keys = [
        key
        for key in columns
        if any(key in entry["scores"] and instead.get(key) not in entry["scores"] for entry in entries)
    ]
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
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines += [f"{run.name} {trouble}" for arm in arms for run in arm.runs for trouble in troubles(run)]
    return "\n".join(lines)
