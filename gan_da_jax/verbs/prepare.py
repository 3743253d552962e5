"""prepare: a source -> the data set of a run."""

from pathlib import Path

from ml_collections import ConfigDict

from gan_da_jax.pipeline import chain
from gan_da_jax.runs.folder import Run
from gan_da_jax.verbs.verb import CONFIG, WORKDIR, Flag, Verb


def main(config: ConfigDict, workdir: Path, *, export: Path | None = None, dry_run: bool = False) -> None:
    """Make the data set of a run, or prove one that is there.

    Args:
        config: the run's.
        workdir: the run's.
        export: an empty folder for every image of the data set as a PNG file.
        dry_run: check everything, print the plan, stop.
    """
    run = Run(config, workdir)
    for line in chain.plan(run, export=export) if dry_run else chain.prepare(run, export=export):
        print(line, flush=True)


VERB = Verb(
    "source -> originals + manifest; --export=DIR also writes every image",
    main,
    needs=(CONFIG, WORKDIR),
    takes=(Flag("export", "An empty folder for every image of the data set as a PNG file.", "path"),),
)
