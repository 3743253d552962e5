"""The training loop: chunks of updates on the devices, each compiled once and fed from the data set."""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import numpy as np

from gan_da_jax import gan, prng
from gan_da_jax.devices import hosts, parallel
from gan_da_jax.training import feed


@dataclass(frozen=True)
class Chunk:
    """Some steps that have been taken.

    Attributes:
        state: after them, whole on every device; the next chunk uses it up.
        first: the number of steps before them.
        metrics: of each step, float32 [steps taken] by name, see `gan.METRICS`.
        seconds: that they took.
    """

    state: gan.State
    first: int
    metrics: dict[str, np.ndarray]
    seconds: float

    @property
    def step(self) -> int:
        """The number of steps after them."""
        return self.first + self.count

    @property
    def count(self) -> int:
        """The number of these steps."""
        return len(next(iter(self.metrics.values())))


class Loop:
    """Takes updates of a GAN on a data set, from any step on; how they are grouped changes no bit of the result."""

    def __init__(
        self,
        network: gan.Gan,
        images: np.ndarray,
        *,
        seed: int,
        batch_size: int,
        until: int,
        limit: float | None,
    ):
        """Decide how the images come to the devices.

        Args:
            network: the networks and the optimizer.
            images: uint8 [N, S, S, 3], the data set, on the host.
            seed: the run's, from which the order of the images and the latents follow.
            batch_size: images a step, over all devices together; a multiple of their number.
            until: the last step of the run.
            limit: bytes of images that a device may hold; a larger data set is streamed. None for no limit.
        """
        self._feed = feed.create(
            images,
            seed=seed,
            batch_size=batch_size,
            steps=feed.chunk_steps(len(images), batch_size),
            until=until,
            limit=limit,
        )
        self._steps = _compiled(network, self._feed.streamed)
        self._key = prng.stream(seed, "train")
        self._pace = 1  # steps that take about as long as a caller asks for

    @property
    def streamed(self) -> int:
        """The steps of a shard where the data set is streamed, 0 where it is whole on every device."""
        return self._feed.steps if self._feed.streamed else 0

    def advance(self, state: gan.State, first: int, at_most: int) -> tuple[gan.State, dict[str, jax.Array]]:
        """Take up to `at_most` steps from step `first` on, or none, which only compiles; the state is used up.

        All processes of a command must call it at the same time, with the same numbers.
        """
        return self._steps(state, *self._feed.take(first, at_most), self._key)

    def compile(self, state: gan.State) -> gan.State:
        """Compile the steps; return the state, as the given one is used up."""
        state, _ = jax.block_until_ready(self.advance(state, int(state.step), 0))
        return state

    def run(self, state: gan.State, *, to: int, seconds: float | None = None) -> Iterator[Chunk]:
        """Take steps from a state on up to step `to`, as process 0, and tell the other processes.

        Args:
            state: whole on every device; it is used up.
            to: the step to end with.
            seconds: how long a chunk takes, about; None takes all the steps that the data set's feed gives at once.
        """
        step = int(state.step)
        while step < to:
            start = time.monotonic()
            at_most = min(self._pace if seconds else self._feed.steps, to - step)
            hosts.tell("steps", step, at_most)
            with hosts.in_step():
                state, metrics = self.advance(state, step, at_most)
                count = int(state.step) - step
            taken = {name: values[:count] for name, values in parallel.host(metrics).items()}
            elapsed = time.monotonic() - start
            if seconds:
                self._pace = max(1, round(count * seconds / elapsed))
            yield Chunk(state, step, taken, elapsed)
            step += count


@functools.lru_cache(maxsize=4)  # the programs of one run serve the next one with equal networks
def _compiled(network: gan.Gan, scattered: bool) -> Callable[..., tuple[gan.State, dict[str, jax.Array]]]:
    """Compile `gan.run_steps` for all devices, which take the global batch of indices [K, batch] apart."""
    # out_axes=None takes device 0's value unchecked: gan.train_step makes all devices agree, which a test holds.
    mapped = parallel.mapped(
        functools.partial(gan.run_steps, network),
        in_axes=(None, 0 if scattered else None, 1, None, None),
        out_axes=None,
        donate_argnums=0,
    )

    def steps(state, images, indices, count, key):
        return mapped(state, images, parallel.mine(indices), np.int32(count), key)

    return steps
