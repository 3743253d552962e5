"""The networks that a config describes, and the states that training starts from or goes on with."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_da_jax import gan, prng
from gan_da_jax.devices import parallel
from gan_da_jax.training import sampling


def dcgan_settings(config: ConfigDict) -> dict[str, Any]:
    """Return what describes a config's DCGAN in any framework, but for the dtype that it computes in."""
    return dict(
        image_size=config.data.image_size,
        latent_dim=config.model.latent_dim,
        width=config.model.width,
        learning_rate=config.train.learning_rate,
        beta1=config.train.beta1,
    )


def network(config: ConfigDict) -> gan.Gan:
    """Return the networks that a config describes, the same object for equal configs."""
    return _network(
        **dcgan_settings(config),
        name=config.model.name,
        loss=config.train.loss,
        ema_kimg=config.train.ema_kimg,
        dtype=config.model.dtype,
    )


_network = functools.lru_cache(maxsize=8)(gan.create)  # one object, so that what is compiled for it serves again


def initial_state(config: ConfigDict) -> gan.State:
    """Make the state before the first step, whole on every device."""
    return parallel.replicate(_first(network(config))(prng.stream(config.seed, "init")))


@functools.lru_cache(maxsize=4)
def _first(network: gan.Gan) -> Callable[[jax.Array], gan.State]:
    # It runs once, and XLA takes longer to optimize it than it does to run. At level 0 the numbers would be others.
    options = {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None
    return jax.jit(lambda key: gan.init(network, key), compiler_options=options)


def abstract_state(config: ConfigDict) -> gan.State:
    """Return the shapes, dtypes and placement of a state, without computing one."""
    return parallel.abstract(_shapes(network(config)))


@functools.lru_cache(maxsize=4)
def _shapes(network: gan.Gan) -> gan.State:
    return jax.eval_shape(lambda: gan.init(network, prng.stream(0, "init")))


def zero_state(config: ConfigDict, *, step: int) -> gan.State:
    """Make a state of zeros after `step` steps, whole on every device, as a place for another one."""
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract_state(config))
    return parallel.replicate(zeros.replace(step=np.int32(step)))


def resident_bytes(config: ConfigDict) -> float | None:
    """Return how many bytes of images a device may hold; None for any number."""
    memory = parallel.memory()
    automatic = memory and memory / 2
    return config.data.resident_mb * 1e6 or automatic


def sample_grid(config: ConfigDict, generator: Any) -> np.ndarray:
    """Draw what a generator's variables make of a run's 64 fixed latent vectors: uint8 [H, W, 3]."""
    fixed = sampling.latents(seed=config.seed, stream="grid", count=64, latent_dim=config.model.latent_dim)
    return sampling.grid(sampling.sampler(network(config))(generator, fixed), columns=8)
