"""compare: this package beside PyTorch's stock DCGAN: the same numbers? how fast? as good? -> a table, a JSON file."""

import importlib.metadata
import itertools
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

import gan_da_jax
from gan_da_jax import pytorch
from gan_da_jax.classifiers import registry
from gan_da_jax.data import dataset
from gan_da_jax.data.sources import faces
from gan_da_jax.data.sources.images import shown
from gan_da_jax.errors import Failure, UserError
from gan_da_jax.files import io
from gan_da_jax.metrics import columns
from gan_da_jax.pipeline import chain
from gan_da_jax.pipeline.train import record
from gan_da_jax.progress import stop_requests
from gan_da_jax.pytorch import contenders, race
from gan_da_jax.runs import networks
from gan_da_jax.runs.folder import Run
from gan_da_jax.verbs.verb import CONFIG, WORKDIR, Flag, Verb

TURNS = 7
SECONDS = 2.0  # that a turn takes, about
_IMAGES = 1000  # procedural faces that are trained on and scored for the figures of speed

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch")


def main(
    config: ConfigDict,
    *,
    workdir: Path | None = None,
    train: bool = False,
    out: str | None = None,
    dry_run: bool = False,
) -> None:
    """Compare the config's GAN with the same one in PyTorch, on the GPU where there is one.

    Args:
        config: a run's: sizes, optimizer, precision; for `train`, everything.
        workdir: where runs are, with `train`: ours in it, PyTorch's in its folder `torch`.
        train: whether to train both to the end of the config's budget, and to score them.
        out: a `.json` file to write; None for `compare.json` in the workdir, if there is one.
        dry_run: check everything, print the plan, stop.

    Raises:
        UserError: the config, the place, or that PyTorch is not installed.
        Failure: they are not the same GAN; the file says where they differ.
    """
    pytorch.require()
    pytorch.require_dcgan(name=config.model.name, loss=config.train.loss)
    path = _target(workdir, out)
    run = _checked(config, workdir) if train else None
    sizes = f"{config.data.image_size} px, width {config.model.width}, batch {config.train.batch_size}"
    if dry_run:
        print(f"would compare with PyTorch at {sizes}: parity in float64 and float32, speed in {config.model.dtype}")
        print(f"would train PyTorch's as well, in {run.workdir / 'torch'}" if run else "would train nothing")
        print(f"would write {path}" if path else "would write nothing")
        return

    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a GPU's memory
    pixels = np.asarray(faces.render(config.seed, np.arange(_IMAGES), config.data.image_size)[0])
    result = _compared(config, pixels)
    if run:
        theirs = Run(config, run.workdir / "torch")
        for line in itertools.chain(chain.train(run), chain.evaluate(run), _train_torch(run, theirs)):
            _say(line)
        for line in chain.evaluate(theirs):
            _say(line)
        result["trained"] = {"jax": _trained(run), "torch": _trained(theirs)}
    if path is not None:
        io.write_json(path, result)
    print(_table(result, sizes))
    _require_parity(result["parity"]["checks"], path)


def _target(workdir: Path | None, out: str | None) -> Path | None:
    """Choose the file to write, if any; a `UserError` if it could not be written."""
    path = Path(out) if out is not None else workdir / "compare.json" if workdir else None
    if path is not None and (path.suffix != ".json" or path.is_dir()):
        raise UserError(f"--out={shown(str(path))}: the name of the file must end in .json")
    if out is not None and path is not None and not path.absolute().parent.is_dir():
        raise UserError(f"--out={shown(out)}: its folder does not exist; make it, or name another file")
    return path


def _checked(config: ConfigDict, workdir: Path | None) -> Run:
    """Return our run of `--train`; a `UserError` if it or PyTorch's could not be trained and scored."""
    if workdir is None:
        raise UserError("--train needs a --workdir, where both are trained, as in --workdir=runs/compared")
    registry.check(config.evaluate.classifier, config.evaluate.weights, tap=config.evaluate.tap)
    run = Run(config, workdir)
    Run(config, workdir / "torch").check()
    for line in chain.plan_training(run):
        _say(line)
    return run


