import numpy as np
import pytest
from scipy.special import softmax

from gan_da_jax.classifiers import registry
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inception_score import inception_score


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAN_DA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def classifier(cache):
    return registry.load("faces_attributes", "")


@pytest.fixture(scope="module")
def drawn():
    pixels, labels = faces.render(5, np.arange(500), 64)
    return pixels, faces.class_of(labels)


def logits(classifier, images):
    return np.asarray(classifier.apply(images)["logits"])


def test_names_the_faces_rightly(classifier, drawn):
    pixels, truth = drawn
    assert classifier.name == "faces_attributes"
    assert classifier.classes == faces.CLASSES
    assert classifier.accuracy >= 0.97
    assert np.mean(logits(classifier, pixels).argmax(1) == truth) >= 0.95


def test_scores_real_faces_near_their_number_of_classes(classifier, drawn):
    mean, _ = inception_score(logits(classifier, drawn[0]), splits=1)
    assert 10 < mean < 12


def test_softened_faces_are_still_known_and_strange_ones_are_not(classifier, drawn):
    pixels, truth = drawn
    soft = np.mean([np.roll(pixels.astype(np.float32), shift, (1, 2)) for shift in np.ndindex(2, 2)], 0)
    assert np.mean(logits(classifier, soft.astype(np.uint8)).argmax(1) == truth) >= 0.9
    plain = softmax(logits(classifier, pixels), 1).max(1).mean()
    for strange in (pixels[:, ::-1], 255 - pixels):
        answers = logits(classifier, strange)
        assert np.mean(answers.argmax(1) == truth) < 0.5
        assert softmax(answers, 1).max(1).mean() < plain - 0.05


def test_logits_do_not_depend_on_the_batch(classifier, drawn):
    images = drawn[0][:10]
    parts = [logits(classifier, images[:3]), logits(classifier, images[3:])]
    np.testing.assert_allclose(logits(classifier, images), np.concatenate(parts), rtol=0, atol=1e-4)


def test_the_second_load_finds_the_same_weights(classifier, monkeypatch):
    monkeypatch.setattr("gan_da_jax.classifiers.networks.faces_attributes.train", None)
    again = registry.load("faces_attributes", "")
    assert again.weights_sha256 == classifier.weights_sha256
    assert len(again.weights_sha256) == 64 and again.accuracy == classifier.accuracy


@pytest.mark.parametrize("act", [registry.check, registry.load])
@pytest.mark.parametrize(
    ("name", "weights", "reason"),
    [
        ("inception", "", "no classifier 'inception'; there are: faces_attributes, inception_v3_2015, "),
        ("inception_v3", "nowhere/x.h5", "nowhere/x.h5 .* are not a file"),
        ("inception_v3", ".", "are not a file"),
        ("faces_attributes", "x.npz", "takes no weights"),
    ],
)
def test_a_wrong_choice_is_named(act, name, weights, reason):
    with pytest.raises(UserError, match=reason):
        act(name, weights)


def test_check_tells_where_weights_come_from_and_makes_nothing(monkeypatch, tmp_path):
    cache = tmp_path / "cache"
    monkeypatch.setenv("GAN_DA_CACHE", str(cache))
    assert "trained" in registry.check("faces_attributes", "")
    assert registry.CLASSIFIERS["inception_v3"].origin.address in registry.check("inception_v3", "")
    assert not cache.exists()
    kept = cache / "weights" / "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    assert registry.check("inception_v3", "") == str(kept)
    assert registry.check("inception_v3", str(kept)) == str(kept)


def test_a_file_that_holds_no_weights_is_refused(tmp_path):
    path = tmp_path / "x.h5"
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="x.h5 is damaged or not a Keras weight file"):
        registry.load("inception_v3", str(path))
