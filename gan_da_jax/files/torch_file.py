"""The weight files of PyTorch users, `.safetensors` and `.pth`, read without running anything that a file contains."""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from gan_da_jax.errors import UserError, reason
from gan_da_jax.files import io

Tensors = dict[str, np.ndarray]

# What `torch.load` raises for files that are cut off or made up; refused code is an UnpicklingError.
_DAMAGE = (
    *(zipfile.BadZipFile, OSError, EOFError, LookupError, ValueError, TypeError),
    *(ArithmeticError, AssertionError, AttributeError, MemoryError, RuntimeError),
)


def read(path: str | Path) -> Tensors:
    """Read a state dict, `.safetensors` by its own library and any other file by `torch.load(..., weights_only=True)`.

    Args:
        path: a `.safetensors`, `.pth` or `.pt` file that holds nothing but named tensors.

    Returns:
        {name: float32 array}, without BatchNorm's counts of batches, `num_batches_tracked`.

    Raises:
        UserError: the file is absent, truncated or something else, it wants to run code, it holds something else than
            finite floats, or it is no `.safetensors` and PyTorch is not installed.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} does not exist")
    tensors = {}
    for name, array in (_safetensors if Path(path).suffix == ".safetensors" else _pickled)(path):
        with np.errstate(over="ignore"):  # what float32 cannot hold is not finite afterwards
            tensors[name] = array.astype(np.float32)
        if not np.isfinite(tensors[name]).all():
            raise UserError(f"{path}: {name} holds values that are not finite")
    return tensors


def write(path: str | Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write {name: float32 array} as a `.safetensors` file, atomically; `read` returns the same."""
    io.write_atomic(path, safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors.items()}))


def _wanted(name: str) -> bool:
    return name.rpartition(".")[2] != "num_batches_tracked"


def _safetensors(path: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        with safetensors.safe_open(path, "numpy") as file:
            for name in filter(_wanted, file.keys()):
                if file.get_slice(name).get_dtype() not in ("F16", "F32", "F64"):
                    raise UserError(f"{path}: {name} is not an array of floats")
                yield name, file.get_tensor(name)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged or not a .safetensors file: {reason(error)}") from None


def _pickled(path: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path} can only be read with PyTorch, which is not installed: pip install 'gan_da_jax[torch]', "
            f"or pip install torch"
        ) from None
    size = Path(path).stat().st_size
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(member.file_size for member in archive.infolist()) > size:
                    raise UserError(f"{path} is compressed, which no weight file is: it is not opened")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path} holds more than plain tensors, or is damaged: nothing in it was run") from None
    except _DAMAGE as error:
        raise UserError(f"{path} is damaged or not a PyTorch weight file: {reason(error)}") from None
    if not isinstance(content, Mapping) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path} is no state dict, a mapping of names to tensors")
    for name in filter(_wanted, content):
        tensor = content[name]
        plain = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and tensor.is_floating_point()
        # Views, and many names for one storage, can claim more memory than there is.
        size -= tensor.numel() * tensor.element_size() if plain else 0
        if not plain or size < 0:
            raise UserError(f"{path}: {name} is not an array of floats stored in this file")
        yield name, tensor.detach().float().numpy()
