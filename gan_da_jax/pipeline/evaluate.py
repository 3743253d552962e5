"""evaluate: WORKDIR/checkpoints -> samples -> scores.jsonl, one line a checkpoint and set of samples."""

from pathlib import Path

from ml_collections import ConfigDict

from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.data import dataset
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation import scorer
from gan_da_jax.files import checkpoint, io
from gan_da_jax.metrics.columns import value, written
from gan_da_jax.progress import Progress
from gan_da_jax.report.arms import compare, group
from gan_da_jax.runs import folder as run
from gan_da_jax.runs.config import wanted_classes
from gan_da_jax.runs.read import read


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False) -> None:
    """Scores every checkpoint that has no such score yet, beside and against the originals.

    Of checkpoints that are scored, only the newest `train.keep` and the best stay.
    """
    run.check(workdir, config)
    settings = config.evaluate
    saved, planned = checkpoint.steps(workdir / "checkpoints"), run.checkpoint_steps(config)
    # An interrupted run has saved a step more, which one that was not interrupted has not.
    steps = [step for step in saved if step in planned] or saved[-1:]
    where = classifiers.check(settings.classifier, settings.weights, tap=settings.tap)
    names, chosen = classifiers.CLASSIFIERS[settings.classifier].classes, wanted_classes(config)
    if not steps:
        raise UserError(f"{workdir} holds no checkpoint; train it first, with the same --config and --workdir")
    originals = dataset.originals(workdir / "dataset")
    if dry_run:
        print(f"{workdir}: would score {settings.repeats} x {settings.samples} samples of {len(steps)} checkpoints")
        print(f"{workdir}: by {settings.classifier}, weights: {where}")
        return

    run.sweep(workdir)
    classifier = classifiers.load(settings.classifier, settings.weights, taps=())
    tap = settings.tap or classifier.default_tap
    classifier.require((tap,))
    named = [names[number] for number in chosen]
    identity = scorer.identity(config, classifier)
    done = {
        (row["step"], row["repeat"])
        for row in io.read_jsonl(workdir / "scores.jsonl")
        if identity.items() <= row.items()
        and "leakage" in row
        and (row["classes"] or {"wanted": named})["wanted"] == named
    }
    todo = [(step, repeat) for step in steps for repeat in range(settings.repeats) if (step, repeat) not in done]
    if not todo:
        run.drop_scored(config, workdir, _best(workdir))
        print(f"{workdir}: all checkpoints are scored already")
        return

    checkpoints = scorer.CheckpointScorer.prepare(config, originals, classifier, title=str(workdir))
    machine = run.visit(workdir)
    progress = Progress(f"{workdir}: scores", total=len(todo) * settings.samples)
    for step in dict.fromkeys(step for step, _ in todo):
        generator = run.trained_state(config, workdir, step).generator
        for repeat in (repeat for at, repeat in todo if at == step):
            row, files = checkpoints.score(generator, step, repeat, progress.advance)
            for name, data in files.items():
                io.write_atomic(workdir / name, data)
            io.append_sealed(workdir / "scores.jsonl", row | {"environment_sha256": machine})
    progress.close()
    run.drop_scored(config, workdir, _best(workdir))
    having = [score for score in classifiers.scores_by(classifier.name) if not score.share]
    shown = "; ".join(
        f"{score.label} {written(value(row, score.key))}"
        + (f" (real images {written(value(row, score.real))})" if score.real else "")
        for score in having
    )
    print(f"{workdir}: step {step} by {classifier.name}, tap {tap}: {shown}")


def _best(workdir: Path) -> set[int]:
    """The steps of the checkpoints that a report calls best, one for each kind of scores that there are."""
    boards = compare(group([read(workdir, workdir)])[0])
    chosen = [standing.best for board in boards for standing in board.standings if standing.best]
    return {row["step"] for best in chosen for row in best.rows.values()}
