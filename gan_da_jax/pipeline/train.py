"""The step `train`: a data set -> checkpoints, sample grids and metrics.jsonl; continues where it stopped."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import gan
from gan_da_jax.data import dataset
from gan_da_jax.devices import hosts, parallel
from gan_da_jax.errors import Failure, Interrupted, UserError
from gan_da_jax.files import checkpoint, io
from gan_da_jax.progress import Progress, stop_requests
from gan_da_jax.runs import environment, networks
from gan_da_jax.runs.folder import Run, samples_name
from gan_da_jax.training.loop import Chunk, Loop

_CHUNK_SECONDS = 2.0  # how long the device works between two looks at the clock and at requests to stop


class Steps(Protocol):
    """What takes a run's updates: a `training.loop.Loop`, or another framework that does the same work."""

    def run(self, state: gan.State, *, to: int, seconds: float | None = None) -> Iterator[Chunk]:
        """See `training.loop.Loop.run`."""


def plan(run: Run) -> str:
    """Check that a run can be trained, and say how long; a `UserError` if it cannot."""
    run.check()
    schedule, batch, devices = run.schedule, run.schedule.batch_size, jax.device_count()
    if batch % devices:
        of = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
        raise UserError(
            f"config.train.batch_size is {batch}; it must be a multiple of the number of devices{of} ({devices})"
        )
    _check_done(run)
    where = schedule.position(schedule.steps)
    return f"{run}: {schedule.steps} steps of {batch} images, {where['kimg']:g} kimg, {where['epoch']:g} epochs"


def train(run: Run, *, wait: bool = False) -> Iterator[str]:
    """Train a prepared run to the end of its budget.

    Args:
        run: the run; `plan` has accepted it.
        wait: if another process trains this run, wait for it instead of refusing.

    Yields:
        What happens, a line each.

    Raises:
        Interrupted: it was asked to stop; the same command resumes it.
        Failure: training has diverged.
    """
    total = run.schedule.steps
    with run.alone(wait=wait):
        _check_done(run)
        run.check()
        run.sweep()
        checkpoint.clean(run.checkpoints)
        state = run.newest_state()
        run.claim()  # not before: a checkpoint of another version leaves all files as they are
        run.drop_extras()
        if state is not None and int(state.step) == total:
            yield f"{run}: trained to step {total} already"
            return
        _, images = dataset.load(run.dataset)
        if state is None:
            state = networks.initial_state(run.config)
        else:
            yield f"{run}: continues from step {int(state.step)} of {total}"
        limit = networks.resident_bytes(run.config)
        task = {
            "config": run.config.to_json(),
            "workdir": str(run.workdir.absolute()),
            "step": int(state.step),
            "limit": limit,
        }
        with stop_requests() as requests, hosts.together(**task):
            loop = loop_of(run, images, limit=limit)
            if loop.streamed:
                yield f"{run}: {images.nbytes / 1e6:.3g} MB of images are streamed, {loop.streamed} steps at a time"
            start = time.monotonic()
            state = loop.compile(state)
            seconds = time.monotonic() - start
            yield f"{run}: compiled in {seconds:.1f} s, {jax.default_backend()} x {jax.device_count()}"
            hosts.require_answers()
            hosts.tell("share")
            record(run, loop, parallel.share(state), requests)
    if requests:  # they came when the last step was done
        raise Interrupted(f"{run}: interrupted; trained to step {total}. Run the same command again to resume.")


def follow() -> None:
    """Lend the devices of this process to whatever process 0 trains, until its command is done.

    Raises:
        Failure: process 0 has ended before its work was done.
    """
    with stop_requests() as requests:
        while (message := hosts.hear())[0] != "leave":
            if message[0] == "start":
                _join(message[1], requests)
    if not message[1]:
        raise Failure("process 0 stopped early; its output has the reason")


def _join(task: dict, requests: list[int]) -> None:
    """Take part in one run, until process 0 says that it ends."""
    try:
        run = Run(ConfigDict(json.loads(task["config"])), Path(task["workdir"]))
        _, images = dataset.load(run.dataset)
        loop = loop_of(run, images, limit=task["limit"])
        state = loop.compile(networks.zero_state(run.config, step=task["step"]))
    except (UserError, OSError) as error:
        hosts.answer(f"{error}; all processes must see the same --workdir")
        return
    hosts.answer()
    while (message := hosts.hear())[0] != "end":
        with hosts.in_step():
            if message[0] == "share":
                state = parallel.share(state)
            else:
                state, _ = jax.block_until_ready(loop.advance(state, *message[1:]))
        if requests:
            hosts.ask_to_stop()


def loop_of(run: Run, images: np.ndarray, *, limit: float | None) -> Loop:
    """Make the training loop of a run on images uint8 [N, S, S, 3]; `limit` as from `networks.resident_bytes`."""
    batch, steps = run.schedule.batch_size, run.schedule.steps
    return Loop(run.network, images, seed=run.config.seed, batch_size=batch, until=steps, limit=limit)


