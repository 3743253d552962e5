"""Training a DCGAN, as pure functions of arrays: state, losses, one update, many steps, samples.

Goodfellow et al. 2014, "Generative Adversarial Nets" (the game and the non-saturating loss); Radford, Metz and Chintala
2016 (the networks and the optimizer's settings); Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
Given `axis_name`, a function runs as one of several devices under a map with that axis: each device holds the same
state and its own slice of the batch, and all return the same.
"""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gan_da_jax.gan import dcgan

METRICS = ("generator_loss", "discriminator_loss", "real_logit", "fake_logit")  # of each update, see `update`


@flax.struct.dataclass
class State:
    """All that training changes, arrays only.

    Attributes:
        step: int32 [], updates done.
        generator: the generator's variables, {"params": ..., "batch_stats": ...}.
        discriminator: the discriminator's variables, likewise.
        generator_optimizer: its optimizer's state.
        discriminator_optimizer: its optimizer's state.
    """

    step: jax.Array
    generator: Any
    discriminator: Any
    generator_optimizer: Any
    discriminator_optimizer: Any


@dataclasses.dataclass(frozen=True)
class Gan:
    """The two networks, the optimizer that both use, and the length of a latent vector."""

    generator: dcgan.Generator
    discriminator: dcgan.Discriminator
    optimizer: optax.GradientTransformation
    latent_dim: int


def create(
    *,
    image_size: int,
    latent_dim: int = 100,
    width: int = 64,
    learning_rate: float = 2e-4,
    beta1: float = 0.5,
    dtype: str = "float32",
) -> Gan:
    """A DCGAN for square images of `image_size` (32, 64, 128 or 256) pixels, `width` channels at the largest maps.

    Its layers compute in `dtype`, float32 or bfloat16; parameters, statistics, losses and the optimizer are float32.
    """
    return Gan(
        generator=dcgan.Generator(image_size=image_size, width=width, dtype=dtype),
        discriminator=dcgan.Discriminator(image_size=image_size, width=width, dtype=dtype),
        optimizer=optax.adam(learning_rate, b1=beta1, b2=0.999),
        latent_dim=latent_dim,
    )


def init(gan: Gan, key: jax.Array) -> State:
    """The state before the first update, from a PRNG key."""
    generator_key, discriminator_key = jax.random.split(key)
    size = gan.discriminator.image_size
    generator = gan.generator.init(generator_key, jnp.zeros((1, gan.latent_dim)), train=False)
    discriminator = gan.discriminator.init(discriminator_key, jnp.zeros((1, size, size, 3)), train=False)
    return State(
        step=jnp.zeros((), jnp.int32),
        generator=generator,
        discriminator=discriminator,
        generator_optimizer=gan.optimizer.init(generator["params"]),
        discriminator_optimizer=gan.optimizer.init(discriminator["params"]),
    )


def discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """Binary cross-entropy of telling real from fake: mean softplus(-real) + mean softplus(fake), a scalar."""
    return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))


def generator_loss(fake_logits: jax.Array) -> jax.Array:
    """The non-saturating loss of Goodfellow et al. 2014: mean softplus(-fake), a scalar."""
    return jnp.mean(jax.nn.softplus(-fake_logits))


def normalize(images: jax.Array) -> jax.Array:
    """Pixels uint8 in [0, 255] to float32 in [-1, 1]; to float64 where JAX computes in it."""
    return images.astype(float) / 127.5 - 1


def quantize(images: jax.Array) -> jax.Array:
    """Images float32 in [-1, 1] to pixels uint8 in [0, 255]."""
    return jnp.clip(images * 127.5 + 128, 0, 255).astype(jnp.uint8)


