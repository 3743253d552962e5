"""prepare: source -> WORKDIR/dataset, the originals and a manifest of the whole data set."""

import functools
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import augment, checkpoint, records, run, sampling
from gan_da_jax.augment import policy
from gan_da_jax.config import augmented_count, generator_config, generator_workdir, source_name
from gan_da_jax.data import manifest, tfds
from gan_da_jax.data.images import Images
from gan_da_jax.data.sources import SOURCES
from gan_da_jax.errors import UserError
from gan_da_jax.progress import Progress


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
        where = {"path": config.data.path, "dataset": config.data.dataset}
        if dry_run and config.data.source == "tfds" and not tfds.is_prepared(**where):
            print(f"{plan}; {config.data.dataset} would be downloaded and prepared first")
            return
        pools, ids, source = _load(config, parts)
        _same_originals(config, workdir, pools["originals"])
        if dry_run:
            print(plan)
            return
        if "generated" in policy.pool_sizes(parts, config.augment.count):
            pools["generated"] = _generate(config, workdir, len(ids["generated"]))
        made, pixels = manifest.build(
            source=source,
            policy_text=config.augment.policy,
            count=augmented_count(config),
            seed=config.seed,
            pools=pools,
            ids=ids,
        )
        for pool, array in pools.items():
            records.save_array(dataset / f"{pool}.npy", array)
        records.save_png(dataset / "preview.png", _preview(parts, pools))
        run.claim(workdir, config)
        records.write_json(dataset / "manifest.json", made)  # last: with it, the data set is complete
        print(f"{dataset}: {_summary(made)}")
    if export is not None and not dry_run:
        _export(made, pixels, export)


def _stay_outside(config: ConfigDict, *places: Path | None) -> None:
    """Refuses to write into the folder that the images come from: a run's pictures would be taken for images of it."""
    source = Path(os.path.expanduser(config.data.path)).resolve()
    for place in places:
        if config.data.source == "folder" and place is not None and place.resolve().is_relative_to(source):
            raise UserError(f"{place} is inside the folder of images, {config.data.path}; choose a place outside of it")


@functools.lru_cache(maxsize=1)  # the arms of a study have the same originals, and some sources take minutes to check
def _read(kind: str, **arguments: Any) -> Images:
    return SOURCES[kind](**arguments)


def _load(config: ConfigDict, parts: tuple[policy.Part, ...]) -> tuple[dict, dict, dict]:
    """Reads the real images: pools by name, ids by name, and the source's record."""
    data = config.data
    sizes = policy.pool_sizes(parts, config.augment.count)
    more = sizes.get("more", 0)
    real = _read(
        data.source,
        path=data.path,
        dataset=data.dataset,
        count=data.count + more,
        image_size=data.image_size,
        resize=data.resize,
        seed=config.seed,
        skip_bad=data.skip_bad,
    )
    pools = {"originals": real.pixels[: data.count]}
    ids = {"originals": real.ids[: data.count]}
    if more:
        pools["more"], ids["more"] = real.pixels[data.count :], real.ids[data.count :]
    if "generated" in sizes:
        ids["generated"] = [f"generated_{i:06d}" for i in range(sizes["generated"])]
    place = Path(os.path.expanduser(data.path)).resolve() if data.path else None
    source = {
        "kind": data.source,
        "name": source_name(config),
        "path": str(place) if place else "",
        "dataset": data.dataset,
        "available": real.available,
        "count": data.count,
        "image_size": data.image_size,
        "resize": data.resize,
        "skipped": real.skipped,
    }
    return pools, ids, source


def _same_originals(config: ConfigDict, workdir: Path, originals: np.ndarray) -> None:
    """Refuses other originals than those of the run that makes `generated` images: all arms of a study share it."""
    place = generator_workdir(config, workdir)
    if (place / "dataset" / "manifest.json").exists():
        rows = manifest.read(place / "dataset")["records"]
        if [row["sha256"] for row in rows] != [records.sha256(image) for image in originals]:
            run.check(place, generator_config(config))  # says why, if that is why
            raise UserError(
                f"{place} has other originals: was the source changed? Name another augment.generator, or --workdir"
            )


def _generate(config: ConfigDict, workdir: Path, count: int) -> np.ndarray:
    """Samples the GAN that was trained on the originals alone."""
    place, base = generator_workdir(config, workdir), generator_config(config)
    last = run.total_steps(base)
    if last not in checkpoint.steps(place / "checkpoints"):
        raise UserError(f"{place} is not trained to step {last}; train it first, or leave augment.generator empty")
    vectors = sampling.latents(seed=config.seed, stream="generated", count=count, latent_dim=config.model.latent_dim)
    return sampling.sampler(run.network(base))(run.trained_generator(base, place, last), vectors)


def _preview(parts: tuple[policy.Part, ...], pools: dict[str, np.ndarray], columns: int = 8) -> np.ndarray:
    """A row of originals, and for each op a row of what it makes of them (or of its own pool)."""
    rows = [pools["originals"][:columns]]
    for op, arguments in parts:
        rows.append(augment.apply(op, arguments, pools[augment.OPS[op].pool][:columns]))
    width = max(map(len, rows))
    blank = np.full((width, *rows[0].shape[1:]), 255, np.uint8)
    return sampling.grid(np.concatenate([np.concatenate([row, blank[len(row) :]]) for row in rows]), columns=width)


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
        records.save_png(staging / f"{row['index']:05d}_{row['op']}.png", image)
        progress.advance(1)
    progress.close()
    staging.replace(folder)