def _compared(config: ConfigDict, pixels: np.ndarray) -> dict[str, Any]:
    """Measure parity and speed on images uint8 [n, S, S, 3], and say with what."""
    result: dict[str, Any] = {
        "parity": _parity(config, pixels),
        "speed": _speed(config, pixels),
        "versions": {"gan_da_jax": gan_da_jax.__version__, "python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in _PACKAGES},
        "config": {name: config[name].to_dict() for name in ("model", "train")}
        | {"image_size": config.data.image_size, "seed": config.seed},
    }
    raced = result["speed"]["train"]["contenders"]
    return result | {"devices": {name: contender["device"] for name, contender in raced.items()}}


def _require_parity(checks: list[dict], path: Path | None) -> None:
    """Raise a `Failure` if any comparison failed, which names the worst one."""
    failed = [check for check in checks if not check["passed"]]
    if failed:
        worst = max(failed, key=lambda check: check["difference"] / check["tolerance"])
        raise Failure(
            f"parity: {len(failed)} of {len(checks)} comparisons failed, {worst['what']} after "
            f"{worst['steps']} steps in {worst['precision']} by {worst['difference']:.1e} at {worst['where']}"
            + (f"; {path} has them all" if path else "")
        )


def _say(line: str) -> None:
    print(line, flush=True)


def _parity(config: ConfigDict, pixels: np.ndarray) -> dict:
    from gan_da_jax.pytorch import parity

    batch, steps = config.train.batch_size, max(parity.STEPS)
    images = pixels[np.arange(steps * batch) % len(pixels)].reshape(steps, batch, *pixels.shape[1:])
    checks = parity.measure(**networks.dcgan_settings(config), images=images, seed=config.seed, told=_say)
    rows = [{**check._asdict(), "difference": _finite(check.difference)} for check in checks]
    return {"passed": all(check.passed for check in checks), "images": "procedural faces", "checks": rows}


def _finite(number: float) -> float:
    return number if np.isfinite(number) else float(np.finfo(np.float32).max)  # JSON has neither NaN nor infinity


def _speed(config: ConfigDict, pixels: np.ndarray) -> dict:
    network = networks.dcgan_settings(config) | {"dtype": config.model.dtype}
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


def _train_torch(ours: Run, run: Run) -> Iterator[str]:
    """Train PyTorch's GAN, as `run`, on the data set of our run, in the same order; continue where it stopped.

    Yields:
        What happens, a line each.
    """
    from gan_da_jax.pytorch import dcgan, loop

    config, total = run.config, run.schedule.steps
    with run.alone():
        if not run.prepared:
            _copy_dataset(ours, run)
        run.claim()
        state = run.newest_state()
        if state is not None and int(state.step) >= total:
            yield f"{run}: trained to step {int(state.step)} already"
            return
        if state is None:
            state = networks.zero_state(config, step=0)
        else:
            yield f"{run}: continues from step {int(state.step)} of {total}"
        _, images = dataset.load(run.dataset)
        trainer = dcgan.Trainer(**networks.dcgan_settings(config), seed=config.seed)
        steps = loop.TorchLoop(trainer, run.network, images, seed=config.seed, batch_size=run.schedule.batch_size)
        with stop_requests() as requests:
            record(run, steps, state, requests, note={"trained_by": dcgan.describe()["name"]})


def _copy_dataset(old: Run, new: Run) -> None:
    """Copy the data set of a run to another one; its manifest, which makes it complete, comes last."""
    for file in sorted(old.dataset.iterdir(), key=lambda file: file == old.manifest):
        with io.atomic(new.dataset / file.name) as temporary:
            shutil.copyfile(file, temporary)


def _trained(run: Run) -> dict:
    """Say how a run ended: where, how long it took, and the scores of its last checkpoint, for each set of samples."""
    metrics, rows = io.read_jsonl(run.metrics), io.read_jsonl(run.scores)
    last = max(row["step"] for row in rows)
    keys = ["repeat", "classifier", "tap", *columns.keys()]
    return {
        "workdir": str(run),
        **{key: metrics[-1][key] for key in ("step", "kimg", "generator_loss", "discriminator_loss")},
        "seconds": round(sum(row["seconds"] for row in metrics), 1),
        "scores": [{key: row[key] for key in keys if key in row} for row in rows if row["step"] == last],
    }


def _table(result: dict[str, Any], sizes: str) -> str:
    """Write the result for a person."""
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
        having = [score for score in registry.scores_by(row["classifier"]) if not score.share and score.key in row]
        shown_scores = ", ".join(f"{score.label} {columns.written(columns.value(row, score.key))}" for score in having)
        lines.append(f"trained, {name}: step {one['step']} in {one['seconds']:.0f} s, {shown_scores}")
    return "\n".join(lines)


VERB = Verb(
    "this package beside PyTorch: the same numbers? how fast? with --train, as good?",
    main,
    needs=(CONFIG,),
    takes=(
        WORKDIR,
        Flag("train", "Also train both, and score them.", "switch"),
        Flag("out", "The .json file to write.", "file"),
    ),
)
