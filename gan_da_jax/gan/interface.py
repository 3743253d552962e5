"""What a network and a loss must offer to be trained: the types of the entries in `networks.py` and `losses.py`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax

Variables = Mapping[str, Any]  # {"params": ...} and any other collections, such as "batch_stats"


class Network(NamedTuple):
    """An architecture of the GAN, both halves.

    Attributes:
        build: makes the modules (generator, discriminator) from the keyword values `image_size`, `latent_dim`, `width`
            (channels of the largest maps) and `dtype` (what layers compute in; parameters are float32). The generator
            takes latents float32 [b, latent_dim] to images float32 [b, image_size, image_size, 3] in [-1, 1], the
            discriminator such images to logits float32 [b] of being real. Both take the keywords `train` and
            `axis_name`, the mapped axis over which devices share the batch, or None. They may have any collections of
            variables; in training, every one may change. With `train=False` each row depends on its own input only.
        image_sizes: pixels that it can do, ascending.
        dtypes: that its layers can compute in, the default first.
        title: what people call it.
    """

    build: Callable[..., tuple[nn.Module, nn.Module]]
    image_sizes: tuple[int, ...]
    dtypes: tuple[str, ...]
    title: str


# Runs the discriminator on images [b, S, S, 3]: logits [b], and its variables as training leaves them after this pass.
Discriminate = Callable[[Variables, jax.Array], tuple[jax.Array, Variables]]


class Judged(NamedTuple):
    """What the discriminator's step has seen: logits [b] of the real and the fake images, and its variables after."""

    real_logits: jax.Array
    fake_logits: jax.Array
    variables: Variables


class Loss(NamedTuple):
    """What the two networks minimize.

    Both functions take `(discriminate, variables, real, fake)`: the discriminator and its variables, and images float
    [b, S, S, 3] in [-1, 1]. They get the discriminator instead of its logits, so that a loss decides which images are
    judged in which order, and may also differentiate by them. They pass the variables on from one call to the next.

    Attributes:
        discriminator: returns the scalar that the discriminator minimizes, and `Judged`.
        generator: returns the scalar that the generator minimizes, and the discriminator's variables after it.
    """

    discriminator: Callable[[Discriminate, Variables, jax.Array, jax.Array], tuple[jax.Array, Judged]]
    generator: Callable[[Discriminate, Variables, jax.Array, jax.Array], tuple[jax.Array, Variables]]
