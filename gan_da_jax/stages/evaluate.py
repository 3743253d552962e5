"""evaluate: WORKDIR/checkpoints -> samples -> scores.jsonl, one line a checkpoint."""

from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import checkpoint, classifiers, parallel, records, run, sampling
from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inception_score import inception_score
from gan_da_jax.progress import Progress

_BATCH_SIZE = 50  # images a device classifies at once: enough to keep it busy, little enough for its memory


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False) -> None:
    """Scores every checkpoint that has no such score yet, beside the real images."""
    run.check(workdir, config)
    settings = config.evaluate
    steps = checkpoint.steps(workdir / "checkpoints")
    classifiers.check(settings.classifier, settings.weights)
    if dry_run:
        print(f"{workdir}: would score {settings.samples} samples of each of {len(steps)} checkpoints")
        return
    if not steps:
        raise UserError(f"{workdir} holds no checkpoint; train it first, with the same --config and --workdir")

    classifier = classifiers.load(settings.classifier, settings.weights)
    classify = parallel.batches(classifier.apply, batch_size=_BATCH_SIZE)
    sample = sampling.sampler(run.network(config))
    identity = {
        "samples": settings.samples,
        "seed": config.seed,
        "classifier": classifier.name,
        "classifier_accuracy": classifier.accuracy,
        "weights_sha256": classifier.weights_sha256,
    }
    scored = {
        row["step"]
        for row in records.read_jsonl(workdir / "scores.jsonl")
        if all(row.get(name) == value for name, value in identity.items())
        and row["inception_score"]["splits"] == settings.splits
    }
    steps = [step for step in steps if step not in scored]
    if not steps:
        print(f"{workdir}: all checkpoints are scored already")
        return

    originals = records.load_array(workdir / "dataset" / "originals.npy")
    vectors = sampling.latents(
        seed=config.seed, stream="evaluate", count=settings.samples, latent_dim=config.model.latent_dim
    )
    progress = Progress(f"{workdir}: scores", total=len(originals) + len(steps) * settings.samples)

    def scores(images: np.ndarray, prefix: str = "") -> dict:
        size = _BATCH_SIZE * jax.local_device_count()
        blocks = []
        for start in range(0, len(images), size):
            blocks.append(classify(classifier.variables, images[start : start + size])["logits"])
            progress.advance(len(blocks[-1]))
        logits = np.concatenate(blocks)
        mean, std = inception_score(logits, splits=settings.splits)
        whole, _ = inception_score(logits, splits=1)
        return {
            f"{prefix}inception_score": {"mean": mean, "std": std, "splits": settings.splits},
            f"{prefix}inception_score_1": whole,
        }

    real = scores(originals, "real_")
    for step in steps:
        images = sample(run.trained_generator(config, workdir, step), vectors)
        row = run.position(config, step) | identity | scores(images) | real | {"real_images": len(originals)}
        records.append_jsonl(workdir / "scores.jsonl", row)
    progress.close()
    print(
        f"{workdir}: step {steps[-1]}, Inception Score by {classifier.name}: "
        f"{row['inception_score']['mean']:.4f} +- {row['inception_score']['std']:.4f} ({settings.splits} splits), "
        f"real images {row['real_inception_score']['mean']:.4f} +- {row['real_inception_score']['std']:.4f}"
    )
