"""A run: its config, and the folder that belongs to it. It alone knows the names of a run's files.

Only the names inside the folder of the data set are `data.dataset`'s.
"""

import contextlib
import fcntl
import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from ml_collections import ConfigDict

from gan_da_jax import gan
from gan_da_jax.data import dataset
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.files import checkpoint, io, schemas
from gan_da_jax.runs import environment, networks, schedule
from gan_da_jax.runs.config import differences, restored
from gan_da_jax.runs.schedule import Schedule

SHOWN = ("samples", "probabilities", "certainty", "memorisation")  # folders of what a person looks at


class Occupied(UserError):
    """Another process works in the folder."""


class Folder:
    """The folder of a run, which need not exist: the names of its files, and what they record.

    Attributes:
        workdir: the folder.
        config_json: the resolved config; versions, devices and flags, now and earlier.
        dataset: the folder of the data set, which is complete once its `manifest` is there.
        preview: a picture of the data set.
        checkpoints: the folder of the checkpoints.
        metrics: one line an epoch.
        scores: one line a checkpoint, classifier and set of samples.
        references: the folder of the real images that it is scored against and not trained on.
        generator: the folder of the run whose GAN makes `generated` images, where the config names no other.
    """

    def __init__(self, workdir: Path):
        """Name the files in `workdir`; read none."""
        self.workdir = workdir
        self.config_json = workdir / "config.json"
        self.dataset = workdir / "dataset"
        self.manifest = dataset.manifest_file(self.dataset)
        self.preview = self.dataset / "preview.png"
        self.checkpoints = workdir / "checkpoints"
        self.metrics = workdir / "metrics.jsonl"
        self.scores = workdir / "scores.jsonl"
        self.references = workdir / "reference"
        self.generator = workdir / "generator"

    def __str__(self) -> str:
        return str(self.workdir)

    @property
    def prepared(self) -> bool:
        """Whether the data set is complete."""
        return self.manifest.exists()

    def saved(self) -> list[int]:
        """List the steps of the finished checkpoints, ascending."""
        return checkpoint.steps(self.checkpoints)

    def read_config_json(self) -> dict[str, Any]:
        """Read config.json, the `config` of the run and its environments; a `UserError` if it is no such file."""
        found = io.read_json(self.config_json)
        schemas.require(found, schemas.CONFIG, str(self.config_json))
        return found

    def pool(self, name: str) -> Path:
        """Return the file of the images of a pool, such as `originals`."""
        return dataset.pool_file(self.dataset, name)

    def sample_grids(self) -> dict[int, Path]:
        """Find the sample grids of checkpoints, by their steps, ascending."""
        named = {path.stem.removeprefix("step_"): path for path in (self.workdir / "samples").glob("step_*.png")}
        return {int(step): named[step] for step in sorted(filter(str.isdecimal, named), key=int)}

    def noted_states(self) -> dict[int, str]:
        """Read the hash of the state at each checkpoint that metrics.jsonl notes, by its step."""
        rows = [row for row in io.read_jsonl(self.metrics) if {"step", "state_sha256"} <= row.keys()]
        return {row["step"]: row["state_sha256"] for row in rows}

    @contextlib.contextmanager
    def alone(self, *, wait: bool = False, name: str = ".lock") -> Iterator[None]:
        """Keep other processes out of the folder inside the block.

        Args:
            wait: whether to wait for another process that is in there already, instead of an `Occupied`.
            name: of the file that is locked; different names do not keep each other out.
        """
        self.workdir.mkdir(parents=True, exist_ok=True)
        with open(self.workdir / name, "a") as file:  # not "w", which would touch it
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise Occupied(
                    f"another process works in {self.workdir}; wait for it, or choose another --workdir"
                ) from None
            yield

    def sweep(self) -> None:
        """Remove the temporary files that killed processes have left."""
        io.sweep(self.workdir, self.dataset, self.references, *(self.workdir / folder for folder in SHOWN))

    def described(self) -> dict[str, str]:
        """Hash the files that say what the run is trained on, but not the images, whose hashes are in the manifest."""
        files = (self.manifest, self.preview)
        return {file.relative_to(self.workdir).as_posix(): io.file_sha256(file) for file in files if file.is_file()}


def _stem(step: int) -> str:
    return f"step_{step:08d}"


def samples_name(step: int) -> str:
    """Name the sample grid of a checkpoint within the folder of a run."""
    return f"samples/{_stem(step)}.png"


def certainty_name(step: int, classifier: str) -> str:
    """Name the picture of the samples that a classifier is most and least sure of, likewise."""
    return f"certainty/{_stem(step)}_{classifier}.png"


def memorisation_name(step: int) -> str:
    """Name the picture of the samples most like copies, likewise."""
    return f"memorisation/{_stem(step)}.png"


def probabilities_name(step: int | None, classifier: str) -> str:
    """Name the file of the class probabilities of a checkpoint's samples, of the originals if `step` is None."""
    return f"probabilities/{'originals' if step is None else _stem(step)}_{classifier}.npz"


def is_run(workdir: Path) -> bool:
    """Say whether a run lives in a folder."""
    return (workdir / "config.json").is_file()


