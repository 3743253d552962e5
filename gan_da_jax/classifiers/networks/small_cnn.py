"""A small network: the classifier of the procedural faces and of every leakage meter."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_da_jax.gan import conv

SIZE = 32

_kernel_init = nn.initializers.he_uniform()


@jax.jit
def prepare(images: jax.Array) -> jax.Array:
    """Turn uint8 [b, H, W, 3] of any size into the network's input, float32 [b, 32, 32, 3] in -1..1.

    The resize is `jax.image.resize(..., "bilinear")`: half-pixel centres, and a triangle widened against aliasing when
    the image shrinks.
    """
    resized = jax.image.resize(images.astype(jnp.float32), (images.shape[0], SIZE, SIZE, 3), "bilinear")
    return resized / 127.5 - 1


class Conv(nn.Module):
    """4x4 convolution, stride 2, and ReLU: float32 [b, H, W, C] to [b, H/2, W/2, features]."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        kernel = self.param("kernel", _kernel_init, (4, 4, x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return nn.relu(conv.conv(x, kernel) + bias)


class Attributes(nn.Module):
    """Three convolutions and two dense layers."""

    classes: int
    taps = ("64", "logits")

    @nn.compact
    def __call__(self, x: jax.Array, taps: tuple[str, ...] = ("logits",)) -> dict[str, jax.Array]:
        """Map prepared images, float32 [b, 32, 32, 3] in -1..1, to the taps asked for.

        Args:
            x: the images.
            taps: some of `taps`: `64`, the layer before the last, and `logits`, before any softmax.

        Returns:
            {tap: float32 [b, 64 or classes]}.
        """
        with jax.default_matmul_precision("highest"):  # a GPU would use TF32, a TPU bfloat16
            for features in (24, 48, 64):
                x = Conv(features)(x)
            x = nn.relu(nn.Dense(64, kernel_init=_kernel_init)(x.reshape(x.shape[0], -1)))
            found = {"64": x, "logits": nn.Dense(self.classes, kernel_init=_kernel_init, name="logits")(x)}
            return {tap: found[tap] for tap in taps}
