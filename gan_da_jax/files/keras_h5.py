"""The weight files that Keras writes (HDF5), read without Keras and without running anything that a file contains.

Three layouts hold the same tensors:
- `model.save("x.h5")`: a group `model_weights`, laid out as the next one;
- files of older versions, among them the published ones: a list `layer_names`, and for each layer a group with a list
  `weight_names` of the data sets in it, as in `conv2d_12/kernel:0`;
- `model.save_weights("x.weights.h5")`: `layers/<class>_<position>/vars/0`, the layer's own name being an attribute of
  `vars`. The position counts along the graph, so it does not tell the order of creation, which the layer's name does.

A `.safetensors` file can hold them, too, named as in `conv2d_12/kernel`.
"""

import re
from pathlib import Path

import h5py
import numpy as np

from gan_da_jax.errors import UserError, reason
from gan_da_jax.files import torch_file

# What the numbers in `vars` stand for: by the layer's class and how many there are.
_VARIABLES = {
    ("conv2d", 1): ("kernel",),
    ("conv2d", 2): ("kernel", "bias"),
    ("dense", 1): ("kernel",),
    ("dense", 2): ("kernel", "bias"),
    ("batch_normalization", 3): ("beta", "moving_mean", "moving_variance"),
    ("batch_normalization", 4): ("gamma", "beta", "moving_mean", "moving_variance"),
}

Layers = dict[str, dict[str, np.ndarray]]


def read_layers(path: str | Path) -> Layers:
    """Read every layer that has weights.

    Args:
        path: a Keras weight file in any of the three layouts, or a `.safetensors` file of tensors as from `flatten`.

    Returns:
        {layer name: {tensor name: float32 array}}, as in `layers["conv2d_12"]["kernel"]`.

    Raises:
        UserError: the file is absent, truncated, no HDF5 or no Keras file, or holds something else than finite floats.
    """
    if Path(path).suffix == ".safetensors":
        return _unflatten(torch_file.read(path))
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            if "layer_names" in root.attrs:
                pairs = [_named(file, root[_text(name)], _text(name)) for name in root.attrs["layer_names"]]
            elif "layers" in file:
                pairs = [_numbered(file, file["layers"][key], key) for key in file["layers"]]
            else:
                raise _Unreadable("it is HDF5, but no Keras weight file: it has neither `layer_names` nor `layers`")
            return {name: tensors for name, tensors in pairs if tensors}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except _Unreadable as error:
        raise UserError(f"{path}: {error}") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged or not a Keras weight file (.h5): {reason(error)}") from None


def is_hdf5(path: str | Path) -> bool:
    """Tell whether a file begins as HDF5 does; the rest may still be anything."""
    return h5py.is_hdf5(path)


def flatten(layers: Layers) -> dict[str, np.ndarray]:
    """Return the tensors of layers by names as in `conv2d_12/kernel`."""
    return {f"{layer}/{name}": array for layer, tensors in layers.items() for name, array in tensors.items()}


def in_order(layers: Layers, kind: str) -> list[str]:
    """List the names `kind`, `kind_1`, ... in order of creation; Keras may start to count anywhere, but leaves no gap.

    Raises:
        UserError: a number is missing in between.
    """
    matches = [re.fullmatch(rf"{kind}(?:_(\d+))?", name) for name in layers]
    numbered = sorted((int(match[1] or 0), match[0]) for match in matches if match)
    for (number, name), (following, other) in zip(numbered, numbered[1:], strict=False):
        if following != number + 1:
            raise UserError(f"the layer between {name} and {other} is missing")
    return [name for _, name in numbered]


def require(layers: Layers, layer: str, shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise a `UserError` unless `layer` has the tensors of `shapes` and no others, and no negative variance."""
    tensors = layers.get(layer, {})
    for name in tensors.keys() ^ shapes.keys():
        raise UserError(f"{layer}/{name} is {'missing' if name in shapes else 'not part of the network'}")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise UserError(f"{layer}/{name} has shape {tensors[name].shape} instead of {shape}")
    if "moving_variance" in tensors and tensors["moving_variance"].min() < 0:
        raise UserError(f"{layer}/moving_variance is negative")


def _unflatten(tensors: dict[str, np.ndarray]) -> Layers:
    layers: Layers = {}
    for path, array in tensors.items():
        layer, _, name = path.rpartition("/")
        layers.setdefault(layer, {})[name] = array
    return layers


class _Unreadable(Exception):
    pass


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _named(file: h5py.File, group: h5py.Group, layer: str) -> tuple[str, dict[str, np.ndarray]]:
    names = [_text(name) for name in group.attrs["weight_names"]]
    return layer, {name.rpartition("/")[2].removesuffix(":0"): _tensor(file, group, name) for name in names}


def _numbered(file: h5py.File, layer: h5py.Group, key: str) -> tuple[str, dict[str, np.ndarray]]:
    group = layer.get("vars", {})
    if len(group) == 0:
        return key, {}
    if "name" not in group.attrs:
        raise _Unreadable(f"layers/{key} has no name: save the weights again with Keras 3.9 or newer")
    kind = re.sub(r"_\d+$", "", key)
    if (kind, len(group)) not in _VARIABLES:
        raise _Unreadable(f"layers/{key} has {len(group)} tensors, which no layer that is known here has")
    names = _VARIABLES[kind, len(group)]
    return _text(group.attrs["name"]), {name: _tensor(file, group, str(i)) for i, name in enumerate(names)}


def _tensor(file: h5py.File, group: h5py.Group, name: str) -> np.ndarray:
    node = group[name]
    # Keras writes plain arrays. Anything else could read other files or claim more memory than there is.
    plain = isinstance(node, h5py.Dataset) and node.file.id == file.id and node.id.get_offset() is not None
    if not plain or node.dtype.kind != "f" or node.nbytes > Path(file.filename).stat().st_size:
        raise _Unreadable(f"{node.name} is not an array of floats stored in this file")
    array = node[()].astype(np.float32)
    if not np.isfinite(array).all():
        raise _Unreadable(f"{node.name} holds values that are not finite")
    return array
