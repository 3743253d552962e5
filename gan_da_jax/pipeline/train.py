"""train: WORKDIR/dataset -> WORKDIR/checkpoints, samples and metrics.jsonl; continues where it stopped."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import gan, prng
from gan_da_jax.data import dataset
from gan_da_jax.devices import hosts, parallel
from gan_da_jax.errors import Failure, Interrupted, UserError
from gan_da_jax.files import checkpoint, io
from gan_da_jax.progress import Progress, stop_requests
from gan_da_jax.runs import environment
from gan_da_jax.runs import folder as run
from gan_da_jax.training import sampling

_CHUNK_SECONDS = 2.0  # how long the device works between two looks at the clock and at requests to stop


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False, wait: bool = False) -> None:
    """Trains the DCGAN of a prepared run to the end of its budget.

    Args:
        config: the run's.
        workdir: the run's.
        dry_run: only check, and say how long it would train.
        wait: if another process trains this run, wait for it instead of refusing.
    """
    run.check(workdir, config)
    total, batch = run.total_steps(config), config.train.batch_size
    if batch % jax.device_count():
        of = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
        raise UserError(
            f"config.train.batch_size is {batch}, but it is a multiple of the {jax.device_count()} devices{of}"
        )
    if dry_run:
        _check_done(workdir, total)
        shown, epochs = total * batch, total * batch / run.images(config)
        print(f"{workdir}: {total} steps of {batch} images, {shown / 1000:g} kimg, {epochs:g} epochs")
        return
    with run.alone(workdir, wait=wait):
        _check_done(workdir, total)
        run.sweep(workdir)
        checkpoint.clean(workdir / "checkpoints")
        run.claim(workdir, config)
        state = run.newest_state(config, workdir)
        run.drop_extras(config, workdir)
        if state is not None and int(state.step) == total:
            print(f"{workdir}: trained to step {total} already")
            return
        _, images = dataset.load(workdir / "dataset")
        if state is None:
            state = run.initial_state(config)
        else:
            print(f"{workdir}: continues from step {int(state.step)} of {total}")
        task = {
            "config": config.to_json(),
            "workdir": str(workdir.absolute()),
            "step": int(state.step),
            "limit": run.resident_bytes(config),
        }
        with stop_requests() as requests, hosts.together(**task):
            _train(config, workdir, state, images, requests)
    if requests:  # they came when the last step was done
        raise Interrupted(f"{workdir}: interrupted; trained to step {total}, the same command continues")


def follow() -> None:
    """Lends the devices of this process to whatever process 0 trains, until its command is done.

    Raises:
        Failure: it has ended before it was done.
    """
    with stop_requests() as requests:
        while (message := hosts.hear())[0] != "leave":
            if message[0] == "start":
                _join(message[1], requests)
    if not message[1]:
        raise Failure("process 0 has ended before its work was done, and says why")


def _join(task: dict, requests: list[int]) -> None:
    """Takes part in one run, until process 0 says that it ends."""
    try:
        config, workdir = ConfigDict(json.loads(task["config"])), Path(task["workdir"])
        _, images = dataset.load(workdir / "dataset")
        state = run.zero_state(config, step=task["step"])
        advance, state = _compiled(config, workdir, images, state, limit=task["limit"])
    except (UserError, OSError) as error:
        hosts.answer(f"{error}; all processes are to see the same --workdir")
        return
    hosts.answer()
    while (message := hosts.hear())[0] != "end":
        with hosts.in_step():
            if message[0] == "share":
                state = parallel.share(state)
            else:
                state, _ = jax.block_until_ready(advance(state, *message[1:]))
        if requests:
            hosts.ask_to_stop()


def _check_done(workdir: Path, total: int) -> None:
    """Raises a `UserError` if what is saved goes beyond `total`."""
    done = checkpoint.steps(workdir / "checkpoints")
    if done and done[-1] > total:
        raise UserError(
            f"{workdir} is trained to step {done[-1]} already, beyond the {total} that this config asks for"
        )


def _train(config: ConfigDict, workdir: Path, state: gan.State, images: np.ndarray, requests: list[int]) -> None:
    network, batch, total = run.network(config), config.train.batch_size, run.total_steps(config)
    epochs, checkpoints = run.epoch_steps(config), set(run.checkpoint_steps(config))
    marks = sorted({*epochs, *checkpoints})
    step = int(state.step)
    _forget_after(workdir, step)
    sample, machine = sampling.sampler(network), environment.digest(environment.current())
    advance, state = _compiled(config, workdir, images, state, limit=run.resident_bytes(config))
    hosts.require_answers()
    hosts.tell("share")
    state = parallel.share(state)

    progress = Progress(str(workdir), total=total * batch, done=step * batch)
    pace = 1  # steps that take about _CHUNK_SECONDS
    measured: list[dict[str, np.ndarray]] = []
    seconds = 0.0
    while step < total:
        mark = next(end for end in marks if end > step)
        start = time.monotonic()
        at_most = min(pace, mark - step)
        hosts.tell("steps", step, at_most)
        with hosts.in_step():
            state, metrics = advance(state, step, at_most)
            count = int(state.step) - step
        measured.append({name: values[:count] for name, values in parallel.host(metrics).items()})
        elapsed = time.monotonic() - start
        seconds, pace = seconds + elapsed, max(1, round(count * _CHUNK_SECONDS / elapsed))
        step += count
        last = {name: float(values[-1]) for name, values in measured[-1].items()}
        where = run.position(config, step)
        note = f"epoch {where['epoch']:.1f}, D {last['discriminator_loss']:.3f}, G {last['generator_loss']:.3f}"
        progress.advance(count * batch, note)
        finite = np.all([np.isfinite(values) for values in measured[-1].values()], axis=0)
        if not finite.all():
            progress.close()
            first = int(np.argmin(finite))
            _diverged(config, workdir, step - count + first + 1, {k: v[first] for k, v in measured[-1].items()})

        stopping = (bool(requests) or hosts.asked_to_stop()) and step < total
        if step < mark and not stopping:
            continue
        row = {**where, "steps": sum(len(chunk["generator_loss"]) for chunk in measured)}
        row |= run.averages(measured)
        row |= {"images_per_second": round(row["steps"] * batch / seconds, 2), "seconds": round(seconds, 3)}
        row |= {"environment_sha256": machine}
        if step in checkpoints or stopping:
            arrays = parallel.host(state)
            if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(arrays)):  # as the next losses will not be
                progress.close()
                _diverged(config, workdir, step, last)
            row["state_sha256"] = checkpoint.digest(arrays)
            name, shown = f"samples/step_{step:08d}.png", io.png(run.sample_grid(config, sample, arrays.generator))
            io.write_atomic(workdir / name, shown)
            row["files"] = {name: io.sha256(shown)} | run.described(workdir)
        io.append_sealed(workdir / "metrics.jsonl", row)
        if "state_sha256" in row:  # last: what was noted of steps that were never saved is dropped, see above
            checkpoint.save(workdir / "checkpoints", step, state)
            run.drop_extras(config, workdir)
        measured, seconds = [], 0.0
        if stopping:
            progress.close()
            raise Interrupted(f"{workdir}: interrupted; saved at step {step} of {total}, the same command continues")
    progress.close()


def _compiled(
    config: ConfigDict, workdir: Path, images: np.ndarray, state: gan.State, *, limit: float | None
) -> tuple[Callable[..., tuple[gan.State, dict[str, jax.Array]]], gan.State]:
    """Prepares for taking steps from a state on, as all processes do.

    Returns:
        A function (state, first, at_most) -> (state, metrics) of the first step and how many to take, of which it may
        take fewer; and the state, as the one given is used up.
    """
    source = run.feed_of(config, images, limit=limit)
    if source.streamed:
        print(f"{workdir}: {images.nbytes / 1e6:.3g} MB of images are streamed, {source.steps} steps at a time")
    steps = parallel.training_steps(run.network(config), scattered=source.streamed)
    key = prng.stream(config.seed, "train")

    def advance(state, first, at_most):
        return steps(state, *source.take(first, at_most), key)

    start = time.monotonic()
    state, _ = jax.block_until_ready(advance(state, int(state.step), 0))  # no step: this only compiles
    print(
        f"{workdir}: compiled in {time.monotonic() - start:.1f} s, {jax.default_backend()} x {jax.device_count()}",
        flush=True,
    )
    return advance, state


def _diverged(config: ConfigDict, workdir: Path, step: int, metrics: dict[str, float]) -> NoReturn:
    """Notes in metrics.jsonl, and says, that a step's losses are not finite, or the state before it would be saved.

    A gradient that is not finite leaves no finite loss in the step after it.
    """
    lost = [name for name, value in metrics.items() if not np.isfinite(value)]
    what = f"{', '.join(lost).replace('_', ' ') or 'its state'} {'are' if len(lost) > 1 else 'is'}"
    row = {name: None if name in lost else float(value) for name, value in metrics.items()}
    io.append_sealed(workdir / "metrics.jsonl", run.position(config, step) | row | {"diverged": what})
    when = f"{'at' if lost else 'by'} step {step} of {run.total_steps(config)}"
    raise Failure(
        f"{workdir}: training diverged {when}: {what} not finite any more; the checkpoints before it are kept; a lower "
        "config.train.learning_rate, in a new --workdir, may help"
    )


def _forget_after(workdir: Path, step: int) -> None:
    """Drops the metrics and sample grids of steps that are done again because they were not saved."""
    rows = io.read_jsonl(workdir / "metrics.jsonl")
    kept = [row for row in rows if row["step"] <= step]
    if len(kept) < len(rows):
        io.write_jsonl(workdir / "metrics.jsonl", kept)
    for path in (workdir / "samples").glob("step_*.png"):
        at = path.stem.removeprefix("step_")
        if at.isdecimal() and int(at) > step:
            path.unlink()
