"""Weights of ResNet-50: from the layers of a Keras file to the variables of the Flax network."""

from pathlib import Path

import jax
import numpy as np

from gan_da_jax.classifiers.networks import resnet50
from gan_da_jax.errors import UserError
from gan_da_jax.files import keras_h5


def load(path: str | Path) -> dict:
    """Reads a Keras weight file of `ResNet50` with its top.

    Layers are matched by their names, and every shape is checked. Only the last one may have any name: Keras has called
    it `probs` and `predictions`.

    Args:
        path: the published file, or one that any Keras wrote; see `keras_h5`.

    Returns:
        Flax variables of `resnet50.ResNet50`, float32 NumPy arrays.

    Raises:
        UserError: as `keras_h5.read_layers`, or layers or tensors are missing, surplus or of another shape.
    """
    layers = keras_h5.read_layers(path)
    try:
        return {"params": _params(layers)}
    except UserError as error:
        raise UserError(f"{path} does not hold Keras' ResNet50 with 1,000 classes: {error}") from None


def _params(layers: keras_h5.Layers) -> dict:
    image = jax.ShapeDtypeStruct((1, resnet50.SIZE, resnet50.SIZE, 3), np.float32)
    expected = jax.eval_shape(resnet50.ResNet50().init, jax.random.key(0), image)["params"]
    shapes = {unit: {name: array.shape for name, array in arrays.items()} for unit, arrays in expected.items()}
    top = shapes.pop("logits")
    params = {}
    for unit, shape in shapes.items():
        convolution, norm = f"{unit}_conv", f"{unit}_bn"
        keras_h5.require(layers, convolution, shape)
        statistics = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), shape["bias"])
        keras_h5.require(layers, norm, statistics)
        params[unit] = resnet50.fold(**layers[convolution], **layers[norm])
    others = layers.keys() - {f"{unit}_{kind}" for unit in shapes for kind in ("conv", "bn")}
    if len(others) != 1:
        more = f"it has the layers {', '.join(sorted(others))}" if others else "it has no layer"
        raise UserError(f"{more} beside the convolutions and BatchNorms, where one, the classifier, is expected")
    (last,) = others
    keras_h5.require(layers, last, top)
    return params | {"logits": layers[last]}
