"""Images of any sizes through a classifier, on all local devices; what comes of real images is kept in the cache."""

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import jax
import numpy as np

from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.devices import parallel
from gan_da_jax.files import io
from gan_da_jax.progress import Progress

_FORMAT = 1  # of what is kept; to be raised when a network of the same name and weights comes to give other features


def batch_size() -> int:
    """Images a device is given at once: enough to keep it busy, little enough for a CPU's caches or a GPU's memory."""
    return 10 if jax.default_backend() == "cpu" else 50  # 50 cost a CPU a quarter more time an image


@functools.lru_cache(maxsize=2)
def extractor(
    classifier: Classifier, taps: tuple[str, ...]
) -> Callable[[Iterable[np.ndarray], Callable[[int], None]], dict[str, np.ndarray]]:
    """Compiles a classifier for all local devices.

    Args:
        classifier: the network with its weights.
        taps: the layers that are wanted, some of `classifier.taps`.

    Returns:
        A function of images, uint8 [H, W, 3] each and at least one, and of what is told how many more are done; it
        returns float32 [n, features] by tap, in the order of the images. Images of different sizes may follow each
        other.
    """
    forward = parallel.batches(lambda variables, x: classifier.forward(variables, x, taps), batch_size=batch_size())
    size = batch_size() * parallel.local_devices()

    def run(images: Iterable[np.ndarray], advance: Callable[[int], None]) -> dict[str, np.ndarray]:
        images, blocks = iter(images), []
        while block := list(itertools.islice(images, size)):
            # Every size of images is prepared by a program of its own; so images of many sizes go one by one.
            alike = len({image.shape for image in block}) == 1
            parts = [np.stack(block)] if alike else [image[None] for image in block]
            prepared = np.concatenate([np.asarray(classifier.prepare(part)) for part in parts])
            blocks.append(forward(classifier.variables, prepared))
            advance(len(block))
        return {tap: np.concatenate([block[tap] for block in blocks]) for tap in taps}

    return run


def watched(extract: Callable, images: Iterable[np.ndarray], *, what: str, count: int) -> dict[str, np.ndarray]:
    """What `extract`, as from `extractor`, makes of `count` images, with the progress of `what` shown."""
    progress = Progress(what, total=count)
    found = extract(images, progress.advance)
    progress.close()
    return found


def cached(
    classifier: Classifier,
    taps: tuple[str, ...],
    images: Callable[[], Iterable[np.ndarray]],
    extract: Callable[[Iterable[np.ndarray]], dict[str, np.ndarray]],
    *,
    cache: Path | None = None,
) -> dict[str, np.ndarray]:
    """The features of images that are used again and again.

    They are kept under a hash of the images' pixels, sizes and order, the classifier, its weights and the taps, and
    made anew where the kept file is damaged.

    Args:
        classifier: as in `extractor`.
        taps: as in `extractor`.
        images: gives the images, uint8 [H, W, 3] each, each time anew.
        extract: makes their features.
        cache: the folder that they are kept in, `records.cache_dir()` if not given.
    """
    pixels = hashlib.sha256()
    for image in images():
        pixels.update(f"{image.shape}".encode())
        pixels.update(np.ascontiguousarray(image))
    identity = {
        "images": pixels.hexdigest(),
        "classifier": classifier.name,
        "weights": classifier.weights_sha256,
        "taps": taps,
        "format": _FORMAT,
    }
    path = (cache or io.cache_dir()) / "features" / f"{io.sha256(json.dumps(identity).encode())}.npz"
    found = _kept(path, taps)
    if found is None:
        found = extract(images())
        try:
            io.save_arrays(path, **found)
        except OSError as error:  # a full disk costs time on the next run, not the work of this one
            print(f"features are not kept for the next time: {error}", flush=True)
    return found


def _kept(path: Path, taps: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {tap: arrays[tap] for tap in taps}
    except Exception:  # absent or damaged, on which the readers raise almost anything
        return None
