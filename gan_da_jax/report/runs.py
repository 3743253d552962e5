"""The files of runs: found below a folder, read, and checked for what a report needs of them."""

import functools
import operator
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gan_da_jax import records
from gan_da_jax.errors import UserError

CONFIG_HAS = ("config.seed", "config.train.batch_size", "config.model.width", "versions", "devices", "backend")
MANIFEST_HAS = ("source.name", "source.path", "source.image_size", "policy", "count", "images_sha256", "records")

LEVELS = 3  # folders of a study: source, arm, seed


class Run(NamedTuple):
    """What the files of one run say; `name` is its folder relative to the reported one."""

    name: str
    folder: Path
    recorded: dict[str, Any]
    manifest: dict[str, Any]
    metrics: list[dict[str, Any]]
    scores: list[dict[str, Any]]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.recorded["config"]["seed"]


def find(workdir: Path) -> list[Path]:
    """The folders of runs at `workdir` or up to three levels below it, in order.

    A run is not searched for further runs.

    Raises:
        UserError: there is none.
    """
    found, level = [], [workdir]
    for _ in range(1 + LEVELS):
        runs = [
            folder
            for folder in level
            if (folder / "config.json").is_file() and (folder / "dataset" / "manifest.json").is_file()
        ]
        found += runs
        level = [
            child
            for folder in level
            if folder.is_dir() and folder not in runs
            for child in folder.iterdir()
            if child.is_dir()
        ]
    if not found:
        raise UserError(
            f"no run (a folder with config.json and dataset/manifest.json) is in {workdir} or up to three "
            "levels below it: give the workdir of a run or study, or train one first"
        )
    return sorted(found)


def read(folder: Path, root: Path) -> Run:
    """Reads the run in `folder`, named relative to `root`; its rows come in the order of their steps.

    Raises:
        UserError: a file cannot be understood.
    """
    try:
        run = Run(
            folder.relative_to(root).as_posix(),
            folder,
            records.read_json(folder / "config.json"),
            records.read_json(folder / "dataset" / "manifest.json"),
            _last_of_each(records.read_jsonl(folder / "metrics.jsonl"), lambda row: row["step"]),
            _last_of_each(_newest_weights(records.read_jsonl(folder / "scores.jsonl")), _evaluation),
        )
        for recorded, fields in ((run.recorded, CONFIG_HAS), (run.manifest, MANIFEST_HAS)):
            for field in fields:
                functools.reduce(operator.getitem, field.split("."), recorded)
        return run
    except (KeyError, TypeError) as error:
        raise UserError(f"the files of the run {folder} lack {error}: were they written by another version?") from None


def judge(row: dict[str, Any]) -> tuple[str, str, int, int]:
    """What an evaluation was made with: classifier, tap, samples, splits. Only scores of one judge may be compared."""
    return row["classifier"], row["tap"], row["samples"], row["splits"]


def _evaluation(row: dict[str, Any]) -> tuple:
    return *judge(row), row["step"], row["repeat"]


def _newest_weights(rows: list[dict]) -> list[dict]:
    """The rows of each judge that were made with the weights it had last: one number never mixes two files."""
    newest = {judge(row): row["weights_sha256"] for row in rows}
    return [row for row in rows if row["weights_sha256"] == newest[judge(row)]]


def _last_of_each(rows: Iterable[dict], identity: Callable[[dict], Any]) -> list[dict]:
    """The rows in order of identity; what was written again after a restart counts once, as last written."""
    unique = {identity(row): row for row in rows}
    return [unique[key] for key in sorted(unique)]
