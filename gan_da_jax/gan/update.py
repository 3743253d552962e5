"""Training a GAN, as pure functions of arrays: its state, one update, many updates, samples.

Goodfellow et al. 2014, "Generative Adversarial Nets" (the game); Radford, Metz and Chintala 2016 (the settings of the
optimizer); Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
Given `axis_name`, a function runs as one of several devices under a map with that axis: each device holds the same
state and its own slice of the batch, and all return the same.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_da_jax.gan import average
from gan_da_jax.gan.interface import Loss, Variables
from gan_da_jax.gan.losses import LOSSES
from gan_da_jax.gan.networks import NETWORKS

METRICS = ("generator_loss", "discriminator_loss", "real_logit", "fake_logit")  # of each update, see `train_step`


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True)
class State:
    """All that training changes, arrays only, as a pytree.

    Attributes:
        step: int32 [], updates done.
        generator: the generator's variables, {"params": ..., and its other collections}.
        discriminator: the discriminator's variables, in the same form.
        generator_optimizer: its optimizer's state.
        discriminator_optimizer: its optimizer's state.
        extra: what some runs keep beside these, by name; empty for others. `average` is an average of the generator's
            parameters, in their form, where `Gan.ema_kimg` is above 0.
    """

    step: jax.Array
    generator: Variables
    discriminator: Variables
    generator_optimizer: Any
    discriminator_optimizer: Any
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)

    def replace(self, **changes: Any) -> "State":
        """Copy the state with other values for the named attributes."""
        return dataclasses.replace(self, **changes)

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        """Split the state into its parts, for JAX.

        An empty `extra` is none of them. So a state without extras has the tree that it had before there were any, and
        the checkpoints from that time are still read.
        """
        names = [field.name for field in dataclasses.fields(self)]
        if not self.extra:
            names.remove("extra")
        return [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in names], tuple(names)

    @classmethod
    def tree_unflatten(cls, names: tuple[str, ...], parts: Any) -> "State":
        """Put the parts together again, for JAX."""
        return cls(**dict(zip(names, parts, strict=True)))


@dataclasses.dataclass(frozen=True)
class Gan:
    """The two networks, and how they are trained.

    Attributes:
        generator: the generator.
        discriminator: the discriminator.
        loss: what they minimize.
        optimizer: that both use.
        image_size: pixels.
        latent_dim: numbers that the generator starts from.
        ema_kimg: the longest half-life, in thousands of images shown, of the average of the generator's parameters that
            is `shown`; 0 where none is kept.
    """

    generator: nn.Module
    discriminator: nn.Module
    loss: Loss
    optimizer: optax.GradientTransformation
    image_size: int
    latent_dim: int
    ema_kimg: float = 0.0


def create(
    *,
    image_size: int,
    name: str = "dcgan",
    loss: str = "dcgan",
    latent_dim: int = 100,
    width: int = 64,
    learning_rate: float = 2e-4,
    beta1: float = 0.5,
    ema_kimg: float = 0.0,
    dtype: str = "float32",
) -> Gan:
    """Create a GAN for square images.

    Args:
        image_size: pixels, one of `NETWORKS[name].image_sizes`.
        name: of the networks, a key of `NETWORKS`.
        loss: a key of `LOSSES`.
        latent_dim: numbers that the generator starts from.
        width: channels of the largest maps.
        learning_rate: of Adam, for both networks.
        beta1: Adam's first decay rate; the second is 0.999.
        ema_kimg: the longest half-life of an average of the generator, in thousands of images shown; 0 for no average.
        dtype: what layers compute in, one of `NETWORKS[name].dtypes`; parameters, statistics, losses and the optimizer
            are float32.
    """
    generator, discriminator = NETWORKS[name].build(
        image_size=image_size, latent_dim=latent_dim, width=width, dtype=dtype
    )
    return Gan(
        generator=generator,
        discriminator=discriminator,
        loss=LOSSES[loss],
        optimizer=optax.adam(learning_rate, b1=beta1, b2=0.999),
        image_size=image_size,
        latent_dim=latent_dim,
        ema_kimg=ema_kimg,
    )


def init(network: Gan, key: jax.Array) -> State:
    """Draw the state before the first update from a PRNG key."""
    generator_key, discriminator_key = jax.random.split(key)
    size = network.image_size
    generator = network.generator.init(generator_key, jnp.zeros((1, network.latent_dim)), train=False)
    discriminator = network.discriminator.init(discriminator_key, jnp.zeros((1, size, size, 3)), train=False)
    return State(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=network.optimizer.init(generator["params"]),
        discriminator_optimizer=network.optimizer.init(discriminator["params"]),
        # A copy, for each part of a state has memory of its own, which the next step uses up.
        extra={"average": jax.tree.map(jnp.copy, generator["params"])} if network.ema_kimg else {},
    )


def normalize(images: jax.Array) -> jax.Array:
    """Convert pixels uint8 in [0, 255] to float32 in [-1, 1], to float64 where JAX computes in it."""
    return images.astype(float) / 127.5 - 1


def quantize(images: jax.Array) -> jax.Array:
    """Convert images float32 in [-1, 1] to pixels uint8 in [0, 255]."""
    return jnp.clip(images * 127.5 + 128, 0, 255).astype(jnp.uint8)


def train_step(
    network: Gan, state: State, real: jax.Array, latents: jax.Array, *, axis_name: str | None = None
) -> tuple[State, dict[str, jax.Array]]:
    """Do one step of the discriminator, then one of the generator against the updated discriminator, on one batch.

    Args:
        network: the networks, their loss and the optimizer.
        state: the state before.
        real: uint8 [b, S, S, 3], this device's images.
        latents: float32 [b, latent_dim], standard normal, of the fake images of both steps.
        axis_name: the mapped axis of devices, if there is one; losses and BatchNorm then cover the global batch.

    Returns:
        The state after, and float32 scalars, the same on all devices: both losses, measured before the step that lowers
        them, and the mean logits of the real and the fake images that the discriminator's step has seen.
    """

    def mean(tree):
        return tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def apply(module, variables, inputs):
        others = [name for name in variables if name != "params"]
        outputs, changed = module.apply(variables, inputs, train=True, axis_name=axis_name, mutable=others)
        return outputs, {**variables, **changed}

    def generate(params):
        return apply(network.generator, {**state.generator, "params": params}, latents)

    def discriminate(variables, images):
        return apply(network.discriminator, variables, images)

    def step(optimizer_state, params, gradients):
        updates, optimizer_state = network.optimizer.update(mean(gradients), optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state

    real = normalize(real)
    # The generator runs forward once: what its own step needs of that pass is kept until the discriminator has stepped.
    fake, generate_vjp, generator = jax.vjp(generate, state.generator["params"], has_aux=True)

    def loss_of_discriminator(params):
        return network.loss.discriminator(discriminate, {**state.discriminator, "params": params}, real, fake)

    (loss_d, judged), gradients = jax.value_and_grad(loss_of_discriminator, has_aux=True)(state.discriminator["params"])
    params, discriminator_optimizer = step(state.discriminator_optimizer, state.discriminator["params"], gradients)
    discriminator = {**judged.variables, "params": params}

    def loss_of_generator(images):
        return network.loss.generator(discriminate, discriminator, real, images)

    (loss_g, discriminator), fake_gradient = jax.value_and_grad(loss_of_generator, has_aux=True)(fake)
    (gradients,) = generate_vjp(fake_gradient)
    params, generator_optimizer = step(state.generator_optimizer, state.generator["params"], gradients)

    def averaged():
        devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
        share = average.share(state.step + 1, batch=devices * len(latents), half_life=network.ema_kimg)
        # Behind a barrier, so that the compiler makes the same of the update whether or not it is averaged.
        return average.follow(state.extra["average"], jax.lax.optimization_barrier(params), share)

    state = state.replace(
        step=state.step + 1,
        generator={**generator, "params": params},
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        extra={"average": averaged()} if network.ema_kimg else {},
    )
    metrics = {
        "generator_loss": loss_g,
        "discriminator_loss": loss_d,
        "real_logit": jnp.mean(judged.real_logits),
        "fake_logit": jnp.mean(judged.fake_logits),
    }
    return state, mean(metrics)


def run_steps(
    network: Gan,
    state: State,
    images: jax.Array,
    indices: jax.Array,
    count: jax.Array,
    key: jax.Array,
    *,
    axis_name: str | None = None,
) -> tuple[State, dict[str, jax.Array]]:
    """Do the first `count` of K updates, in one compiled loop that serves every count.

    The latents of an update are drawn from `key` and the step's number for the global batch, and each device takes its
    slice of them, so they depend neither on how steps are grouped into calls nor on the number of devices.

    Args:
        network: the networks, their loss and the optimizer.
        state: the state before.
        images: uint8 [N, S, S, 3]; N is any number, and devices may hold different images.
        indices: int32 [K, b], which of them are this device's in each update.
        count: int32 scalar in [0, K], the updates to do.
        key: PRNG key of the latents.
        axis_name: as in `train_step`.

    Returns:
        The state after, and the metrics of `train_step` as float32 [K], NaN from `count` on.
    """
    batch = indices.shape[1]
    devices, device = (1, 0) if axis_name is None else (jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name))

    def body(position, carry):
        state, metrics = carry
        latents = jax.random.normal(jax.random.fold_in(key, state.step), (devices * batch, network.latent_dim))
        latents = jax.lax.dynamic_slice_in_dim(latents, device * batch, batch)
        state, found = train_step(network, state, images[indices[position]], latents, axis_name=axis_name)
        return state, {name: metrics[name].at[position].set(value) for name, value in found.items()}

    metrics = {name: jnp.full(len(indices), jnp.nan, jnp.float32) for name in METRICS}
    return jax.lax.fori_loop(0, count, body, (state, metrics))


def shown(network: Gan, state: State) -> Variables:
    """Make the generator's variables that are sampled, scored and exported.

    Whatever makes images from a state asks here. So a run that averages its generator shows the average in its
    pictures, its scores, its audit and its exported weights.

    Args:
        network: the networks.
        state: on the host, or whole on every device.

    Returns:
        The generator as it is trained, where there is no average. Otherwise the average, with statistics of its own,
        see `average.settled`: computed on one device, so that it is the same with any number of them.
    """
    if "average" not in state.extra:
        return state.generator
    variables = {**state.generator, "params": state.extra["average"]}
    return _settle(network)(jax.tree.map(np.asarray, variables))


@functools.lru_cache(maxsize=4)
def _settle(network: Gan) -> Callable[[Variables], Variables]:
    return jax.jit(functools.partial(average.settled, network.generator, latent_dim=network.latent_dim))


def sample(network: Gan, generator: Variables, latents: jax.Array) -> jax.Array:
    """Make images uint8 [b, S, S, 3] of latents float32 [b, latent_dim] by the generator's variables, as from `shown`.

    Normalization uses running statistics, so an image depends on its own latent vector only.
    """
    images: Any = network.generator.apply(generator, latents, train=False)
    return quantize(images)
