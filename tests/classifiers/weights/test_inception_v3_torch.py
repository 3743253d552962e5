import json
import os
import runpy
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.weights import inception_v3 as weights
from gan_da_jax.errors import UserError
from gan_da_jax.files import io, torch_file
from gan_da_jax.metrics.inception_score import inception_score

GOLDEN = Path(__file__).parents[3] / "tests/golden"
SHARED = Path(os.environ.get("GAN_DA_SHARED", Path(__file__).parents[3] / "../shared"))
make = types.SimpleNamespace(**runpy.run_path(str(GOLDEN / "make_inception.py")))
NETWORKS = {"inception_v3_2015": inception_v3.ORIGINAL, "inception_v3_torchvision": inception_v3.TORCHVISION}


@pytest.fixture(scope="module", params=NETWORKS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def golden(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def tensors(golden):
    """What the reference network was filled with, in its order; without what is for training only."""
    shapes = json.loads(str(golden["shapes"]))
    body = [key for key in shapes if not key.startswith(("fc.", "AuxLogits."))]
    weight, bias = make.classifier(golden["common"], golden["scale"], shapes["fc.bias"][0])
    return {key: make.tensor(key, shapes[key]) for key in body} | {"fc.weight": weight, "fc.bias": bias}


@pytest.fixture(scope="module")
def path(name, tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
    torch_file.write(path, tensors)
    return path


@pytest.fixture(scope="module")
def classifier(name, path):
    return registry.load(name, str(path))


@pytest.mark.parametrize("size", make.SIZES)
def test_every_output_is_that_of_the_reference(classifier, golden, size):
    found = classifier.apply(make.pictures(size), classifier.taps)
    compared = [tap for tap in classifier.taps if f"{tap} {size[0]}x{size[1]}" in golden]
    assert compared[-2:] == ["2048", "logits"]
    for tap in compared:
        np.testing.assert_allclose(found[tap], golden[f"{tap} {size[0]}x{size[1]}"], rtol=1e-5, atol=1e-4)


def test_the_reference_tells_pictures_apart(golden):
    # Else agreement would say little.
    logits = [golden[f"logits {height}x{width}"] for height, width in make.SIZES]
    score, _ = inception_score(np.concatenate(logits), splits=1)
    assert 2 < score < 3


def test_features_do_not_depend_on_the_batch(name, classifier):
    if name != "inception_v3_2015":
        pytest.skip("the networks' code is the same")
    images = np.concatenate([make.pictures((32, 32 + i)).repeat(2, 2)[:, :, :32] for i in range(32)])
    taps = classifier.taps
    parts = [classifier.apply(images[:size], taps) for size in (1, 7, 64)]
    for small, large in zip(parts, parts[1:], strict=False):
        for tap in taps:  # the last layer of these weights is sensitive: it sees only in what features differ
            atol = 1e-4 if tap == "logits" else 1e-5
            np.testing.assert_allclose(small[tap], large[tap][: len(small[tap])], rtol=1e-5, atol=atol)
    in_seven, in_all = (inception_score(part["logits"][:7], splits=1)[0] for part in parts[1:])
    assert abs(in_seven - in_all) < 1e-5 and in_seven > 1.5


def test_classifier_tells_what_it_is(name, classifier, path):
    assert classifier.name == name
    assert len(classifier.classes) == {"inception_v3_2015": 1008, "inception_v3_torchvision": 1000}[name]
    assert classifier.taps == ("64", "192", "768", "2048", "logits")
    assert classifier.weights_sha256 == io.file_sha256(path)
    assert classifier.accuracy is None


def test_a_pth_file_gives_the_same_variables(name, classifier, tensors, tmp_path):
    torch = pytest.importorskip("torch")
    state = {key: torch.from_numpy(array) for key, array in tensors.items()}
    state["Conv2d_1a_3x3.bn.num_batches_tracked"] = torch.tensor(0)
    state["AuxLogits.fc.bias"] = torch.zeros(1000)
    torch.save(state, tmp_path / "x.pth")
    variables, taps, _ = weights.read_torch(tmp_path / "x.pth", NETWORKS[name])
    assert taps == classifier.taps
    for layer, arrays in classifier.variables["params"].items():
        assert variables["params"][layer].keys() == arrays.keys()
        for kind, array in arrays.items():
            np.testing.assert_array_equal(variables["params"][layer][kind], array)


def first(tensors, units):
    """The tensors of the first convolutions; in the reference's order, each has five."""
    return dict(list(tensors.items())[: 5 * units])


@pytest.mark.parametrize(("units", "reach"), [(3, 1), (4, 1), (5, 2), (69, 2), (70, 3), (94, 4)])
def test_a_part_of_the_network_serves_the_taps_that_it_reaches(name, golden, tensors, tmp_path, units, reach):
    path = tmp_path / "part.safetensors"
    torch_file.write(path, first(tensors, units))
    taps = ("64", "192", "768", "2048")[:reach]
    variables, reached, _ = weights.read_torch(path, NETWORKS[name])
    assert reached == taps
    if name == "inception_v3_2015" and units <= 5:
        classifier = registry.load(name, str(path), taps)
        found = classifier.apply(make.pictures((32, 32)), taps[-1:])
        assert found.keys() == {taps[-1]}
        np.testing.assert_allclose(found[taps[-1]], golden[f"{taps[-1]} 32x32"], rtol=1e-5, atol=1e-4)
        reason = f"do not reach 'logits'; they reach: {', '.join(taps)}"
        with pytest.raises(UserError, match=reason):
            registry.load(name, str(path), ("logits",))
        with pytest.raises(UserError, match=reason):
            classifier.apply(make.pictures((32, 32)))


def without(name):
    return lambda tensors: tensors.pop(name)


def with_(name, array):
    return lambda tensors: tensors.update({name: np.asarray(array, np.float32)})


def without_unit(name):
    def drop(tensors):
        for key in [key for key in tensors if key.startswith(f"{name}.")]:
            del tensors[key]

    return drop


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (without("Conv2d_2a_3x3.bn.running_var"), "Conv2d_2a_3x3.bn.running_var is missing"),
        (without("Conv2d_2b_3x3.conv.weight"), "Conv2d_2b_3x3.conv.weight is missing"),
        (without_unit("Conv2d_2a_3x3"), "Conv2d_2a_3x3, which comes before Conv2d_2b_3x3.bn.bias, is missing"),
        (with_("Conv2d_2a_3x3.bn.running_var", np.full(32, -1)), "Conv2d_2a_3x3.bn.running_var is negative"),
        (with_("Conv2d_2a_3x3.conv.weight", np.zeros((32, 32, 1, 1))), r"conv.weight has .*1, 1\) .* \(32, 32, 3"),
        (with_("Conv2d_2a_3x3.bn.weight", np.zeros(33)), r"bn.weight has shape \(33,\) instead of \(32,\)"),
        (with_("Conv2d_2a_3x3.conv.bias", np.zeros(32)), "Conv2d_2a_3x3.conv.bias"),
        (with_("fc.bias", np.zeros(1008)), "Mixed_5b.branch1x1, which comes before fc.bias, is missing"),
        (with_("layer1.weight", np.zeros(3)), "layer1.weight"),
        (without_unit("Conv2d_2b_3x3"), "Conv2d_2b_3x3, which comes before"),
        (lambda tensors: tensors.clear(), "too little .* first tap, 64"),
        (with_("Conv2d_1a_3x3.bn.bias", np.full(32, np.nan)), "Conv2d_1a_3x3.bn.bias holds values that are not finite"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tensors, name, tmp_path, damage, reason):
    wrong = first(tensors, 5)
    damage(wrong)
    path = tmp_path / "wrong.safetensors"
    torch_file.write(path, wrong)
    with pytest.raises(UserError, match=reason) as error:
        weights.read_torch(path, NETWORKS[name])
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_wrong_last_layer_is_refused(tensors, name, tmp_path):
    path = tmp_path / "wrong.safetensors"
    other = {"inception_v3_2015": "inception_v3_torchvision", "inception_v3_torchvision": "inception_v3_2015"}[name]
    torch_file.write(path, tensors)
    with pytest.raises(UserError, match=r"fc.weight has shape \(100[08], 2048\) instead of \(100[08], 2048\)"):
        weights.read_torch(path, NETWORKS[other])
    torch_file.write(path, tensors | {"fc.scale": np.zeros(1, np.float32)})
    with pytest.raises(UserError, match="fc.scale is no part of it"):
        weights.read_torch(path, NETWORKS[name])


def test_the_bias_of_the_last_layer_may_lack_where_it_is_ignored(tensors, name, tmp_path):
    path = tmp_path / "no_bias.safetensors"
    torch_file.write(path, {key: array for key, array in tensors.items() if key != "fc.bias"})
    if name == "inception_v3_2015":
        assert weights.read_torch(path, NETWORKS[name]).taps[-1] == "logits"
    else:
        with pytest.raises(UserError, match="fc.bias is missing"):
            weights.read_torch(path, NETWORKS[name])


def test_real_features_tell_faces_from_dogs(name):
    trunk = SHARED / "weights" / "inception_2015_trunk.safetensors"
    if not trunk.is_file():
        pytest.skip(f"{trunk} is not there: set GAN_DA_SHARED to a folder that has weights/ and data/")
    if name != "inception_v3_2015":
        pytest.skip("the trunk is of the 2015 network")
    classifier = registry.load(name, str(trunk), ("768",))
    assert classifier.taps == ("64", "192", "768")
    features = []
    for folder in ("celeba_1000", "pomeranian_197"):
        files = sorted((SHARED / "data" / folder).glob("*.jpg"))[:8]
        images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        features.append(np.asarray(classifier.apply(images, ("768",))["768"]))
    centroids = [kind[:4].mean(0) for kind in features]
    for number, kind in enumerate(features):
        distances = [np.linalg.norm(kind[4:] - centroid, axis=1) for centroid in centroids]
        assert (np.argmin(distances, axis=0) == number).all()
