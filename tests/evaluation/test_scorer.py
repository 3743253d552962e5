"""The scorer of checkpoints, with a network from outside the package that has features and no classes."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax import gan
from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.backbone import Backbone, Trained, Weights
from gan_da_jax.configs import default
from gan_da_jax.data.sources import faces
from gan_da_jax.evaluation.scorer import CheckpointScorer
from gan_da_jax.files import io, schemas
from gan_da_jax.main import main
from gan_da_jax.metrics import columns
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
        assert (columns.value(row, score.key) is None) == (score.key in LOGITS or bool(score.plain)), score.key
    assert list(files) == ["memorisation/step_00000008.png"]
    again, _ = scorer.score(gan.shown(networks.network(config), state), 8, 0, lambda count: None)
    assert again == row


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
