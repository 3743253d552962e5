"""The evaluation of a run's checkpoints: samples of a generator, held against the originals -> scores and pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import augment
from gan_da_jax.augment import policy
from gan_da_jax.classifiers import extract
from gan_da_jax.classifiers.registry import CLASSIFIERS, Classifier
from gan_da_jax.evaluation import leakage_meters
from gan_da_jax.evaluation.thumbnails import thumbnails
from gan_da_jax.files import io
from gan_da_jax.metrics import classes, scores
from gan_da_jax.metrics.memorisation import Nearest
from gan_da_jax.runs import networks, schedule
from gan_da_jax.runs.config import wanted_classes
from gan_da_jax.runs.folder import stem
from gan_da_jax.training import sampling

# A line of scores.jsonl, and the files that belong to it: their bytes by their names within the run's folder.
Evaluation = tuple[dict[str, Any], dict[str, bytes]]


def identity(config: ConfigDict, classifier: Classifier) -> dict[str, Any]:
    """The fields of a line that say what was asked for, and of what classifier."""
    return {
        "samples": config.evaluate.samples,
        "seed": config.seed,
        "classifier": classifier.name,
        "classifier_accuracy": classifier.accuracy,
        "weights_sha256": classifier.weights_sha256,
        "tap": config.evaluate.tap or classifier.usual_tap,
        "splits": config.evaluate.splits,
    }


class Judge:
    """What all evaluations of a run have in common: the features of its originals, what they score, the meters."""

    def __init__(
        self,
        config: ConfigDict,
        originals: np.ndarray,
        classifier: Classifier,
        *,
        what: str,
        cache: Path | None = None,
    ):
        """Looks at the originals.

        Args:
            config: the run's.
            originals: uint8 [n, S, S, 3].
            classifier: as `classifiers.load` gives it; its weights reach the tap of the config.
            what: the name of the work, for people.
            cache: the folder that what is learnt of the originals is kept in, `records.cache_dir()` if not given.
        """
        self._config, self._originals, self._classifier = config, originals, classifier
        self._identity = identity(config, classifier)
        tap, splits = self._identity["tap"], config.evaluate.splits
        wanted = tuple(dict.fromkeys(name for name in (tap, "logits") if name in classifier.taps))
        self._extract = extract.extractor(classifier, wanted)
        self._real = extract.cached(
            classifier,
            wanted,
            lambda: originals,
            lambda images: extract.watched(self._extract, images, what=f"{what}: originals", count=len(originals)),
            cache=cache,
        )
        of_real = scores.of_classes(self._real, splits=splits, seed=config.seed, shuffle=False)
        self._reasons = {f"real_{name}": why for name, why in of_real["reasons"].items() if "interval" not in name}
        self._of_real = {f"real_{name}": of_real[name] for name in ("inception_score", "inception_score_1")}
        self._meters = leakage_meters.meters(originals, config.augment.policy, cache=cache)
        self._variants = _variants(originals, config.augment.policy)
        self._search = scores.copies(
            {"pixels": list(map(thumbnails, self._variants)), "features": [self._real[tap]]},
        )
        self._sample = sampling.sampler(networks.network(config))

    def score(self, generator: Any, step: int, repeat: int, advance: Callable[[int], None]) -> Evaluation:
        """Evaluates one set of samples.

        Args:
            generator: the generator's variables at a checkpoint.
            step: of the checkpoint.
            repeat: the number of the set; the first one is also shown in files.
            advance: is told how many more samples are done.
        """
        config, settings = self._config, self._config.evaluate
        vectors = sampling.latents(
            seed=config.seed,
            stream=f"evaluate {repeat}",
            count=settings.samples,
            latent_dim=config.model.latent_dim,
        )
        images = self._sample(generator, vectors)
        found, small = self._extract(images, advance), thumbnails(images)
        tap, names = self._identity["tap"], CLASSIFIERS[settings.classifier].classes
        copies, nearest = self._search({"pixels": small, "features": found[tap]})
        parts = (
            scores.of_classes(found, splits=settings.splits, seed=config.seed, shuffle=False),
            scores.of_each_image(found, names=names, wanted=wanted_classes(config)),
            scores.against(found, self._real, tap=tap, seed=config.seed),
            leakage_meters.read(self._meters, small),
            copies,
        )
        reasons = {name: reason for part in parts for name, reason in part.pop("reasons").items()}
        row = schedule.of(config).position(step) | {"repeat": repeat} | self._identity | self._of_real
        row |= {name: found for part in parts for name, found in part.items()}
        row |= {"real_images": len(self._originals), "reasons": reasons | self._reasons}
        row["samples_sha256"] = io.sha256(images)
        files = self._show(stem(step), images, found.get("logits"), nearest) if repeat == 0 else {}
        row["files"] = {name: io.sha256(data) for name, data in files.items()}
        return row, files

    def _show(
        self, name: str, images: np.ndarray, logits: np.ndarray | None, nearest: Nearest | None
    ) -> dict[str, bytes]:
        """What a person looks at: the surest and the least sure samples, and those most like copies."""
        files = {}
        if logits is not None:
            files = self._probabilities("originals", self._real["logits"]) | self._probabilities(name, logits)
            files[f"certainty/{name}_{self._classifier.name}.png"] = io.png(_certainty(images, logits))
        if nearest is not None:
            files[f"memorisation/{name}.png"] = io.png(_closest(images, self._variants, nearest))
        return files

    def _probabilities(self, name: str, logits: np.ndarray) -> dict[str, bytes]:
        """The class probabilities of each image, for whoever asks what single images show."""
        given = classes.probabilities(logits).astype(np.float32)
        data = io.npz(probabilities=given, classes=np.array(self._classifier.classes))
        return {f"probabilities/{name}_{self._classifier.name}.npz": data}


def _certainty(images: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """A sheet of samples: a row of those that the classifier is surest of, and a row of those it is least sure of."""
    most, least = classes.by_certainty(classes.probabilities(logits), 8)
    return sampling.grid(np.concatenate([images[most], images[least]]), columns=len(most))


def _variants(originals: np.ndarray, policy_text: str) -> list[np.ndarray]:
    """What a sample may be a copy of: the originals, their mirror images, and what the run's policy makes of them."""
    parts = [part for part in policy.parse(policy_text) if augment.OPS[part.op].function is not augment.identity]
    made = [augment.apply(op, arguments, originals) for op, arguments in parts if op != "hflip"]
    return [originals, originals[:, :, ::-1], *made]


def _closest(images: np.ndarray, variants: list[np.ndarray], nearest: Nearest) -> np.ndarray:
    """A sheet of the samples most like copies, the most first, above the original nearest to each, as it is near."""
    worst = np.argsort(nearest.ratio, kind="stable")[:8]
    below = np.stack([variants[nearest.variant[i]][nearest.image[i]] for i in worst])
    return sampling.grid(np.concatenate([images[worst], below]), columns=len(worst))
