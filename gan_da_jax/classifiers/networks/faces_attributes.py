"""The classifier of the procedural faces: trained here when first needed, then kept in the cache."""

import json
import time
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np

from gan_da_jax import prng
from gan_da_jax.classifiers import fitting
from gan_da_jax.classifiers.backbone import Backbone, Trained, Weights
from gan_da_jax.classifiers.networks import small_cnn
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.files import io

# Raise this number when anything that is not in `path`'s key changes the weights: the network's layers, `fitting.fit`,
# the drawing of faces. A test holds the weights against pinned ones and fails when one of these changed.
FORMAT = 1
SEED = 2**32  # the first that no run can have, so no face is trained on that a run will show
TRAINED_ON = 6144  # faces
HELD_OUT = 1024  # faces
EPOCHS = 6
BATCH = 32
LEARNING_RATE = 3e-3  # at the start, see `fitting.fit`
NETWORK = small_cnn.Attributes(len(faces.CLASSES))


def path() -> Path:
    """Say where the weights are kept; the name changes with `FORMAT` and all settings of the training.

    The versions of JAX and the device are not in it, though the weights differ between them by float rounding: every
    score carries the hash of the weights it was made with, and training them again after an update would make the
    scores of one study incomparable.
    """
    settings = (FORMAT, SEED, TRAINED_ON, HELD_OUT, EPOCHS, BATCH, LEARNING_RATE, faces.CLASSES)
    return io.cache_dir() / "weights" / f"faces_attributes-{io.sha256(json.dumps(settings).encode())[:16]}.npz"


def read(kept: Path) -> Weights:
    """Read the weights that `train_and_keep` wrote; a `UserError` if the file is damaged."""
    try:
        with np.load(kept, allow_pickle=False) as arrays:
            flat = dict(arrays)
        accuracy = float(flat.pop("accuracy"))
    except Exception as error:  # NumPy's readers raise almost anything on damaged data
        raise UserError(f"{kept} is damaged ({error}): delete it, and it will be made again") from None
    return Weights(flax.traverse_util.unflatten_dict(flat, sep="/"), NETWORK.taps, accuracy)


def train_and_keep() -> None:
    """Train the network and write its weights to `path`, which takes some seconds."""
    start = time.monotonic()
    variables, accuracy = train()
    io.save_arrays(path(), accuracy=np.array(accuracy), **flax.traverse_util.flatten_dict(variables, sep="/"))
    took = time.monotonic() - start
    print(f"faces_attributes: trained in {took:.0f} s, accuracy {accuracy:.3f}, kept in {path()}", flush=True)


def train(count: int = TRAINED_ON, epochs: int = EPOCHS) -> tuple[dict, float]:
    """Train on `count` faces, each softened by some amount, as `fitting.fit` does.

    Faces are never flipped or inverted: such pictures must look strange to the network.

    Returns:
        Flax variables of `NETWORK`, and the share of held-out faces that it classifies rightly; exactly the same on
        every call on the same machine.
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


BACKBONE = Backbone(
    name="faces_attributes",
    network=NETWORK,
    prepare=small_cnn.prepare,
    taps=NETWORK.taps,
    default_tap="64",
    read=read,
    classes=faces.CLASSES,
    origin=Trained(path, train_and_keep),
)
