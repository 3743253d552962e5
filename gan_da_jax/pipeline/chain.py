"""What must come first: the other GAN, the data set, the training, the scores."""

from collections.abc import Iterator
from pathlib import Path

from gan_da_jax.augment import policy
from gan_da_jax.errors import UserError
from gan_da_jax.pipeline import evaluate as scoring
from gan_da_jax.pipeline import prepare as preparing
from gan_da_jax.pipeline import train as training
from gan_da_jax.runs.config import augmented_count, generator_config, generator_workdir
from gan_da_jax.runs.folder import Run


def plan(run: Run, *, export: Path | None = None) -> Iterator[str]:
    """Check all that can be checked before a data set is made, the run whose GAN it needs included.

    Args:
        run: the run.
        export: as in `prepare`.

    Yields:
        What would happen, a line each.

    Raises:
        UserError: something could not be done.
    """
    if base := _base(run):
        yield from plan_training(base)
    yield preparing.plan(run, export=export)


def plan_training(run: Run) -> Iterator[str]:
    """Check likewise all that can be checked before a run is trained."""
    yield training.plan(run)
    yield from plan(run)


def prepare(run: Run, *, export: Path | None = None) -> Iterator[str]:
    """Make the data set of a run; where its policy needs a GAN's images, that GAN comes first, as a run of its own.

    Args:
        run: the run.
        export: a folder for every image of the data set as a PNG file; it must be absent or empty.

    Yields:
        What happens, a line each.
    """
    if base := _base(run):
        preparing.plan(run, export=export)  # what is wrong with this run shows before hours go into the other one
        yield from train(base, wait=True)  # another arm may be training it
    yield preparing.prepare(run, export=export)


def train(run: Run, *, wait: bool = False) -> Iterator[str]:
    """Train a run to the end of its budget, and make its data set first.

    Args:
        run: the run.
        wait: if another process trains it, wait for it instead of refusing.

    Yields:
        What happens, a line each.
    """
    yield training.plan(run)
    yield from prepare(run)
    yield from training.train(run, wait=wait)


def evaluate(run: Run) -> Iterator[str]:
    """Score the checkpoints of a trained run; yield what happens, a line each."""
    scoring.plan(run)  # what is wrong shows before the classifier is loaded
    yield from scoring.evaluate(run)


def perform(run: Run) -> Iterator[str]:
    """Do all of a run that is not done, from its source to its scores; yield what happens, a line each."""
    trained = run.trained
    for line in train(run, wait=True):
        if not trained:
            yield line
    yield from evaluate(run)


def _base(run: Run) -> Run | None:
    """Return the run whose GAN makes the images of a data set that is not there yet; None if it needs no GAN."""
    config = run.config
    if run.prepared or not augmented_count(config):
        return None
    if "generated" not in policy.pool_sizes(policy.parse(config.augment.policy), 1):
        return None
    place = generator_workdir(config, run.workdir)
    if place.absolute() == run.workdir.absolute():
        raise UserError("config.augment.generator is the workdir; name another folder, or leave it empty")
    return Run(generator_config(config), place)
