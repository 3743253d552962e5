"""train: WORKDIR/dataset -> WORKDIR/checkpoints, samples and metrics.jsonl; continues where it stopped."""

import time
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import checkpoint, feed, gan, parallel, prng, records, run, sampling
from gan_da_jax.data import manifest
from gan_da_jax.errors import Failure, Interrupted, UserError
from gan_da_jax.progress import Progress, stop_requests

_CHUNK_SECONDS = 2.0  # how long the device works between two looks at the clock and at requests to stop
_CHUNK_STEPS = 256  # and how many steps at most: their images, or the indices of these, are sent to it at once


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
        raise UserError(f"config.train.batch_size is {batch}, but it is a multiple of the {jax.device_count()} devices")
    if dry_run:
        _done(workdir, total)
        shown, epochs = total * batch, total * batch / run.images(config)
        print(f"{workdir}: {total} steps of {batch} images, {shown / 1000:g} kimg, {epochs:g} epochs")
        return
    with run.alone(workdir, wait=wait):
        done = _done(workdir, total)
        run.claim(workdir, config)
        if done and done[-1] == total:
            print(f"{workdir}: trained to step {total} already")
            return
        _, images = manifest.load(workdir / "dataset")
        state = run.initial_state(config)
        if done:
            state = checkpoint.load(workdir / "checkpoints", done[-1], state)
            print(f"{workdir}: continues from step {done[-1]} of {total}")
        with stop_requests() as requests:
            _train(config, workdir, state, images, requests)
    if requests:  # they came when the last step was done
        raise Interrupted(f"{workdir}: interrupted; trained to step {total}, the same command continues")


def _done(workdir: Path, total: int) -> list[int]:
    """The steps that are saved; a `UserError` if they go beyond `total`."""
    done = checkpoint.steps(workdir / "checkpoints")
    if done and done[-1] > total:
        raise UserError(
            f"{workdir} is trained to step {done[-1]} already, beyond the {total} that this config asks for"
        )
    return done


def _train(config: ConfigDict, workdir: Path, state: gan.State, images: np.ndarray, requests: list[int]) -> None:
    network, batch, total = run.network(config), config.train.batch_size, run.total_steps(config)
    key = prng.stream(config.seed, "train")
    epochs, checkpoints = run.epoch_steps(config), set(run.checkpoint_steps(config))
    marks = sorted({*epochs, *checkpoints})
    step = int(state.step)
    _keep_metrics_until(workdir / "metrics.jsonl", step)
    source = feed.create(
        images,
        seed=config.seed,
        batch_size=batch,
        steps=min(_CHUNK_STEPS, -(-len(images) // batch)),
        until=total,
        limit=run.resident_bytes(config),
    )
    if source.streamed:
        print(f"{workdir}: {images.nbytes / 1e6:.3g} MB of images are streamed, {source.steps} steps at a time")
    advance, sample = parallel.training_steps(network, scattered=source.streamed), sampling.sampler(network)

    start = time.monotonic()
    state, _ = advance(state, *source.take(step, 0), key)  # no step: this only compiles
    jax.block_until_ready(state)
    print(
        f"{workdir}: compiled in {time.monotonic() - start:.1f} s, {jax.default_backend()} x {jax.device_count()}",
        flush=True,
    )

    progress = Progress(str(workdir), total=total * batch, done=step * batch)
    pace = 1  # steps that take about _CHUNK_SECONDS
    measured: list[dict[str, np.ndarray]] = []
    seconds = 0.0
    while step < total:
        mark = next(end for end in marks if end > step)
        start = time.monotonic()
        state, metrics = advance(state, *source.take(step, min(pace, mark - step)), key)
        count = int(state.step) - step
        measured.append({name: values[:count] for name, values in parallel.host(metrics).items()})
        elapsed = time.monotonic() - start
        seconds, pace = seconds + elapsed, max(1, round(count * _CHUNK_SECONDS / elapsed))
        step += count
        last = {name: float(values[-1]) for name, values in measured[-1].items()}
        where = run.position(config, step)
        note = f"epoch {where['epoch']:.1f}, D {last['discriminator_loss']:.3f}, G {last['generator_loss']:.3f}"
        progress.advance(count * batch, note)
        if not all(map(np.isfinite, last.values())):
            raise Failure(
                f"{workdir}: the losses are no longer finite at step {step}; the checkpoints before it are kept"
            )

        stopping = bool(requests) and step < total
        if step < mark and not stopping:
            continue
        row = {**where, "steps": sum(len(chunk["generator_loss"]) for chunk in measured)}
        row |= {name: float(np.mean(np.concatenate([chunk[name] for chunk in measured]))) for name in last}
        row |= {"images_per_second": round(row["steps"] * batch / seconds, 2), "seconds": round(seconds, 3)}
        if step in checkpoints or stopping:
            arrays = parallel.host(state)
            row["state_sha256"] = checkpoint.digest(arrays)
            grid = sampling.latents(seed=config.seed, stream="grid", count=64, latent_dim=config.model.latent_dim)
            shown = sampling.grid(sample(arrays.generator, grid), columns=8)
            records.save_png(workdir / "samples" / f"step_{step:08d}.png", shown)
        records.append_jsonl(workdir / "metrics.jsonl", row)
        if "state_sha256" in row:  # last: what was noted of steps that were never saved is dropped, see above
            checkpoint.save(workdir / "checkpoints", step, state)
        measured, seconds = [], 0.0
        if stopping:
            progress.close()
            raise Interrupted(f"{workdir}: interrupted; saved at step {step} of {total}, the same command continues")
    progress.close()


def _keep_metrics_until(path: Path, step: int) -> None:
    """Drops the lines of steps that are done again because they were not saved."""
    rows = records.read_jsonl(path)
    kept = [row for row in rows if row["step"] <= step]
    if len(kept) < len(rows):
        records.write_jsonl(path, kept)
