"""evaluate: the checkpoints of a run -> samples -> scores."""

from pathlib import Path

from ml_collections import ConfigDict

from gan_da_jax.pipeline import chain, evaluate
from gan_da_jax.runs.folder import Run
from gan_da_jax.verbs.verb import CONFIG, PROCESSES, WORKDIR, Verb


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False) -> None:
    """Score every checkpoint of a run that has no such score yet.

    Args:
        config: the run's.
        workdir: the run's.
        dry_run: check everything, print the plan, stop.
    """
    run = Run(config, workdir)
    for line in evaluate.plan(run) if dry_run else chain.evaluate(run):
        print(line, flush=True)


VERB = Verb("checkpoints -> samples -> scores", main, needs=(CONFIG, WORKDIR), takes=PROCESSES)
