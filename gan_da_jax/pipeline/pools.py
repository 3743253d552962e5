"""The images that a run's data set is made of, the same each time: real ones of its source, and samples of a GAN."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import augment, gan
from gan_da_jax.augment import policy
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.data.sources.images import Images, choose
from gan_da_jax.errors import UserError
from gan_da_jax.runs.config import generator_config, source_name
from gan_da_jax.runs.folder import Run
from gan_da_jax.training import sampling

COLUMNS = 8  # of a preview, images


@functools.lru_cache(maxsize=1)  # the arms of a study have the same originals, and some sources take minutes to check
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
    data = config.data
    sizes = policy.pool_sizes(policy.parse(config.augment.policy), config.augment.count)
    more = sizes.get("more", 0)
    images = read(
        data.source,
        Location(data.path, data.dataset),
        count=data.count + more,
        image_size=data.image_size,
        resize=data.resize,
        seed=config.seed,
        skip_bad=data.skip_bad,
    )
    pools = {"originals": images.pixels[: data.count]}
    ids = {"originals": images.ids[: data.count]}
    if more:
        pools["more"], ids["more"] = images.pixels[data.count :], images.ids[data.count :]
    if "generated" in sizes:
        ids["generated"] = [f"generated_{i:06d}" for i in range(sizes["generated"])]
    place = Path(os.path.expanduser(data.path)).resolve() if data.path else None
    source = {
        "kind": data.source,
        "name": source_name(config),
        "path": str(place) if place else "",
        "dataset": data.dataset,
        "available": images.available,
        "count": data.count,
        "image_size": data.image_size,
        "resize": data.resize,
        "skipped": images.skipped,
    }
    return pools, ids, source


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
