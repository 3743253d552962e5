"""Training of a small classifier as one compiled program, for images that are all on the device."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import optax


@partial(jax.jit, static_argnames=("network", "epochs", "batch_size", "learning_rate"))
def fit(
    network: nn.Module,
    images: jax.Array,
    classes: jax.Array,
    key: jax.Array,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> Mapping[str, Any]:
    """Minimise a network's cross-entropy with Adam.

    Each image is first softened by some amount, from not at all to the mean of its 3x3 pixels, so that a GAN's soft
    pictures are judged by content.

    Args:
        network: maps images to {"logits": [b, K]}.
        images: float32 [n, S, S, 3], prepared for the network; n >= batch_size.
        classes: int [n], each in 0..K-1.
        key: of the softness, the initial weights and the order of the images.
        epochs: passes over the images; images that fill only a part of a batch are left out of the epoch.
        batch_size: images a step.
        learning_rate: at the start; it falls to 0 along a cosine.

    Returns:
        The network's Flax variables; exactly the same on every call on the same machine.
    """
    softness, start, order = jax.random.split(key, 3)
    mean3 = nn.avg_pool(images, (3, 3), padding="SAME", count_include_pad=False)
    images += jax.random.uniform(softness, (len(images), 1, 1, 1)) * (mean3 - images)

    per_epoch = len(images) // batch_size
    orders = jax.vmap(lambda key: jax.random.permutation(key, len(images)))(jax.random.split(order, epochs))
    batches = orders[:, : per_epoch * batch_size].reshape(epochs * per_epoch, batch_size)
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, len(batches)))

    def loss(variables, batch):
        found: Any = network.apply(variables, images[batch])
        return optax.softmax_cross_entropy_with_integer_labels(found["logits"], classes[batch]).mean()

    def step(state, batch):
        variables, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(variables, batch), moments)
        return (optax.apply_updates(variables, updates), moments), None

    variables = network.init(start, images[:1])
    return jax.lax.scan(step, (variables, optimizer.init(variables)), batches)[0][0]
