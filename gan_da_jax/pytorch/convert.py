"""Weights of DCGANs: from PyTorch's state dicts to the variables of the Flax networks and back, exactly.

Numbers are copied, never computed, so that there and back again changes no bit. That holds for the running variance,
too, although the frameworks update it differently: flax averages biased variances of batches, PyTorch unbiased ones.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_da_jax.errors import UserError
from gan_da_jax.files import torch_file
from gan_da_jax.gan.dcgan import IMAGE_SIZES, channels

# What the numbers of a BatchNorm are called, by collection.
_NORM = {"params": {"scale": "weight", "bias": "bias"}, "batch_stats": {"mean": "running_mean", "var": "running_var"}}
_NORM_NAMES = {theirs for names in _NORM.values() for theirs in names.values()}


class Network(NamedTuple):
    """A network with its weights.

    Attributes:
        kind: "generator" or "discriminator".
        image_size: of its images, pixels.
        width: channels of its largest maps.
        latent_dim: numbers that a generator starts from; 1 for a discriminator, the number that it ends with.
        variables: of `gan.dcgan.Generator` or `Discriminator`, {"params": ..., "batch_stats": ...}, NumPy arrays.
    """

    kind: str
    image_size: int
    width: int
    latent_dim: int
    variables: dict


def load(path: str | Path) -> Network:
    """Read a `.pth` or `.safetensors` file of a generator or a discriminator.

    Raises:
        UserError: as `torch_file.read` and `from_torch`.
    """
    try:
        return from_torch(torch_file.read(path))
    except UserError as error:
        named = str(error) if str(path) in str(error) else f"{path} does not hold a DCGAN of this kind: {error}"
        raise UserError(named) from None


def from_torch(tensors: Mapping[str, np.ndarray]) -> Network:
    """Convert a state dict of PyTorch's stock DCGAN, whatever its layers are called.

    A layer is recognised by its shape: from the maps of 4 pixels to the image, channels fall. Where two have the same,
    which happens at 256 pixels only, their names decide, by the numbers in them.

    Args:
        tensors: float arrays by name; counts of batches, `num_batches_tracked`, are passed over.

    Raises:
        UserError: it is no DCGAN with convolutions of 4x4 without bias, BatchNorm between them, images in RGB, and the
            channels of `gan.dcgan.channels`.
    """
    convolutions, norms = _layers(tensors)
    kind = {1: "generator", 2: "discriminator"}.get(len(convolutions) - len(norms))
    if kind is None:
        raise UserError(f"it has {len(norms)} BatchNorms for {len(convolutions)} convolutions: one or two fewer belong")
    maps = len(convolutions) - 1
    if 2 ** (maps + 2) not in IMAGE_SIZES:
        raise UserError(
            f"its {maps + 1} convolutions make images of {2 ** (maps + 2)} pixels, not of 32, 64, 128 or 256"
        )
    if kind == "discriminator":  # a generator's way back
        convolutions, norms = convolutions[::-1], norms[::-1]
    shapes = {name: tensors[f"{name}.weight"].shape for name in convolutions}
    of_images = [name for name, shape in shapes.items() if shape[1] == 3]
    if not of_images:
        raise UserError(f"none of its {len(shapes)} convolutions makes or takes images in RGB")
    at_image = min(of_images, key=lambda name: shapes[name][0])
    convolutions.sort(key=lambda name: (name == at_image, -shapes[name][1]))
    norms.sort(key=lambda name: -tensors[f"{name}.weight"].size)
    image_size, width, latent_dim = 2 ** (maps + 2), shapes[at_image][0], shapes[convolutions[0]][0]
    if kind == "discriminator" and latent_dim != 1:
        raise UserError(f"it has {latent_dim} outputs an image, but a discriminator has 1")
    wanted = channels(image_size, width)
    for name, before, after in zip(convolutions, [latent_dim, *wanted], [*wanted, 3], strict=True):
        _require(tensors, f"{name}.weight", (before, after, 4, 4), image_size, width)
    for name, size in zip(norms, wanted, strict=kind == "generator"):
        for leaf in _NORM_NAMES:
            _require(tensors, f"{name}.{leaf}", (size,), image_size, width)
        if tensors[f"{name}.running_var"].min() < 0:
            raise UserError(f"{name}.running_var is negative")
    if kind == "discriminator":
        convolutions, norms = convolutions[::-1], norms[::-1]

    variables: dict = {"params": {}, "batch_stats": {}}
    ours = _names(kind, maps)
    for name, (_, layer) in zip(convolutions, ours[0], strict=True):
        kernel = tensors[f"{name}.weight"].transpose(0, 2, 3, 1)
        if layer == "Dense_0":
            kernel = kernel.reshape(len(kernel), -1) if kind == "generator" else kernel.reshape(1, -1).T
        variables["params"][layer] = {"kernel": np.ascontiguousarray(kernel)}
    for name, (_, layer) in zip(norms, ours[1], strict=True):
        for collection, leaves in _NORM.items():
            variables[collection][layer] = {leaf: tensors[f"{name}.{theirs}"] for leaf, theirs in leaves.items()}
    return Network(kind, image_size, width, latent_dim, variables)


def to_torch(variables: Mapping[str, Any]) -> torch_file.Tensors:
    """Convert a generator's or a discriminator's variables to the state dict of PyTorch's stock DCGAN.

    Args:
        variables: as `Network.variables`; without "batch_stats", there are no running statistics. What is shaped as
            `params`, gradients for instance, can stand in their place.

    Returns:
        Arrays by the names that an `nn.Sequential` called `main` gives, such as `main.0.weight`. There is no
        `num_batches_tracked`, which `load_state_dict` does not miss.

    Raises:
        UserError: the layers are not a DCGAN's.
    """
    params = variables["params"]
    maps = sum(layer.startswith("Conv") for layer in params)
    for kind in ("generator", "discriminator"):
        convolutions, norms = _names(kind, maps)
        if {layer for _, layer in (*convolutions, *norms)} == params.keys():
            break
    else:
        raise UserError(f"a network with the layers {', '.join(sorted(params))} is not a DCGAN")
    tensors = {}
    for name, layer in convolutions:
        kernel = np.asarray(params[layer]["kernel"])
        if layer == "Dense_0":
            rows = kernel if kind == "generator" else kernel.T
            kernel = rows.reshape(len(rows), 4, 4, -1)
        tensors[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(0, 3, 1, 2))
    for name, layer in norms:
        for collection in _NORM.keys() & variables.keys():
            for leaf, theirs in _NORM[collection].items():
                tensors[f"{name}.{theirs}"] = np.asarray(variables[collection][layer][leaf])
    return tensors


def _names(kind: str, maps: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Name the convolutions and the BatchNorms in the order of computation, each as in PyTorch and as in Flax."""
    if kind == "generator":
        convolutions = ["Dense_0", *(f"ConvTranspose_{i}" for i in range(maps))]
        places, norms = [3 * i for i in range(maps + 1)], [3 * i + 1 for i in range(maps)]
    else:  # the first convolution has no BatchNorm
        convolutions = [*(f"Conv_{i}" for i in range(maps)), "Dense_0"]
        places, norms = [0, *(3 * i + 2 for i in range(maps))], [3 * i + 3 for i in range(maps - 1)]
    return (
        [(f"main.{place}", layer) for place, layer in zip(places, convolutions, strict=True)],
        [(f"main.{place}", f"BatchNorm_{i}") for i, place in enumerate(norms)],
    )


