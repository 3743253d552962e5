"""ResNet-50 (He et al., 2015, arXiv:1512.03385) as Keras publishes it: for inference, with BatchNorm folded in.

It is the first version, with the stride in the first 1x1 convolution of a block; every convolution has its own bias.
"""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_da_jax.classifiers.backbone import Backbone, Weights
from gan_da_jax.classifiers.weights import class_names, folding
from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.errors import UserError
from gan_da_jax.files import keras_h5

SIZE = 224
CLASSES = 1000
EPSILON = 1.001e-5  # of every BatchNorm
STACKS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width of the blocks, their number, stride of the first
_BGR_MEAN = (103.939, 116.779, 123.68)  # of ImageNet, as the first Caffe networks had it


@jax.jit
def prepare(images: jax.Array) -> jax.Array:
    """Turn uint8 RGB [b, H, W, 3] of any size into the network's input: float32 BGR [b, 224, 224, 3] around 0.

    The resize is `jax.image.resize(..., "bilinear")`: half-pixel centres, and a triangle widened against aliasing when
    the image shrinks. Images of 224x224 pixels keep their pixels. The mean of ImageNet is subtracted from each channel;
    nothing is scaled.
    """
    resized = jax.image.resize(images.astype(jnp.float32), (images.shape[0], SIZE, SIZE, 3), "bilinear")
    return resized[..., ::-1] - jnp.array(_BGR_MEAN)


class Unit(nn.Module):
    """Convolution with its folded BatchNorm: float32 [b, H, W, in] to [b, H / stride, W / stride, features]."""

    features: int
    size: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.size == 1:  # the same sums as a matrix product, which XLA's CPU backend runs faster
            return x[:, :: self.stride, :: self.stride] @ kernel[0, 0] + bias
        border = self.size // 2
        y = jax.lax.conv_general_dilated(
            x, kernel, (self.stride,) * 2, ((border, border),) * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return y + bias


class ResNet50(nn.Module):
    """The network; its units are named as Keras' layers, `conv2_block1_1` for `conv2_block1_1_conv` and `..._bn`."""

    classes: int = CLASSES

    @property
    def taps(self) -> tuple[str, ...]:
        """All taps, from the input on."""
        return ("2048", "logits")

    @nn.compact
    def __call__(self, x: jax.Array, taps: tuple[str, ...] = ("logits",)) -> dict[str, jax.Array]:
        """Map prepared images to the taps asked for.

        Args:
            x: float32 [b, 224, 224, 3], as from `prepare`.
            taps: some of `self.taps`.

        Returns:
            {tap: array}: `2048`, the global means of the last feature maps, float32 [b, 2048], >= 0; `logits`, float32
            [b, classes], before the softmax.
        """
        with jax.default_matmul_precision("highest"):  # a GPU would use TF32, a TPU bfloat16
            x = nn.relu(Unit(64, 7, 2, name="conv1")(x))
            x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
            for number, (width, blocks, stride) in enumerate(STACKS, 2):
                for block in range(1, blocks + 1):
                    x = _block(x, width, stride if block == 1 else 1, f"conv{number}_block{block}", widen=block == 1)
            found = {"2048": jnp.mean(x, axis=(1, 2))}
            if "logits" in taps:
                found["logits"] = nn.Dense(self.classes, name="logits")(found["2048"])
        return {tap: found[tap] for tap in taps}


def _block(x, width, stride, name, *, widen):
    shortcut = Unit(4 * width, 1, stride, name=f"{name}_0")(x) if widen else x
    y = nn.relu(Unit(width, 1, stride, name=f"{name}_1")(x))
    y = nn.relu(Unit(width, 3, name=f"{name}_2")(y))
    return nn.relu(shortcut + Unit(4 * width, 1, name=f"{name}_3")(y))


_NETWORK = ResNet50()


def read(path: str | Path) -> Weights:
    """Read a Keras weight file of `ResNet50` with its top.

    Layers are matched by their names, and every shape is checked. Only the last one may have any name: Keras has called
    it `probs` and `predictions`.

    Args:
        path: the published file, or one that any Keras wrote; see `keras_h5`.

    Returns:
        Flax variables of `ResNet50`, float32 NumPy arrays, and all its taps.

    Raises:
        UserError: as `keras_h5.read_layers`, or layers or tensors are missing, surplus or of another shape.
    """
    layers = keras_h5.read_layers(path)
    try:
        return Weights({"params": _params(layers)}, _NETWORK.taps)
    except UserError as error:
        raise UserError(f"{path} does not hold Keras' ResNet50 with 1,000 classes: {error}") from None


def _params(layers: keras_h5.Layers) -> dict:
    shapes = folding.shapes(_NETWORK, SIZE)
    top = shapes.pop("logits")
    params = {}
    for unit, shape in shapes.items():
        convolution, norm = f"{unit}_conv", f"{unit}_bn"
        keras_h5.require(layers, convolution, shape)
        statistics = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), shape["bias"])
        keras_h5.require(layers, norm, statistics)
        params[unit] = folding.fold(epsilon=EPSILON, **layers[convolution], **layers[norm])
    others = layers.keys() - {f"{unit}_{kind}" for unit in shapes for kind in ("conv", "bn")}
    if len(others) != 1:
        more = f"it has the layers {', '.join(sorted(others))}" if others else "it has no layer"
        raise UserError(f"{more} beside the convolutions and BatchNorms, where exactly one, the classifier, must be")
    (last,) = others
    keras_h5.require(layers, last, top)
    return params | {"logits": layers[last]}


BACKBONE = Backbone(
    name="resnet50",
    network=_NETWORK,
    prepare=prepare,
    taps=_NETWORK.taps,
    default_tap="2048",
    read=read,
    classes=class_names.CLASSES,
    origin=Published(
        address="https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
        "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        hash="md5:2cb95161c43110f7111970584f804107",
        size=102_967_424,
        licence="Apache-2.0",
        purpose="ResNet-50 of Keras, 1,000 ImageNet classes: class probabilities of single images",
    ),
)
