"""A study whose right answer is known, through the scores and the whole report: the samples are made of real images.

Nobody is trained here. Each arm's "generator" draws real faces with a planted fault: blurred, half of them upside down,
or copied from the training set. The report must find all of it, and name the arm with the least fault.
"""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gan_da_jax.classifiers import registry
from gan_da_jax.data import dataset
from gan_da_jax.data.sources import SOURCES, Location
from gan_da_jax.evaluation.scorer import CheckpointScorer
from gan_da_jax.files import io
from gan_da_jax.pipeline import chain, references
from gan_da_jax.report import build
from gan_da_jax.runs import plan
from helpers import configured

COUNT, SAMPLES, SIZE = 150, 200, 32
ARMS = ("none", "hflip@150", "vflip@150", "contrast@150", "duplicate@150")


def faces(seed):
    """Faces that no run has seen: their seeds are far from the runs'."""
    with SOURCES["faces"].opened(Location("")) as drawings:
        return drawings.draw(1000 + seed, np.arange(SAMPLES), SIZE)


def blurred(images, radius):
    soft = [Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)) for image in images]
    return np.stack([np.asarray(image) for image in soft])


def planted(policy, seed, originals):
    """What a GAN of this arm draws."""
    fresh = faces(100 * seed + sum(policy.encode()))
    if policy == "none":
        return blurred(fresh, 1.0)
    if policy == "hflip":  # the winner: as good as none, but sharper
        return blurred(fresh, 0.6)
    if policy == "vflip":  # perfect, but for half of the faces
        return np.where(np.arange(SAMPLES)[:, None, None, None] % 2, fresh, fresh[:, ::-1])
    if policy == "contrast":  # perfect, but two of five are training images
        return np.concatenate([originals[: 2 * SAMPLES // 5], fresh[2 * SAMPLES // 5 :]])
    return blurred(fresh, 2.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("planted")
    fields = {"data.source": "faces", "data.count": COUNT, "data.image_size": SIZE, "augment.count": COUNT}
    fields |= {"model.width": 4, "train.kimg": 60.0, "train.batch_size": 16, "evaluate.samples": SAMPLES}
    fields |= {"evaluate.classifier": "faces_attributes", "evaluate.splits": 2, "evaluate.reference": "heldout"}
    fields |= {"study.arms": ARMS, "study.seeds": (0, 1, 2)}
    classifier = registry.load("faces_attributes", "", taps=())
    for one in plan.plan(configured(**fields), root):
        run = one.run
        for _ in chain.prepare(run):
            pass
        originals, step = dataset.originals(run.dataset), run.schedule.steps
        losses = {"steps": step, "generator_loss": 1.0, "discriminator_loss": 1.0, "images_per_second": 1.0}
        io.append_sealed(run.metrics, run.schedule.position(step) | losses)
        scorer = CheckpointScorer.prepare(
            run.config, run.schedule, originals, classifier, title=one.name, reference=references.of(run)
        )
        images = planted(run.config.augment.policy, run.config.seed, originals)
        drawing = dataclasses.replace(scorer, sample=lambda generator, vectors, images=images: images)
        row, _ = drawing.score(None, step, 0, lambda count: None)
        io.append_sealed(run.scores, row | {"files": {}, "environment_sha256": run.visit()})
    return root


@pytest.fixture(scope="module")
def board(study):
    [entry] = json.loads(build.summary(build.gather(study))["summary.json"])["boards"]
    return entry


def test_the_planted_winner_wins(board):
    first, *_ = board["verdict"]
    assert board["use"] == "hflip@150"
    assert first.startswith(
        "Use hflip@150: by held-out FID (lower is better), it is the best of the 2 arms on faces that"
    )
    assert "for training on the originals alone (`none`)" in first


def test_the_planted_faults_are_named_with_the_scores_that_they_bought(board):
    second = board["verdict"][1]
    assert list(board["faults"]) == ["contrast@150", "vflip@150"]
    [copies], [leak] = board["faults"].values()
    share, rest = leak.split("%", 1)
    assert rest == " of its samples look like vflip images (50% expected: the share of its training set)"
    assert float(share) == pytest.approx(50, abs=8)
    share, rest = copies.split("%", 1)
    assert rest.startswith(" of its samples are copies of training images, by pixels (") and 35 < float(share) < 50
    assert "contrast@150 (with the better held-out FID of " in second and copies in second and leak in second


def test_the_page_shows_the_answer_and_no_number_for_an_arm_that_may_not_be_used(study, board):
    page = build.pages(build.gather(study), "planted")["report/index.html"].decode()
    tiles = page.split('<div class="tiles">')[1].split('<div class="pair">')[0].replace("<wbr>", "")
    assert "hflip@150" in tiles and "vflip@150" not in tiles and "contrast@150" not in tiles
    assert "Not to be used: contrast@150 (with the better held-out FID of " in page
