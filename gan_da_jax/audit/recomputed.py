"""What the files of a run say, computed once more.

In the environment that a number was recorded in, it must be the same bit for bit. Elsewhere float sums are rounded
otherwise, training makes the difference grow from step to step, and the tolerances below hold.
"""

import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import gan
from gan_da_jax.audit.finding import Differs, Unchecked, difference
from gan_da_jax.audit.recorded import Recorded, pixels, pool_of, reference_of
from gan_da_jax.augment import policy
from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.data import dataset, reference
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation import scorer
from gan_da_jax.files import checkpoint
from gan_da_jax.pipeline import pools, references
from gan_da_jax.pipeline.train import averages, loop_of
from gan_da_jax.progress import Progress
from gan_da_jax.runs import environment, networks
from gan_da_jax.runs.arm import BASELINE, sibling
from gan_da_jax.runs.config import generator_config, generator_workdir, training_count
from gan_da_jax.runs.folder import Run, is_run, samples_name

PIXELS = 2  # levels of 255 by which a pixel may differ
SCORES = 0.05  # by which a score may differ, of its size; by which a share of 0..1 may differ
# Of training, by the number of steps after which one compares. Measured with a GAN for 32 pixels, batches of 16
# and bfloat16 on one side: losses apart by 0.02, states by 0.23 of the way in 100 steps and by 0.8 in 800. With another
# order of the images, states were apart by 0.53 at least; with another seed, by 5 in 100 steps and 1.7 in 800.
NEAR, FAR = 100, 1000
LOSSES = 0.05  # by which the mean losses of an epoch that is near may differ, of their size or of 1
STATES = {NEAR: 0.4, FAR: 1.0}  # how far apart states may end, of the way that the parameters went


