"""compare: this package beside PyTorch's stock DCGAN: the same numbers? how fast? as good? -> a table, a JSON file."""

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

import gan_da_jax
from gan_da_jax import pytorch
from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.data import dataset as manifest
from gan_da_jax.data import order
from gan_da_jax.data.sources import faces
from gan_da_jax.data.sources.images import shown
from gan_da_jax.devices import parallel
from gan_da_jax.errors import Failure, Interrupted, UserError
from gan_da_jax.files import checkpoint, io
from gan_da_jax.metrics.columns import keys as score_keys
from gan_da_jax.metrics.columns import value, written
from gan_da_jax.progress import Progress, stop_requests
from gan_da_jax.pytorch import contenders, race
from gan_da_jax.runs import folder as run
from gan_da_jax.training import sampling

TURNS = 7
SECONDS = 2.0  # that a turn takes, about
_IMAGES = 1000  # procedural faces that are trained on and scored for the figures of speed

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")


def main(
    config: ConfigDict,
    *,
    perform: Callable[..., None],
    score: Callable[[ConfigDict, Path], None],
    workdir: Path | None = None,
    train: bool = False,
    out: str | None = None,
    dry_run: bool = False,
) -> None:
    """Compares the config's GAN with the same one in PyTorch, on the GPU where there is one.

    Args:
        config: a run's: sizes, optimizer, precision; for `train`, everything.
        perform: trains and scores our run of a config in a workdir, by name `dry_run` only checks it.
        score: scores the checkpoints of a run.
        workdir: where runs are, with `train`: ours in it, PyTorch's in its folder `torch`.
        train: whether to train both to the end of the config's budget, and to score them.
        out: a `.json` file to write; None for `compare.json` in the workdir, if there is one.
        dry_run: check everything, print the plan, stop.

    Raises:
        UserError: the config, the place, or that PyTorch is not installed.
        Failure: they are not the same GAN; the file says where they differ.
    """
    pytorch.require()
    if train and workdir is None:
        raise UserError("--train needs a --workdir, where both are trained, as in --workdir=runs/compared")
    path = Path(out) if out is not None else workdir / "compare.json" if workdir else None
    if path is not None and (path.suffix != ".json" or path.is_dir()):
        raise UserError(f"--out={shown(path)}: the file that is written is a .json file, and is to be called so")
    if out is not None and not path.absolute().parent.is_dir():
        raise UserError(f"--out={shown(out)}: its folder does not exist; make it, or name another file")
    if train:
        classifiers.check(config.evaluate.classifier, config.evaluate.weights, tap=config.evaluate.tap)
        run.check(workdir / "torch", config)
        perform(config, workdir, dry_run=True)
    sizes = f"{config.data.image_size} px, width {config.model.width}, batch {config.train.batch_size}"
    if dry_run:
        print(f"would compare with PyTorch at {sizes}: parity in float64 and float32, speed in {config.model.dtype}")
        print(f"would train PyTorch's as well, in {workdir / 'torch'}" if train else "would train nothing")
        print(f"would write {path}" if path else "would write nothing")
        return

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a GPU's memory
    pixels = np.asarray(faces.render(config.seed, np.arange(_IMAGES), config.data.image_size)[0])
    result: dict[str, Any] = {
        "parity": _parity(config, pixels),
        "speed": _speed(config, pixels),
        "versions": {"gan_da_jax": gan_da_jax.__version__, "python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in _PACKAGES},
        "config": {name: config[name].to_dict() for name in ("model", "train")}
        | {"image_size": config.data.image_size, "seed": config.seed},
    }
    result["devices"] = {
        name: contender["device"] for name, contender in result["speed"]["train"]["contenders"].items()
    }
    if train:
        perform(config, workdir)
        _train_torch(config, workdir)
        score(config, workdir / "torch")
        result["trained"] = {"jax": _trained(workdir), "torch": _trained(workdir / "torch")}
    if path is not None:
        io.write_json(path, result)
    print(_table(result, sizes))
    failed = [check for check in result["parity"]["checks"] if not check["passed"]]
    if failed:
        worst = max(failed, key=lambda check: check["difference"] / check["tolerance"])
        raise Failure(
            f"parity: {len(failed)} of {len(result['parity']['checks'])} comparisons failed, {worst['what']} after "
            f"{worst['steps']} steps in {worst['precision']} by {worst['difference']:.1e} at {worst['where']}"
            + (f"; {path} has them all" if path else "")
        )


def _say(line: str) -> None:
    print(line, flush=True)


def _parity(config: ConfigDict, pixels: np.ndarray) -> dict:
    from gan_da_jax.pytorch import parity

    batch, steps = config.train.batch_size, max(parity.STEPS)
    images = pixels[np.arange(steps * batch) % len(pixels)].reshape(steps, batch, *pixels.shape[1:])
    checks = parity.measure(**run.settings(config), images=images, seed=config.seed, told=_say)
    rows = [{**check._asdict(), "difference": _finite(check.difference)} for check in checks]
    return {"passed": all(check.passed for check in checks), "images": "procedural faces", "checks": rows}


def _finite(number: float) -> float:
    return number if np.isfinite(number) else float(np.finfo(np.float32).max)  # JSON has neither NaN nor infinity


def _speed(config: ConfigDict, pixels: np.ndarray) -> dict:
    network = run.settings(config) | {"dtype": config.model.dtype}
    races = {
        "train": contenders.training(
            images=pixels, batch_size=config.train.batch_size, network=network, seconds=SECONDS
        ),
        "score": contenders.scoring(images=pixels[:200], seconds=SECONDS),
    }
    return {what: _raced(entries, what) for what, entries in races.items()}


def _raced(entries: dict[str, race.Contender], what: str) -> dict:
    found = race.run(entries, turns=TURNS, told=lambda line: _say(f"{what}: {line}"))
    row: dict[str, Any] = {name: round(one.median, 3) for name, one in found.items()}
    for name in ("stock", "expert"):
        ratio = race.ratio(found["jax"], found[f"torch_{name}"])
        row |= {
            f"ratio_{name}": round(ratio.median, 3),
            f"ratio_{name}_turns": [round(ratio.low, 3), round(ratio.high, 3)],
        }
    about = {
        name: one.about
        | {"images_per_second": [round(rate, 3) for rate in one.rates], "peak_gib": round(one.peak_gib, 2)}
        for name, one in found.items()
    }
    return row | {"unit": "images/s", "turns": TURNS, "contenders": about}


def _train_torch(config: ConfigDict, workdir: Path) -> None:
    """Trains PyTorch's on our run's data set, in the same order; it saves its state as ours, and continues from it."""
    from gan_da_jax.pytorch import dcgan, states

    place, total = workdir / "torch", run.total_steps(config)
    with run.alone(place):
        if not (place / "dataset" / "manifest.json").exists():
            _copy(workdir / "dataset", place / "dataset")
        run.claim(place, config)
        done = checkpoint.steps(place / "checkpoints")
        if done and done[-1] >= total:
            _say(f"{place}: trained to step {done[-1]} already")
            return
        images = np.array(manifest.load(place / "dataset")[1])  # PyTorch wants what it may write to
        trainer = dcgan.Trainer(**run.settings(config), seed=config.seed)
        if done:
            state = checkpoint.load(place / "checkpoints", done[-1], run.abstract_state(config))
            states.put(trainer, parallel.host(state))
            _say(f"{place}: continues from step {done[-1]} of {total}")
        with stop_requests() as requests:
            _train_steps(config, place, trainer, images, done[-1] if done else 0, requests)


def _train_steps(
    config: ConfigDict, place: Path, trainer: Any, images: np.ndarray, step: int, requests: list[int]
) -> None:
    from gan_da_jax.pytorch import dcgan, states

    total, batch, marks = run.total_steps(config), config.train.batch_size, run.checkpoint_steps(config)
    network, pixels = run.network(config), trainer.place(images)
    sample = sampling.sampler(network)
    progress, losses, start = Progress(str(place), total=total * batch, done=step * batch), [], time.monotonic()
    while step < total:
        (chosen,) = order.batches(seed=config.seed, images=len(images), batch_size=batch, first=step, steps=1)
        latents = trainer.latents(batch, seed=config.seed << 32 | step)
        losses.append(trainer.update(trainer.real(pixels[chosen]), latents))
        step += 1
        progress.advance(batch)
        if step not in marks and not requests:
            continue
        row = run.position(config, step) | {"steps": len(losses)}
        row |= {name: float(np.mean([float(one[name]) for one in losses])) for name in losses[0]}
        seconds = time.monotonic() - start
        row |= {"images_per_second": round(len(losses) * batch / seconds, 2), "seconds": round(seconds, 3)}
        if not np.isfinite([row["generator_loss"], row["discriminator_loss"]]).all():
            raise Failure(f"{place}: the losses are no longer finite at step {step}")
        state = states.take(trainer, network, step)
        grid = run.sample_grid(config, sample, state.generator)
        io.save_png(place / "samples" / f"step_{step:08d}.png", grid)
        row |= {"state_sha256": checkpoint.digest(state), "trained_by": dcgan.describe()["name"]}
        io.append_jsonl(place / "metrics.jsonl", row)
        checkpoint.save(place / "checkpoints", step, parallel.replicate(state))
        if requests:
            raise Interrupted(f"{place}: interrupted; saved at step {step} of {total}, the same command continues")
        losses, start = [], time.monotonic()
    progress.close()


def _copy(dataset: Path, place: Path) -> None:
    """Copies a data set; its manifest, which makes it complete, comes last."""
    place.mkdir(parents=True, exist_ok=True)
    for file in sorted(dataset.iterdir(), key=lambda file: file.name == "manifest.json"):
        with io.atomic(place / file.name) as temporary:
            shutil.copyfile(file, temporary)


def _trained(workdir: Path) -> dict:
    """How a run ended: where, how long it took, and the scores of its last checkpoint, one for each set of samples."""
    metrics, rows = (io.read_jsonl(workdir / name) for name in ("metrics.jsonl", "scores.jsonl"))
    last = max(row["step"] for row in rows)
    keys = ["repeat", "classifier", "tap", *score_keys()]
    return {
        "workdir": str(workdir),
        **{key: metrics[-1][key] for key in ("step", "kimg", "generator_loss", "discriminator_loss")},
        "seconds": round(sum(row["seconds"] for row in metrics), 1),
        "scores": [{key: row[key] for key in keys} for row in rows if row["step"] == last],
    }


def _table(result: dict[str, Any], sizes: str) -> str:
    """The result for a person."""
    parity, speed = result["parity"], result["speed"]
    lines = ["", f"parity: {'the same GAN' if parity['passed'] else 'NOT the same GAN'}, {sizes}"]
    lines += [
        f"{'':12}{'after':>9}  {'float64':>9} {'at most':>9}   {'float32':>9} {'at most':>9} {'PyTorch itself':>15}"
    ]
    pairs: dict[tuple[str, int], dict] = {}
    for check in parity["checks"]:
        pairs.setdefault((check["what"], check["steps"]), {})[check["precision"]] = check
    for (what, steps), pair in pairs.items():
        exact, single = pair["float64"], pair["float32"]
        row = f"{what:12}{steps:>3} steps  {exact['difference']:9.1e} {exact['tolerance']:9.1e}   "
        row += f"{single['difference']:9.1e} {single['tolerance']:9.1e} {single['rounding']:15.1e}"
        lines.append(row + ("" if exact["passed"] and single["passed"] else "   failed"))
    lines += ["", f"{'images/s':9}{'gan_da_jax':>12}{'torch stock':>13}{'ratio':>7}{'per turn':>14}"]
    lines[-1] += f"{'torch expert':>14}{'ratio':>7}{'per turn':>14}  which is"
    for what, row in speed.items():
        line = f"{what:9}{row['jax']:12.5g}"
        for name, room in (("stock", 13), ("expert", 14)):
            low, high = row[f"ratio_{name}_turns"]
            line += f"{row[f'torch_{name}']:{room}.5g}{row[f'ratio_{name}']:7.2f}{f'{low:.2f} to {high:.2f}':>14}"
        lines.append(f"{line}  {row['contenders']['torch_expert']['variant']}")
    for name, device in result["devices"].items():
        lines.append(f"{name}: {device}")
    for name, one in result.get("trained", {}).items():
        row = one["scores"][0]
        having = [score for score in classifiers.scores_by(row["classifier"]) if not score.share]
        shown_scores = ", ".join(f"{score.label} {written(value(row, score.key))}" for score in having)
        lines.append(f"trained, {name}: step {one['step']} in {one['seconds']:.0f} s, {shown_scores}")
    return "\n".join(lines)
