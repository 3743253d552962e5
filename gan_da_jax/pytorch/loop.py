"""PyTorch's training as the steps of a run: what `pipeline.train.record` takes in place of our own loop."""

import time
from collections.abc import Iterator

import numpy as np

from gan_da_jax import gan
from gan_da_jax.data import order
from gan_da_jax.devices import parallel
from gan_da_jax.pytorch import dcgan, states
from gan_da_jax.pytorch.average import Average
from gan_da_jax.training.loop import Chunk


class TorchLoop:
    """Takes updates of PyTorch's DCGAN on a data set, in the order in which our run sees it."""

    def __init__(self, trainer: dcgan.Trainer, network: gan.Gan, images: np.ndarray, *, seed: int, batch_size: int):
        """Put the data set on PyTorch's device.

        Args:
            trainer: both networks, as they are before step 0.
            network: the same networks of ours; where they keep an average of the generator, so does PyTorch.
            images: uint8 [N, S, S, 3], the data set.
            seed: the run's.
            batch_size: images a step.
        """
        self._trainer, self._network, self._step = trainer, network, 0
        self._pixels, self._count = trainer.place(np.array(images)), len(images)  # PyTorch wants what it may write to
        self._seed, self._batch_size = seed, batch_size
        self._average = (
            Average(trainer.networks["generator"], batch_size=batch_size, half_life=network.ema_kimg)
            if network.ema_kimg
            else None
        )

    def run(self, state: gan.State, *, to: int, seconds: float | None = None) -> Iterator[Chunk]:
        """Take steps up to step `to`; see `training.loop.Loop.run`.

        A state of step 0 is passed over, for PyTorch starts from its own weights.
        """
        if int(state.step) != self._step:
            states.put(self._trainer, parallel.host(state), self._average)
            self._step = int(state.step)
        while self._step < to:
            start, first = time.monotonic(), self._step
            losses: list[dict] = []
            while self._step < to and (not losses or seconds is None or time.monotonic() - start < seconds):
                losses.append(self._update())
                self._step += 1
                if self._average is not None:
                    self._average.follow(self._step)
            dcgan.wait(self._trainer.device)
            metrics = {name: np.array([float(one[name]) for one in losses], np.float32) for name in losses[0]}
            elapsed = time.monotonic() - start
            reached = states.take(self._trainer, self._network, self._step, self._average)
            yield Chunk(parallel.replicate(reached), first, metrics, elapsed)

    def _update(self) -> dict:
        batch, step = self._batch_size, self._step
        (chosen,) = order.batches(seed=self._seed, images=self._count, batch_size=batch, first=step, steps=1)
        # Mixed into 32 bits: on a CPU, PyTorch's generator takes no more of a seed.
        mixed = int(np.random.SeedSequence([self._seed, step]).generate_state(1)[0])
        latents = self._trainer.latents(batch, seed=mixed)
        return self._trainer.update(self._trainer.real(self._pixels[chosen]), latents)
