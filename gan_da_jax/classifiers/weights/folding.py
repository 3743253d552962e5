"""From the tensors of a published network to the parameters of its Flax module: BatchNorm folded in."""

import flax.linen as nn
import jax
import numpy as np


def fold(
    kernel: np.ndarray,
    *,
    epsilon: float,
    beta: np.ndarray,
    moving_mean: np.ndarray,
    moving_variance: np.ndarray,
    gamma: np.ndarray | float = 1.0,
    bias: np.ndarray | float = 0.0,
) -> dict[str, np.ndarray]:
    """Fold a BatchNorm into the convolution before it.

    Args:
        kernel: float [h, w, in, out].
        epsilon: of the BatchNorm, added to its variance.
        beta: float [out].
        moving_mean: float [out].
        moving_variance: float [out], >= 0.
        gamma: float [out], or 1 for a BatchNorm without scale.
        bias: float [out] of the convolution, or 0 for one without.

    Returns:
        `kernel` float32 [h, w, in, out] and `bias` float32 [out], computed in float64.
    """
    scale = gamma / np.sqrt(moving_variance.astype(np.float64) + epsilon)
    return {
        "kernel": (kernel * scale).astype(np.float32),
        "bias": (beta + (bias - moving_mean.astype(np.float64)) * scale).astype(np.float32),
    }


def shapes(network: nn.Module, size: int) -> dict[str, dict[str, tuple[int, ...]]]:
    """List the shapes of a network's parameters, by layer and name, for images of `size` pixels a side."""
    image = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    expected = jax.eval_shape(network.init, jax.random.key(0), image)["params"]
    return {layer: {name: array.shape for name, array in arrays.items()} for layer, arrays in expected.items()}
