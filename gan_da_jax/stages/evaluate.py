"""evaluate: WORKDIR/checkpoints -> samples -> scores.jsonl, one line a checkpoint and set of samples."""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from scipy.special import softmax

from gan_da_jax import checkpoint, classifiers, features, leakage, records, run, sampling
from gan_da_jax.errors import UserError
from gan_da_jax.metrics import classes, scores
from gan_da_jax.metrics.memorisation import Nearest
from gan_da_jax.metrics.summary import value, written
from gan_da_jax.progress import Progress
from gan_da_jax.thumbnails import thumbnails

_HEADLINE = {"IS": "inception_score", "real images' IS": "real_inception_score", "FID": "fid", "KID": "kid"}


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False) -> None:
    """Scores every checkpoint that has no such score yet, beside and against the originals."""
    run.check(workdir, config)
    settings = config.evaluate
    steps = checkpoint.steps(workdir / "checkpoints")
    where = classifiers.check(settings.classifier, settings.weights)
    if not steps:
        raise UserError(f"{workdir} holds no checkpoint; train it first, with the same --config and --workdir")
    if dry_run:
        print(f"{workdir}: would score {settings.repeats} x {settings.samples} samples of {len(steps)} checkpoints")
        print(f"{workdir}: by {settings.classifier}, weights: {where}")
        return

    classifier = classifiers.load(settings.classifier, settings.weights, taps=())
    tap = settings.tap or classifier.usual_tap
    classifier.require((tap,))
    asked = [name for name in settings.classes.split(",") if name.strip()]
    chosen = classes.select(asked, classifier.classes) if asked else ()
    named = [classifier.classes[number] for number in chosen]
    identity = {
        "samples": settings.samples,
        "seed": config.seed,
        "classifier": classifier.name,
        "classifier_accuracy": classifier.accuracy,
        "weights_sha256": classifier.weights_sha256,
        "tap": tap,
        "splits": settings.splits,
    }
    done = {
        (row["step"], row["repeat"])
        for row in records.read_jsonl(workdir / "scores.jsonl")
        if identity.items() <= row.items()
        and "leakage" in row
        and (row["classes"] or {"wanted": named})["wanted"] == named
    }
    todo = [(step, repeat) for step in steps for repeat in range(settings.repeats) if (step, repeat) not in done]
    if not todo:
        print(f"{workdir}: all checkpoints are scored already")
        return

    wanted = tuple(dict.fromkeys(name for name in (tap, "logits") if name in classifier.taps))
    extract = features.extractor(classifier, wanted)
    originals = records.load_array(workdir / "dataset" / "originals.npy")
    progress = Progress(f"{workdir}: scores", total=len(originals) + len(todo) * settings.samples)
    real = features.cached(classifier, wanted, lambda: originals, lambda images: extract(images, progress.advance))
    of_real = scores.of_classes(real, splits=settings.splits, seed=config.seed, shuffle=False)
    reasons_of_real = {f"real_{name}": reason for name, reason in of_real["reasons"].items() if "interval" not in name}
    of_real = {f"real_{name}": of_real[name] for name in ("inception_score", "inception_score_1")}
    meters = leakage.meters(originals, config.augment.policy)
    small = thumbnails(originals)
    search = scores.copies({"pixels": (small, small[:, :, ::-1]), "features": (real[tap], None)})

    sample = sampling.sampler(run.network(config))
    for step, repeat in todo:
        vectors = sampling.latents(
            seed=config.seed, stream=f"evaluate {repeat}", count=settings.samples, latent_dim=config.model.latent_dim
        )
        images = sample(run.trained_generator(config, workdir, step), vectors)
        found = extract(images, progress.advance)
        of_samples = scores.of_classes(found, splits=settings.splits, seed=config.seed, shuffle=False)
        of_each = scores.of_each_image(found, names=classifier.classes, wanted=chosen)
        distances = scores.against(found, real, tap=tap, seed=config.seed)
        small = thumbnails(images)
        leaks = leakage.read(meters, small)
        copies, nearest = search({"pixels": small, "features": found[tap]})
        parts = (of_samples, of_each, distances, leaks, copies)
        reasons = {name: reason for part in parts for name, reason in part.pop("reasons").items()}
        row = run.position(config, step) | {"repeat": repeat} | identity | of_samples | of_real | of_each | distances
        row |= leaks | copies | {"real_images": len(originals), "reasons": reasons | reasons_of_real}
        if repeat == 0 and "logits" in found:
            sheet = _certainty(images, found["logits"])
            records.save_png(workdir / "certainty" / f"step_{step:08d}_{classifier.name}.png", sheet)
        if repeat == 0 and nearest is not None:
            sheet = _closest(images, originals, nearest)
            records.save_png(workdir / "memorisation" / f"step_{step:08d}.png", sheet)
        records.append_jsonl(workdir / "scores.jsonl", row)
    progress.close()
    shown = ", ".join(f"{label} {written(value(row, key))}" for label, key in _HEADLINE.items())
    print(f"{workdir}: step {step} by {classifier.name}, tap {tap}: {shown}")


def _certainty(images: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """A sheet of samples: a row of those that the classifier is surest of, and a row of those it is least sure of."""
    most, least = classes.by_certainty(softmax(logits.astype(np.float64), axis=1), 8)
    return sampling.grid(np.concatenate([images[most], images[least]]), columns=len(most))


def _closest(images: np.ndarray, originals: np.ndarray, nearest: Nearest) -> np.ndarray:
    """A sheet of the samples most like copies, the most first, above the originals (or their mirror images) nearest."""
    worst = np.argsort(nearest.ratio, kind="stable")[:8]
    below = originals[nearest.image[worst]]
    below = np.where(nearest.mirrored[worst, None, None, None], below[:, :, ::-1], below)
    return sampling.grid(np.concatenate([images[worst], below]), columns=len(worst))
