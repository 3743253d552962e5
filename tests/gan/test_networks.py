"""A network and a loss from outside the package go through all that a GAN is used for."""

import functools
import os
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax import gan
from gan_da_jax.gan import average

SIZE, LATENT_DIM, BATCH = 8, 3, 16
IMAGES = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 3), dtype=np.uint8)
INDICES = np.random.default_rng(1).integers(0, 40, (4, BATCH), dtype=np.int32)
PENALTY = 0.1


class Generator(nn.Module):
    """It has parameters alone."""

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        return jnp.tanh(nn.Dense(SIZE * SIZE * 3)(latents)).reshape(-1, SIZE, SIZE, 3)


class Discriminator(nn.Module):
    """It has no BatchNorm, but a collection `spectral_stats`, which training moves."""

    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        x = images.reshape(len(images), -1)
        x = nn.SpectralNorm(nn.Dense(5), collection_name="spectral_stats")(x, update_stats=train)
        return nn.Dense(1, use_bias=False)(nn.tanh(x))[:, 0]


def build(*, image_size, latent_dim, width, dtype):
    assert (image_size, latent_dim, dtype) == (SIZE, LATENT_DIM, "float32")
    return Generator(), Discriminator()


def for_discriminator(discriminate, variables, real, fake):
    """Relativistic (each real image against a fake one), with the penalty on the slopes at real images, R1."""
    real_logits, pullback, variables = jax.vjp(lambda images: discriminate(variables, images), real, has_aux=True)
    (slopes,) = pullback(jnp.ones_like(real_logits))
    fake_logits, variables = discriminate(variables, fake)
    loss = jnp.mean(jax.nn.softplus(fake_logits - real_logits)) + PENALTY * jnp.sum(slopes**2) / len(slopes)
    return loss, gan.Judged(real_logits, fake_logits, variables)


def for_generator(discriminate, variables, real, fake):
    real_logits, variables = discriminate(variables, real)
    fake_logits, variables = discriminate(variables, fake)
    return jnp.mean(jax.nn.softplus(real_logits - fake_logits)), variables


@pytest.fixture
def network(monkeypatch):
    monkeypatch.setitem(gan.NETWORKS, "spectral", gan.Network(build, (SIZE,), ("float32",), "Spectral"))
    monkeypatch.setitem(gan.LOSSES, "relativistic", gan.Loss(for_discriminator, for_generator))
    return created()


def created():
    return gan.create(name="spectral", loss="relativistic", image_size=SIZE, latent_dim=LATENT_DIM, beta1=0.0)


def run(function, network):
    return jax.jit(functools.partial(function, network))


def test_they_are_trained_and_sampled(network):
    start = run(gan.init, network)(jax.random.key(0))
    assert start.generator.keys() == {"params"} and start.discriminator.keys() == {"params", "spectral_stats"}
    state, metrics = run(gan.run_steps, network)(start, IMAGES, INDICES, 4, jax.random.key(2))
    assert jax.tree.structure(state) == jax.tree.structure(start) and state.extra == {}
    for path, before in jax.tree_util.tree_leaves_with_path((start.generator, start.discriminator)):
        after = dict(jax.tree_util.tree_leaves_with_path((state.generator, state.discriminator)))[path]
        assert before.shape == after.shape and np.isfinite(after).all()
        assert (before != after).any(), path
    assert all(np.isfinite(values).all() for values in metrics.values())
    latents = np.random.default_rng(3).standard_normal((6, LATENT_DIM), np.float32)
    images = gan.sample(network, gan.shown(network, state), latents)
    assert images.shape == (6, SIZE, SIZE, 3) and images.dtype == np.uint8 and len(np.unique(images)) > 50


