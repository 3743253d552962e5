"""Weights of Inception v3: from the layers of a Keras file or the tensors of a PyTorch one to Flax variables."""

from pathlib import Path

from gan_da_jax.classifiers.backbone import Weights
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import folding
from gan_da_jax.errors import UserError
from gan_da_jax.files import keras_h5, torch_file

# What a BatchNorm's tensors are called in a PyTorch file.
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def read_keras(path: str | Path) -> Weights:
    """Read a Keras weight file of `InceptionV3` with its top.

    Convolutions and BatchNorms are matched by their order of creation, and every shape is checked. A file lists layers
    in another order, along the graph.

    Args:
        path: the published file, or one that any Keras wrote; see `keras_h5`.

    Returns:
        Flax variables of `inception_v3.KERAS`, float32 NumPy arrays, and all its taps.

    Raises:
        UserError: as `keras_h5.read_layers`, or layers or tensors are missing, surplus or of another shape.
    """
    layers = keras_h5.read_layers(path)
    try:
        return Weights({"params": _from_keras(layers)}, inception_v3.KERAS.taps)
    except UserError as error:
        raise UserError(f"{path} does not hold Keras' Inception v3 with 1,000 classes: {error}") from None


def read_torch(path: str | Path, network: inception_v3.InceptionV3) -> Weights:
    """Read a `.pth` or `.safetensors` file with the names that torchvision, pytorch-fid and torch-fidelity use.

    The file may end before the network does: then its variables serve the taps that need no more than it holds.
    `AuxLogits`, which torchvision's network has for training only, is ignored, and so is a bias that the network lacks.

    Args:
        path: the file; see `torch_file`.
        network: `inception_v3.ORIGINAL` or `inception_v3.TORCHVISION`.

    Returns:
        Flax variables of `network`, float32 NumPy arrays, and the taps that they reach, from the input on.

    Raises:
        UserError: as `torch_file.read`; tensors are missing in between, surplus or of another shape; or not even the
            first tap can be reached.
    """
    tensors = {k: v for k, v in torch_file.read(path).items() if not k.startswith("AuxLogits.")}
    try:
        params = _from_torch(tensors, network)
    except UserError as error:
        raise UserError(f"{path} does not hold this Inception v3 with {network.classes} classes: {error}") from None
    unreached = [tap for tap, step in network.convolutions() if step.name not in params]
    if not unreached and "logits" not in params:
        unreached = ["logits"]
    taps = network.taps[: network.taps.index(unreached[0])] if unreached else network.taps
    if not taps:
        raise UserError(f"{path} holds too little of Inception v3 to reach its first tap, {network.taps[0]}")
    return Weights({"params": params}, taps)


def _from_keras(layers: keras_h5.Layers) -> dict:
    network = inception_v3.KERAS
    shapes = folding.shapes(network, inception_v3.SIZE)
    steps = [step.name for _, step in network.convolutions()]
    convolutions, norms = (keras_h5.in_order(layers, kind) for kind in ("conv2d", "batch_normalization"))
    for names, what in ((convolutions, "convolutions"), (norms, "BatchNorms")):
        if len(names) != len(steps):
            raise UserError(f"it has {len(names)} {what} instead of {len(steps)}")
    for name in layers.keys() - {*convolutions, *norms, "predictions"}:
        raise UserError(f"it has a layer {name}, which is not part of the network")

    params = {}
    for step, convolution, norm in zip(steps, convolutions, norms, strict=True):
        keras_h5.require(layers, convolution, {"kernel": shapes[step]["kernel"]})
        statistics = dict.fromkeys(("beta", "moving_mean", "moving_variance"), shapes[step]["bias"])
        keras_h5.require(layers, norm, statistics)
        params[step] = folding.fold(epsilon=inception_v3.EPSILON, **layers[convolution], **layers[norm])
    keras_h5.require(layers, "predictions", shapes["logits"])
    return params | {"logits": layers["predictions"]}


def _from_torch(tensors: torch_file.Tensors, network: inception_v3.InceptionV3) -> dict:
    shapes = folding.shapes(network, inception_v3.SIZE)
    left = dict(tensors)

    def take(name, shape):
        if name not in left:
            raise UserError(f"{name} is missing")
        if left[name].shape != shape:
            raise UserError(f"{name} has shape {left[name].shape} instead of {shape}")
        return left.pop(name)

    params, missing = {}, None
    for _, step in network.convolutions():
        if not any(name.startswith(f"{step.name}.") for name in left):
            missing = step.name
            break
        height, width, channels, features = shapes[step.name]["kernel"]
        kernel = take(f"{step.name}.conv.weight", (features, channels, height, width))
        norm = {name: take(f"{step.name}.bn.{theirs}", (features,)) for name, theirs in _NORM.items()}
        if norm["moving_variance"].min() < 0:
            raise UserError(f"{step.name}.bn.running_var is negative")
        params[step.name] = folding.fold(kernel.transpose(2, 3, 1, 0), epsilon=inception_v3.EPSILON, **norm)
    if not missing and any(name.startswith("fc.") for name in left):
        features, classes = shapes["logits"]["kernel"]
        params["logits"] = {"kernel": take("fc.weight", (classes, features)).T.copy()}
        if network.bias:
            params["logits"]["bias"] = take("fc.bias", (classes,))
        elif "fc.bias" in left:
            take("fc.bias", (classes,))
    if left:
        reason = (
            f"{missing}, which comes before {min(left)}, is missing" if missing else f"{min(left)} is no part of it"
        )
        raise UserError(reason)
    return params