def update(
    gan: Gan, state: State, real: jax.Array, latents: jax.Array, *, axis_name: str | None = None
) -> tuple[State, dict[str, jax.Array]]:
    """One step of the discriminator, then one of the generator against the updated discriminator, on the same fakes.

    Args:
        gan: the networks and the optimizer.
        state: the state before.
        real: uint8 [b, S, S, 3], this device's images.
        latents: float32 [b, latent_dim], standard normal.
        axis_name: the mapped axis of devices, if there is one; losses and BatchNorm are then those of the global batch.

    Returns:
        The state after, and float32 scalars, the same on all devices: both losses, measured before the step that lowers
        them, and the mean logits of the real and the fake images that the discriminator's step has seen.
    """

    def mean(tree):
        return tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def generate(params):
        fake, changed = gan.generator.apply(
            {**state.generator, "params": params}, latents, train=True, axis_name=axis_name, mutable=["batch_stats"]
        )
        return fake, changed["batch_stats"]

    def judge(params, batch_stats, images):
        logits, changed = gan.discriminator.apply(
            {"params": params, "batch_stats": batch_stats},
            images,
            train=True,
            axis_name=axis_name,
            mutable=["batch_stats"],
        )
        return logits, changed["batch_stats"]

    def step(optimizer_state, params, gradients):
        updates, optimizer_state = gan.optimizer.update(mean(gradients), optimizer_state, params)
        return optax.apply_updates(params, updates), optimizer_state

    # The generator runs forward once: what its own step needs of that pass is kept until the discriminator has stepped.
    fake, generate_vjp, generator_stats = jax.vjp(generate, state.generator["params"], has_aux=True)

    def loss_of_discriminator(params):
        # BatchNorm sees real and fake images in batches of their own.
        real_logits, stats = judge(params, state.discriminator["batch_stats"], normalize(real))
        fake_logits, stats = judge(params, stats, fake)
        return discriminator_loss(real_logits, fake_logits), (real_logits, fake_logits, stats)

    (loss_d, (real_logits, fake_logits, discriminator_stats)), gradients = jax.value_and_grad(
        loss_of_discriminator, has_aux=True
    )(state.discriminator["params"])
    discriminator_params, discriminator_optimizer = step(
        state.discriminator_optimizer, state.discriminator["params"], gradients
    )

    def loss_of_generator(images):
        logits, stats = judge(discriminator_params, discriminator_stats, images)
        return generator_loss(logits), stats

    (loss_g, discriminator_stats), fake_gradient = jax.value_and_grad(loss_of_generator, has_aux=True)(fake)
    (gradients,) = generate_vjp(fake_gradient)
    generator_params, generator_optimizer = step(state.generator_optimizer, state.generator["params"], gradients)

    state = State(
        step=state.step + 1,
        generator={"params": generator_params, "batch_stats": generator_stats},
        discriminator={"params": discriminator_params, "batch_stats": discriminator_stats},
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
    )
    metrics = {
        "generator_loss": loss_g,
        "discriminator_loss": loss_d,
        "real_logit": jnp.mean(real_logits),
        "fake_logit": jnp.mean(fake_logits),
    }
    return state, mean(metrics)


def run_steps(
    gan: Gan,
    state: State,
    images: jax.Array,
    indices: jax.Array,
    count: jax.Array,
    key: jax.Array,
    *,
    axis_name: str | None = None,
) -> tuple[State, dict[str, jax.Array]]:
    """The first `count` of K updates, in one compiled loop that serves every count.

    The latents of an update are drawn from `key` and the step's number for the global batch, and each device takes its
    slice of them, so they depend neither on how steps are grouped into calls nor on the number of devices.

    Args:
        gan: the networks and the optimizer.
        state: the state before.
        images: uint8 [N, S, S, 3]; N is any number, and devices may hold different images.
        indices: int32 [K, b], which of them are this device's in each update.
        count: int32 scalar in [0, K], the updates to do.
        key: PRNG key of the latents.
        axis_name: as in `update`.

    Returns:
        The state after, and the metrics of `update` as float32 [K], NaN from `count` on.
    """
    batch = indices.shape[1]
    devices, device = (1, 0) if axis_name is None else (jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name))

    def body(position, carry):
        state, metrics = carry
        latents = jax.random.normal(jax.random.fold_in(key, state.step), (devices * batch, gan.latent_dim))
        latents = jax.lax.dynamic_slice_in_dim(latents, device * batch, batch)
        state, found = update(gan, state, images[indices[position]], latents, axis_name=axis_name)
        return state, {name: metrics[name].at[position].set(value) for name, value in found.items()}

    metrics = {name: jnp.full(len(indices), jnp.nan, jnp.float32) for name in METRICS}
    return jax.lax.fori_loop(0, count, body, (state, metrics))


def shown(state: State) -> Any:
    """The variables of the generator that is sampled, scored and exported."""
    return state.generator


def sample(gan: Gan, generator: Any, latents: jax.Array) -> jax.Array:
    """Images uint8 [b, S, S, 3] of latents float32 [b, latent_dim], from the generator's variables (`State.generator`).

    BatchNorm uses its running statistics, so an image depends on its own latent vector only.
    """
    return quantize(gan.generator.apply(generator, latents, train=False))
