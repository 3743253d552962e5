import os

os.environ["KERAS_BACKEND"] = "jax"

import h5py
import numpy as np
import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.files import keras_h5
from keras_files import save_h5

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def model():
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Conv2D(2, 3, use_bias=False),
            keras.layers.BatchNormalization(scale=False),
            keras.layers.Flatten(),
            keras.layers.Dense(5, name="predictions"),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, weight.shape) for weight in model.weights])
    return model


@pytest.mark.parametrize("layout", ["x.weights.h5", "x.h5"])
def test_reads_what_keras_writes(model, tmp_path, layout):
    path = tmp_path / layout
    model.save_weights(path) if layout == "x.weights.h5" else save_h5(model, path)
    layers = keras_h5.read_layers(path)
    assert layers.keys() == {layer.name for layer in model.layers if layer.weights}
    for name, tensors in layers.items():
        expected = {weight.name: weight.numpy() for weight in model.get_layer(name).weights}
        assert tensors.keys() == expected.keys()
        for tensor in tensors:
            np.testing.assert_array_equal(tensors[tensor], expected[tensor])


def test_order_of_creation_is_by_number_wherever_it_starts():
    def layers(*names):
        return {name: {} for name in names}

    assert keras_h5.in_order(layers("conv2d_2", "dense", "conv2d", "conv2d_1"), "conv2d") == [
        "conv2d",
        "conv2d_1",
        "conv2d_2",
    ]
    assert keras_h5.in_order(layers("conv2d_10", "conv2d_9", "xconv2d_11", "conv2d_11x"), "conv2d") == [
        "conv2d_9",
        "conv2d_10",
    ]
    with pytest.raises(UserError, match="between conv2d_3 and conv2d_5"):
        keras_h5.in_order(layers("conv2d_5", "conv2d_3"), "conv2d")


def _write(path, kernel=None):
    """A sound file of one layer in the older layout, if nothing else is asked for."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["dense"]
        group = file.create_group("dense")
        group.attrs["weight_names"] = ["dense/kernel:0"]
        if kernel is None:
            group["dense/kernel:0"] = np.ones((2, 2), np.float32)
        else:
            kernel(group)


def _huge(group):
    group.create_dataset("dense/kernel:0", shape=(1 << 20, 1 << 20), dtype="f4")  # 4 TiB that take no space


def _external_link(group):
    other = os.path.join(os.path.dirname(group.file.filename), "other.h5")
    _write(other)
    group["dense/kernel:0"] = h5py.ExternalLink(other, "dense/dense/kernel:0")


def _external_storage(group):
    raw = os.path.join(os.path.dirname(group.file.filename), "raw")
    np.ones((2, 2), np.float32).tofile(raw)
    group.create_dataset("dense/kernel:0", shape=(2, 2), dtype="f4", external=[(raw, 0, 16)])


def _virtual(group):
    group.create_virtual_dataset("dense/kernel:0", h5py.VirtualLayout(shape=(2, 2), dtype="f4"))


def _text(group):
    group["dense/kernel:0"] = np.array([b"a", b"b"], dtype=object)


def _group(group):
    group.create_group("dense/kernel:0")


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (_huge, "not an array of floats"),
        (_external_link, "not an array of floats"),
        (_external_storage, "not an array of floats"),
        (_virtual, "not an array of floats"),
        (_text, "not an array of floats"),
        (_group, "not an array of floats"),
        (lambda group: group.__setitem__("dense/kernel:0", np.ones(3, int)), "not an array of floats"),
        (lambda group: group.__setitem__("dense/kernel:0", np.array([1, np.inf])), "not finite"),
        (lambda group: group.__setitem__("other", np.ones(3)), "damaged"),
    ],
)
def test_a_hostile_tensor_is_refused(tmp_path, kernel, reason):
    path = tmp_path / "x.h5"
    _write(path)
    assert keras_h5.read_layers(path)["dense"]["kernel"].shape == (2, 2)
    _write(path, kernel)
    with pytest.raises(UserError, match=reason) as error:
        keras_h5.read_layers(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def _new_layout(path, kind="dense", tensors=1, **attributes):
    with h5py.File(path, "w") as file:
        group = file.create_group(f"layers/{kind}/vars")
        group.attrs.update(attributes)
        for i in range(tensors):
            group[str(i)] = np.ones(2, np.float32)


def test_a_layer_of_another_file_is_refused(tmp_path):
    _write(tmp_path / "other.h5")
    _write(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "a") as file:
        (root,) = [group for group in (file, file.get("model_weights")) if group and "layer_names" in group.attrs]
        del root["dense"]
        root["dense"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "dense")
    with pytest.raises(UserError, match="not an array of floats stored in this file"):
        keras_h5.read_layers(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.write_bytes(b""), "damaged or not a Keras"),
        (lambda path: path.write_bytes(b"PK\x03\x04 a zip archive"), "damaged or not a Keras"),
        (lambda path: path.mkdir(), "damaged or not a Keras"),
        (lambda path: h5py.File(path, "w").close(), "neither `layer_names` nor `layers`"),
        (lambda path: _new_layout(path), "no name"),
        (lambda path: _new_layout(path, tensors=3, name="dense"), "3 tensors"),
        (lambda path: _new_layout(path, kind="lstm", tensors=2, name="lstm"), "no layer that is known"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path, write, reason):
    path = tmp_path / "x.h5"
    write(path)
    with pytest.raises(UserError, match=reason) as error:
        keras_h5.read_layers(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
