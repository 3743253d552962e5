import dataclasses
import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_da_jax import gan

SIZE, LATENT_DIM, BATCH = 32, 6, 8
GAN = gan.create(image_size=SIZE, latent_dim=LATENT_DIM, width=4, learning_rate=2e-4, beta1=0.5)
# Adam divides by the size of a gradient, so that rounding decides the sign of the step of a weight whose gradient is
# almost 0. Plain gradient descent has no such noise and can be held to float32's own precision.
GAN_SGD = dataclasses.replace(GAN, optimizer=optax.sgd(0.05))


@functools.cache
def compiled(function, network):
    return jax.jit(functools.partial(function, network))


def state_of(network):
    return compiled(gan.init, network)(jax.random.key(0))


def pixels(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def latents(count, seed=2):
    return np.random.default_rng(seed).standard_normal((count, LATENT_DIM), dtype=np.float32)


def leaves(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_pixels_survive_being_normalized_and_quantized():
    values = np.arange(256, dtype=np.uint8)
    normalized = gan.normalize(values)
    np.testing.assert_allclose(normalized, values / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(gan.quantize(normalized), values)
    assert gan.quantize(jnp.array([-1.1, 1.1])).tolist() == [0, 255]


class TorchGan:
    """The same training in torch, on weights laid out as ours, so that results compare leaf by leaf."""

    def __init__(self, torch, state, optimizer):
        self.torch = torch
        self.networks = {
            name: jax.tree.map(lambda leaf: torch.tensor(np.array(leaf)), getattr(state, name))
            for name in ("generator", "discriminator")
        }
        weights = {name: jax.tree.leaves(network["params"]) for name, network in self.networks.items()}
        for weight in sum(weights.values(), []):
            weight.requires_grad_()
        self.optimizers = {name: optimizer(weights[name]) for name in weights}

    def batch_norm(self, x, network, number):
        layer, stats = (network[kind][f"BatchNorm_{number}"] for kind in ("params", "batch_stats"))
        return self.torch.nn.functional.batch_norm(
            x, stats["mean"], stats["var"], layer["scale"], layer["bias"], training=True, momentum=0.1, eps=1e-5
        )

    def generate(self, z):
        network = self.networks["generator"]
        params = network["params"]
        x = (z @ params["Dense_0"]["kernel"]).reshape(len(z), 4, 4, -1).permute(0, 3, 1, 2)
        for number in range(3):
            kernel = params[f"ConvTranspose_{number}"]["kernel"].permute(0, 3, 1, 2)
            x = self.torch.relu(self.batch_norm(x, network, number))
            x = self.torch.nn.functional.conv_transpose2d(x, kernel, stride=2, padding=1)
        return self.torch.tanh(x)

    def judge(self, x):
        network = self.networks["discriminator"]
        for number in range(3):
            kernel = network["params"][f"Conv_{number}"]["kernel"].permute(0, 3, 1, 2)
            x = self.torch.nn.functional.conv2d(x, kernel, stride=2, padding=1)
            x = x if number == 0 else self.batch_norm(x, network, number - 1)
            x = self.torch.nn.functional.leaky_relu(x, 0.2)
        return x.permute(0, 2, 3, 1).flatten(1) @ network["params"]["Dense_0"]["kernel"][:, 0]

    def update(self, real, z):
        loss = self.torch.nn.BCEWithLogitsLoss()
        ones, zeros = self.torch.ones(len(z)), self.torch.zeros(len(z))
        real = self.torch.tensor(real).permute(0, 3, 1, 2) / 127.5 - 1
        self.optimizers["discriminator"].zero_grad()
        real_logits = self.judge(real)
        loss_real = loss(real_logits, ones)
        loss_real.backward()
        fake = self.generate(self.torch.tensor(z))
        fake_logits = self.judge(fake.detach())
        loss_fake = loss(fake_logits, zeros)
        loss_fake.backward()
        self.optimizers["discriminator"].step()
        self.optimizers["generator"].zero_grad()
        loss_generator = loss(self.judge(fake), ones)
        loss_generator.backward()
        self.optimizers["generator"].step()
        return {
            "generator_loss": loss_generator.item(),
            "discriminator_loss": (loss_real + loss_fake).item(),
            "real_logit": real_logits.mean().item(),
            "fake_logit": fake_logits.mean().item(),
        }


def train_both(network, optimizer, steps):
    torch = pytest.importorskip("torch")
    state = state_of(network)
    theirs = TorchGan(torch, state, functools.partial(getattr(torch.optim, optimizer[0]), **optimizer[1]))
    metrics = []
    for step in range(steps):
        batch = pixels(BATCH, seed=10 + step), latents(BATCH, seed=20 + step)
        state, ours = compiled(gan.train_step, network)(state, *batch)
        metrics.append((ours, theirs.update(*batch)))
    assert int(state.step) == steps
    return state, theirs, metrics


def test_training_by_gradient_descent_is_that_of_torch():
    steps = 3
    state, theirs, metrics = train_both(GAN_SGD, ("SGD", {"lr": 0.05}), steps)
    for ours, their in metrics:
        assert ours.keys() == their.keys()
        for name in ours:
            np.testing.assert_allclose(ours[name], their[name], rtol=1e-4, atol=1e-5, err_msg=name)
    start = state_of(GAN_SGD)
    for name, passes in (("generator", 1), ("discriminator", 3)):
        before, ours = leaves(getattr(start, name)), leaves(getattr(state, name))
        their = leaves(jax.tree.map(lambda leaf: leaf.detach().numpy(), theirs.networks[name]))
        for path, leaf in ours.items():
            moved, their_moved = leaf - before[path], their[path] - before[path]
            if path.endswith("['var']"):
                # torch's running variance is unbiased: it counts n - 1 for our n numbers of each channel.
                decayed = 0.9 ** (passes * steps)
                size = 4 if leaf.size == 16 else 8 if leaf.size == 8 else 16
                n = BATCH * size**2
                moved, their_moved = (leaf - decayed) * n / (n - 1), their[path] - decayed
            assert np.abs(their_moved).max() > 0
            # In units of the farthest that a number of this layer has moved, and float32's resolution below 1.
            tolerance = 2e-3 * np.abs(their_moved).max() + 3e-7
            np.testing.assert_allclose(moved, their_moved, rtol=0, atol=tolerance, err_msg=path)


def test_training_by_adam_is_that_of_torch():
    steps, rate = 3, 2e-4
    state, theirs, metrics = train_both(GAN, ("Adam", {"lr": rate, "betas": (0.5, 0.999), "eps": 1e-8}), steps)
    for ours, their in metrics:
        for name in ours:
            np.testing.assert_allclose(ours[name], their[name], rtol=1e-3, atol=1e-3, err_msg=name)
    for name in theirs.networks:
        ours = leaves(getattr(state, name)["params"])
        their = leaves(jax.tree.map(lambda leaf: leaf.detach().numpy(), theirs.networks[name]["params"]))
        apart = np.concatenate([np.abs(ours[path] - their[path]).ravel() for path in ours])
        # A step moves a weight by about the rate, and by rounding alone either way where its gradient is almost 0.
        assert np.mean(apart > 0.05 * rate) < 0.02
        assert apart.max() <= 2 * steps * 1.5 * rate


def test_chunks_of_steps_add_up_bit_for_bit_in_one_compilation():
    run = compiled(gan.run_steps, GAN)
    images, key = pixels(20), jax.random.key(3)
    indices = np.random.default_rng(4).integers(0, 20, (6, BATCH), dtype=np.int32)
    whole, metrics = run(state_of(GAN), images, indices, 5, key)
    part, first = run(state_of(GAN), images, indices, 3, key)
    part, second = run(part, images, np.roll(indices, -3, axis=0), 2, key)
    assert run._cache_size() == 1
    assert int(whole.step) == 5
    for path, leaf in leaves(whole).items():
        np.testing.assert_array_equal(leaves(part)[path], leaf, err_msg=path)
    for name, values in metrics.items():
        assert values.shape == (6,) and values.dtype == jnp.float32
        np.testing.assert_array_equal(np.concatenate([first[name][:3], second[name][:2]]), values[:5])
        assert np.isfinite(values[:5]).all() and np.isnan(values[5:]).all() and np.isnan(first[name][3:]).all()


def test_steps_are_updates_on_the_images_chosen_and_latents_of_the_step():
    images, key = pixels(20), jax.random.key(3)
    indices = np.random.default_rng(4).integers(0, 20, (6, BATCH), dtype=np.int32)
    _, metrics = compiled(gan.run_steps, GAN)(state_of(GAN), images, indices, 3, key)
    state = state_of(GAN)
    for step in range(3):
        z = jax.random.normal(jax.random.fold_in(key, step), (BATCH, LATENT_DIM))
        state, expected = compiled(gan.train_step, GAN)(state, images[indices[step]], z)
        for name, value in expected.items():
            np.testing.assert_allclose(metrics[name][step], value, rtol=1e-3, atol=1e-3)


def test_samples_are_the_quantized_outputs_and_do_not_depend_on_the_batch():
    generator = jax.tree.map(lambda leaf: 4 * leaf, state_of(GAN).generator)  # else all is nearly grey
    z = latents(5)
    together = compiled(gan.sample, GAN)(generator, z)
    assert together.shape == (5, SIZE, SIZE, 3) and together.dtype == jnp.uint8
    output = np.asarray(GAN.generator.apply(generator, z, train=False), np.float64)
    expected = np.clip(output * 127.5 + 128, 0, 255).astype(np.uint8)
    alone = np.concatenate([compiled(gan.sample, GAN)(generator, z[i : i + 1]) for i in range(5)])
    # Where a value falls on the border of two levels, rounding decides.
    for other in (expected, alone):
        difference = np.abs(together.astype(int) - other.astype(int))
        assert difference.max() <= 1 and difference.mean() < 1e-3


ON_EIGHT_DEVICES = """
import dataclasses, functools, sys
import jax, numpy as np
sys.path[:0] = sys.argv[1:]
import test_update as t
from gan_da_jax import gan

assert jax.device_count() == 8
network = dataclasses.replace(t.GAN_SGD, ema_kimg=0.03)
K, batch, count, key = 4, 16, np.int32(3), jax.random.key(5)
start, images = t.state_of(network), t.pixels(40)
indices = np.random.default_rng(4).integers(0, 40, (K, batch), dtype=np.int32)
state, metrics = t.compiled(gan.run_steps, network)(start, images, indices, count, key)
on_eight = jax.pmap(
    functools.partial(gan.run_steps, network, axis_name="devices"), axis_name="devices",
    in_axes=(None, None, 1, None, None), out_axes=0,
)
on_each = jax.tree.map(np.asarray, on_eight(start, images, indices.reshape(K, 8, batch // 8), count, key))
for leaf in jax.tree.leaves(on_each):
    assert leaf.shape[0] == 8
    np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
on_first, metrics_on_first = jax.tree.map(lambda leaf: leaf[0], on_each)
for name, values in metrics.items():
    np.testing.assert_allclose(metrics_on_first[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
before, after = t.leaves(start), t.leaves(on_first)
for path, leaf in t.leaves(state).items():
    moved = np.abs(leaf - before[path]).max()
    assert moved > 0
    np.testing.assert_allclose(after[path], leaf, rtol=0, atol=2e-3 * moved + 3e-7, err_msg=path)
assert any("average" in path for path in after)
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
on_host, on_all = gan.shown(network, on_first), gan.shown(network, jax.device_put(on_first, whole))
assert all(jax.tree.leaves(jax.tree.map(np.array_equal, on_host, on_all)))
print("agreed")
"""


def test_eight_devices_agree_with_each_other_and_with_one():
    here = os.path.dirname(__file__)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    process = subprocess.run(
        [sys.executable, "-c", ON_EIGHT_DEVICES, here, os.path.dirname(here)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert process.stdout == "agreed\n", process.stderr[-3000:]
