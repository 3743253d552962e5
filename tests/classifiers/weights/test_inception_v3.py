import os

os.environ["KERAS_BACKEND"] = "jax"

import shutil

import h5py
import jax
import numpy as np
import pytest

import keras_files
from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import inception_v3 as weights
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from keras_files import add_layer, drop_layer, edit, pictures, rename_layer, replace, truncate

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def keras_model():
    """Keras' network with random weights that tell pictures apart: plain random ones answer the same to all.

    Its outputs are the pooled features and the logits.
    """
    keras.utils.clear_session()  # the numbers in names start again
    # Layers that are made before shift the numbers in the names, differently for either kind.
    for _ in range(3):
        keras.layers.Conv2D(1, 1)
    for _ in range(7):
        keras.layers.BatchNormalization()
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:  # every weight is set below; drawing them first takes ten times longer
        patch.setattr(keras.initializers.GlorotUniform, "__call__", lambda self, shape, dtype=None: np.zeros(shape))
        model = keras.applications.InceptionV3(weights=None, classifier_activation=None)
    for layer in model.layers:
        shapes = [weight.shape for weight in layer.weights]
        if isinstance(layer, keras.layers.Conv2D):
            kernel = rng.normal(size=shapes[0]) * np.sqrt(2 / np.prod(shapes[0][:3]))
            layer.set_weights([kernel - kernel.mean((0, 1, 2))])  # blind to what all channels have in common
        elif isinstance(layer, keras.layers.BatchNormalization):
            normal, positive = rng.normal(0, 0.1, (2, *shapes[0])), rng.uniform(0.7, 1.4, shapes[0])
            layer.set_weights([*normal, positive])
    prepared = np.asarray(inception_v3.prepare(pictures(32, 8)))
    return keras_files.separating(model, prepared, rng, spread=0.4)


@pytest.fixture(scope="module")
def folder(keras_model, tmp_path_factory):
    """The same weights in the three layouts; the published file counts its layers from 1."""

    def renamed(name):
        kind, _, number = name.rpartition("_")
        start = {"conv2d": 2, "batch_normalization": 6}.get(kind)
        return f"{kind}_{int(number) - start}" if start is not None else name

    folder = tmp_path_factory.mktemp("weights")
    keras_files.write_layouts(keras_model, folder, renamed)
    return folder


@pytest.fixture(scope="module")
def classifier(folder):
    return registry.load("inception_v3", str(folder / "new.weights.h5"))


@pytest.mark.parametrize("size", [32, 299, 400])
def test_features_and_logits_are_those_of_keras(keras_model, classifier, size):
    images = pictures(size)
    found = classifier.apply(images, ("2048", "logits"))
    features, expected = keras_model.predict(np.asarray(inception_v3.prepare(images)), verbose=0)
    assert np.abs(expected[0] - expected[1]).mean() > 0.3  # else agreement would say little
    np.testing.assert_allclose(found["2048"], features, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-5, atol=1e-4)


def test_logits_do_not_depend_on_the_batch(classifier):
    images = pictures(32, 3)
    together = classifier.apply(images)["logits"]
    pair = classifier.apply(images[[2, 0]])["logits"]
    np.testing.assert_allclose(together[np.array([2, 0])], pair, rtol=0, atol=1e-4)


def test_classifier_tells_what_it_is(classifier, folder):
    assert classifier.name == "inception_v3"
    assert len(classifier.classes) == 1000
    assert classifier.weights_sha256 == io.file_sha256(folder / "new.weights.h5")
    assert classifier.accuracy is None


@pytest.mark.parametrize("layout", ["model.h5", "published.h5"])
def test_every_layout_gives_the_same_variables(classifier, folder, layout):
    variables = weights.read_keras(folder / layout).variables
    assert jax.tree.structure(variables) == jax.tree.structure(classifier.variables)
    jax.tree.map(np.testing.assert_array_equal, variables, classifier.variables)


def test_names_start_and_layers_lie_where_a_naive_reader_would_err(folder):
    with h5py.File(folder / "model.h5") as file:
        names = [name for name in file["model_weights"].attrs["layer_names"] if name.startswith("conv2d")]
    numbers = [int(name.rpartition("_")[2]) for name in names]
    assert min(numbers) == 3
    assert numbers != sorted(numbers)


@edit
def add_tensor(file):
    group = file["conv2d_8"]
    group.attrs["weight_names"] = [*group.attrs["weight_names"], b"conv2d_8/bias:0"]
    group["conv2d_8/bias:0"] = np.zeros(96, np.float32)


VARIANCE = "batch_normalization_9/batch_normalization_9/moving_variance:0"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "damaged"),
        (drop_layer("conv2d_94"), "93 convolutions instead of 94"),
        (drop_layer("conv2d_12"), "between conv2d_11 and conv2d_13"),
        (drop_layer("batch_normalization_94"), "93 BatchNorms instead of 94"),
        (drop_layer("predictions"), "predictions/(kernel|bias) is missing"),
        (rename_layer("conv2d_94", "last"), "93 convolutions instead of 94"),
        (rename_layer("conv2d_5", "conv2d_500"), "between conv2d_4 and conv2d_6"),
        (rename_layer("predictions", "head"), "a layer head"),
        (add_layer, "a layer dense_1"),
        (add_tensor, "conv2d_8/bias is not part"),
        (replace("conv2d_8/conv2d_8/kernel:0", np.zeros((3, 3, 96, 64))), r"conv2d_8/kernel .* \(3, 3, 96, 64\)"),
        (replace("predictions/predictions/bias:0", np.zeros(1008)), r"predictions/bias .* \(1008,\)"),
        (replace("conv2d_8/conv2d_8/kernel:0", np.full((3, 3, 64, 96), np.nan)), "not finite"),
        (replace(VARIANCE, np.full(64, -1.0)), "negative"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(folder, tmp_path, damage, reason):
    path = tmp_path / "wrong.h5"
    shutil.copy(folder / "published.h5", path)
    damage(path)
    with pytest.raises(UserError, match=reason) as error:
        weights.read_keras(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