def test_their_losses_are_the_formulas_of_logits_and_slopes(network):
    state = run(gan.init, network)(jax.random.key(0))
    real, latents = IMAGES[:BATCH], np.random.default_rng(3).standard_normal((BATCH, LATENT_DIM), np.float32)
    after, metrics = run(gan.train_step, network)(state, real, latents)
    fake = network.generator.apply(state.generator, latents, train=False)

    def logits(variables, images):
        return network.discriminator.apply(variables, images, train=True, mutable=["spectral_stats"])

    real_logits, moved = logits(state.discriminator, gan.normalize(real))
    slopes = jax.grad(lambda images: logits(state.discriminator, images)[0].sum())(gan.normalize(real))
    once = {**state.discriminator, **moved}
    fake_logits, moved = logits(once, fake)
    expected = np.mean(np.log1p(np.exp(fake_logits - real_logits))) + PENALTY * np.sum(slopes**2) / BATCH
    np.testing.assert_allclose(metrics["discriminator_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["real_logit"], np.mean(real_logits), rtol=1e-4, atol=1e-6)

    twice = {**moved, "params": after.discriminator["params"]}  # the updated one, and the statistics of two batches
    real_logits, moved = logits(twice, gan.normalize(real))
    fake_logits, moved = logits({**twice, **moved}, fake)
    expected = np.mean(np.log1p(np.exp(real_logits - fake_logits)))
    np.testing.assert_allclose(metrics["generator_loss"], expected, rtol=1e-5)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6),
        after.discriminator["spectral_stats"],
        moved["spectral_stats"],
    )


ON_EIGHT_DEVICES = """
import functools, sys
import jax, numpy as np
sys.path.insert(0, sys.argv[1])
import test_networks as t
from gan_da_jax import gan

assert jax.device_count() == 8
gan.NETWORKS["spectral"] = gan.Network(t.build, (t.SIZE,), ("float32",), "Spectral")
gan.LOSSES["relativistic"] = gan.Loss(t.for_discriminator, t.for_generator)
network, key = t.created(), jax.random.key(2)
start = t.run(gan.init, network)(jax.random.key(0))
one = t.run(gan.run_steps, network)(start, t.IMAGES, t.INDICES, 2, key)
on_eight = jax.pmap(
    functools.partial(gan.run_steps, network, axis_name="devices"), axis_name="devices",
    in_axes=(None, None, 1, None, None), out_axes=0,
)(start, t.IMAGES, t.INDICES.reshape(4, 8, -1), np.int32(2), key)
for ours, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(on_eight), strict=True):
    np.testing.assert_array_equal(theirs, np.broadcast_to(theirs[:1], theirs.shape))
    if ours.ndim:  # Adam divides by the size of a gradient: where that is almost 0, rounding decides
        apart = np.abs(theirs[0] - ours) > 1e-4 * np.nanmax(np.abs(ours))
        assert np.mean(apart) < 0.02, (ours, theirs[0])
print("agreed")
"""


def test_on_eight_devices_they_train_as_on_one():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    process = subprocess.run(
        [sys.executable, "-c", ON_EIGHT_DEVICES, os.path.dirname(__file__)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert process.stdout == "agreed\n", process.stderr[-3000:]


@pytest.mark.parametrize("name", gan.NETWORKS)
def test_every_network_does_what_its_entry_says(name):
    network = gan.NETWORKS[name]
    assert list(network.image_sizes) == sorted(network.image_sizes) and network.dtypes
    for size in network.image_sizes:
        for dtype in network.dtypes:
            made = gan.create(name=name, image_size=size, latent_dim=LATENT_DIM, width=2, dtype=dtype)
            state = jax.eval_shape(functools.partial(gan.init, made), jax.random.key(0))
            assert {leaf.dtype for leaf in jax.tree.leaves((state.generator, state.discriminator))} == {
                np.dtype("float32")
            }
            images = jax.eval_shape(
                functools.partial(gan.sample, made),
                gan.shown(made, state),
                jax.ShapeDtypeStruct((2, LATENT_DIM), np.float32),
            )
            assert images.shape == (2, size, size, 3) and images.dtype == np.uint8
            settle = functools.partial(average.settled, made.generator, latent_dim=LATENT_DIM)
            assert jax.eval_shape(settle, state.generator) == state.generator  # its collections stay of their form
