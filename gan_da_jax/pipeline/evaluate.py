"""The step `evaluate`: checkpoints -> samples -> scores.jsonl, one line a checkpoint and set of samples."""

from collections.abc import Iterator

from gan_da_jax import gan
from gan_da_jax.classifiers import registry
from gan_da_jax.data import dataset
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation import scorer
from gan_da_jax.files import io
from gan_da_jax.metrics.columns import value, written
from gan_da_jax.pipeline import references
from gan_da_jax.progress import Progress
from gan_da_jax.runs.config import wanted_classes
from gan_da_jax.runs.folder import Run
from gan_da_jax.runs.read import best_steps, read


def plan(run: Run) -> list[str]:
    """Check that a trained run can be scored, and say what that takes; a `UserError` if it cannot."""
    run.check()
    settings, steps = run.config.evaluate, _steps(run)
    where = registry.check(settings.classifier, settings.weights, tap=settings.tap)
    if not steps:
        raise UserError(f"{run} holds no checkpoint; train it first, with the same --config and --workdir")
    dataset.originals(run.dataset)
    against = references.plan(run)
    return [
        f"{run}: would score {settings.repeats} x {settings.samples} samples of {len(steps)} checkpoints",
        f"{run}: by {settings.classifier}, weights: {where}",
        *([against] if against else []),
    ]


def evaluate(run: Run) -> Iterator[str]:
    """Score every checkpoint that has no such score yet, beside and against the originals.

    Of checkpoints that are scored, only the newest `train.keep` and the best stay.

    Args:
        run: the run; `plan` has accepted it.

    Yields:
        What happens, a line each.
    """
    settings = run.config.evaluate
    originals = dataset.originals(run.dataset)
    run.sweep()
    reference = references.of(run)
    classifier = registry.load(settings.classifier, settings.weights, taps=())
    tap = settings.tap or classifier.default_tap
    classifier.require((tap,))
    todo = _todo(run, scorer.identity(run.config, classifier, reference))
    if not todo:
        run.drop_scored(best_steps(read(run.workdir, run.workdir).scores))
        yield f"{run}: all checkpoints are scored already"
        return

    checkpoints = scorer.CheckpointScorer.prepare(
        run.config, run.schedule, originals, classifier, title=str(run), reference=reference
    )
    machine = run.visit()
    with Progress(f"{run}: scores", total=len(todo) * settings.samples) as progress:
        for step in dict.fromkeys(step for step, _ in todo):
            generator = gan.shown(run.network, run.trained_state(step))
            for repeat in (repeat for at, repeat in todo if at == step):
                row, files = checkpoints.score(generator, step, repeat, progress.advance)
                for name, data in files.items():
                    io.write_atomic(run.workdir / name, data)
                io.append_sealed(run.scores, row | {"environment_sha256": machine})
    run.drop_scored(best_steps(read(run.workdir, run.workdir).scores))
    shown = "; ".join(
        f"{score.label} {written(value(row, score.key))}"
        + (f" (real images {written(value(row, score.real))})" if score.real else "")
        for score in registry.scores_by(classifier.name)
        if not score.share and score.key in row
    )
    yield f"{run}: step {step} by {classifier.name}, tap {tap}: {shown}"


def _steps(run: Run) -> list[int]:
    """List the checkpoints that are scored. An interrupted run has saved a step more, which others have not."""
    saved = run.saved()
    return [step for step in saved if step in run.schedule.checkpoints] or saved[-1:]


def _todo(run: Run, identity: dict) -> list[tuple[int, int]]:
    """List the checkpoints and sets of samples that have no score of this identity, by step and number of the set."""
    names = registry.CLASSIFIERS[run.config.evaluate.classifier].classes
    wanted = [names[number] for number in wanted_classes(run.config)]
    done = {
        (row["step"], row["repeat"])
        for row in io.read_jsonl(run.scores)
        if identity.items() <= {"reference": None, **row}.items()  # lines of before there was one do not say so
        and "leakage" in row  # lines of versions that had no leakage meters are not whole
        and (row["classes"] or {"wanted": wanted})["wanted"] == wanted
    }
    sets = [(step, repeat) for step in _steps(run) for repeat in range(run.config.evaluate.repeats)]
    return [one for one in sets if one not in done]
