"""The scorer of checkpoints, with a network from outside the package that has features and no classes."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax import gan
from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.backbone import Backbone, Trained, Weights
from gan_da_jax.configs import default
from gan_da_jax.data import reference
from gan_da_jax.data.sources import faces
from gan_da_jax.evaluation.scorer import NOISE, CheckpointScorer
from gan_da_jax.files import io, schemas
from gan_da_jax.main import main
from gan_da_jax.metrics import columns, fid
from gan_da_jax.runs import networks, schedule

LOGITS = {"inception_score", "inception_score_1", "inception_score_1_interval", "classes"}


class Means(nn.Module):
    """The mean colour of each quarter, and of the whole."""

    @nn.compact
    def __call__(self, x, taps):
        scale = self.param("scale", nn.initializers.ones, ())
        quarters = x.reshape(len(x), 2, 16, 2, 16, 3).mean((2, 4)).reshape(len(x), 12)
        found = {"12": scale * quarters, "3": x.mean((1, 2))}
        return {tap: found[tap] for tap in taps}


@pytest.fixture
def backbone(monkeypatch, tmp_path):
    """The entry, in the table."""
    file = tmp_path / "means.npz"
    entry = Backbone(
        name="means",
        network=Means(),
        prepare=lambda images: jnp.asarray(images, jnp.float32) / 255,
        taps=("12", "3"),
        default_tap="12",
        read=lambda path: Weights({"params": dict(np.load(path))}, ("12", "3")),
        distance="FD-means",
        origin=Trained(lambda: file, lambda: io.save_arrays(file, scale=np.float32(2))),
    )
    monkeypatch.setitem(registry.CLASSIFIERS, "means", entry)
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path / "cache"))
    return entry


@pytest.fixture
def config():
    found = default.get_config()
    found.model.latent_dim, found.model.width, found.data.image_size = 7, 4, 32
    found.evaluate.samples, found.evaluate.splits, found.evaluate.classifier = 12, 2, "means"
    return found


def test_a_network_without_logits_gives_distances_and_says_why_there_is_no_inception_score(backbone, config):
    originals = faces.render(0, np.arange(9), 32)[0]
    classifier = registry.load("means", "")
    scorer = CheckpointScorer.prepare(config, schedule.of(config), originals, classifier, title="here")
    state = networks.initial_state(config)
    row, files = scorer.score(gan.shown(networks.network(config), state), 8, 0, lambda count: None)
    schemas.require(io.seal(row), schemas.SCORES, "here")
    assert row["tap"] == "12" and row["classifier_accuracy"] is None
    for field in LOGITS:
        assert row[field] is None and "has no classes" in row["reasons"][field]
    assert row["real_inception_score"] is row["real_inception_score_1"] is None
    assert "has no classes" in row["reasons"]["real_inception_score"]
    for score in columns.catalogue():
        none = score.key in {*LOGITS, "c_t"} or bool(score.plain)  # these need a reference that nobody trained on
        assert (columns.value(row, score.key) is None) == none, score.key
    assert row["reference"] is None and not any(key.startswith("reference_") for key in row)
    assert row["reasons"]["c_t"] == "there is no reference that nobody trained on: set evaluate.reference"
    assert row["anchors"].keys() == {"fid", "kid", "mind"}
    assert all(found["halves"] < found["noise"] for found in row["anchors"].values())
    assert list(files) == ["memorisation/step_00000008.png"]
    again, _ = scorer.score(gan.shown(networks.network(config), state), 8, 0, lambda count: None)
    assert again == row


def test_a_reference_gives_the_same_scores_once_more_and_its_own_anchors(backbone, config):
    originals, others = faces.render(0, np.arange(40), 32)[0], faces.render(1, np.arange(60), 32)[0]
    classifier, state = registry.load("means", ""), networks.initial_state(config)

    def row(real, against=None):
        given = (
            None
            if against is None
            else reference.build(
                against, [str(n) for n in range(len(against))], kind="heldout", name="faces", asked={}, source={}
            )
        )
        prepared = CheckpointScorer.prepare(
            config, schedule.of(config), real, classifier, title="here", reference=given
        )
        return prepared.score(gan.shown(networks.network(config), state), 8, 0, lambda count: None)[0]

    found, plain, swapped = row(originals, others), row(originals), row(others)
    schemas.require(io.seal(found), schemas.SCORES, "here")
    assert found["reference"] == {"kind": "heldout", "name": "faces", "images": 60, "sha256": io.sha256(others)}
    for measure in columns.MEASURES:
        for field in measure.fields if measure.compared else ():
            assert (found[field], found[f"reference_{field}"]) == (plain[field], swapped[field]), field
    assert found["fid"] != found["reference_fid"]
    assert found["authenticity"] == plain["authenticity"]
    anchored = plain["anchors"] | {f"reference_{key}": each for key, each in swapped["anchors"].items()}
    assert found["anchors"] == anchored


def test_anchors_are_the_scores_of_noise_and_of_halves(backbone, config):
    originals = faces.render(0, np.arange(40), 32)[0]
    classifier = registry.load("means", "")
    prepared = CheckpointScorer.prepare(config, schedule.of(config), originals, classifier, title="here")
    noise = np.random.RandomState(NOISE).randint(0, 256, (config.evaluate.samples, 32, 32, 3), np.uint8)
    real, own = (np.asarray(classifier.apply(images, ("12",))["12"]) for images in (originals, noise))
    expected = fid.distance(fid.statistics(own), fid.statistics(real))
    assert prepared.anchors["anchors"]["fid"]["noise"] == pytest.approx(expected, rel=1e-4)
    order = np.random.RandomState(config.seed).permutation(40)
    halves = fid.distance(fid.statistics(real[order[:20]]), fid.statistics(real[order[20:]]))
    assert prepared.anchors["anchors"]["fid"]["halves"] == pytest.approx(halves, rel=1e-3)


def test_reports_call_the_distance_by_the_networks_name(backbone):
    labels = {score.key: score.label for score in registry.scores_by("means")}
    assert (labels["fid"], labels["kid"]) == ("FD-means", "KID")
    assert labels["reference_fid"] == "held-out FD-means"
    assert {score.key: score.label for score in registry.scores_by("inception_v3_2015")}["fid"] == "FID"
    assert registry.scores_by("one of an earlier version") == columns.catalogue()
    assert registry.caveats_on("means", "12") == registry.caveats_on("of an earlier version", "12") == [backbone.caveat]


def test_every_entry_is_whole():
    for name, entry in registry.CLASSIFIERS.items():
        assert name == entry.name and entry.default_tap in entry.taps and entry.taps == entry.network.taps
        assert ("logits" in entry.taps) == bool(entry.classes) and entry.caveat.endswith(".")


def test_score_takes_a_network_without_logits(backbone, tmp_path, capsys):
    for name, seed in (("a", 0), ("b", 1)):
        np.savez(tmp_path / f"{name}.npz", faces.render(seed, np.arange(9), 32)[0])
    images, other = f"--images={tmp_path}/a.npz", f"--reference={tmp_path}/b.npz"
    out = tmp_path / "s.json"
    assert main(["score", images, other, "--classifier=means", f"--out={out}"]) == 0
    found = io.read_json(out)
    assert found["tap"] == "12" and found["fid"] > 0 and found["inception_score"] is None
    assert "has no classes" in capsys.readouterr().out
    assert main(["score", images, "--classifier=means"]) == 2
    assert "do not reach logits" in capsys.readouterr().err
    assert main(["score", images, other, "--classifier=means", f"--probabilities={tmp_path}/p.npz"]) == 2
    assert "do not reach 'logits'" in capsys.readouterr().err
