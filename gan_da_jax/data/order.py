"""The order in which a run sees its images."""

import jax
import numpy as np

from gan_da_jax import prng


def batches(*, seed: int, images: int, batch_size: int, first: int, steps: int) -> np.ndarray:
    """Return the indices of the images of some steps of training.

    Every epoch is a permutation of all images, drawn from (seed, epoch), and the epochs are strung together: a batch
    may end one epoch and begin the next, so that no image is ever dropped. Nothing but the arguments decides, so a run
    that was interrupted goes on with the same images as one that was not.

    Args:
        seed: the run's seed.
        images: size of the data set.
        batch_size: images a step.
        first: the first of the steps, from 0.
        steps: how many steps.

    Returns:
        int32 [steps, batch_size], indices into the data set.
    """
    start, end = first * batch_size, (first + steps) * batch_size
    epochs = range(start // images, -(-end // images))
    orders = [np.asarray(jax.random.permutation(prng.stream(seed, "order", epoch), images)) for epoch in epochs]
    stream = np.concatenate(orders).astype(np.int32)
    offset = epochs.start * images
    return stream[start - offset : end - offset].reshape(steps, batch_size)


def steps_of(*, kimg: float, epochs: int, images: int, batch_size: int) -> int:
    """Count the fewest steps that show `kimg` thousand images, or, if kimg is 0, all images `epochs` times."""
    shown = round(kimg * 1000) if kimg else epochs * images
    return max(1, -(-shown // batch_size))
