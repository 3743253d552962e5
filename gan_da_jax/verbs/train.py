"""train: train one run, from its source on; continue where it stopped."""

from pathlib import Path

from ml_collections import ConfigDict

from gan_da_jax.pipeline import chain
from gan_da_jax.runs.folder import Run
from gan_da_jax.verbs.verb import CONFIG, PROCESSES, WORKDIR, Verb


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False) -> None:
    """Train a run to the end of its budget, and make its data set first.

    Args:
        config: the run's.
        workdir: the run's.
        dry_run: check everything, print the plan, stop.
    """
    run = Run(config, workdir)
    for line in chain.plan_training(run) if dry_run else chain.train(run):
        print(line, flush=True)


VERB = Verb(
    "prepares if needed, trains one run; continues where it stopped",
    main,
    needs=(CONFIG, WORKDIR),
    takes=PROCESSES,
)
