"""An average of the generator over its updates, and the running statistics that belong to it.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", and its code: samples are drawn by an
exponential moving average of the generator's parameters, whose half-life is counted in images shown, and is at first a
twentieth of all that were shown.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_da_jax import prng
from gan_da_jax.gan.interface import Variables

RAMP = 0.05  # the half-life at most, as a share of the images shown so far
# With BatchNorm's momentum of 0.9, the statistics that the passes start from keep a weight of 0.9^32 = 3%. The latest
# passes weigh as (1 + 0.9) / (1 - 0.9) = 19 equal batches, so that statistics are known as from 1,200 images.
PASSES, BATCH = 32, 64


def share(step: jax.Array, *, batch: int, half_life: float) -> jax.Array:
    """Return what the parameters after a step add to their average: 1 - 0.5^(batch / half-life so far).

    Args:
        step: int32 [], at least 1, the number of updates with this one.
        batch: images of an update, over all devices together.
        half_life: in thousands of images shown, above 0; RAMP of all that were shown is the most.

    Returns:
        float32 [] in (0, 1]; the average keeps 1 minus this of what it was.
    """
    images = jnp.minimum(1000 * half_life, RAMP * batch * step.astype(jnp.float32))
    return -jnp.expm1(-math.log(2) * batch / images)


def follow(average: Any, params: Any, share: jax.Array) -> Any:
    """Move an average of parameters, a tree of arrays, towards the parameters by a share of the way."""
    return jax.tree.map(lambda mean, new: mean + share * (new - mean), average, params)


def settled(module: nn.Module, variables: Variables, *, latent_dim: int) -> Variables:
    """Let a generator's other collections become what they are for its parameters.

    Statistics of other parameters, such as the ones of BatchNorm, do not fit an average of parameters, and neither does
    their average. So the generator runs in training mode on latents that are the same for every run, PASSES x BATCH.

    Args:
        module: the generator.
        variables: its parameters, and the other collections to start from.
        latent_dim: numbers that it starts from.

    Returns:
        The variables with the collections after the passes; the given ones where it has parameters only.
    """
    params, others = variables["params"], {name: part for name, part in variables.items() if name != "params"}
    if not others:
        return variables
    key = prng.stream(0, "average")

    def run(others, number):
        latents = jax.random.normal(jax.random.fold_in(key, number), (BATCH, latent_dim))
        _, changed = module.apply({"params": params, **others}, latents, train=True, mutable=list(others))
        return {**others, **changed}, None

    others, _ = jax.lax.scan(run, others, jnp.arange(PASSES))
    return {"params": params, **others}