def _layers(tensors: Mapping[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """Return the names of the convolutions and of the BatchNorms, ordered by the numbers in them."""
    layers: dict[str, set[str]] = {}
    for name in tensors:
        layer, _, leaf = name.rpartition(".")
        if "parametrizations" in name or leaf in ("weight_orig", "weight_u", "weight_v", "weight_g"):
            raise UserError(f"it has a spectral or weight normalisation, {name}; export the network without it")
        if leaf != "num_batches_tracked":
            layers.setdefault(layer, set()).add(leaf)
    convolutions, norms = [], []
    for layer in sorted(layers, key=_by_numbers):
        shape = tensors[f"{layer}.weight"].shape if "weight" in layers[layer] else ()
        if len(shape) == 4 and layers[layer] == {"weight"}:
            convolutions.append(layer)
        elif len(shape) == 1 and layers[layer] == _NORM_NAMES:
            norms.append(layer)
        elif len(shape) == 4 and "bias" in layers[layer]:
            raise UserError(f"its convolution {layer} has a bias, where BatchNorm alone has one")
        else:
            what = f"{layer}.weight of shape {shape}" if shape else f"{layer} with {', '.join(sorted(layers[layer]))}"
            raise UserError(f"{what} is neither a convolution nor a BatchNorm with running statistics")
    return convolutions, norms


def _by_numbers(name: str) -> list[str | int]:
    """Return a key for sorting that puts `main.10` behind `main.9`."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)]


def _require(tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], image_size: int, width: int) -> None:
    if tensors[name].shape != shape:
        raise UserError(
            f"{name} has shape {tensors[name].shape} instead of {shape}, which it has in a DCGAN for {image_size} "
            f"pixels with {width} channels at the largest maps"
        )
