"""study: all runs of a config, one or several at a time, then the report; continue where it stopped."""

import contextlib
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax.classifiers import extract, registry
from gan_da_jax.devices import parallel, resources
from gan_da_jax.errors import Failure, Interrupted, UserError
from gan_da_jax.files import io, schemas
from gan_da_jax.pipeline import chain, references
from gan_da_jax.pipeline.train import loop_of
from gan_da_jax.runs import networks, plan
from gan_da_jax.runs.config import generator_config, training_count
from gan_da_jax.runs.folder import Folder, Occupied, Run
from gan_da_jax.runs.plan import Planned
from gan_da_jax.verbs import report
from gan_da_jax.verbs.verb import CONFIG, PROCESSES, WORKDIR, Flag, Verb

_TIMED_STEPS = 5


def main(
    config: ConfigDict,
    workdir: Path,
    *,
    only: str | None = None,
    index: int | None = None,
    dry_run: bool = False,
) -> None:
    """Do every run of a study that is not done, and report on all of them.

    A run that fails does not keep the others from being done. Several processes may work on a study: each run is left
    to the process that has it.

    Args:
        config: the study's; each run's is made of it.
        workdir: the study's folder; a run lives in SOURCE/ARM/seedK.
        only: ARM or SOURCE/ARM: only that arm's runs, and no report.
        index: the same by the arm's number, as an array job counts.
        dry_run: check everything, print the plan, stop.

    Raises:
        UserError: the config or the choice is wrong; nothing is done.
        Failure: a run has failed; the message names them all.
    """
    planned = plan.plan(config, workdir)
    chosen = plan.select(planned, only=only, index=index)
    _check(config, chosen)
    if dry_run:
        _print_plan(config, chosen)
        return
    _note(workdir, planned, [], {})
    with _others(config.study.processes - 1, workdir, planned, chosen) as others:
        failed, elsewhere = _perform_all(workdir, planned, chosen)
        for process in others:
            process.join()
    if others:  # what was left to them is done now, or fails here as well and is told of
        again, elsewhere = _perform_all(workdir, planned, elsewhere)
        failed |= again
    named = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    if elsewhere:
        print(f"study: no report yet, as other processes work on {len(elsewhere)} runs; give this command again")
    elif only is not None or index is not None:
        print(f"study: report once all arms are done: gan-da report --workdir={workdir}")
    else:
        try:
            report.main(workdir)
        except UserError as error:  # of what has failed there may be nothing to report
            if not failed:
                raise
            named += f"; no report: {error}"
    if failed:
        raise Failure(f"{workdir}: {len(failed)} of {len(chosen)} runs failed: {named}")


def _check(config: ConfigDict, chosen: list[Planned]) -> None:
    """Check the classifier, the folders of the chosen runs and their sources, all before the first run starts."""
    _check_classifier(config)
    if config.study.processes > 1 and jax.process_count() > 1:
        raise UserError("config.study.processes is above 1, but with --distributed all processes work on one run")
    for one in chosen:
        one.run.check()
    for one in {one.source: one for one in reversed(chosen)}.values():  # the first of each source
        base = _base(one)
        if base.prepared:
            references.plan(base)  # another reference may be asked for than before
        else:
            print(f"study: checking {one.source}", flush=True)
            for _ in chain.plan_training(base):
                pass


def _perform_all(workdir: Path, planned: list[Planned], chosen: list[Planned]) -> tuple[dict[str, str], list[Planned]]:
    """Do the chosen runs; return why some have failed, by name, and the runs that are left to other processes."""
    failed, elsewhere = {}, []
    for number, one in enumerate(chosen, 1):
        print(f"study: {one.name}, run {number} of {len(chosen)}", flush=True)
        start = time.monotonic()
        try:
            with one.run.alone(name=".study.lock"), resources.enough_memory():
                for line in chain.perform(one.run):
                    print(line, flush=True)
        except Interrupted:
            raise
        except Occupied:
            elsewhere.append(one)
            print(f"study: {one.name} is left to the process that works on it", flush=True)
            continue
        except Exception as error:  # whatever it is, the other runs do not depend on it
            failed[one.name] = " ".join(str(error).split()) or type(error).__name__
            print(f"study: {one.name} failed: {failed[one.name]}", flush=True)
        else:
            print(f"study: {one.name} done in {time.monotonic() - start:.0f} s", flush=True)
        _note(workdir, planned, [one.name], {one.name: failed[one.name]} if one.name in failed else {})
    return failed, elsewhere


@contextlib.contextmanager
def _others(count: int, workdir: Path, *work: Any) -> Iterator[list[Any]]:
    """Let other processes do the same work inside the block; each has a log file in the workdir."""
    if count:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # they share a GPU's memory
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_work, args=(workdir / f"process{number}.log", workdir, *work))
        for number in range(2, 2 + count)
    ]
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            process.terminate()  # it saves first; one that has ended does not mind
            process.join()


