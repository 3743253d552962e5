"""One thing of each kind, added to its table from outside the package, goes through all that uses it.

Nothing here is known to any file of the package: an op, a source, a network, a loss, a classifier, a score and a verb.
"""

import contextlib
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax import augment
from gan_da_jax.classifiers.backbone import Backbone, Weights
from gan_da_jax.classifiers.registry import CLASSIFIERS
from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.data.sources import SOURCES
from gan_da_jax.data.sources.source import Drawings, Source
from gan_da_jax.files import io
from gan_da_jax.gan import LOSSES, NETWORKS, Network
from gan_da_jax.gan.losses import of_logits
from gan_da_jax.main import main
from gan_da_jax.metrics import columns
from gan_da_jax.metrics.measure import Measure, Score
from gan_da_jax.verbs.table import VERBS
from gan_da_jax.verbs.verb import Flag, Verb


def fade(image, *, by=0.5):
    """An op: every pixel darker."""
    return image * by


@contextlib.contextmanager
def noise(location):
    """A source: one pixel of noise, drawn large, for each image."""

    def draw(seed, indices, size):
        colours = np.stack([np.random.default_rng([seed, index]).integers(0, 256, 3) for index in indices])
        return np.broadcast_to(colours[:, None, None], (len(indices), size, size, 3)).astype(np.uint8)

    yield Drawings("patch", draw)


class Painter(nn.Module):
    """A generator without BatchNorm, which counts how often it was trained."""

    size: int

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        calls = self.variable("counts", "calls", lambda: jnp.zeros((), jnp.int32))
        if train:
            calls.value += 1
        pixels = nn.Dense(4 * 4 * 3)(latents).reshape(-1, 4, 4, 3)
        return jnp.tanh(jax.image.resize(pixels, (len(pixels), self.size, self.size, 3), "nearest"))


class Critic(nn.Module):
    """A discriminator that has parameters alone."""

    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        return nn.Dense(1)(images.reshape(len(images), -1))[:, 0]


def build(*, image_size, latent_dim, width, dtype):
    return Painter(image_size), Critic()


class Means(nn.Module):
    """A classifier without classes: its features are the mean colours of nine patches."""

    @nn.compact
    def __call__(self, x, taps=("27",)):
        scale = self.param("scale", nn.initializers.ones, (27,))
        return {tap: nn.avg_pool(x, (4, 4), (4, 4)).reshape(len(x), -1) * scale for tap in taps}


def read_means(path):
    io.load_array(path)  # the file must be there, as for any other network
    return Weights({"params": {"scale": np.ones(27, np.float32)}}, ("27",))


def prepare_means(images):
    return jax.image.resize(images / 255.0, (len(images), 12, 12, 3), "bilinear")


MEANS = Backbone(
    name="means",
    network=Means(),
    prepare=jax.jit(prepare_means),
    taps=("27",),
    default_tap="27",
    read=read_means,
    distance="FD-means",
    caveat="The classifier knows nothing but mean colours.",
    origin=Published("nowhere.example/means.npy", "sha256:" + "0" * 64, 1, "none", "a test"),
)


def gap(inputs):
    """A score: how far apart the means of the features are."""
    return {"gap": float(np.abs(inputs.features.mean(0) - inputs.real.features.mean(0)).max())}


