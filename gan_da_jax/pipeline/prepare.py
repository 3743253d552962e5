"""prepare: source -> WORKDIR/dataset, the originals and a manifest of the whole data set."""

import shutil
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax.augment import policy
from gan_da_jax.data import dataset as manifest
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools
from gan_da_jax.progress import Progress
from gan_da_jax.runs import folder as run
from gan_da_jax.runs.config import augmented_count, generator_config, generator_workdir


def main(config: ConfigDict, workdir: Path, *, dry_run: bool = False, export: Path | None = None) -> None:
    """Prepares the data set of a run, or proves one that is there; with `export`, writes its images as PNGs."""
    run.check(workdir, config)
    dataset = workdir / "dataset"
    if export is not None and export.exists() and (not export.is_dir() or any(export.iterdir())):
        raise UserError(f"--export={export} is there and not an empty folder; name another one")
    _stay_outside(config, workdir, export, generator_workdir(config, workdir))
    if (dataset / "manifest.json").exists():
        made, pixels = manifest.load(dataset)
        print(f"{dataset}: {_summary(made)}, as prepared before")
    else:
        parts = policy.parse(config.augment.policy)
        plan = f"{dataset}: would hold {config.data.count} originals and {augmented_count(config)} augmented images"
        source, location = SOURCES[config.data.source], Location(config.data.path, config.data.dataset)
        if dry_run and source.downloads and not source.is_ready(location):
            print(f"{plan}; {config.data.dataset} would be downloaded and prepared first")
            return
        images, ids, described = pools.real(config)
        _same_originals(config, workdir, images["originals"])
        if dry_run:
            print(plan)
            return
        if "generated" in policy.pool_sizes(parts, config.augment.count):
            images["generated"] = pools.generated(config, generator_workdir(config, workdir))
        made, pixels = manifest.build(
            source=described,
            policy_text=config.augment.policy,
            count=augmented_count(config),
            seed=config.seed,
            pools=images,
            ids=ids,
        )
        run.sweep(workdir)
        for pool, array in images.items():
            io.save_array(dataset / f"{pool}.npy", array)
        io.save_png(dataset / "preview.png", pools.preview(parts, images))
        run.claim(workdir, config)
        io.write_json(dataset / "manifest.json", made)  # last: with it, the data set is complete
        print(f"{dataset}: {_summary(made)}")
    if export is not None and not dry_run:
        _export(made, pixels, export)


def _stay_outside(config: ConfigDict, *places: Path | None) -> None:
    """Refuses to write into the folder that the images come from: a run's pictures would be taken for images of it."""
    source, location = SOURCES[config.data.source], Location(config.data.path, config.data.dataset)
    for place in places:
        if place is not None and source.encloses(location, place):
            raise UserError(f"{place} is inside the folder of images, {config.data.path}; choose a place outside of it")


def _same_originals(config: ConfigDict, workdir: Path, originals: np.ndarray) -> None:
    """Refuses other originals than those of the run that makes `generated` images: all arms of a study share it."""
    place = generator_workdir(config, workdir)
    if (place / "dataset" / "manifest.json").exists():
        rows = manifest.read(place / "dataset")["records"]
        if [row["sha256"] for row in rows] != [io.sha256(image) for image in originals]:
            run.check(place, generator_config(config))  # says why, if that is why
            raise UserError(
                f"{place} has other originals: was the source changed? Name another augment.generator, or --workdir"
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
    progress = Progress(f"export to {folder}", total=len(pixels))
    for row, image in zip(made["records"], pixels, strict=True):
        io.save_png(staging / f"{row['index']:05d}_{row['op']}.png", image)
        progress.advance(1)
    progress.close()
    staging.replace(folder)
