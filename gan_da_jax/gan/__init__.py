"""The GAN that is trained, as pure functions of arrays: networks, losses, one update, many updates, samples."""

from gan_da_jax.gan.interface import Judged, Loss, Network
from gan_da_jax.gan.losses import LOSSES
from gan_da_jax.gan.networks import NETWORKS
from gan_da_jax.gan.update import (
    METRICS,
    Gan,
    State,
    create,
    init,
    normalize,
    quantize,
    run_steps,
    sample,
    shown,
    train_step,
)

__all__ = [
    "LOSSES",
    "METRICS",
    "NETWORKS",
    "Gan",
    "Judged",
    "Loss",
    "Network",
    "State",
    "create",
    "init",
    "normalize",
    "quantize",
    "run_steps",
    "sample",
    "shown",
    "train_step",
]
