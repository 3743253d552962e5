"""Images of any sizes through a classifier, on all local devices; features of real images are kept in the cache."""

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from gan_da_jax.classifiers import kept
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.devices import parallel
from gan_da_jax.progress import Progress

# Raise this number when a network of the same name and weights gives other features, or images are prepared otherwise.
FORMAT = 2
HELD = 2**30  # bytes of decoded images that stay in memory instead of being decoded again


def batch_size() -> int:
    """Say how many images a device is given at once: enough to keep it busy, and few enough for its memory."""
    return 10 if jax.default_backend() == "cpu" else 50  # 50 cost a CPU a quarter more time an image


@dataclass(frozen=True)
class Seen:
    """Images that were read once, to the last.

    Attributes:
        sha256: of their pixels, sizes and order, 64 hex digits.
        read: gives them, uint8 [H, W, 3] each, each time anew; from memory if they take at most `HELD` bytes.
        count: their number.
    """

    sha256: str
    read: Callable[[], Iterable[np.ndarray]]
    count: int


def see(read: Callable[[], Iterable[np.ndarray]]) -> Seen:
    """Read all images, so that a bad file shows before a network works for hours.

    Args:
        read: gives the images, uint8 [H, W, 3] each, each time anew; its errors are passed on.
    """
    pixels, held, size, count = hashlib.sha256(), [], 0, 0
    for image in read():
        pixels.update(f"{image.shape}".encode())
        pixels.update(np.ascontiguousarray(image).data)
        count, size = count + 1, size + image.nbytes
        if size <= HELD:
            held.append(image)
        else:
            held.clear()
    return Seen(pixels.hexdigest(), (lambda: iter(held)) if size <= HELD else read, count)


@functools.lru_cache(maxsize=2)
def extractor(classifier: Classifier, taps: tuple[str, ...]) -> Callable[..., dict[str, np.ndarray]]:
    """Compile a classifier for all local devices.

    Args:
        classifier: the network with its weights.
        taps: the layers that are wanted, some of `classifier.taps`.

    Returns:
        A function of images, uint8 [H, W, 3] each and at least one, and optionally of a function `advance`, which is
        told how many more are done. It returns float32 [n, features] by tap, in the order of the images. Images of
        different sizes may follow each other.
    """
    forward = parallel.batches(lambda variables, x: classifier.forward(variables, x, taps), batch_size=batch_size())
    size = batch_size() * parallel.local_devices()

    def extract(
        images: Iterable[np.ndarray], advance: Callable[[int], None] = lambda count: None
    ) -> dict[str, np.ndarray]:
        images, blocks = iter(images), []
        while block := list(itertools.islice(images, size)):
            # Every size of images is prepared by a program of its own, so images of several sizes go one by one.
            alike = len({image.shape for image in block}) == 1
            parts = [np.stack(block)] if alike else [image[None] for image in block]
            prepared = np.concatenate([np.asarray(classifier.prepare(part)) for part in parts])
            blocks.append(forward(classifier.variables, prepared))
            advance(len(block))
        return {tap: np.concatenate([block[tap] for block in blocks]) for tap in taps}

    return extract


def features_of(
    classifier: Classifier, taps: tuple[str, ...], images: Seen, *, title: str, cache: Path | None = None
) -> dict[str, np.ndarray]:
    """Compute the features of images, with the progress shown; read them from the cache if they are kept there.

    Args:
        classifier: as in `extractor`.
        taps: as in `extractor`.
        images: at least one.
        title: of the progress, for people.
        cache: the folder that the features are kept in, for images that are used again and again; None keeps none.

    Returns:
        float32 [n, features] by tap.
    """

    def compute() -> dict[str, np.ndarray]:
        progress = Progress(title, total=images.count)
        features = extractor(classifier, taps)(images.read(), progress.advance)
        progress.close()
        return features

    if cache is None:
        return compute()
    identity = {
        "format": FORMAT,
        "images": images.sha256,
        "classifier": classifier.name,
        "weights": classifier.weights_sha256,
        "taps": taps,
        "batch_size": batch_size(),
    }
    return kept.arrays("features", identity, compute, names=taps, cache=cache)
