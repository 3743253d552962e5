"""What `gan_da_jax` is compared with: the same networks and training in PyTorch, which nothing else needs."""

import importlib.util

from gan_da_jax.errors import UserError


def require() -> None:
    """Raise a `UserError` where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise UserError("PyTorch, which this compares with, is not installed: pip install '.[torch]'")


def require_dcgan(*, name: str, loss: str = "dcgan") -> None:
    """Raise a `UserError` unless a GAN is the DCGAN, the only one that is also written in PyTorch here.

    Args:
        name: of the networks, `model.name` of a config.
        loss: `train.loss` of a config, where training is compared.
    """
    for field, value in (("model.name", name), ("train.loss", loss)):
        if value != "dcgan":
            raise UserError(f"config.{field} is {value!r}; it must be 'dcgan', the only one that is written in PyTorch")
