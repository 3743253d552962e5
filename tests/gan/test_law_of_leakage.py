"""The law of leakage on the smallest GAN that there is: two images, of which an op makes one into the other.

All originals are image A, and the op T turns A into B. The training set has a share s of images made by T, so the law
says that a share s of the samples will be B. The discriminator is a table of two logits and the generator one number,
the share that it draws as B; every expectation is summed, so nothing here is left to chance.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax.gan import LOSSES

A, B = (np.full((1, 1, 1, 3), value, np.float32) for value in (-1, 1))


def discriminate(variables, images):
    """Look the logit of each image up."""
    return variables["params"][(images[:, 0, 0, 0] > 0).astype(int)], variables


def play(loss, s, *, steps=20_000, rate=0.05):
    """Let both networks step down their losses by turns; returns the share of B, averaged over the second half."""
    images, real = (A, B), (1 - s, s)

    def of_discriminator(logits, fake):
        return sum(
            real[r] * fake[f] * loss.discriminator(discriminate, {"params": logits}, images[r], images[f])[0]
            for r, f in itertools.product((0, 1), repeat=2)
        )

    def of_generator(share, logits):
        drawn = (1 - jax.nn.sigmoid(share), jax.nn.sigmoid(share))
        return sum(
            real[r] * drawn[f] * loss.generator(discriminate, {"params": logits}, images[r], images[f])[0]
            for r, f in itertools.product((0, 1), repeat=2)
        )

    def step(state, _):
        share, logits = state
        fake = (1 - jax.nn.sigmoid(share), jax.nn.sigmoid(share))
        logits = logits - rate * jax.grad(of_discriminator)(logits, fake)
        share = share - rate * jax.grad(of_generator)(share, logits)
        return (share, logits), jax.nn.sigmoid(share)

    _, shares = jax.lax.scan(step, (jnp.float32(0.0), jnp.zeros(2)), length=steps)
    return float(shares[steps // 2 :].mean())


@pytest.mark.parametrize("s", [0.0, 0.3, 0.5, 2 / 3])
def test_the_samples_end_as_the_training_set_is_mixed(s):
    assert play(LOSSES["dcgan"], s) == pytest.approx(s, abs=0.01)
