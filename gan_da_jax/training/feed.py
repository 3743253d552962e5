"""How images reach the steps of training: the data set whole on every device, or shards of it, one after the other."""

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import numpy as np

from gan_da_jax.data import order
from gan_da_jax.devices import parallel

# What the compiled steps of `training.loop` take: images, the indices of each step's images among them, and the number
# of steps to do.
Chunk = tuple[jax.Array, np.ndarray, int]


_CHUNK_STEPS = 256  # of a chunk at most: their images, or the indices of these, are sent to the devices at once


def chunk_steps(images: int, batch_size: int) -> int:
    """Count the steps of a chunk when training on `images` images: one epoch, or fewer."""
    return min(_CHUNK_STEPS, -(-images // batch_size))


class Resident:
    """The whole data set on every device: a chunk brings the indices alone."""

    streamed = False

    def __init__(self, images: np.ndarray, batches: Callable[..., np.ndarray], *, steps: int):
        """Take the images uint8 [N, S, S, 3], `order.batches` for them, and the steps of a chunk."""
        self.steps = steps
        self._images, self._batches = parallel.replicate(images), batches

    def take(self, first: int, at_most: int) -> Chunk:
        """Return the chunk of `at_most` steps from step `first` on, or of fewer where fewer are at hand."""
        return self._images, self._batches(first=first, steps=self.steps), min(at_most, self.steps)


class Streamed:
    """Shards of the data set, the images of some steps; while the devices work on one, the next is sent to them."""

    streamed = True

    def __init__(self, images: np.ndarray, batches: Callable[..., np.ndarray], *, steps: int, until: int):
        """Take what `Resident` takes, with the steps of a shard, and the number of steps after which a run ends."""
        self.steps = steps
        self._images, self._batches, self._until = images, batches, until
        self._loader = ThreadPoolExecutor(1)
        self._first = 0
        self._shard: jax.Array | None = None
        self._ahead: dict[int, Future[jax.Array]] = {}  # by its first step, the shard that is on its way

    def take(self, first: int, at_most: int) -> Chunk:
        """Do as `Resident.take`. A caller must drop a chunk before it takes the next: there are two shards at most."""
        if self._shard is None or not self._first <= first < self._first + self.steps:
            self._first, self._shard = first, None
            self._shard = (self._ahead.pop(first, None) or self._load(first)).result()
            after = first + self.steps
            self._ahead = {after: self._load(after)} if after < self._until else {}
        offset = first - self._first
        # Each device has its own images of a step side by side, so the same places serve all of them.
        places = np.arange(self._shard.shape[1], dtype=np.int32).reshape(self.steps, -1)
        indices = np.tile(np.roll(places, -offset, axis=0), (1, jax.device_count()))
        return self._shard, indices, min(at_most, self.steps - offset)

    def _load(self, first: int) -> Future[jax.Array]:
        # The order is drawn here, not by the loader: on an accelerator it would wait for the steps in progress.
        chosen = self._batches(first=first, steps=self.steps)
        return self._loader.submit(parallel.scatter, self._images, chosen)


def create(
    images: np.ndarray, *, seed: int, batch_size: int, steps: int, until: int, limit: float | None
) -> Resident | Streamed:
    """Decide how a data set comes to the devices; the steps see the same images either way, in the same order.

    Args:
        images: uint8 [N, S, S, 3], on the host.
        seed: the run's.
        batch_size: images a step, over all devices together.
        steps: of a chunk, at most.
        until: the last step of the run.
        limit: bytes of images that a device may hold; None for no limit. Two shards of one step are the least.
    """
    batches = functools.partial(order.batches, seed=seed, images=len(images), batch_size=batch_size)
    if limit is None or images.nbytes <= limit:
        return Resident(images, batches, steps=steps)
    of_a_step = images[0].nbytes * batch_size // jax.device_count()
    fitting = max(1, int(limit / (2 * of_a_step)))
    return Streamed(images, batches, steps=min(steps, fitting), until=until)