class Run(Folder):
    """A run of a config in its folder.

    Attributes:
        config: the whole config.
    """

    def __init__(self, config: ConfigDict, workdir: Path):
        """Take a config that `config.check` accepts."""
        super().__init__(workdir)
        self.config = config

    @classmethod
    def open(cls, workdir: Path) -> Self:
        """Open the run that a folder holds, with the config that it records; a `UserError` if there is none."""
        return cls(restored(Folder(workdir).read_config_json()["config"]), workdir)

    @functools.cached_property
    def schedule(self) -> Schedule:
        """Its steps, epochs and checkpoints, made once."""
        return schedule.of(self.config)

    @property
    def network(self) -> gan.Gan:
        """The networks of its config, the same object each time."""
        return networks.network(self.config)

    @property
    def trained(self) -> bool:
        """Whether it has its last checkpoint; `saved_state` proves that it is what was saved."""
        return self.schedule.steps in self.saved()

    def check(self) -> None:
        """Raise a `UserError` where the folder cannot be this run's: another run's, of edited files, or no folder."""
        place = next(place for place in (self.workdir, *self.workdir.absolute().parents) if place.exists())
        if not place.is_dir():
            raise UserError(f"--workdir={self.workdir}: {place} is not a folder; choose another workdir")
        if self.config_json.exists():
            changed = differences(self.read_config_json()["config"], self.config.to_dict())
            if changed:
                raise UserError(
                    f"{self.workdir} holds a run with another config, which differs in {', '.join(changed)}; "
                    f"choose another --workdir, or give that config"
                )
        schemas.rows(self.metrics, schemas.METRICS)
        schemas.rows(self.scores, schemas.SCORES)

    def claim(self) -> None:
        """Write config.json, the resolved config with the environment; a folder that fails `check` is left alone.

        The environments that the run was worked on in before are kept as `earlier`, for its lines name them by hash.
        """
        self.check()
        self._record(json.loads(self.config.to_json()))

    def visit(self) -> str:
        """Note in config.json that work goes on in this environment; return the hash that stands for it."""
        self._record(self.read_config_json()["config"])
        return environment.digest(environment.current())

    def _record(self, config: dict) -> None:
        old = self.read_config_json() if self.config_json.exists() else {}
        now = environment.current()
        known = environment.recorded(old) if old else {}
        known.pop(environment.digest(now), None)
        entry = io.seal({"config": config, **now, "earlier": list(known.values())})
        try:
            if old != entry:
                io.write_json(self.config_json, entry)
        except OSError as error:
            raise UserError(
                f"--workdir={self.workdir} cannot be written to ({error.strerror}); choose another one"
            ) from None

    def saved_state(self, step: int) -> gan.State:
        """Read the state at a checkpoint, and prove it by the hash that metrics.jsonl notes.

        Raises:
            checkpoint.Damaged: it cannot be read, or is not what was saved.
        """
        state = checkpoint.load(self.checkpoints, step, networks.abstract_state(self.config))
        if checkpoint.digest(parallel.host(state)) != self.noted_states().get(step):
            raise checkpoint.Damaged(f"{self.checkpoints / str(step)} is not the state that metrics.jsonl notes")
        return state

    def newest_state(self) -> gan.State | None:
        """Read the newest checkpoint that is what was saved; warn of damaged ones, and set them aside.

        None if there is no such checkpoint: then training starts from the beginning.
        """
        for step in reversed(self.saved()):
            try:
                return self.saved_state(step)
            except checkpoint.Damaged as error:
                print(f"warning: {error}; ignoring it, training again from the previous checkpoint", file=sys.stderr)
                checkpoint.set_aside(self.checkpoints, step)
        return None

    def trained_state(self, step: int) -> gan.State:
        """Read the state at a checkpoint for whoever does not train; a `UserError` if it is not what was saved."""
        try:
            return self.saved_state(step)
        except checkpoint.Damaged as error:
            raise UserError(f"{error}; delete that folder and the ones of later steps, and train again") from error

    def drop_extras(self) -> None:
        """Remove the checkpoints of interruptions, and their sample grids, once a planned one is later.

        They have served their purpose, and a run that was not interrupted has none. Scored ones, planned before
        `train.checkpoint_every` was changed, keep the place of their scores in the curves; `drop_scored` removes them.
        """
        saved, planned = self.saved(), set(self.schedule.checkpoints)
        scored = self._scored()
        last = max((step for step in saved if step in planned), default=0)
        for step in saved:
            if step < last and step not in planned and step not in scored:
                # The grid first: only a checkpoint that is still there leads here again after a kill in between.
                (self.workdir / samples_name(step)).unlink(missing_ok=True)
                checkpoint.delete(self.checkpoints, step)

    def drop_scored(self, best: set[int]) -> None:
        """Remove checkpoints that are scored, but for the newest `train.keep`, and the `best`."""
        saved, scored = self.saved(), self._scored()
        for step in saved[: -self.config.train.keep]:
            if step in scored and step not in best:
                checkpoint.delete(self.checkpoints, step)

    def _scored(self) -> set[int]:
        """Return the steps that scores.jsonl has lines of."""
        return {row["step"] for row in io.read_jsonl(self.scores) if "step" in row}
