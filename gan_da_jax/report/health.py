"""A run's metrics.jsonl -> what went wrong in its training, in words: it diverged, or the discriminator won."""

from collections.abc import Iterator

from gan_da_jax.runs.read import RecordedRun

# A discriminator has won where its loss stays next to nothing for long: it tells real and fake images apart with a
# certainty of 99.5% on average, -2 ln 0.995 = 0.01. The generator then gets hardly a gradient (Arjovsky and Bottou
# 2017, "Towards principled methods for training generative adversarial networks").
WON = 0.01
LONG = 0.1  # a part of the steps that the run has taken
FEWEST = 3  # lines of metrics, that is epochs: fewer are a spike


def troubles(run: RecordedRun) -> list[str]:
    """Say what went wrong in training, each as the rest of a sentence that begins with the run; [] if nothing did."""
    return [*_diverged(run), *_won(run)]


def diverged(run: RecordedRun) -> bool:
    """Say whether a run's training ended because something was no longer finite."""
    return any(_diverged(run))


def _diverged(run: RecordedRun) -> Iterator[str]:
    for row in run.metrics[-1:]:
        if row.get("diverged"):
            yield f"diverged by step {row['step']:,} (epoch {row['epoch']:.4g}): {row['diverged']} no longer finite"


def _won(run: RecordedRun) -> Iterator[str]:
    """Find the longest stretch of epochs in which the mean loss of the discriminator is below `WON`, if it is long."""
    best, first, before = (0, 0.0, 0.0), None, {"step": 0, "epoch": 0.0}
    lines = 0
    for row in run.metrics:
        loss = row.get("discriminator_loss")
        if loss is not None and loss < WON:
            first, lines = (first or before), lines + 1
            if lines >= FEWEST:
                best = max(best, (row["step"] - first["step"], first["epoch"], row["epoch"]))
        else:
            first, lines = None, 0
        before = row
    steps, start, end = best
    if steps and steps >= LONG * run.metrics[-1]["step"]:
        yield (
            f"had a discriminator that won from epoch {start:.4g} to {end:.4g} (its mean loss stayed below {WON:g}), "
            "which teaches a generator next to nothing"
        )
