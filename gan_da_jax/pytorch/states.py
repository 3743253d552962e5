"""The state of PyTorch's training as a state of ours, optimizers included, and back."""

from typing import Any

import jax
import numpy as np
import optax
import torch

from gan_da_jax import gan
from gan_da_jax.pytorch import convert, dcgan
from gan_da_jax.pytorch.average import Average

_MOMENTS = {"mu": "exp_avg", "nu": "exp_avg_sq"}  # Adam's, in optax and in PyTorch


def take(trainer: dcgan.Trainer, network: gan.Gan, step: int, average: Average | None = None) -> gan.State:
    """Take what `trainer`, and an average of its generator, have come to after `step` updates.

    The result is `network`'s state, of NumPy arrays.
    """
    found: dict[str, Any] = {"step": np.int32(step)}
    everything = trainer.tensors()
    for kind, tensors in everything.items():
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
    if average is not None:
        arrays = {name: _copied(tensor) for name, tensor in average.tensors.items()}
        found["extra"] = {"average": convert.from_torch(everything["generator"] | arrays).variables["params"]}
    return jax.tree.map(np.asarray, gan.State(**found))


def put(trainer: dcgan.Trainer, state: gan.State, average: Average | None = None) -> None:
    """Let `trainer`, and an average of its generator, go on from a state of NumPy arrays."""
    if average is not None:
        average.load(convert.to_torch({"params": state.extra["average"]}))
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
    return _copied(trainer.optimizers[kind].state[weight][name])


def _copied(tensor: torch.Tensor) -> np.ndarray:
    # A copy: PyTorch goes on in the same memory, which JAX may still be reading.
    return tensor.cpu().contiguous().numpy().copy()