def _work(log: Path, workdir: Path, planned: list[Planned], chosen: list[Planned]) -> None:
    """Do, in another process, as much of the runs as is not done elsewhere."""
    os.setsid()  # Ctrl-C is for the first process, which asks this one to stop
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    with open(log, "a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        resources.keep_compiled()
        try:
            _perform_all(workdir, planned, chosen)
        except Interrupted as stopped:
            print(stopped)
            sys.exit(1)


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _check_classifier(config: ConfigDict) -> None:
    """Refuse a classifier that could not score the runs once they are trained, as far as that shows already."""
    settings = config.evaluate
    registry.check(settings.classifier, settings.weights, tap=settings.tap)
    if registry.present(settings.classifier, settings.weights):
        classifier = registry.load(settings.classifier, settings.weights, taps=())
        classifier.require((settings.tap or classifier.default_tap,))


def _note(workdir: Path, planned: list[Planned], tried: list[str], failed: dict[str, str]) -> None:
    """Bring STUDY/study.json up to date; other processes may do so at the same time."""
    path = workdir / "study.json"
    current = {one.name for one in planned}.difference(tried)
    with Folder(workdir).alone(wait=True):
        noted = io.read_json(path) if path.exists() else {"arms": [], "seeds": [], "failed": []}
        schemas.require(noted, schemas.STUDY, str(path))
        kept = {one["run"]: one["reason"] for one in noted["failed"] if one["run"] in current} | failed
        entry = {
            "format": 1,
            "arms": list(dict.fromkeys(f"{one.source}/{one.arm}" for one in planned)),
            "seeds": list(dict.fromkeys(one.run.config.seed for one in planned)),
            "failed": [{"run": name, "reason": reason} for name, reason in kept.items()],
        }
        io.write_json(path, io.seal(entry))


def _print_plan(config: ConfigDict, planned: list[Planned]) -> None:
    """Print what would be done: arms, images, steps, disk, and how long it would take here."""
    print(f"{'arm':45} {'seeds':>5} {'images':>7} {'steps':>8} {'epochs':>7} {'kimg':>7} {'GB':>6}")
    disk = steps = samples = 0
    firsts = {one.source: one for one in reversed(planned)}.values()
    held_out = {one.source: references.count(_base(one)) for one in firsts}
    for source, arm in dict.fromkeys((one.source, one.arm) for one in planned):
        runs = [one.run for one in planned if (one.source, one.arm) == (source, arm)]
        schedule = runs[0].schedule
        where, size = schedule.position(schedule.steps), len(runs) * _bytes(runs[0], held_out[source])
        disk, steps = disk + size, steps + len(runs) * schedule.steps
        samples += len(runs) * len(schedule.checkpoints) * config.evaluate.repeats * config.evaluate.samples
        print(
            f"{f'{source}/{arm}':45} {len(runs):5} {schedule.images:7} {schedule.steps:8} {where['epoch']:7.1f} "
            f"{where['kimg']:7.1f} {size / 1e9:6.1f}"
        )
    print(f"{len(planned)} runs, {steps} steps, {samples} samples to score, {disk / 1e9:.1f} GB in all", flush=True)
    if jax.process_count() > 1:
        print("how long it takes is not timed with --distributed")
        return
    training = steps * _seconds_a_step(planned[0].run)
    alone = f"; {config.study.processes} runs at a time may take less" if config.study.processes > 1 else ""
    print(f"training: about {_written(training)} here, from {_TIMED_STEPS} timed steps{alone}", flush=True)
    an_image = _seconds_an_image(config)
    if an_image is None:
        print("scoring: not timed, as the classifier's weights are not here yet")
    else:
        # The classifier sees noise once, and real images once a seed: their features are kept.
        originals = {(one.source, one.run.config.seed): training_count(one.run.config) for one in planned}
        real = sum(images + held_out[source] for (source, _), images in originals.items())
        scoring = (samples + real + config.evaluate.samples) * an_image
        print(f"scoring: about {_written(scoring)} more for the classifier; {_written(training + scoring)} in all")


def _bytes(run: Run, held_out: int) -> int:
    """Estimate the bytes that a run takes on the disk: its checkpoints, and its images, with the ones held out."""
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(networks.abstract_state(run.config)))
    images = run.schedule.images + held_out  # at the most: generated and further real ones are kept
    return state * len(run.schedule.checkpoints) + images * run.config.data.image_size**2 * 3


def _base(one: Planned) -> Run:
    """Return the run on the same originals alone."""
    return Run(generator_config(one.run.config), one.base)


def _seconds_a_step(run: Run) -> float:
    size, batch = run.config.data.image_size, run.schedule.batch_size
    loop = loop_of(run, np.zeros((batch, size, size, 3), np.uint8), limit=None)
    chunks = loop.run(loop.compile(networks.initial_state(run.config)), to=1 + _TIMED_STEPS)
    return statistics.median([chunk.seconds for chunk in chunks][1:])


def _seconds_an_image(config: ConfigDict) -> float | None:
    """Time how long the classifier takes for an image; None if its weights are to be downloaded or trained first."""
    settings = config.evaluate
    if not registry.present(settings.classifier, settings.weights):
        return None
    classifier = registry.load(settings.classifier, settings.weights, taps=())
    tap = settings.tap or classifier.default_tap
    features_of = extract.extractor(classifier, classifier.scored_taps(tap))
    images = np.zeros((extract.batch_size() * parallel.local_devices(), *[config.data.image_size] * 2, 3), np.uint8)
    features_of(images)  # compiles
    start = time.monotonic()
    features_of(images)
    return (time.monotonic() - start) / len(images)


def _written(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{seconds:.0f} s" if seconds < 120 else f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


VERB = Verb(
    "all arms x seeds, continues where it stopped, then the report",
    main,
    needs=(CONFIG, WORKDIR),
    takes=(
        Flag("only", "ARM or SOURCE/ARM, to do its runs alone, without a report."),
        Flag("index", "The number of an arm, from 0, likewise; for array jobs.", "number"),
        *PROCESSES,
    ),
)
