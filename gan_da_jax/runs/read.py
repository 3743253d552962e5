"""The files of runs: found below a folder, read, and checked for what a report needs of them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gan_da_jax.data import dataset as manifest
from gan_da_jax.data.sources.images import shown
from gan_da_jax.errors import UserError
from gan_da_jax.files import io, schemas

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
    recorded = io.read_json(folder / "config.json")
    schemas.require(recorded, schemas.CONFIG, str(folder / "config.json"))
    metrics = schemas.rows(folder / "metrics.jsonl", schemas.METRICS)
    scores = schemas.rows(folder / "scores.jsonl", schemas.SCORES)
    made, config = manifest.read(folder / "dataset"), recorded["config"]
    if (made["policy"], made["seed"]) != (config["augment"]["policy"], config["seed"]):
        raise UserError(f"{folder}: dataset/manifest.json and config.json name another policy or seed: restore them")
    if any(row["seed"] != config["seed"] for row in scores):
        raise UserError(f"{folder}: scores.jsonl holds scores of another seed than config.json names: restore them")
    return Run(
        folder.relative_to(root).as_posix(),
        folder,
        printable(recorded),
        printable(made),
        _last_of_each(metrics, lambda row: row["step"]),
        _last_of_each(_newest_weights(printable(scores)), _evaluation),
    )


def printable(value: Any) -> Any:
    """The same of JSON with all texts as they can be shown: names of files need not be text."""
    match value:
        case str():
            return shown(value)
        case list():
            return [printable(one) for one in value]
        case dict():
            return {shown(name): printable(one) for name, one in value.items()}
    return value


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