class Recomputed:
    """The checks of a run that compute; they give or raise what the checks of its files do."""

    def __init__(self, recorded: Recorded, *, cache: Path):
        """Take a run's files; what is learnt of its originals is kept in the folder `cache`."""
        self._recorded, self._cache = recorded, cache
        self._states: dict[int, gan.State] = {}
        self._generators: dict[int, Any] = {}
        self._scorers: dict[tuple, scorer.CheckpointScorer] = {}

    @property
    def _run(self) -> Run:
        return self._recorded.run

    def _state(self, step: int) -> gan.State:
        """Read the state at a checkpoint once, on the host; these checks need few."""
        if step not in self._states:
            self._states[step] = self._recorded.state(step)
        return self._states[step]

    def _shown(self, step: int) -> Any:
        """Make the generator's variables that a checkpoint shows, once."""
        if step not in self._generators:
            self._generators[step] = gan.shown(self._run.network, self._state(step))
        return self._generators[step]

    def _config_here(self) -> ConfigDict:
        """Return the config with the place where its source is at hand; an `Unchecked` if it is at none."""
        config, made = self._run.config.copy_and_resolve_references(), dataset.read(self._run.dataset)
        data, place = config.data, made["source"]["path"]
        known = [Location(path, data.dataset) for path in dict.fromkeys((data.path, place))]
        try:
            here = next(filter(SOURCES[data.source].is_ready, known), None)
        except UserError as error:
            raise Unchecked(f"the source is not here: {error}") from None
        if here is None:
            raise Unchecked(f"the source is not here: {data.dataset or place}")
        data.path = here.path
        return config

    def source_again(self) -> str:
        """Check that the source, where it is at hand, gives the originals again."""
        config, made = self._config_here(), dataset.read(self._run.dataset)
        images, ids, source = pools.real(config)
        found = made["source"] | {"path": source["path"]}  # it may have been moved
        if place := difference(found, source):
            raise Differs(f"manifest.json, source: {place}")
        for pool, array in images.items():
            kept = self._recorded.pool(pool, len(array))
            for row in made["records"]:
                if pool_of(row["op"]) == pool and row["source_id"] != ids[pool][row["source_index"]]:
                    raise Differs(f"manifest.json, record {row['index']}: {row['source_id']} is not the source's")
            if (i := self._first_other(kept, array)) is not None:
                raise Differs(f"dataset/{pool}.npy, image {i} ({ids[pool][i]}): not the source's")
        return f"{sum(map(len, images.values()))} images made again from {source['path'] or source['kind']}"

    def references_again(self) -> str:
        """Check that the source, or the place of the user's own images, gives the references again, as far as here."""
        kept = reference.entries(self._run.references)
        if not kept:
            return "the run has no reference beside its originals"
        absent = ""
        for path, entry in kept.items():
            wanted, at_path = entry["asked"], entry["identity"]["kind"] == "path"
            if at_path:
                known = (os.path.expanduser(wanted["reference"]), entry["source"]["path"])
                named = next(filter(os.path.exists, known), None)
                if named is None:
                    absent = wanted["reference"]
                    continue
                wanted = wanted | {"reference": named}
            pixels, ids = references.images(self._run.config if at_path else self._config_here(), wanted)
            old = reference.images(path, entry)
            if [row["id"] for row in entry["records"]] != ids:
                raise Differs(f"reference/{path.stem}.json: the source gives images of other names")
            if (i := self._first_other(old, pixels)) is not None:
                raise Differs(f"reference/{path.name}, image {i} ({ids[i]}): not the source's")
        if absent:
            raise Unchecked(f"the images of the reference are not here: {absent}")
        return f"{len(kept)} references made again, the same images"

    def generated_again(self) -> str:
        """Check that the GAN of the other run makes the `generated` images again."""
        run = self._run
        sizes = policy.pool_sizes(policy.parse(run.config.augment.policy), run.config.augment.count)
        if "generated" not in sizes:
            return "this data set has no generated images"
        base = generator_config(run.config)
        places = (sibling(run.workdir, BASELINE), run.generator, generator_workdir(run.config, run.workdir))
        place = next((place for place in places if is_run(place) and Run(base, place).trained), None)
        if place is None:
            raise Unchecked("the run whose GAN made them is not here")
        again = pools.generated(run.config, place)
        kept = self._recorded.pool("generated", sizes["generated"])
        if (i := self._first_other(kept, again)) is not None:
            raise Differs(f"dataset/generated.npy, image {i}: the GAN in {place} makes another")
        return f"{len(kept)} images made again by the GAN in {place}"

    def _first_other(self, kept: np.ndarray, again: np.ndarray) -> int | None:
        """Find the first of some images that was made again otherwise, by its number; None if all are the same."""
        known, now = set(environment.recorded(self._recorded.config_json)), self._recorded.now
        allowed = 0 if known == {environment.digest(now)} and not environment.nondeterminism(now) else PIXELS
        for i, (old, new) in enumerate(zip(kept, again, strict=True)):
            if np.abs(old.astype(int) - new).max() > allowed:
                return i
        return None

    def _exact(self, row: dict) -> bool:
        """Say whether the numbers of a line must be computed the same again, bit for bit."""
        now = self._recorded.now
        return row["environment_sha256"] == environment.digest(now) and not environment.nondeterminism(now)

    def train_again(self, start: int, end: int) -> str:
        """Check that training leads from one checkpoint, or the first state, to the other again, by the same losses."""
        run, batch = self._run, self._run.schedule.batch_size
        if not end:
            raise Differs("no checkpoint is there to be trained to")
        if batch % jax.device_count():
            raise Unchecked(f"batches of {batch} cannot be split between {jax.device_count()} devices")
        _, images = dataset.load(run.dataset)
        began = self._state(start) if start else parallel.host(networks.initial_state(run.config))
        state, loop = parallel.replicate(began), loop_of(run, images, limit=networks.resident_bytes(run.config))
        progress = Progress(f"{run}: steps {start} to {end} again", total=end - start, unit="steps")
        bits, furthest, done = True, 0.0, start
        for row in (row for row in self._recorded.metrics if start < row["step"] <= end):
            exact, near = self._exact(row), row["step"] <= start + NEAR or done == start
            if not (exact or near or end <= start + FAR):
                break
            measured = []
            for chunk in loop.run(state, to=row["step"]):
                state = chunk.state
                measured.append(chunk.metrics)
                progress.advance(chunk.count)
            for name, value in averages(measured).items():
                bits = bits and value == row[name]
                allowed = 0 if exact else LOSSES * max(1, abs(row[name])) if near else np.inf
                if not abs(value - row[name]) <= allowed:
                    said = f"{name} is {row[name]!r}, trained again {value!r}"
                    raise Differs(f"metrics.jsonl, step {row['step']}: {said}")
            if "state_sha256" in row and checkpoint.digest(again := parallel.host(state)) != row["state_sha256"]:
                bits = False
                where, far = self._distance(row["step"], began, again)
                allowed = next((STATES[reach] for reach in STATES if row["step"] <= start + reach), np.inf)
                if exact or far > allowed:
                    raise Differs(f"checkpoints/{row['step']}: {where}")
                furthest = max(furthest, far)
            done = row["step"]
        progress.close()
        if bits and done == end:
            return f"steps {start} to {end}: losses and states the same bit for bit"
        within = f"losses within {LOSSES:.0%} in {NEAR} steps, states apart by {furthest:.2g} of the way"
        beyond = f"; not compared from there to {end}, too far for this other environment" if done < end else ""
        return f"steps {start} to {done}: {within}{beyond}"

    def _distance(self, step: int, began: gan.State, again: gan.State) -> tuple[str, float]:
        """Say where a state that was trained again differs from the saved one, and how far apart the parameters are."""
        if step not in self._recorded.saved:
            return "training leads to another state than was noted", 0.0
        saved = self._state(step)
        pairs = zip(jax.tree_util.tree_leaves_with_path(saved), jax.tree.leaves(again), strict=True)
        named = [(jax.tree_util.keystr(path), old, new) for (path, old), new in pairs]
        name, old, new = next((one for one in named if not np.array_equal(one[1], one[2])), named[0])
        far = np.abs(np.asarray(old, np.float64) - new).max()
        way = _norm(saved, began)
        where = f"training leads to another state, from {name} on (by up to {far:.3g})"
        return where, _norm(saved, again) / max(way, 1e-12)

    def sample_again(self, step: int) -> str:
        """Check that a checkpoint's generator makes the picture in `samples` again."""
        name, row = samples_name(step), self._row(step)
        grid = networks.sample_grid(self._run.config, self._shown(step))
        kept = pixels(self._run.workdir / name)
        far = np.abs(kept.astype(int) - grid).max() if kept.shape == grid.shape else 255
        if far > (0 if self._exact(row) else PIXELS):
            raise Differs(f"{name} is not what the generator of checkpoints/{step} makes: apart by {far} levels of 255")
        return f"{name}: {'bit for bit' if far == 0 else f'within {far} levels of 255'}"

    def _row(self, step: int) -> dict:
        """Return the line of metrics.jsonl at a checkpoint."""
        found = next((row for row in self._recorded.metrics if row["step"] == step and "state_sha256" in row), None)
        if found is None:
            raise Differs(f"checkpoints/{step} is in no line of metrics.jsonl")
        return found

    def score_again(self, step: int) -> str:
        """Check the last scores of a checkpoint, by each classifier, and the files beside them, by scoring it again."""
        rows = {}
        for row in self._recorded.scores:
            if row["step"] == step:
                by = tuple(row[name] for name in ("classifier", "tap", "samples", "splits", "repeat"))
                rows[*by, reference_of(row)] = row
        if not rows:
            raise Unchecked("the checkpoint was not evaluated")
        same = True
        for row in rows.values():
            exact = self._exact(row)
            again, _ = self._scorer(row, exact).score(self._shown(step), step, row["repeat"], lambda count: None)
            again = json.loads(json.dumps(again))
            again.pop("reasons")  # the words may be another version's; which scores are missing shows in the scores
            again = self._as_measured_then(again, row)
            found = {name: row.get(name) for name in again}
            same = same and found == again
            if place := difference(found, again, 0 if exact else SCORES):
                raise Differs(f"scores.jsonl, step {step}, set {row['repeat']}, by {row['classifier']}: {place}")
        return f"{len(rows)} sets of samples: {'bit for bit' if same else f'within {SCORES:.0%}'}"

    def _as_measured_then(self, again: dict, row: dict) -> dict:
        """Leave out the scores, and the ops with a meter, that another version which made the line did not know."""
        now = self._recorded.now
        then = environment.recorded(self._recorded.config_json).get(row["environment_sha256"], now)
        if then["versions"].get("gan_da_jax") == now["versions"]["gan_da_jax"]:
            return again
        known = {name: value for name, value in again.items() if name in row}
        if isinstance(row.get("leakage"), dict):
            known["leakage"] = {op: reading for op, reading in again["leakage"].items() if op in row["leakage"]}
        return known

    def _scorer(self, row: dict, exact: bool) -> scorer.CheckpointScorer:
        config = self._as_scored(row)
        classifier, settings = self._classifier(config, row, exact), config.evaluate
        settings_of = (settings.tap, settings.samples, settings.splits, settings.classes)
        key = (classifier, *settings_of, reference_of(row))
        if key not in self._scorers:
            originals = self._recorded.pool("originals", training_count(config))
            wanted = row.get("reference")
            against = None if wanted is None else reference.load(self._run.references, identity=wanted)
            if wanted is not None and against is None:
                raise Differs(f"scores.jsonl, step {row['step']}: its reference is not in the folder reference")
            self._scorers[key] = scorer.CheckpointScorer.prepare(
                config,
                self._run.schedule,
                originals,
                classifier,
                title=str(self._run),
                reference=against,
                cache=self._cache,
            )
        return self._scorers[key]

    def _as_scored(self, row: dict) -> ConfigDict:
        """Return the config with which a line of scores.jsonl was made."""
        config = self._run.config.copy_and_resolve_references()
        settings = config.evaluate
        if row["classifier"] not in registry.CLASSIFIERS:
            raise Differs(f"scores.jsonl, step {row['step']}: there is no classifier {row['classifier']!r}")
        if row["classifier"] != settings.classifier:
            settings.weights = ""
        settings.classifier, settings.tap = row["classifier"], row["tap"]
        settings.samples, settings.splits = row["samples"], row["splits"]
        settings.classes = ",".join((row["classes"] or {"wanted": []})["wanted"])
        return config

    def _classifier(self, config: ConfigDict, row: dict, exact: bool) -> Classifier:
        name, given = row["classifier"], config.evaluate.weights
        carried = carried_classifier(self._run.workdir, name)
        if carried is not None and carried.is_file():
            classifier, where = registry.read(name, carried), str(carried)
        else:
            weights = given if given and Path(given).is_file() else ""
            try:
                classifier = registry.load(name, weights, taps=(row["tap"],))
            except UserError as error:
                raise Unchecked(f"the weights are not here: {error}") from None
            where = weights or registry.check(name, "")
        if classifier.weights_sha256 != row["weights_sha256"]:
            said = f"{name} has other weights ({where}, SHA-256 {classifier.weights_sha256}) than scores.jsonl says"
            if classifier.accuracy is not None and not exact:  # trained here, where it comes out otherwise
                raise Unchecked(said)
            raise Differs(said)
        return classifier


def carried_classifier(workdir: Path, name: str) -> Path | None:
    """Return where a bundle carries the weights of a classifier that is trained here; None for published ones."""
    return workdir / "classifier" / f"{name}.npz" if registry.trained_here(name) else None


def _norm(one: gan.State, other: gan.State) -> float:
    """Measure how far apart the parameters of two states are, averages included."""
    pairs = [
        (one.generator["params"], other.generator["params"]),
        (one.discriminator["params"], other.discriminator["params"]),
        (one.extra, other.extra),
    ]
    squares = jax.tree.map(lambda a, b: float(np.sum((np.asarray(a, np.float64) - b) ** 2)), *zip(*pairs, strict=True))
    return sum(jax.tree.leaves(squares)) ** 0.5
