"""Arrays that networks compute of images that are used again and again: kept in the cache, by all that made them."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jaxlib
import numpy as np

from gan_da_jax.devices import parallel
from gan_da_jax.devices.processor import processor
from gan_da_jax.files import io


def arrays(
    kind: str,
    identity: Mapping[str, Any],
    make: Callable[[], Mapping[str, np.ndarray]],
    *,
    names: Iterable[str],
    cache: Path,
) -> dict[str, np.ndarray]:
    """Return arrays that were made before, or make and keep them; a damaged file is made again.

    The key holds what `identity` says and where the numbers are computed: the versions of JAX, its flags, and the
    devices. Elsewhere float sums are rounded otherwise, and a score that says it was computed here must not rest on
    numbers from elsewhere.

    Args:
        kind: a word for them, the name of their folder within the cache.
        identity: everything else that determines them, as JSON values, with a number that is raised whenever the code
            computes other numbers from the same inputs.
        make: computes the arrays.
        names: of arrays that must be there.
        cache: the folder of the cache.
    """
    key = json.dumps({**identity, "computed_by": _computed_by()}, sort_keys=True)
    path = cache / kind / f"{io.sha256(key.encode())}.npz"
    kept = _read(path, names)
    if kept is not None:
        return kept
    made = dict(make())
    try:
        io.save_arrays(path, **made)
    except OSError as error:  # a full disk costs time on the next run, not the work of this one
        print(f"{kind}: the results are not kept for the next time: {error}", flush=True)
    return made


def _computed_by() -> dict[str, Any]:
    return {
        "jax": [jax.__version__, jaxlib.__version__],
        "flags": os.environ.get("XLA_FLAGS", ""),
        "devices": [parallel.kind(), parallel.local_devices(), processor()],
    }


def _read(path: Path, names: Iterable[str]) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = dict(kept)
        return found if found.keys() >= {*names} else None
    except Exception:  # absent or damaged, on which the readers raise almost anything
        return None
