"""The GAN that is trained, as pure functions of arrays: networks, losses, one update, many updates, samples."""

from gan_da_jax.gan.update import (
    METRICS,
    Gan,
    State,
    create,
    discriminator_loss,
    generator_loss,
    init,
    normalize,
    quantize,
    run_steps,
    sample,
    shown,
)

__all__ = [
    "METRICS",
    "Gan",
    "State",
    "create",
    "discriminator_loss",
    "generator_loss",
    "init",
    "normalize",
    "quantize",
    "run_steps",
    "sample",
    "shown",
]
