"""The images that a run's data set is made of, the same each time: real ones of its source, and samples of a GAN."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import augment, gan
from gan_da_jax.augment import policy
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.data.sources.images import Images, choose
from gan_da_jax.errors import UserError
from gan_da_jax.runs import plan
from gan_da_jax.runs.config import generator_config, source_name, training_count
from gan_da_jax.runs.folder import Run
from gan_da_jax.runs.reference import MOST, parse
from gan_da_jax.training import sampling

COLUMNS = 8  # of a preview, images


# The arms of a study have the same originals and reference, and some sources take minutes to check.
@functools.lru_cache(maxsize=2)
def read(kind: str, location: Location, **arguments: Any) -> Images:
    """Read a source's images; they are kept for the next call, for `read.cache_clear()` to forget."""
    with SOURCES[kind].opened(location) as found:
        return choose(found, **arguments)


def real(config: ConfigDict) -> tuple[dict[str, np.ndarray], dict[str, list[str]], dict[str, Any]]:
    """Read the real images of a run.

    Returns:
        Pools uint8 [n, S, S, 3] by name, `originals` and where the policy needs it `more`; the names of the images in
        each pool, and of `generated` ones; and what a manifest says of the source.
    """
    data, images, parts, sizes = config.data, _images(config), _parts(config), _sizes(config)
    named: list[str] = ["originals", *(["more"] if "more" in sizes else [])]
    pools = {pool: images.pixels[parts[pool]] for pool in named}
    ids = {pool: images.ids[parts[pool]] for pool in named}
    if "generated" in sizes:
        ids["generated"] = [f"generated_{i:06d}" for i in range(sizes["generated"])]
    place = Path(os.path.expanduser(data.path)).resolve() if data.path else None
    source = {
        "kind": data.source,
        "name": source_name(config),
        "path": str(place) if place else "",
        "dataset": data.dataset,
        "available": images.available,
        "count": training_count(config),
        "image_size": data.image_size,
        "resize": data.resize,
        "skipped": images.skipped,
    }
    return pools, ids, source


def held_out(config: ConfigDict, end: Mapping[str, int]) -> tuple[np.ndarray, list[str]]:
    """Read images of the source that no arm is trained on.

    Args:
        config: of the run.
        end: which images of the other end, as from `other_end`; {} for the ones that the config sets aside.

    Returns:
        uint8 [n, S, S, 3], n >= 0, and the names of the images.
    """
    found, parts = _images(config, end), _parts(config)
    part = slice(parts["more"].stop, None) if end else parts["set aside"]
    return found.pixels[part], found.ids[part]


def other_end(config: ConfigDict) -> dict[str, int]:
    """Say which images no arm of the study of a config is trained on, without setting any aside.

    Returns:
        `last`: how many from the end of the choice, at the most; `beyond`: how many first ones are left to the arms.
    """
    draws = SOURCES[config.data.source].draws  # any number
    last = min(max(config.evaluate.samples, 1000), MOST) if draws else MOST
    return {"last": last, "beyond": config.data.count + plan.most_more(config)}


def _sizes(config: ConfigDict) -> dict[str, int]:
    return policy.pool_sizes(policy.parse(config.augment.policy), config.augment.count)


def _images(config: ConfigDict, end: Mapping[str, int] | None = None) -> Images:
    """Read the real images that a config needs: `data.count`, those of `more`, then an end, by default its own one."""
    data, asked = config.data, parse(config.evaluate.reference)
    if end is None:  # at once, as it may take minutes to check a source
        end = other_end(config) if asked.kind == "heldout" and not asked.share else {}
    return read(
        data.source,
        Location(data.path, data.dataset),
        count=data.count + _sizes(config).get("more", 0),
        image_size=data.image_size,
        resize=data.resize,
        seed=config.seed,
        skip_bad=data.skip_bad,
        **end,
    )


def _parts(config: ConfigDict) -> dict[str, slice]:
    """Say which of the first images are what: the originals, the ones that are set aside, the ones of `more`."""
    originals, count, more = training_count(config), config.data.count, _sizes(config).get("more", 0)
    return {
        "originals": slice(originals),
        "set aside": slice(originals, count),
        "more": slice(count, count + more),
    }


def generated(config: ConfigDict, place: Path) -> np.ndarray:
    """Sample the GAN that was trained on the originals alone, in the folder `place`: uint8 [n, S, S, 3].

    Raises:
        UserError: it is not trained as long as the config says.
    """
    base = Run(generator_config(config), place)
    count = policy.pool_sizes(policy.parse(config.augment.policy), config.augment.count)["generated"]
    last = base.schedule.steps
    if not base.trained:
        raise UserError(f"{place} is not trained to step {last}; train it first, or leave augment.generator empty")
    vectors = sampling.latents(seed=config.seed, stream="generated", count=count, latent_dim=config.model.latent_dim)
    return sampling.sampler(base.network)(gan.shown(base.network, base.trained_state(last)), vectors)


def preview(parts: tuple[policy.Part, ...], pools: dict[str, np.ndarray]) -> np.ndarray:
    """Draw a row of originals, and for each op a row of what it makes of them (or of its own pool)."""
    rows = [pools["originals"][:COLUMNS]]
    for op, arguments in parts:
        rows.append(augment.apply(op, arguments, pools[augment.OPS[op].pool][:COLUMNS]))
    width = max(map(len, rows))
    blank = np.full((width, *rows[0].shape[1:]), 255, np.uint8)
    return sampling.grid(np.concatenate([np.concatenate([row, blank[len(row) :]]) for row in rows]), columns=width)
