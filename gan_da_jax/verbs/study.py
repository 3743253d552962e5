"""study: all runs of a config, one or several at a time, then the report; continues where it stopped."""

import contextlib
import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import prng
from gan_da_jax.classifiers import extract as features
from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.devices import parallel
from gan_da_jax.errors import Failure, Interrupted, UserError
from gan_da_jax.files import io, schemas
from gan_da_jax.runs import folder as run
from gan_da_jax.runs import plan as study
from gan_da_jax.runs.config import augmented_count
from gan_da_jax.runs.plan import Planned

_TIMED_STEPS = 5


def main(
    config: ConfigDict,
    workdir: Path,
    *,
    check: Callable[[ConfigDict, Path], None],
    perform: Callable[..., None],
    report: Callable[[Path], None],
    only: str | None = None,
    index: int | None = None,
    dry_run: bool = False,
) -> None:
    """Does every run of a study that is not done, and reports on all of them.

    A run that fails does not keep the others from being done. Several processes may work on a study: each run is left
    to the one that has it.

    Args:
        config: the study's; each run's is made of it.
        workdir: the study's folder; a run lives in SOURCE/ARM/seedK.
        check: raises a `UserError` where a run on the originals alone cannot be prepared or trained.
        perform: trains and scores one run, or what is left of it; takes its config, its workdir, and by name whether
            it is `trained`, so that there is little to tell. Other processes can import it.
        report: reports on the folder, once all runs are done.
        only: ARM or SOURCE/ARM: only that arm's runs, and no report.
        index: the same by the arm's number, as an array job counts.
        dry_run: check everything, print the plan, stop.

    Raises:
        UserError: the config or the choice is wrong; nothing is done.
        Failure: a run has failed; the message names them all.
    """
    planned = study.plan(config, workdir)
    chosen = study.select(planned, only=only, index=index)
    _check_classifier(config)
    if config.study.processes > 1 and jax.process_count() > 1:
        raise UserError("config.study.processes is above 1, but with --distributed all processes work on one run")
    for one in chosen:
        run.check(one.workdir, one.config)
    for one in {one.source: one for one in reversed(chosen)}.values():  # the first of each source
        if not (one.base / "dataset" / "manifest.json").exists():
            print(f"study: checking {one.source}", flush=True)
            check(one.config, one.base)
    if dry_run:
        _print_plan(config, chosen)
        return
    _note(workdir, planned, [], {})
    with _others(config.study.processes - 1, workdir, planned, chosen, perform) as others:
        failed, elsewhere = _perform_all(workdir, planned, chosen, perform)
        for process in others:
            process.join()
    if others:  # what was left to them is done now, or fails here as well and is told of
        again, elsewhere = _perform_all(workdir, planned, elsewhere, perform)
        failed |= again
    named = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    if elsewhere:
        print(f"study: no report yet, as other processes work on {len(elsewhere)} runs; give this command again")
    elif only is not None or index is not None:
        print(f"study: the report, once all arms are done: gan-da report --workdir={workdir}")
    else:
        try:
            report(workdir)
        except UserError as error:  # of what has failed there may be nothing to report
            if not failed:
                raise
            named += f"; no report: {error}"
    if failed:
        raise Failure(f"{workdir}: {len(failed)} of {len(chosen)} runs failed: {named}")


def _perform_all(
    workdir: Path, planned: list[Planned], chosen: list[Planned], perform: Callable[..., None]
) -> tuple[dict[str, str], list[Planned]]:
    """Does the chosen runs; returns why some have failed, by name, and those that are left to other processes."""
    failed, elsewhere = {}, []
    for number, one in enumerate(chosen, 1):
        print(f"study: {one.name}, run {number} of {len(chosen)}", flush=True)
        start = time.monotonic()
        try:
            with run.alone(one.workdir, name=".study.lock"):
                perform(one.config, one.workdir, trained=run.trained(one.config, one.workdir))
        except Interrupted:
            raise
        except run.Occupied:
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
def _others(count: int, workdir: Path, *work: Any) -> Iterator[list[multiprocessing.Process]]:
    """Lets other processes do the same work inside the block; each has a log file in the workdir."""
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


def _work(log: Path, *work: Any) -> None:
    """What another process does: as much of the runs as is not done elsewhere."""
    os.setsid()  # Ctrl-C is for the first process, which asks this one to stop
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    with open(log, "a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            _perform_all(*work)
        except Interrupted as stopped:
            print(stopped)
            sys.exit(1)


def _stop_with_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)


def _check_classifier(config: ConfigDict) -> None:
    """Refuses a classifier that could not score the runs once they are trained, as far as that shows already."""
    settings = config.evaluate
    classifiers.check(settings.classifier, settings.weights, tap=settings.tap)
    if classifiers.present(settings.classifier, settings.weights):
        classifier = classifiers.load(settings.classifier, settings.weights, taps=())
        classifier.require((settings.tap or classifier.default_tap,))


