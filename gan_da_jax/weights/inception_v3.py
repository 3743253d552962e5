"""Weights of Inception v3: from the layers of a Keras file to the variables of the Flax network."""

from pathlib import Path

import flax.traverse_util
import jax
import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.models import inception_v3
from gan_da_jax.weights import keras_h5


def load(path: str | Path) -> dict:
    """Reads a Keras weight file of `InceptionV3` with its top.

    Convolutions and BatchNorms are matched by their order of creation, and every shape is checked. A file lists layers
    in another order, along the graph.

    Args:
        path: the published file, or one that any Keras wrote; see `keras_h5`.

    Returns:
        Flax variables of `inception_v3.InceptionV3`, float32 NumPy arrays.

    Raises:
        UserError: as `keras_h5.read_layers`, or layers or tensors are missing, surplus or of another shape.
    """
    layers = keras_h5.read_layers(path)
    try:
        return {"params": _params(layers)}
    except UserError as error:
        raise UserError(f"{path} does not hold Keras' Inception v3 with 1,000 classes: {error}") from None


def _params(layers: keras_h5.Layers) -> dict:
    image = jax.ShapeDtypeStruct((1, inception_v3.SIZE, inception_v3.SIZE, 3), np.float32)
    expected = jax.eval_shape(inception_v3.InceptionV3().init, jax.random.key(0), image)["params"]
    shapes = {name: array.shape for name, array in flax.traverse_util.flatten_dict(expected).items()}
    convolutions, norms = (keras_h5.in_order(layers, kind) for kind in ("conv2d", "batch_normalization"))
    units = len(expected) - 1
    for names, what in ((convolutions, "convolutions"), (norms, "BatchNorms")):
        if len(names) != units:
            raise UserError(f"it has {len(names)} {what} instead of {units}")
    for name in layers.keys() - {*convolutions, *norms, "predictions"}:
        raise UserError(f"it has a layer {name}, which is not part of the network")

    params = {}
    for i, (convolution, norm) in enumerate(zip(convolutions, norms, strict=True)):
        kernel = shapes[f"ConvBN_{i}", "kernel"]
        statistic = shapes[f"ConvBN_{i}", "bias"]
        _check(layers, convolution, {"kernel": kernel})
        _check(layers, norm, {"beta": statistic, "moving_mean": statistic, "moving_variance": statistic})
        if layers[norm]["moving_variance"].min() < 0:
            raise UserError(f"{norm}/moving_variance is negative")
        params[f"ConvBN_{i}"] = inception_v3.fold(**layers[convolution], **layers[norm])
    _check(layers, "predictions", {name: shapes["logits", name] for name in ("kernel", "bias")})
    return params | {"logits": layers["predictions"]}


def _check(layers: keras_h5.Layers, layer: str, shapes: dict[str, tuple[int, ...]]) -> None:
    tensors = layers.get(layer, {})
    for name in tensors.keys() ^ shapes.keys():
        raise UserError(f"{layer}/{name} is {'missing' if name in shapes else 'not part of the network'}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise UserError(f"{layer}/{name} has shape {tensors[name].shape} instead of {shape}")