def record(
    run: Run, loop: Steps, state: gan.State, requests: list[int], *, note: Mapping[str, str] | None = None
) -> None:
    """Take a run's steps from a state to the end, and write what a run keeps of them.

    Args:
        run: the run.
        loop: takes the steps.
        state: whole on every device; it is used up.
        requests: not empty once the run is asked to save and stop, see `progress.stop_requests`.
        note: fields that each line of metrics.jsonl has as well.

    Raises:
        Interrupted, Failure: as `train`.
    """
    schedule, batch, step = run.schedule, run.schedule.batch_size, int(state.step)
    checkpoints = set(schedule.checkpoints)
    _forget_after(run, step)
    machine = environment.digest(environment.current())
    with Progress(str(run), total=schedule.steps * batch, done=step * batch) as progress:
        for mark in sorted(mark for mark in {*schedule.epochs, *checkpoints} if mark > step):
            measured, seconds, stopping = [], 0.0, False
            for chunk in loop.run(state, to=mark, seconds=_CHUNK_SECONDS):
                state, seconds = chunk.state, seconds + chunk.seconds
                measured.append(chunk.metrics)
                progress.advance(chunk.count * batch, _shown(run, chunk))
                _require_finite_losses(run, chunk)
                stopping = (bool(requests) or hosts.asked_to_stop()) and chunk.step < schedule.steps
                if stopping:
                    break
            taken, step = chunk.step - step, chunk.step
            row = schedule.position(step) | {"steps": taken} | averages(measured)
            row |= {"images_per_second": round(taken * batch / seconds, 2), "seconds": round(seconds, 3)}
            row |= {"environment_sha256": machine, **(note or {})}
            if step not in checkpoints and not stopping:
                io.append_sealed(run.metrics, row)
                continue
            _save(run, state, row, chunk)
            if stopping:
                raise Interrupted(
                    f"{run}: interrupted; saved at step {step} of {schedule.steps}. "
                    "Run the same command again to resume."
                )


def averages(measured: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Average what a line of metrics.jsonl says of its steps: each metric, given as float32 [steps] by chunks."""
    return {name: float(np.mean(np.concatenate([chunk[name] for chunk in measured]))) for name in measured[0]}


def _shown(run: Run, chunk: Chunk) -> str:
    """Write what the progress of training shows beside the speed."""
    losses = {name: float(values[-1]) for name, values in chunk.metrics.items()}
    epoch = run.schedule.position(chunk.step)["epoch"]
    return f"epoch {epoch:.1f}, D {losses['discriminator_loss']:.3f}, G {losses['generator_loss']:.3f}"


def _save(run: Run, state: gan.State, row: dict[str, Any], chunk: Chunk) -> None:
    """Write the sample grid, the line of metrics.jsonl and the checkpoint of a step, the checkpoint last.

    Metrics of steps that were never saved are dropped when the run continues.
    """
    arrays = parallel.host(state)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(arrays)):  # as the next losses will not be
        _diverged(run, chunk.step, {name: values[-1] for name, values in chunk.metrics.items()})
    name = samples_name(chunk.step)
    picture = io.png(networks.sample_grid(run.config, gan.shown(run.network, arrays)))
    io.write_atomic(run.workdir / name, picture)
    row |= {
        "state_sha256": checkpoint.digest(arrays),
        "files": {name: io.sha256(picture)} | run.described(),
    }
    io.append_sealed(run.metrics, row)
    checkpoint.save(run.checkpoints, chunk.step, state)
    run.drop_extras()


def _check_done(run: Run) -> None:
    """Raise a `UserError` if the run has a checkpoint beyond its last step."""
    saved, total = run.saved(), run.schedule.steps
    if saved and saved[-1] > total:
        raise UserError(f"{run} is trained to step {saved[-1]} already, beyond the {total} that this config asks for")


def _require_finite_losses(run: Run, chunk: Chunk) -> None:
    finite = np.all([np.isfinite(values) for values in chunk.metrics.values()], axis=0)
    if not finite.all():
        first = int(np.argmin(finite))
        _diverged(run, chunk.first + first + 1, {name: values[first] for name, values in chunk.metrics.items()})


def _diverged(run: Run, step: int, metrics: Mapping[str, float]) -> NoReturn:
    """Note in metrics.jsonl, and say, that the losses of a step, or the state that would be saved, are not finite.

    A gradient that is not finite leaves no finite loss in the step after it.
    """
    lost = [name for name, value in metrics.items() if not np.isfinite(value)]
    what = f"{', '.join(lost).replace('_', ' ') or 'its state'} {'are' if len(lost) > 1 else 'is'}"
    row = {name: None if name in lost else float(value) for name, value in metrics.items()}
    io.append_sealed(run.metrics, run.schedule.position(step) | row | {"diverged": what})
    when = f"{'at' if lost else 'by'} step {step} of {run.schedule.steps}"
    raise Failure(
        f"{run}: training diverged {when}: {what} no longer finite; the checkpoints before it are kept; a lower "
        "config.train.learning_rate, in a new --workdir, may help"
    )


def _forget_after(run: Run, step: int) -> None:
    """Drop the metrics and sample grids of steps that are done again because they were not saved."""
    rows = io.read_jsonl(run.metrics)
    kept = [row for row in rows if row["step"] <= step]
    if len(kept) < len(rows):
        io.write_jsonl(run.metrics, kept)
    for at, path in run.sample_grids().items():
        if at > step:
            path.unlink()