def _note(workdir: Path, planned: list[Planned], tried: list[str], failed: dict[str, str]) -> None:
    """Brings STUDY/study.json up to date; other processes may do so at the same time."""
    path = workdir / "study.json"
    current = {one.name for one in planned}.difference(tried)
    with run.alone(workdir, wait=True):
        noted = io.read_json(path) if path.exists() else {"arms": [], "seeds": [], "failed": []}
        schemas.require(noted, schemas.STUDY, str(path))
        kept = {one["run"]: one["reason"] for one in noted["failed"] if one["run"] in current} | failed
        entry = {
            "format": 1,
            "arms": list(dict.fromkeys(f"{one.source}/{one.arm}" for one in planned)),
            "seeds": list(dict.fromkeys(one.config.seed for one in planned)),
            "failed": [{"run": name, "reason": reason} for name, reason in kept.items()],
        }
        io.write_json(path, io.seal(entry))


def _print_plan(config: ConfigDict, planned: list[Planned]) -> None:
    """What would be done: arms, images, steps, disk, and how long it would take here."""
    print(f"{'arm':45} {'seeds':>5} {'images':>7} {'steps':>8} {'epochs':>7} {'kimg':>7} {'GB':>6}")
    disk = steps = samples = 0
    for name in dict.fromkeys((one.source, one.arm) for one in planned):
        runs = [one for one in planned if (one.source, one.arm) == name]
        of_one, total = runs[0].config, run.total_steps(runs[0].config)
        where, size = run.position(of_one, total), len(runs) * _bytes(of_one)
        disk, steps = disk + size, steps + len(runs) * total
        saved = len(run.checkpoint_steps(of_one))
        samples += len(runs) * saved * config.evaluate.repeats * config.evaluate.samples
        print(
            f"{'/'.join(name):45} {len(runs):5} {run.images(of_one):7} {total:8} {where['epoch']:7.1f} "
            f"{where['kimg']:7.1f} {size / 1e9:6.1f}"
        )
    print(f"{len(planned)} runs, {steps} steps, {samples} samples to score, {disk / 1e9:.1f} GB in all", flush=True)
    if jax.process_count() > 1:
        print("how long it takes is not timed with --distributed")
        return
    training = steps * _seconds_a_step(planned[0].config)
    alone = f"; {config.study.processes} runs at a time may take less" if config.study.processes > 1 else ""
    print(f"training: about {_written(training)} here, from {_TIMED_STEPS} timed steps{alone}", flush=True)
    scoring = _seconds_an_image(config)
    if scoring is None:
        print("scoring: not timed, as the classifier's weights are not here yet")
    else:
        print(f"scoring: about {_written(samples * scoring)} more; {_written(training + samples * scoring)} in all")


def _bytes(config: ConfigDict) -> int:
    """What a run takes on the disk: its checkpoints, and its images."""
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(run.abstract_state(config)))
    images = config.data.count + augmented_count(config)  # at the most: generated and further real ones are kept
    return state * len(run.checkpoint_steps(config)) + images * config.data.image_size**2 * 3


def _seconds_a_step(config: ConfigDict) -> float:
    size, batch = config.data.image_size, config.train.batch_size
    images = parallel.replicate(np.zeros((batch, size, size, 3), np.uint8))
    indices = np.zeros((1, batch), np.int32)
    advance, key = parallel.training_steps(run.network(config)), prng.stream(config.seed, "train")
    state, _ = advance(run.initial_state(config), images, indices, 1, key)  # compiles
    jax.block_until_ready(state)
    seconds = []
    for _ in range(_TIMED_STEPS):
        start = time.monotonic()
        state, _ = jax.block_until_ready(advance(state, images, indices, 1, key))
        seconds.append(time.monotonic() - start)
    return statistics.median(seconds)


def _seconds_an_image(config: ConfigDict) -> float | None:
    """The time to score one image; None if the weights would have to be downloaded or trained first."""
    settings = config.evaluate
    if not classifiers.present(settings.classifier, settings.weights):
        return None
    classifier = classifiers.load(settings.classifier, settings.weights, taps=())
    tap = settings.tap or classifier.default_tap
    extract = features.extractor(classifier, classifier.scored_taps(tap))
    images = np.zeros((features.batch_size() * parallel.local_devices(), *[config.data.image_size] * 2, 3), np.uint8)
    extract(images)  # compiles
    start = time.monotonic()
    extract(images)
    return (time.monotonic() - start) / len(images)


def _written(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{seconds:.0f} s" if seconds < 120 else f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
