import os

os.environ["KERAS_BACKEND"] = "jax"

import shutil

import jax
import numpy as np
import pytest

import keras_files
from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.networks import resnet50
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from keras_files import add_layer, drop_layer, edit, pictures, replace, truncate

keras = pytest.importorskip("keras")


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
    return keras_files.separating(model, keras_input(pictures(32, 8)), rng, spread=0.8)


@pytest.fixture(scope="module")
def folder(keras_model, tmp_path_factory):
    """The same weights in the three layouts; an older Keras called the last layer otherwise."""
    folder = tmp_path_factory.mktemp("weights")
    keras_files.write_layouts(keras_model, folder, lambda layer: layer.replace("predictions", "probs"))
    return folder


@pytest.fixture(scope="module")
def classifier(folder):
    return registry.load("resnet50", str(folder / "new.weights.h5"))


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
    variables = resnet50.read(folder / layout).variables
    assert jax.tree.structure(variables) == jax.tree.structure(classifier.variables)
    jax.tree.map(np.testing.assert_array_equal, variables, classifier.variables)


@edit
def drop_bias(file):
    file["conv2_block1_0_conv"].attrs["weight_names"] = [b"conv2_block1_0_conv/kernel:0"]


CONVOLUTION, NORM = "conv3_block2_2_conv/conv3_block2_2_conv", "conv3_block2_2_bn/conv3_block2_2_bn"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncate, "damaged"),
        (lambda path: path.write_bytes(b"<html>404</html>"), "damaged or not a Keras weight file"),
        (drop_layer("conv5_block3_3_conv"), "conv5_block3_3_conv/(kernel|bias) is missing"),
        (drop_layer("conv1_bn"), r"conv1_bn/\w+ is missing"),
        (drop_layer("probs"), "no layer beside .* exactly one"),
        (add_layer, "layers dense_1, probs beside"),
        (drop_bias, "conv2_block1_0_conv/bias is missing"),
        (replace(f"{CONVOLUTION}/kernel:0", np.zeros((3, 3, 64, 128))), r"conv3_block2_2_conv/kernel .* \(3, 3, 64,"),
        (replace("probs/probs/bias:0", np.zeros(1008)), r"probs/bias .* \(1008,\) instead of \(1000,\)"),
        (replace(f"{CONVOLUTION}/kernel:0", np.full((3, 3, 128, 128), np.nan)), "not finite"),
        (replace(f"{NORM}/moving_variance:0", np.full(128, -1.0)), "negative"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(folder, tmp_path, damage, reason):
    path = tmp_path / "wrong.h5"
    shutil.copy(folder / "published.h5", path)
    damage(path)
    with pytest.raises(UserError, match=reason) as error:
        resnet50.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_has_the_published_number_of_parameters(keras_model):
    image = jax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
    shapes = jax.eval_shape(resnet50.ResNet50().init, jax.random.key(0), image)["params"]
    # Keras counts 25,636,712: a convolution's channel has its bias and BatchNorm's four numbers; here only a bias.
    channels = sum(unit["bias"].size for name, unit in shapes.items() if name != "logits")
    assert keras_model.count_params() == 25_636_712
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 25_636_712 - 4 * channels
