import os

os.environ["KERAS_BACKEND"] = "jax"

import shutil

import h5py
import jax
import numpy as np
import pytest

from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.classifiers.networks import resnet50
from gan_da_jax.classifiers.weights import resnet50 as weights
from gan_da_jax.errors import UserError
from gan_da_jax.files import io

keras = pytest.importorskip("keras")


def pictures(size, count=2):
    """Smooth blots and some noise, uint8 [count, size, size, 3]; no two alike."""
    rng = np.random.default_rng(size)
    blots = jax.image.resize(rng.uniform(0, 255, (count, 5, 5, 3)), (count, size, size, 3), "cubic")
    return np.clip(blots + rng.normal(0, 10, blots.shape), 0, 255).astype(np.uint8)


def keras_input(images):
    """What Keras' own preparation makes of images that were resized by us."""
    resized = jax.image.resize(images.astype(np.float32), (len(images), 224, 224, 3), "bilinear")
    return keras.applications.resnet.preprocess_input(np.array(resized))


@pytest.fixture(scope="module")
def keras_model():
    """Keras' network with random weights that tell pictures apart: plain random ones answer the same to all.

    Its outputs are the pooled features and the logits.
    """
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:  # every weight is set below; drawing them first takes ten times longer
        patch.setattr(keras.initializers.GlorotUniform, "__call__", lambda self, shape, dtype=None: np.zeros(shape))
        model = keras.applications.ResNet50(weights=None, classifier_activation=None)
    for layer in model.layers:
        shapes = [weight.shape for weight in layer.weights]
        if isinstance(layer, keras.layers.Conv2D):
            kernel = rng.normal(size=shapes[0]) * np.sqrt(2 / np.prod(shapes[0][:3]))
            kernel /= 70 if layer.name == "conv1_conv" else 1  # pixels have a spread of about 70
            layer.set_weights([kernel - kernel.mean((0, 1, 2)), rng.normal(0, 0.1, shapes[1])])
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, variance = rng.uniform(0.5, 1, (2, *shapes[0]))
            gamma *= 0.3 if layer.name.endswith("_3_bn") else 1  # else the sums of 16 blocks grow without bound
            layer.set_weights([gamma, *rng.normal(0, 0.1, (2, *shapes[0])), variance])
    # The last layer ignores what the pictures have in common and stretches what is left to logits about 1 apart.
    model = keras.Model(model.input, [model.get_layer("avg_pool").output, model.output])
    features, _ = model.predict(keras_input(pictures(32, 8)), batch_size=2, verbose=0)
    kernel, common = rng.normal(size=(2048, 1000)), features.mean(0)
    kernel -= np.outer(common, common @ kernel) / (common @ common)
    model.get_layer("predictions").set_weights([0.8 * kernel / np.std(features @ kernel), rng.normal(size=1000)])
    return model


@pytest.fixture(scope="module")
def folder(keras_model, save_keras, tmp_path_factory):
    """The same weights in the three layouts."""
    folder = tmp_path_factory.mktemp("weights")
    keras_model.save_weights(folder / "new.weights.h5")
    save_keras(keras_model, folder / "model.h5")
    with h5py.File(folder / "model.h5") as model, h5py.File(folder / "published.h5", "w") as published:
        _copy_as_published(model["model_weights"], published)
    return folder


def _copy_as_published(source, target):
    """Names as an older Keras wrote them, which also called the last layer otherwise."""
    layers = [str(name) for name in source.attrs["layer_names"]]
    target.attrs["layer_names"] = np.array([name.replace("predictions", "probs").encode() for name in layers])
    for layer in layers:
        name = layer.replace("predictions", "probs")
        group = target.create_group(name)
        tensors = [path.rpartition("/")[2] for path in source[layer].attrs["weight_names"]]
        group.attrs["weight_names"] = np.array([f"{name}/{tensor}:0".encode() for tensor in tensors])
        for tensor in tensors:
            group[f"{name}/{tensor}:0"] = source[layer][layer][tensor][()]


@pytest.fixture(scope="module")
def classifier(folder):
    return classifiers.load("resnet50", str(folder / "new.weights.h5"))


