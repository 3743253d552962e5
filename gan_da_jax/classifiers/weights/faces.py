"""Weights of the faces' own classifier: trained here when first needed, then kept."""

import hashlib
import time
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np

from gan_da_jax import prng
from gan_da_jax.classifiers import fitting
from gan_da_jax.classifiers.networks import small_cnn
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.files import io

SEED = 2**32  # the first that no run can have, so no face is trained on that a run will show
TRAINED_ON = 6144  # faces
HELD_OUT = 1024  # faces
EPOCHS = 6
BATCH = 32
LEARNING_RATE = 3e-3  # at the start, see `fitting.fit`
NETWORK = small_cnn.Attributes(len(faces.CLASSES))


def path() -> Path:
    """Where the weights are kept; the name changes with whatever determines them."""
    files = [*(module.__file__ for module in (small_cnn, faces, fitting)), __file__]
    code = b"".join(Path(file).read_bytes() for file in files)
    return io.cache_dir() / "weights" / f"faces_attributes-{io.sha256(code)[:16]}.npz"


def load(file: str = "") -> tuple[dict, float]:
    """Reads the weights, after training them if they are not there.

    Args:
        file: one that was kept elsewhere; "" for the one at `path()`.

    Returns:
        Flax variables of `attributes.Attributes`, and the share of held-out faces that it classifies rightly.

    Raises:
        UserError: the file is damaged.
    """
    kept = Path(file) if file else path()
    if not kept.exists():
        start = time.monotonic()
        variables, accuracy = train()
        flat = flax.traverse_util.flatten_dict(variables, sep="/")
        io.save_arrays(kept, accuracy=np.float64(accuracy), **flat)
        took = time.monotonic() - start
        print(f"faces_attributes: trained in {took:.0f} s, accuracy {accuracy:.3f}, kept in {kept}", flush=True)
    try:
        with np.load(kept, allow_pickle=False) as arrays:
            flat = dict(arrays)
        accuracy = float(flat.pop("accuracy"))
    except Exception as error:  # NumPy's readers raise almost anything on damaged data
        raise UserError(f"{kept} is damaged ({error}): delete it, and it will be made again") from None
    return flax.traverse_util.unflatten_dict(flat, sep="/"), accuracy


def digest(variables: dict) -> str:
    """The SHA-256 of the names, shapes and float32 values of Flax variables, as 64 hex digits."""
    total = hashlib.sha256()
    for name, array in sorted(flax.traverse_util.flatten_dict(variables, sep="/").items()):
        total.update(f"{name}{array.shape}".encode() + np.asarray(array, "<f4").tobytes())
    return total.hexdigest()


def train(count: int = TRAINED_ON, epochs: int = EPOCHS) -> tuple[dict, float]:
    """Trains on `count` faces, each softened by some amount, as `fitting.fit` does.

    Faces are never flipped or inverted: such pictures are to look strange to the network.

    Returns:
        As `load`; the very same on every call on the same machine.
    """
    pixels, labels = faces.render(SEED, np.arange(count), small_cnn.SIZE)
    variables = fitting.fit(
        NETWORK,
        small_cnn.prepare(pixels),
        faces.class_of(labels),
        prng.stream(0, "faces_attributes"),
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
    )
    pixels, labels = faces.render(SEED, np.arange(count, count + HELD_OUT), 2 * small_cnn.SIZE)
    logits = jax.jit(NETWORK.apply)(variables, small_cnn.prepare(pixels))["logits"]
    return jax.device_get(variables), float(np.mean(np.argmax(logits, axis=-1) == faces.class_of(labels)))
