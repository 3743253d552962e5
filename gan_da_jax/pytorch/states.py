"""The state of PyTorch's training as a state of ours, optimizers included, and back."""

from typing import Any

import jax
import numpy as np
import optax
import torch

from gan_da_jax import gan
from gan_da_jax.pytorch import convert, dcgan

_MOMENTS = {"mu": "exp_avg", "nu": "exp_avg_sq"}  # Adam's, in optax and in PyTorch


def take(trainer: dcgan.Trainer, network: gan.Gan, step: int) -> gan.State:
    """Take what `trainer` has come to after `step` updates, as `network`'s state of NumPy arrays."""
    found: dict[str, Any] = {"step": np.int32(step)}
    for kind, tensors in trainer.tensors().items():
        variables = convert.from_torch(tensors).variables
        parameters = dict(trainer.networks[kind].named_parameters())
        moments = {}
        for ours, theirs in _MOMENTS.items():
            arrays = {name: _moment(trainer, kind, weight, theirs) for name, weight in parameters.items()}
            moments[ours] = convert.from_torch(tensors | arrays).variables["params"]
        empty = network.optimizer.init(variables["params"])
        found |= {
            kind: variables,
            f"{kind}_optimizer": optax.tree_utils.tree_set(empty, count=np.int32(step), **moments),
        }
    return jax.tree.map(np.asarray, gan.State(**found))


def put(trainer: dcgan.Trainer, state: gan.State) -> None:
    """Let `trainer` go on from a state of NumPy arrays."""
    trainer.load(**{kind: convert.to_torch(getattr(state, kind)) for kind in trainer.networks})
    for kind, network in trainer.networks.items():
        optimizer = getattr(state, f"{kind}_optimizer")
        arrays = {
            theirs: convert.to_torch({"params": optax.tree_utils.tree_get(optimizer, ours)})
            for ours, theirs in _MOMENTS.items()
        }
        for name, weight in network.named_parameters():
            moments = {theirs: torch.empty_like(weight).copy_(torch.tensor(arrays[theirs][name])) for theirs in arrays}
            trainer.optimizers[kind].state[weight] = {"step": torch.tensor(float(state.step))} | {
                name: moment.detach() for name, moment in moments.items()
            }


def _moment(trainer: dcgan.Trainer, kind: str, weight: torch.Tensor, name: str) -> np.ndarray:
    # A copy: PyTorch goes on in the same memory, which JAX may still be reading.
    return trainer.optimizers[kind].state[weight][name].cpu().contiguous().numpy().copy()
