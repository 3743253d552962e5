"""The files of runs: found below a folder, read, and checked for what a report needs of them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from gan_da_jax.augment import policy
from gan_da_jax.data import dataset
from gan_da_jax.data.sources.images import shown
from gan_da_jax.errors import UserError
from gan_da_jax.files import schemas
from gan_da_jax.metrics.over_seeds import choose, pool
from gan_da_jax.runs.arm import Arm
from gan_da_jax.runs.folder import Folder, is_run

LEVELS = 3  # folders of a study: source, arm, seed


ScoredBy = tuple[str, str, int, int, str]


class RecordedRun(NamedTuple):
    """What the files of one run say.

    Attributes:
        name: its folder, relative to the one that was searched for runs.
        folder: where its files are.
        config_json: the object in config.json: the config, versions and devices.
        manifest: the object in dataset/manifest.json.
        metrics: the rows of metrics.jsonl, in the order of their steps.
        scores: the rows of scores.jsonl, in the order of `scored_by` and their steps.
    """

    name: str
    folder: Path
    config_json: dict[str, Any]
    manifest: dict[str, Any]
    metrics: list[dict[str, Any]]
    scores: list[dict[str, Any]]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.config["seed"]

    @property
    def arm(self) -> Arm:
        """The arm that it is a run of."""
        return Arm(self.manifest["policy"], self.manifest["count"])

    @property
    def config(self) -> dict[str, Any]:
        """The run's config, nested, as it was recorded."""
        return self.config_json["config"]


def find(workdir: Path) -> list[Path]:
    """Find the folders of runs: `workdir` itself, or folders up to three levels below it, in order.

    The folder of a run is not searched for further runs.

    Raises:
        UserError: there is no run.
    """
    found, level = [], [workdir]
    for _ in range(1 + LEVELS):
        runs = [folder for folder in level if is_run(folder) and Folder(folder).prepared]
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
            f"no run (a folder with config.json and dataset/manifest.json) was found in {workdir} or up to "
            "three levels below it: give the workdir of a run or study, or train a run first"
        )
    return sorted(found)


def read(folder: Path, root: Path) -> RecordedRun:
    """Read the run in `folder` and name it relative to `root`.

    Raises:
        UserError: a file is damaged, holds something else than a run writes, or contradicts another file.
    """
    files = Folder(folder)
    config_json = files.read_config_json()
    metrics, scores = schemas.rows(files.metrics, schemas.METRICS), schemas.rows(files.scores, schemas.SCORES)
    manifest, config = dataset.read(files.dataset), config_json["config"]
    if (manifest["policy"], manifest["seed"]) != (config["augment"]["policy"], config["seed"]):
        raise UserError(f"{folder}: dataset/manifest.json and config.json differ in policy or seed: restore them")
    try:
        policy.parse(manifest["policy"])
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None
    if any(row["seed"] != config["seed"] for row in scores):
        raise UserError(f"{folder}: scores.jsonl holds scores of a seed that is not the one in config.json: restore it")
    return RecordedRun(
        folder.relative_to(root).as_posix(),
        folder,
        printable(config_json),
        printable(manifest),
        _last_of_each(metrics, lambda row: row["step"]),
        _last_of_each(_newest_files(printable(scores)), _evaluation),
    )


def printable(value: Any) -> Any:
    """Make all texts in a JSON value printable: names of files need not be valid text."""
    match value:
        case str():
            return shown(value)
        case list():
            return [printable(one) for one in value]
        case dict():
            return {shown(name): printable(one) for name, one in value.items()}
    return value


def scored_by(row: dict[str, Any]) -> ScoredBy:
    """Return what measured a row of scores, of which only equal ones may be compared.

    Returns:
        Classifier, tap, samples and splits; and, for people, the reference: "" where there is none. Images that are
        held out are others with each seed, so their kind and number count; images of the user's own count themselves.
    """
    return row["classifier"], row["tap"], row["samples"], row["splits"], _reference(row)


def _reference(row: dict[str, Any]) -> str:
    found = row.get("reference")
    if found is None:
        return ""
    if found["kind"] == "path":
        return f"{found['name']}, {found['images']} images, SHA-256 {found['sha256'][:8]}"
    return f"{found['kind']}, {found['images']} images"


def pooled(rows: Iterable[dict[str, Any]]) -> dict[ScoredBy, list[dict[str, Any]]]:
    """Pool the sets of samples of each checkpoint and seed, see `over_seeds.pool`, apart for each `scored_by`."""
    found: dict[ScoredBy, dict[tuple[int, int], list[dict]]] = {}
    for row in rows:
        found.setdefault(scored_by(row), {}).setdefault((row["seed"], row["step"]), []).append(row)
    return {by: [pool(sets) for sets in checkpoints.values()] for by, checkpoints in found.items()}


def best_steps(rows: Iterable[dict[str, Any]]) -> set[int]:
    """Return the steps of a run's best checkpoints: one for each `scored_by` that measured a score which can choose.

    Args:
        rows: the scores of one run, as in `RecordedRun.scores`.
    """
    chosen = [choose({0: course}) for course in pooled(rows).values()]
    return {row["step"] for _, by_seed in filter(None, chosen) for row in by_seed.values()}


def _evaluation(row: dict[str, Any]) -> tuple:
    return *scored_by(row), row["step"], row["repeat"]


def _newest_files(rows: list[dict]) -> list[dict]:
    """Keep, of each `scored_by`, the rows made with the weights and reference it had last: one number mixes none."""
    newest = {scored_by(row): _files(row) for row in rows}
    return [row for row in rows if _files(row) == newest[scored_by(row)]]


def _files(row: dict[str, Any]) -> tuple[str, str]:
    return row["weights_sha256"], (row.get("reference") or {"sha256": ""})["sha256"]


def _last_of_each(rows: Iterable[dict], identity: Callable[[dict], Any]) -> list[dict]:
    """Sort the rows by identity; of rows written again after a restart, only the last one is kept."""
    unique = {identity(row): row for row in rows}
    return [unique[key] for key in sorted(unique)]