@pytest.mark.parametrize("size", [32, 128, 224, 299])
def test_features_and_logits_are_those_of_keras(keras_model, classifier, size):
    images = pictures(size)
    outputs = classifier.apply(images, ("2048", "logits"))
    features, logits = keras_model.predict(keras_input(images), verbose=0)
    assert np.abs(logits[0] - logits[1]).mean() > 0.5  # else agreement would say little
    for name, expected in (("2048", features), ("logits", logits)):
        np.testing.assert_allclose(outputs[name], expected, rtol=0, atol=1e-4)
        assert np.linalg.norm(outputs[name] - expected) <= 1e-5 * np.linalg.norm(expected)


def test_outputs_do_not_depend_on_the_batch(classifier):
    images = pictures(32, 3)
    together, pair = (classifier.apply(batch, ("2048", "logits")) for batch in (images, images[[2, 0]]))
    for name in ("2048", "logits"):
        np.testing.assert_allclose(together[name][np.array([2, 0])], pair[name], rtol=0, atol=1e-4)


def test_classifier_tells_what_it_is(classifier, folder):
    assert classifier.name == "resnet50"
    assert len(classifier.classes) == 1000
    assert (classifier.classes[259], classifier.classes[0], classifier.classes[-1]) == (
        "pomeranian",
        "tench",
        "toilet_tissue",
    )
    assert classifier.weights_sha256 == io.file_sha256(folder / "new.weights.h5")
    assert classifier.accuracy is None
    assert classifier.taps == ("2048", "logits")


@pytest.mark.parametrize("layout", ["model.h5", "published.h5"])
def test_every_layout_gives_the_same_variables(classifier, folder, layout):
    variables = weights.load(folder / layout)
    assert jax.tree.structure(variables) == jax.tree.structure(classifier.variables)
    jax.tree.map(np.testing.assert_array_equal, variables, classifier.variables)


def _edit(change):
    def damage(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def _replace(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return _edit(change)


def _drop_layer(layer):
    def change(file):
        names = [name.decode() for name in file.attrs["layer_names"]]
        file.attrs["layer_names"] = [name for name in names if name != layer]

    return _edit(change)


def _add_layer(file):
    file.attrs["layer_names"] = [*file.attrs["layer_names"], b"dense_1"]
    group = file.create_group("dense_1")
    group.attrs["weight_names"] = ["dense_1/kernel:0"]
    group["dense_1/kernel:0"] = np.zeros((1, 1), np.float32)


def _drop_bias(file):
    file["conv2_block1_0_conv"].attrs["weight_names"] = [b"conv2_block1_0_conv/kernel:0"]


def _truncate(path):
    os.truncate(path, path.stat().st_size * 2 // 3)


CONVOLUTION, NORM = "conv3_block2_2_conv/conv3_block2_2_conv", "conv3_block2_2_bn/conv3_block2_2_bn"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_truncate, "damaged"),
        (lambda path: path.write_bytes(b"<html>404</html>"), "damaged or not a Keras weight file"),
        (_drop_layer("conv5_block3_3_conv"), "conv5_block3_3_conv/(kernel|bias) is missing"),
        (_drop_layer("conv1_bn"), r"conv1_bn/\w+ is missing"),
        (_drop_layer("probs"), "no layer beside"),
        (_edit(_add_layer), "layers dense_1, probs beside"),
        (_edit(_drop_bias), "conv2_block1_0_conv/bias is missing"),
        (_replace(f"{CONVOLUTION}/kernel:0", np.zeros((3, 3, 64, 128))), r"conv3_block2_2_conv/kernel .* \(3, 3, 64,"),
        (_replace("probs/probs/bias:0", np.zeros(1008)), r"probs/bias .* \(1008,\) instead of \(1000,\)"),
        (_replace(f"{CONVOLUTION}/kernel:0", np.full((3, 3, 128, 128), np.nan)), "not finite"),
        (_replace(f"{NORM}/moving_variance:0", np.full(128, -1.0)), "negative"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(folder, tmp_path, damage, reason):
    path = tmp_path / "wrong.h5"
    shutil.copy(folder / "published.h5", path)
    damage(path)
    with pytest.raises(UserError, match=reason) as error:
        weights.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_has_the_published_number_of_parameters(keras_model):
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
    shapes = jax.eval_shape(resnet50.ResNet50().init, jax.random.key(0), image)["params"]
    # Keras counts 25,636,712: a convolution's channel has its bias and BatchNorm's four numbers; here only a bias.
    channels = sum(unit["bias"].size for name, unit in shapes.items() if name != "logits")
    assert keras_model.count_params() == 25_636_712
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 25_636_712 - 4 * channels
