"""The evaluation of a run's checkpoints: samples of a generator, held against the originals -> scores and pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import augment
from gan_da_jax.augment import policy
from gan_da_jax.classifiers import extract
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.data.reference import Reference
from gan_da_jax.evaluation import leakage_meters
from gan_da_jax.evaluation.thumbnails import thumbnails
from gan_da_jax.files import io
from gan_da_jax.metrics import classes, scores
from gan_da_jax.metrics.measure import Real
from gan_da_jax.metrics.memorisation import Nearest
from gan_da_jax.runs import networks
from gan_da_jax.runs.config import wanted_classes
from gan_da_jax.runs.folder import certainty_name, memorisation_name, probabilities_name
from gan_da_jax.runs.schedule import Schedule
from gan_da_jax.training import sampling

# A line of scores.jsonl, and the files that belong to it: their bytes by their names within the run's folder.
Evaluation = tuple[dict[str, Any], dict[str, bytes]]

NOISE = 2020  # seed of the noise that a GAN must do better than: the same for all runs


def identity(config: ConfigDict, classifier: Classifier, reference: Reference | None) -> dict[str, Any]:
    """Return the fields of a line that say what was asked for, of which classifier, and against which images."""
    return {
        "samples": config.evaluate.samples,
        "seed": config.seed,
        "classifier": classifier.name,
        "classifier_accuracy": classifier.accuracy,
        "weights_sha256": classifier.weights_sha256,
        "tap": config.evaluate.tap or classifier.default_tap,
        "splits": config.evaluate.splits,
        "reference": None if reference is None else reference.identity,
    }


@dataclass(frozen=True)
class CheckpointScorer:
    """What all evaluations of a run have in common; made by `prepare`.

    Attributes:
        config: the run's.
        schedule: the run's.
        classifier: its weights reach the tap of the config.
        asked: the fields of a line that `identity` gives.
        originals: uint8 [n, S, S, 3].
        features: of the originals, float32 [n, d] by tap.
        trained: the same at the tap of the config, with what the scores compute from them alone.
        held_out: likewise, of real images that nobody trained on; None where there are none.
        of_real: the fields of a line that say what the originals themselves score, and `reasons`.
        anchors: likewise, what noise and real images score.
        meters: of leakage.
        variants: what a sample may be a copy of, uint8 [n, S, S, 3] each.
        search: finds copies, as from `scores.copies`.
        sample: makes images of latents, as from `sampling.sampler`.
    """

    config: ConfigDict
    schedule: Schedule
    classifier: Classifier
    asked: dict[str, Any]
    originals: np.ndarray
    features: dict[str, np.ndarray]
    trained: Real
    held_out: Real | None
    of_real: dict[str, Any]
    anchors: dict[str, Any]
    meters: list[leakage_meters.Meter]
    variants: list[np.ndarray]
    search: Callable
    sample: Callable

    @classmethod
    def prepare(
        cls,
        config: ConfigDict,
        schedule: Schedule,
        originals: np.ndarray,
        classifier: Classifier,
        *,
        title: str,
        reference: Reference | None = None,
        cache: Path | None = None,
    ) -> "CheckpointScorer":
        """Learn from the real images whatever all evaluations need, which may take minutes the first time.

        Their features are extracted, and the leakage meters trained, unless both are in the cache.

        Args:
            config: the run's.
            schedule: the run's.
            originals: uint8 [n, S, S, 3].
            classifier: as `registry.load` gives it; its weights reach the tap of the config.
            title: of the work, for people.
            reference: real images that nobody trained on; None for no scores against such.
            cache: the folder that features and meters are kept in, `io.cache_dir()` if not given.
        """
        cache = cache or io.cache_dir()
        asked = identity(config, classifier, reference)
        tap, seed, settings = asked["tap"], config.seed, config.evaluate

        def see(what: str, taps: tuple[str, ...], read: Callable) -> dict[str, np.ndarray]:
            return extract.features_of(classifier, taps, extract.see(read), title=f"{title}: {what}", cache=cache)

        features = see("originals", classifier.scored_taps(tap), lambda: originals)
        noise = see("noise", (tap,), lambda: _noise(settings.samples, config.data.image_size))
        trained, held_out = Real(features[tap]), None
        if reference is not None:
            held_out = Real(see("reference", (tap,), lambda: reference.pixels)[tap])
        variants = _variants(originals, config.augment.policy)
        return cls(
            config=config,
            schedule=schedule,
            classifier=classifier,
            asked=asked,
            originals=originals,
            features=features,
            trained=trained,
            held_out=held_out,
            of_real=scores.of_real(features, tap=tap, samples=settings.samples, splits=settings.splits, seed=seed),
            anchors=scores.anchors(noise[tap], trained, held_out, seed=seed),
            meters=leakage_meters.meters(originals, config.augment.policy, cache=cache),
            variants=variants,
            search=scores.copies({"pixels": list(map(thumbnails, variants)), "features": [trained.features]}),
            sample=sampling.sampler(networks.network(config)),
        )

    def score(self, generator: Any, step: int, repeat: int, advance: Callable[[int], None]) -> Evaluation:
        """Evaluate one set of samples.

        Args:
            generator: the generator's variables at a checkpoint.
            step: of the checkpoint.
            repeat: the number of the set, from 0; the first one is also shown in files.
            advance: is told how many more samples are done.
        """
        config, settings = self.config, self.config.evaluate
        tap, seed = self.asked["tap"], config.seed
        vectors = sampling.latents(
            seed=seed,
            stream=f"evaluate {repeat}",
            count=settings.samples,
            latent_dim=config.model.latent_dim,
        )
        images = self.sample(generator, vectors)
        small = thumbnails(images)
        features = extract.extractor(self.classifier, tuple(self.features))(images, advance)
        copies, nearest = self.search({"pixels": small, "features": features[tap]})
        parts = (
            scores.of_set(
                features,
                self.trained,
                tap=tap,
                splits=settings.splits,
                seed=seed,
                originals=self.trained,
                reference=self.held_out,
            ),
            scores.of_each_image(features, names=self.classifier.classes, wanted=wanted_classes(config)),
            leakage_meters.read(self.meters, small),
            copies,
            self.of_real,
            self.anchors,
        )
        row = self.schedule.position(step) | {"repeat": repeat} | self.asked
        for part in parts:
            row |= part
        row["real_images"] = len(self.originals)
        row["reasons"] = {field: reason for part in parts for field, reason in part["reasons"].items()}
        row["samples_sha256"] = io.sha256(images)
        files = self._show(step, images, features.get("logits"), nearest) if repeat == 0 else {}
        row["files"] = {name: io.sha256(data) for name, data in files.items()}
        return row, files

    def _show(
        self, step: int, images: np.ndarray, logits: np.ndarray | None, nearest: Nearest | None
    ) -> dict[str, bytes]:
        """Draw what a person looks at: the surest and the least sure samples, and the samples most like copies."""
        files = {}
        if logits is not None:
            files = self._probabilities(None, self.features["logits"]) | self._probabilities(step, logits)
            files[certainty_name(step, self.classifier.name)] = io.png(_certainty(images, logits))
        if nearest is not None:
            files[memorisation_name(step)] = io.png(_closest(images, self.variants, nearest))
        return files

    def _probabilities(self, step: int | None, logits: np.ndarray) -> dict[str, bytes]:
        """Write the class probabilities of each image, for whoever asks what single images show."""
        probabilities = classes.probabilities(logits).astype(np.float32)
        data = io.npz(probabilities=probabilities, classes=np.array(self.classifier.classes))
        return {probabilities_name(step, self.classifier.name): data}


def _noise(count: int, size: int) -> Iterator[np.ndarray]:
    """Yield images of noise, uint8 [size, size, 3], every level of every channel equally likely."""
    random = np.random.RandomState(NOISE)
    return (np.frombuffer(random.bytes(3 * size**2), np.uint8).reshape(size, size, 3) for _ in range(count))


def _certainty(images: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Draw two rows of samples: the samples that the classifier is surest of, and the least sure."""
    most, least = classes.by_certainty(classes.probabilities(logits), 8)
    return sampling.grid(np.concatenate([images[most], images[least]]), columns=len(most))


def _variants(originals: np.ndarray, policy_text: str) -> list[np.ndarray]:
    """List what a sample may copy: the originals, their mirror images, and what the run's policy makes of them."""
    parts = [part for part in policy.parse(policy_text) if augment.OPS[part.op].function is not augment.identity]
    made = [augment.apply(op, arguments, originals) for op, arguments in parts if op != "hflip"]
    return [originals, originals[:, :, ::-1], *made]


def _closest(images: np.ndarray, variants: list[np.ndarray], nearest: Nearest) -> np.ndarray:
    """Draw the samples most like copies, the most alike first, each above the variant of an original nearest to it."""
    worst = np.argsort(nearest.ratio, kind="stable")[:8]
    below = np.stack([variants[nearest.variant[i]][nearest.image[i]] for i in worst])
    return sampling.grid(np.concatenate([images[worst], below]), columns=len(worst))