GAP = Measure(
    (Score("gap", "Gap of means", "lower", "nobody, 2026", explanation="is how far apart the means are."),), gap
)


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def study(tmp_path_factory, said):
    """A study whose every part is from this file, with its report."""
    root = tmp_path_factory.mktemp("extensions")
    io.save_array(root / "means.npy", np.zeros(1))
    hello = Verb("says a word", lambda word, dry_run: said.append((word, dry_run)), (Flag("word", "The word."),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(augment.OPS, "fade", augment.Op(fade))
        patch.setitem(SOURCES, "noise", Source(opened=noise))
        patch.setitem(NETWORKS, "painter", Network(build, (32,), ("float32",), "Painter"))
        squares = of_logits(
            lambda real, fake: jnp.mean((real - 1) ** 2) + jnp.mean(fake**2), lambda fake: jnp.mean((fake - 1) ** 2)
        )
        patch.setitem(LOSSES, "squares", squares)
        patch.setitem(CLASSIFIERS, "means", MEANS)
        patch.setattr(columns, "MEASURES", (*columns.MEASURES, GAP))
        patch.setitem(VERBS, "hello", hello)
        fields = {
            "data.source": "noise",
            "data.count": 16,
            "data.image_size": 32,
            "model.name": "painter",
            "model.latent_dim": 4,
            "train.loss": "squares",
            "train.batch_size": 8,
            "train.epochs": 2,
            "train.checkpoint_every": 1,
            "evaluate.classifier": "means",
            "evaluate.weights": root / "means.npy",
            "evaluate.samples": 12,
            "evaluate.splits": 2,
            "study.arms": "none,fade(by=0.25)@8",
            "study.seeds": "0,1",
        }
        words = [f"--config.{name}={value}" for name, value in fields.items()]
        assert main(["study", "--config=configs/default.py", f"--workdir={root / 'study'}", *words]) == 0
        yield root / "study"


def test_the_runs_are_trained_by_the_networks_and_the_loss(study):
    for run in (study / "noise/none/seed0", study / "noise/fade(by=0.25)@8/seed1"):
        recorded = io.read_json(run / "config.json")["config"]
        assert (recorded["model"]["name"], recorded["train"]["loss"]) == ("painter", "squares")
        rows = io.read_jsonl(run / "metrics.jsonl")
        assert all(0 < row["discriminator_loss"] < 10 for row in rows) and "state_sha256" in rows[-1]
        originals = io.load_array(run / "dataset/originals.npy")
        assert originals.std(axis=(1, 2)).max() == 0 and originals.std() > 0  # as the source draws them


def test_the_op_is_in_the_data_set_and_has_a_meter(study):
    run = study / "noise/fade(by=0.25)@8/seed1"
    made = io.read_json(run / "dataset/manifest.json")
    faded = [row for row in made["records"] if row["op"] == "fade"]
    originals = io.load_array(run / "dataset/originals.npy")
    assert len(faded) == 8
    for row in faded:
        expected = np.round(originals[row["source_index"]] / np.float32(255) * 0.25 * 255).astype(np.uint8)
        assert row["sha256"] == io.sha256(expected)
    assert "fade" in io.read_jsonl(run / "scores.jsonl")[-1]["leakage"]


def test_the_score_is_in_the_lines_the_summary_and_the_page(study):
    rows = io.read_jsonl(study / "noise/none/seed0/scores.jsonl")
    assert all(row["gap"] > 0 and row["fid"] > 0 for row in rows)
    assert all(row["inception_score"] is None and "no classes" in row["reasons"]["inception_score"] for row in rows)
    summary = json.loads((study / "summary.json").read_text())
    assert all("gap" in entry["scores"] for entry in summary["arms"])
    page = (study / "report/index.html").read_text()
    assert "Gap of means</strong> is how far apart the means are. (nobody, 2026)" in page
    assert "FD-means" in page and MEANS.caveat in page and "the Painter was trained" in page
    assert "gap" in (study / "summary.csv").read_text().partition("\n")[0]


def test_an_audit_computes_all_of_it_again(study, capsys):
    assert main(["audit", f"--workdir={study}"]) == 0, capsys.readouterr().err
    assert "audit passed" in capsys.readouterr().out


def test_the_verb_is_called_and_explained(study, said, capsys):
    assert main(["hello", "--word=there", "--dry_run"]) == 0 and said == [("there", True)]
    assert main(["hello", "--help"]) == 0 and "The word." in capsys.readouterr().out
    assert main(["hello"]) == 2 and "hello needs --word" in capsys.readouterr().err
