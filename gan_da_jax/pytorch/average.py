"""The average of the generator that a run keeps, in PyTorch; see `gan.average`."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from gan_da_jax.gan.average import RAMP


class Average:
    """An exponential moving average of a network's parameters, which starts as they are.

    Attributes:
        tensors: the average, by the names of the parameters.
    """

    def __init__(self, network: nn.Module, *, batch_size: int, half_life: float):
        """Begin with the parameters of a network before step 0.

        Args:
            network: the network.
            batch_size: images a step.
            half_life: the longest one, in thousands of images shown, above 0.
        """
        self._network, self._batch_size, self._half_life = network, batch_size, half_life
        self.tensors = {name: weight.detach().clone() for name, weight in network.named_parameters()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move towards the parameters as they are after step `step`, at least 1."""
        half_life = min(1000 * self._half_life, RAMP * self._batch_size * step)
        share = 1 - 0.5 ** (self._batch_size / half_life)
        for name, weight in self._network.named_parameters():
            self.tensors[name].lerp_(weight, share)

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on from an average, arrays by the names of the parameters."""
        for name, tensor in self.tensors.items():
            tensor.copy_(torch.tensor(arrays[name]))
