"""The losses that `train.loss` chooses from. Another one is a `Loss`, from here or from a file of its own, and a line.

Goodfellow et al. 2014, "Generative Adversarial Nets".
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gan_da_jax.gan.interface import Discriminate, Judged, Loss, Variables


def discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """Compute the binary cross-entropy of telling real from fake: mean softplus(-real) + mean softplus(fake)."""
    return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))


def generator_loss(fake_logits: jax.Array) -> jax.Array:
    """Compute the non-saturating loss of Goodfellow et al. 2014: mean softplus(-fake)."""
    return jnp.mean(jax.nn.softplus(-fake_logits))


def of_logits(
    discriminator: Callable[[jax.Array, jax.Array], jax.Array], generator: Callable[[jax.Array], jax.Array]
) -> Loss:
    """Make a `Loss` of two functions of logits [b]: of the real and the fake images, and of the fake ones."""

    def of_discriminator(discriminate: Discriminate, variables: Variables, real: jax.Array, fake: jax.Array):
        # BatchNorm sees real and fake images in batches of their own.
        real_logits, variables = discriminate(variables, real)
        fake_logits, variables = discriminate(variables, fake)
        return discriminator(real_logits, fake_logits), Judged(real_logits, fake_logits, variables)

    def of_generator(discriminate: Discriminate, variables: Variables, real: jax.Array, fake: jax.Array):
        del real  # judging it would cost a pass
        fake_logits, variables = discriminate(variables, fake)
        return generator(fake_logits), variables

    return Loss(of_discriminator, of_generator)


LOSSES: dict[str, Loss] = {
    "dcgan": of_logits(discriminator_loss, generator_loss),
}
