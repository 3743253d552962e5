"""Weight files as different versions of Keras write them, what can be wrong with one, and pictures for the networks."""

import os
import sys

import h5py
import jax
import numpy as np
import pytest


def pictures(size, count=2):
    """Smooth blots and some noise, uint8 [count, size, size, 3]; no two alike."""
    rng = np.random.default_rng(size)
    blots = jax.image.resize(rng.uniform(0, 255, (count, 5, 5, 3)), (count, size, size, 3), "cubic")
    return np.clip(blots + rng.normal(0, 10, blots.shape), 0, 255).astype(np.uint8)


def save_h5(model, path):
    """Saves a whole model as one .h5 file, for which Keras would import TensorFlow wherever it can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorflow", None)
        model.save(path)


def write_layouts(model, folder, renamed):
    """Writes the same weights in three layouts; the published one calls its layers `renamed(layer)`."""
    model.save_weights(folder / "new.weights.h5")
    save_h5(model, folder / "model.h5")
    with h5py.File(folder / "model.h5") as whole, h5py.File(folder / "published.h5", "w") as published:
        source = whole["model_weights"]
        layers = [str(name) for name in source.attrs["layer_names"]]
        published.attrs["layer_names"] = np.array([renamed(layer).encode() for layer in layers])
        for layer in layers:
            group = published.create_group(renamed(layer))
            tensors = [path.rpartition("/")[2] for path in source[layer].attrs["weight_names"]]
            group.attrs["weight_names"] = np.array([f"{renamed(layer)}/{tensor}:0".encode() for tensor in tensors])
            for tensor in tensors:
                group[f"{renamed(layer)}/{tensor}:0"] = source[layer][layer][tensor][()]


def separating(model, prepared, rng, *, spread):
    """The same network with a last layer that tells pictures apart, giving its pooled features and its logits.

    That layer ignores what the pictures have in common, and stretches what is left to logits about `spread` apart.
    """
    import keras

    model = keras.Model(model.input, [model.get_layer("avg_pool").output, model.output])
    features, _ = model.predict(prepared, batch_size=2, verbose=0)
    kernel, common = rng.normal(size=(2048, 1000)), features.mean(0)
    kernel -= np.outer(common, common @ kernel) / (common @ common)
    model.get_layer("predictions").set_weights([spread * kernel / np.std(features @ kernel), rng.normal(size=1000)])
    return model


def edit(change):
    """What damages a file, given what changes it when it is open."""

    def damage(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def replace(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return edit(change)


def drop_layer(layer):
    def change(file):
        names = [name.decode() for name in file.attrs["layer_names"]]
        file.attrs["layer_names"] = [name for name in names if name != layer]

    return edit(change)


def rename_layer(old, new):
    def change(file):
        names = [name.decode() for name in file.attrs["layer_names"]]
        file.attrs["layer_names"] = [new if name == old else name for name in names]
        file.move(old, new)

    return edit(change)


@edit
def add_layer(file):
    file.attrs["layer_names"] = [*file.attrs["layer_names"], b"dense_1"]
    group = file.create_group("dense_1")
    group.attrs["weight_names"] = ["dense_1/kernel:0"]
    group["dense_1/kernel:0"] = np.zeros((1, 1), np.float32)


def truncate(path):
    os.truncate(path, path.stat().st_size * 2 // 3)
