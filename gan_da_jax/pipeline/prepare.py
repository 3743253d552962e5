"""The step `prepare`: a source -> WORKDIR/dataset, and the images as PNG files where somebody asks for them."""

import shutil
from pathlib import Path

import numpy as np

from gan_da_jax.augment import policy
from gan_da_jax.data import dataset
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools, references
from gan_da_jax.progress import Progress
from gan_da_jax.runs.config import augmented_count, generator_config, generator_workdir, training_count
from gan_da_jax.runs.folder import Run


def plan(run: Run, *, export: Path | None = None) -> str:
    """Check that a data set can be made, or is the one described, and say what it holds; else a `UserError`.

    Args:
        run: the run.
        export: the folder for the images as PNG files, if they are wanted.
    """
    _check_places(run, export)
    if run.prepared:
        made, _ = dataset.load(run.dataset)
        references.plan(run)
        return f"{run.dataset}: {_summary(made)}, as prepared before"
    data, originals, augmented = run.config.data, training_count(run.config), augmented_count(run.config)
    text = f"{run.dataset}: would hold {originals} originals and {augmented} augmented images"
    source = SOURCES[data.source]
    if source.downloads and not source.is_ready(Location(data.path, data.dataset)):
        return f"{text}; {data.dataset} would be downloaded and prepared first"
    images, _, _ = pools.real(run.config)
    _require_same_originals(run, images["originals"])
    references.plan(run)
    return text


def prepare(run: Run, *, export: Path | None = None) -> str:
    """Make a run's data set, or prove one that is there, and say what it holds.

    Args:
        run: the run. Where its policy needs a GAN's images, that GAN is trained.
        export: a folder for every image of the data set as a PNG file; it must be absent or empty.

    Raises:
        UserError: the source, the workdir or `export` cannot be used.
    """
    _check_places(run, export)
    if run.prepared:
        made, pixels = dataset.load(run.dataset)
        references.of(run)
        said = f"{run.dataset}: {_summary(made)}, as prepared before"
    else:
        made, pixels = _make(run)
        said = f"{run.dataset}: {_summary(made)}"
    if export is not None:
        _export(made, pixels, export)
    return said


def _make(run: Run) -> tuple[dict, np.ndarray]:
    config, parts = run.config, policy.parse(run.config.augment.policy)
    images, ids, source = pools.real(config)
    _require_same_originals(run, images["originals"])
    if "generated" in policy.pool_sizes(parts, config.augment.count):
        images["generated"] = pools.generated(config, generator_workdir(config, run.workdir))
    made, pixels = dataset.build(
        source=source,
        policy_text=config.augment.policy,
        count=augmented_count(config),
        seed=config.seed,
        pools=images,
        ids=ids,
    )
    run.sweep()
    references.of(run)
    for pool, array in images.items():
        io.save_array(run.pool(pool), array)
    io.save_png(run.preview, pools.preview(parts, images))
    run.claim()
    io.write_json(run.manifest, made)  # last: with it, the data set is complete
    return made, pixels


def _check_places(run: Run, export: Path | None) -> None:
    run.check()
    if export is not None and export.exists() and (not export.is_dir() or any(export.iterdir())):
        raise UserError(f"--export={export} exists and is not an empty folder; name another one")
    _stay_outside(run, export, generator_workdir(run.config, run.workdir))


def _stay_outside(run: Run, *places: Path | None) -> None:
    """Refuse to write into the folder that the images come from: a run's pictures would be taken for images of it."""
    data = run.config.data
    source, location = SOURCES[data.source], Location(data.path, data.dataset)
    for place in (run.workdir, *places):
        if place is not None and source.encloses(location, place):
            raise UserError(f"{place} is inside the folder of images, {data.path}; choose a place outside of it")


def _require_same_originals(run: Run, originals: np.ndarray) -> None:
    """Refuse other originals than the run has that makes `generated` images: all arms of a study share it."""
    base = Run(generator_config(run.config), generator_workdir(run.config, run.workdir))
    if base.prepared:
        rows = dataset.read(base.dataset)["records"]
        if [row["sha256"] for row in rows] != [io.sha256(image) for image in originals]:
            base.check()  # says why, if that is why
            raise UserError(
                f"{base} has other originals: was the source changed? Name another augment.generator, or --workdir"
            )


def _summary(made: dict) -> str:
    counts: dict[str, int] = {}
    for row in made["records"]:
        counts[row["op"]] = counts.get(row["op"], 0) + 1
    skipped = len(made["source"]["skipped"])
    left_out = f" ({skipped} bad files left out)" if skipped else ""
    return " + ".join(f"{count} {op}" for op, count in counts.items()) + left_out


def _export(made: dict, pixels: np.ndarray, folder: Path) -> None:
    staging = folder.with_name(f".{folder.name}.partial")  # becomes the folder when it is complete
    shutil.rmtree(staging, ignore_errors=True)
    with Progress(f"export to {folder}", total=len(pixels)) as progress:
        for row, image in zip(made["records"], pixels, strict=True):
            io.save_png(staging / f"{row['index']:05d}_{row['op']}.png", image)
            progress.advance(1)
    staging.replace(folder)
