"""The DCGAN: Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional GANs".

As that paper has it: kernels start from N(0, 0.02) and the scales of BatchNorm from N(1, 0.02), no layer has a bias but
BatchNorm, rectifiers are plain in the generator and leaky in the discriminator.

Layers compute in `dtype`. Whatever it is, parameters, the statistics of BatchNorm and the outputs are float32. For the
sake of comparisons, all can be float64 where JAX has it enabled; a dtype of `float` means whichever of both it is.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from gan_da_jax.errors import UserError
from gan_da_jax.gan import conv
from gan_da_jax.gan.interface import Network

IMAGE_SIZES = (32, 64, 128, 256)
DTYPES = ("float32", "bfloat16")

_normal = nn.initializers.normal(0.02)


def channels(image_size: int, width: int) -> list[int]:
    """List the channels of the maps of 4, 8, ..., image_size / 2 pixels: `width` for the last, twice for each before.

    No map has more than 16 * width channels. That matters at 256 pixels only, where the 4x4 maps would have 32 * width.

    Raises:
        UserError: `image_size` is not one of `IMAGE_SIZES`.
    """
    if image_size not in IMAGE_SIZES:
        raise UserError(f"image_size is {image_size}: the DCGAN makes images of 32, 64, 128 or 256 pixels; choose one")
    halvings = range(image_size.bit_length() - 4, -1, -1)  # from maps of 4 pixels to maps of image_size / 2
    return [width * min(2**halving, 16) for halving in halvings]


class Conv(nn.Module):
    """A 4x4 convolution of stride 2 and padding 1 that halves an image, [b, H, W, C] to [b, H/2, W/2, features].

    Its kernel is kept as [features, 4, 4, C], a torch weight transposed by (0, 2, 3, 1).
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        kernel = self.param("kernel", _normal, (self.features, 4, 4, x.shape[-1])).astype(x.dtype)
        return conv.conv(x, kernel.transpose(conv.CONV_FROM_MATRIX))


class ConvTranspose(nn.Module):
    """The transposed convolution of the same kind, which doubles an image, [b, H, W, C] to [b, 2H, 2W, features].

    Its kernel is kept as [C, 4, 4, features], a torch weight transposed by (0, 2, 3, 1).
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        kernel = self.param("kernel", _normal, (x.shape[-1], 4, 4, self.features)).astype(x.dtype)
        return conv.conv_transpose(x, kernel.transpose(conv.CONV_TRANSPOSE_FROM_MATRIX))


def _batch_norm(x, train, axis_name):
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        scale_init=lambda *shape_and_key: 1 + _normal(*shape_and_key),
        axis_name=axis_name,
        dtype=x.dtype,  # it still takes means and variances in float32
    )(x)


class Generator(nn.Module):
    """Latents float32 [b, latent_dim] to images float32 [b, image_size, image_size, 3] in [-1, 1]."""

    image_size: int
    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        """Make one image of each latent vector.

        In training BatchNorm uses the statistics of the batch, all of it where the devices of `axis_name` share it, and
        moves its running ones (collection `batch_stats`) a tenth of the way there; else it uses the running ones.
        """
        first, *others = channels(self.image_size, self.width)
        # On an image of one pixel the first layer, a transposed convolution to 4x4, is a dense one.
        x = nn.Dense(16 * first, use_bias=False, kernel_init=_normal, dtype=self.dtype)(latents)
        x = x.reshape(-1, 4, 4, first)
        for features in [*others, 3]:
            x = nn.relu(_batch_norm(x, train, axis_name))
            x = ConvTranspose(features)(x)
        return jnp.tanh(x.astype(float))


class Discriminator(nn.Module):
    """Images float32 [b, image_size, image_size, 3] in [-1, 1] to the logits [b] of their being real."""

    image_size: int
    width: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        """Judge images; `train` and `axis_name` are as in the generator."""
        first, *others = reversed(channels(self.image_size, self.width))
        x = nn.leaky_relu(Conv(first)(images.astype(self.dtype)), 0.2)
        for features in others:
            x = nn.leaky_relu(_batch_norm(Conv(features)(x), train, axis_name), 0.2)
        # To an image of one pixel the last layer, a convolution of 4x4, is a dense one.
        logits = nn.Dense(1, use_bias=False, kernel_init=_normal, dtype=self.dtype)(x.reshape(x.shape[0], -1))
        return logits[:, 0].astype(float)


def build(
    *, image_size: int, latent_dim: int, width: int, dtype: DTypeLike = jnp.float32
) -> tuple[Generator, Discriminator]:
    """Make both halves of the DCGAN for square images, as `Network.build` says."""
    del latent_dim  # the first layer takes it from its input
    return Generator(image_size, width, dtype), Discriminator(image_size, width, dtype)


NETWORK = Network(build, IMAGE_SIZES, DTYPES, "DCGAN")
