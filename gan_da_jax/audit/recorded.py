"""The files of a run, held against each other: nothing is edited, missing, added or of another run."""

import functools
import itertools
import secrets
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gan_da_jax import gan
from gan_da_jax.audit.finding import Differs, Noted, Unchecked, difference
from gan_da_jax.augment import OPS, policy
from gan_da_jax.data import dataset, reference
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools
from gan_da_jax.runs import environment
from gan_da_jax.runs.config import augmented_count, flat_with_defaults, restored, source_name, training_count
from gan_da_jax.runs.folder import SHOWN, Folder, Run

_ABSENT = "the folder reference does not hold the images of SHA-256 {}"
_MEASURED_BY = ("classifier", "weights_sha256", "tap", "samples", "splits")
REAL = ("original", "more")  # ops of a manifest whose images are real ones


class Recorded:
    """The files of a run, and the checks of them; each says what it has found the same, or raises what `finding` knows.

    Attributes:
        folder: names the files.
        metrics: the lines of metrics.jsonl.
        scores: the lines of scores.jsonl.
        saved: the steps of the checkpoints that are there.
        now: the environment of this process.
    """

    def __init__(self, workdir: Path):
        """Read the files of the run in `workdir`."""
        self.folder = Folder(workdir)
        self.metrics = io.read_jsonl(self.folder.metrics)
        self.scores = io.read_jsonl(self.folder.scores)
        self.saved = self.folder.saved()
        self.now = environment.current()

    @property
    def workdir(self) -> Path:
        """The folder of the run."""
        return self.folder.workdir

    @functools.cached_property
    def config_json(self) -> dict:
        """What config.json says; a `UserError` if it is no such file."""
        return self.folder.read_config_json()

    @functools.cached_property
    def run(self) -> Run:
        """The run that config.json describes; a `Differs` if it describes none."""
        try:
            return Run(restored(self.config_json["config"]), self.workdir)
        except UserError as error:
            raise Differs(f"config.json: {error}") from None

    @property
    def config(self) -> ConfigDict:
        """The config of that run."""
        return self.run.config

    def stretch(self, step: int | None) -> tuple[int, int]:
        """Choose a checkpoint to train from again, and the one that it leads to; 0 is the state before the first step.

        Args:
            step: of the former; None for one by chance, which cannot be foreseen: else it would prove little.

        Returns:
            The steps; 0 and 0 if there are no checkpoints.

        Raises:
            UserError: `step` is no such checkpoint.
        """
        if not self.saved:
            return 0, 0
        starts = [0, *self.saved[:-1]]
        step = secrets.choice(starts) if step is None else step
        if step not in starts:
            raise UserError(
                f"--step={step} must be 0 or a checkpoint of {self.workdir} that another one follows: "
                f"{', '.join(map(str, starts))}"
            )
        return step, next(saved for saved in self.saved if saved > step)

    def check_config(self) -> str:
        """Check that config.json is as it was written, and holds a config."""
        if io.seal(self.config_json) != self.config_json:
            raise Differs("config.json was edited: its sha256 does not fit its content")
        fields = len(flat_with_defaults(self.config.to_dict()))
        return f"config.json: {fields} fields, as it was written"

    def check_metrics(self) -> str:
        """Check that metrics.jsonl has all its lines, one after the other, to the end of the training."""
        self._lines("metrics.jsonl", self.metrics)
        done = 0
        for row in self.metrics:
            if row["steps"] != row["step"] - done:
                raise Differs(
                    f"metrics.jsonl, step {row['step']}: it is said to follow step {row['step'] - row['steps']}"
                )
            done = row["step"]
        if done != self.run.schedule.steps:
            raise Differs(f"metrics.jsonl ends with step {done}, the training with {self.run.schedule.steps}")
        noted = {row["step"] for row in self.metrics if "state_sha256" in row}
        for step in self.run.schedule.checkpoints:
            if step not in noted:
                raise Differs(f"metrics.jsonl notes no checkpoint at step {step}, where config.json plans one")
        return f"metrics.jsonl: {len(self.metrics)} lines to step {done}, none edited, missing or added"

    def check_scores(self) -> str:
        """Check that scores.jsonl has all its lines, and every checkpoint its scores."""
        if not self.folder.scores.exists():
            raise Unchecked("the run was not evaluated")
        self._lines("scores.jsonl", self.scores)
        sets: dict[tuple, set[tuple[int, int]]] = {}
        for row in self.scores:
            by = (*(row[name] for name in _MEASURED_BY), reference_of(row))
            sets.setdefault(by, set()).add((row["step"], row["repeat"]))
        planned = self.run.schedule.checkpoints
        for by, found in sets.items():
            repeats = range(1 + max(repeat for _, repeat in found))
            for step, repeat in itertools.product((step for step in self.saved if step in planned), repeats):
                if (step, repeat) not in found:
                    raise Differs(f"scores.jsonl has no line of step {step}, set {repeat}, by {by[0]}")
        for step in planned:
            if not any(row["step"] == step for row in self.scores):
                raise Differs(f"scores.jsonl has no line of step {step}")
        return f"scores.jsonl: {len(self.scores)} lines, none edited, missing or added"

    def _lines(self, name: str, rows: list[dict]) -> None:
        """Check what all lines of a file have in common: none was edited, taken out or put in; where they were made."""
        whole, before = len((self.workdir / name).read_bytes().splitlines()), ""
        for number, row in enumerate(rows, 1):
            if io.seal(row, before) != row:
                raise Differs(
                    f"{name}, line {number} (step {row.get('step')}): edited, or does not follow the line before it"
                )
            before = row["sha256"]
            position = self.run.schedule.position(row["step"])
            if not position.items() <= row.items():
                raise Differs(
                    f"{name}, line {number}: step {row['step']} is at epoch {position['epoch']:g} of this config"
                )
            if row["environment_sha256"] not in environment.recorded(self.config_json):
                raise Differs(f"{name}, line {number}: made in an environment that config.json does not name")
        if whole != len(rows):
            raise Differs(f"{name} has {whole} lines, {len(rows)} of which are JSON objects")

    def check_files(self) -> str:
        """Check that pictures and probabilities are the files that were written, and there are no others."""
        noted: dict[str, tuple[str, int]] = {}
        for row in (*self.metrics, *self.scores):
            noted |= {name: (sha256, row["step"]) for name, sha256 in row.get("files", {}).items()}
        for name, (sha256, step) in noted.items():
            path = self.workdir / name
            if not path.is_file():
                if step in (*self.saved, *self.run.schedule.checkpoints):
                    raise Differs(f"{name} is missing")
            elif io.file_sha256(path) != sha256:
                raise Differs(f"{name} is not the file that was written: its SHA-256 is another")
        for folder in SHOWN:
            for path in sorted((self.workdir / folder).glob("*")):
                if f"{folder}/{path.name}" not in noted and not path.name.startswith("."):
                    raise Differs(f"{folder}/{path.name} is in no line of metrics.jsonl or scores.jsonl")
        return f"{len(noted)} files with the SHA-256 of when they were written"

    def check_checkpoints(self) -> str:
        """Check that every checkpoint that is kept is what was saved; only scored ones may be gone."""
        planned = self.run.schedule.checkpoints
        scored = {row["step"] for row in self.scores}
        for step in planned:
            if step not in self.saved and (step not in scored or step == planned[-1]):
                raise Differs(f"checkpoints/{step} is missing")
        for step in self.saved:
            self.run.saved_state(step)
        return f"{len(self.saved)} of {len(planned)} kept, with the state_sha256 of metrics.jsonl"

    def state(self, step: int) -> gan.State:
        """Read the state at a checkpoint, on the host; a `checkpoint.Damaged` if it is not what was saved."""
        return parallel.host(self.run.saved_state(step))

    def check_dataset(self) -> str:
        """Check that the manifest is what config.json and the images come to, record by record."""
        config, made = self.config, dataset.read(self.folder.dataset)
        parts, rows = policy.parse(config.augment.policy), made["records"]
        sizes = {"originals": training_count(config)} | policy.pool_sizes(parts, config.augment.count)
        images = {pool: self.pool(pool, count) for pool, count in sizes.items()}
        ids: dict[str, dict[int, str]] = {pool: {} for pool in images}
        for row in rows:
            ids[pool_of(row["op"])].setdefault(row["source_index"], row["source_id"])
        again, _ = dataset.build(
            source=made["source"],
            policy_text=config.augment.policy,
            count=augmented_count(config),
            seed=config.seed,
            pools=images,
            ids={pool: [names.get(number, "") for number in range(sizes[pool])] for pool, names in ids.items()},
        )
        for old, new in zip(rows, again["records"], strict=False):
            where = f"manifest.json, record {new['index']}"
            if {**old, "sha256": new["sha256"]} != new:
                raise Differs(f"{where}: {difference(old, new)}")
            if old["sha256"] != new["sha256"]:
                pool = pool_of(new["op"])
                raise Differs(f"{where}: dataset/{pool}.npy, image {new['source_index']}, does not give its SHA-256")
        if found := difference(made, again):
            raise Differs(f"manifest.json: {found}")
        data = config.data
        said = {
            "kind": data.source,
            "name": source_name(config),
            "dataset": data.dataset,
            "count": training_count(config),
        }
        said |= {"image_size": data.image_size, "resize": data.resize}
        if found := difference(made["source"], made["source"] | said):
            raise Differs(f"manifest.json, source: {found}")
        if not np.array_equal(pixels(self.folder.preview), pools.preview(parts, images)):
            raise Differs("dataset/preview.png does not show these images")
        return f"{len(rows)} records, each with its op, original and pixels"

    def check_references(self) -> str:
        """Check that the real images that scores are against are the ones that were kept, and no training images."""
        kept = reference.entries(self.folder.references)
        known = [entry["identity"] for entry in kept.values()]
        for row in self.scores:
            found = row.get("reference")
            if found is not None and found not in known:
                raise Differs(f"scores.jsonl, step {row['step']}: {_ABSENT.format(found['sha256'])}")
        if not kept:
            return "the run has no reference beside its originals"
        trained = {row["sha256"] for row in dataset.read(self.folder.dataset)["records"] if row["op"] in REAL}
        for path, entry in kept.items():
            if io.seal(entry) != entry:
                raise Differs(f"reference/{path.stem}.json was edited: its sha256 does not fit its content")
            reference.images(path, entry)
            same = sum(row["sha256"] in trained for row in entry["records"])
            if same and entry["identity"]["kind"] == "path":
                raise Differs(f"reference/{path.name}: {same} of its images are training images")
        return f"{len(kept)} kept, with the SHA-256 that scores.jsonl notes"

    def pool(self, pool: str, count: int) -> np.ndarray:
        """Read the images of a pool, uint8 [count, S, S, 3]; a `Differs` if there are others."""
        array, size = io.load_array(self.folder.pool(pool)), self.config.data.image_size
        if array.dtype != np.uint8 or array.shape != (count, size, size, 3):
            raise Differs(
                f"dataset/{pool}.npy holds {array.dtype} {list(array.shape)}, not uint8 {[count, size, size, 3]}"
            )
        return array

    def check_environment(self) -> str:
        """Check that versions, devices and flags are as they were, and such that numbers can be the same."""
        then = list(environment.recorded(self.config_json).values())
        notes = {f"then: {environment.nondeterminism(one)}" for one in then if environment.nondeterminism(one)}
        if reason := environment.nondeterminism(self.now):
            notes.add(f"now: {reason}")
        differences = [difference for one in then for difference in environment.differences(one, self.now)]
        if differences or notes:
            raise Noted("; ".join([*sorted(notes), *dict.fromkeys(differences)]))
        return f"{self.now['kind']}, jax {self.now['versions']['jax']}: as it was"


def reference_of(row: dict) -> str:
    """Return the SHA-256 of the reference of a line of scores.jsonl, "" where it has none."""
    found = row.get("reference")
    return found["sha256"] if found else ""


def pool_of(op: str) -> str:
    """Name the pool that an op of a manifest takes its images from."""
    return OPS[op].pool if op in OPS else "originals"


def pixels(path: Path) -> np.ndarray:
    """Read a picture: uint8 [H, W, 3]."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
