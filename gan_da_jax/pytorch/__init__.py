"""What `gan_da_jax` is compared with: the same networks and training in PyTorch, which nothing else needs."""

import importlib.util

from gan_da_jax.errors import UserError


def require() -> None:
    """Raises a `UserError` where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise UserError("PyTorch, which this compares with, is not installed: pip install '.[torch]'")
