"""evaluate: WORKDIR/checkpoints -> samples -> scores.jsonl, one line a checkpoint and set of samples."""

from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import augment, checkpoint, classifiers, features, leakage, records, run, sampling
from gan_da_jax.augment import policy
from gan_da_jax.config import wanted_classes
from gan_da_jax.data import manifest
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
    saved, planned = checkpoint.steps(workdir / "checkpoints"), run.checkpoint_steps(config)
    # An interrupted run has saved a step more, which one that was not interrupted has not.
    steps = [step for step in saved if step in planned] or saved[-1:]
    where = classifiers.check(settings.classifier, settings.weights, tap=settings.tap)
    names, chosen = classifiers.CLASSIFIERS[settings.classifier].classes, wanted_classes(config)
    if not steps:
        raise UserError(f"{workdir} holds no checkpoint; train it first, with the same --config and --workdir")
    originals = manifest.originals(workdir / "dataset")
    if dry_run:
        print(f"{workdir}: would score {settings.repeats} x {settings.samples} samples of {len(steps)} checkpoints")
        print(f"{workdir}: by {settings.classifier}, weights: {where}")
        return

    classifier = classifiers.load(settings.classifier, settings.weights, taps=())
    tap = settings.tap or classifier.usual_tap
    classifier.require((tap,))
    named = [names[number] for number in chosen]
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
    real = features.cached(
        classifier,
        wanted,
        lambda: originals,
        lambda images: features.watched(extract, images, what=f"{workdir}: originals", count=len(originals)),
    )
    of_real = scores.of_classes(real, splits=settings.splits, seed=config.seed, shuffle=False)
    reasons_of_real = {f"real_{name}": reason for name, reason in of_real["reasons"].items() if "interval" not in name}
    of_real = {f"real_{name}": of_real[name] for name in ("inception_score", "inception_score_1")}
    meters = leakage.meters(originals, config.augment.policy)
    variants = _variants(originals, config.augment.policy)
    search = scores.copies({"pixels": list(map(thumbnails, variants)), "features": [real[tap]]})

    if "logits" in real:
        _save_probabilities(workdir, "originals", classifier, real["logits"])
    sample = sampling.sampler(run.network(config))
    progress = Progress(f"{workdir}: scores", total=len(todo) * settings.samples)
    for step in dict.fromkeys(step for step, _ in todo):
        generator = run.trained_generator(config, workdir, step)
        for repeat in (repeat for at, repeat in todo if at == step):
            vectors = sampling.latents(
                seed=config.seed,
                stream=f"evaluate {repeat}",
                count=settings.samples,
                latent_dim=config.model.latent_dim,
            )
            images = sample(generator, vectors)
            found, small = extract(images, progress.advance), thumbnails(images)
            copies, nearest = search({"pixels": small, "features": found[tap]})
            parts = (
                scores.of_classes(found, splits=settings.splits, seed=config.seed, shuffle=False),
                scores.of_each_image(found, names=names, wanted=chosen),
                scores.against(found, real, tap=tap, seed=config.seed),
                leakage.read(meters, small),
                copies,
            )
            reasons = {name: reason for part in parts for name, reason in part.pop("reasons").items()}
            row = run.position(config, step) | {"repeat": repeat} | identity | of_real
            row |= {name: found for part in parts for name, found in part.items()}
            row |= {"real_images": len(originals), "reasons": reasons | reasons_of_real}
            if repeat == 0:
                _show(workdir, f"step_{step:08d}", classifier, images, found.get("logits"), variants, nearest)
            records.append_jsonl(workdir / "scores.jsonl", row)
    progress.close()
    shown = ", ".join(f"{label} {written(value(row, key))}" for label, key in _HEADLINE.items())
    print(f"{workdir}: step {step} by {classifier.name}, tap {tap}: {shown}")


def _save_probabilities(workdir: Path, name: str, classifier: classifiers.Classifier, logits: np.ndarray) -> None:
    """Keeps the class probabilities of each image, for whoever asks what single images show."""
    path = workdir / "probabilities" / f"{name}_{classifier.name}.npz"
    given = classes.probabilities(logits).astype(np.float32)
    records.save_arrays(path, probabilities=given, classes=np.array(classifier.classes))


def _show(
    workdir: Path,
    name: str,
    classifier: classifiers.Classifier,
    images: np.ndarray,
    logits: np.ndarray | None,
    variants: list[np.ndarray],
    nearest: Nearest | None,
) -> None:
    """Writes what a person looks at: the surest and the least sure samples, and those most like copies."""
    if logits is not None:
        _save_probabilities(workdir, name, classifier, logits)
        sheet = _certainty(images, logits)
        records.save_png(workdir / "certainty" / f"{name}_{classifier.name}.png", sheet)
    if nearest is not None:
        records.save_png(workdir / "memorisation" / f"{name}.png", _closest(images, variants, nearest))


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
