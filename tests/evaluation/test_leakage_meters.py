import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from gan_da_jax import augment
from gan_da_jax.data.sources import faces
from gan_da_jax.evaluation import leakage_meters
from gan_da_jax.evaluation.thumbnails import thumbnails
from gan_da_jax.files import io

# By FORMAT: logits of three thumbnails by both classifiers of a meter after a short training. If these numbers change,
# so do the meters that every cache holds: raise `leakage_meters.FORMAT`, and pin the new numbers under it.
PINNED = {
    1: [
        [[-0.03807, -0.9468], [0.01168, -0.6549], [0.03007, -1.00798]],
        [[0.37283, -0.69276], [0.75889, -1.10129], [0.56084, -1.05729]],
    ]
}
SHARED = Path(os.environ.get("GAN_DA_SHARED", "../shared")) / "data"
PILLOW = {"invert": ImageOps.invert, "vflip": ImageOps.flip}


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return faces.render(3, np.arange(320), 64)[0]


@pytest.fixture(scope="module")
def trained(people) -> list[leakage_meters.Meter]:
    return leakage_meters.meters(people[:80], "none")


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """An empty cache, and training that takes no time; gives the list of the ops it was called for."""
    calls = []

    def train(op, plain, augmented):
        calls.append(op)
        variables = {"params": {"logits": {"bias": np.array([len(calls), 0], np.float32)}}}
        return leakage_meters.Meter(op, (variables, variables), np.zeros(3, np.float32), np.ones(3, np.float32))

    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path))
    monkeypatch.setattr(leakage_meters, "_train", train)
    return calls


def mixed(images: np.ndarray, op: str, share: float) -> np.ndarray:
    """The images, of which the first ones are augmented by Pillow."""
    count = round(share * len(images))
    changed = [np.asarray(PILLOW[op](Image.fromarray(image))) for image in images[:count]]
    return np.stack([*changed, *images[count:]])


def check_readings(meters: list[leakage_meters.Meter], images: np.ndarray) -> None:
    for op in PILLOW:
        for share in (0, 0.1, 0.5, 1):
            reading = leakage_meters.read(meters, thumbnails(mixed(images, op, share)))["leakage"][op]
            assert reading["share"] == pytest.approx(share, abs=0.05), (op, share, reading)
            assert reading["low"] <= reading["share"] <= reading["high"]


def test_flipped_and_inverted_faces_are_counted(trained, people):
    check_readings(trained, people[120:])


def test_readings_are_complete_and_the_blind_say_so(trained, people):
    found = leakage_meters.read(trained, thumbnails(people[120:]))
    assert list(found["leakage"]) == ["contrast", "invert", "hflip", "vflip"]
    for op, reading in found["leakage"].items():
        assert list(reading) == ["share", "low", "high", "accuracy"] and 0 <= reading["accuracy"] <= 1
        assert (reading["share"] is None) == (f"leakage.{op}" in found["reasons"]) == (reading["low"] is None)
    held_out = thumbnails(people[120:])
    for op, turned in {"vflip": held_out[:, ::-1], "invert": -held_out}.items():
        meter = next(meter for meter in trained if meter.op == op)
        right = [
            [1 - leakage_meters._votes(each, held_out), leakage_meters._votes(each, turned)] for each in meter.variables
        ]
        assert found["leakage"][op]["accuracy"] == pytest.approx(np.mean(right), abs=0.05), op


def test_no_classifier_judges_what_it_was_trained_on(monkeypatch):
    """A network that only knows images by heart is at chance: twins are in the same half."""
    trained_on = []

    def fit(network, images, classes, key, **settings):
        assert list(classes) == [0] * 5 + [1] * 5
        trained_on.append(set(images[:, 0, 0, 0]))
        return {"seen": len(trained_on) - 1}

    def votes(variables, images):
        return np.array([value in trained_on[variables["seen"]] for value in images[:, 0, 0, 0]], np.float32)

    monkeypatch.setattr(leakage_meters.fitting, "fit", fit)
    monkeypatch.setattr(leakage_meters, "_votes", votes)
    plain = np.arange(1, 12, dtype=np.float32).reshape(11, 1, 1, 1)
    meter = leakage_meters._train("invert", plain, -plain)
    assert not meter.plain.any() and not meter.augmented.any() and len(meter.plain) == 11
    assert not trained_on[0] & trained_on[1] and all({-value for value in seen} == seen for seen in trained_on)


def test_other_numbers_need_another_format(people, monkeypatch):
    monkeypatch.setattr(leakage_meters, "STEPS", 6)
    small = thumbnails(people[:16])
    meter = leakage_meters._train("hflip", small, small[:, :, ::-1])
    logits = [leakage_meters.NETWORK.apply(variables, small[:3])["logits"] for variables in meter.variables]
    np.testing.assert_allclose(logits, PINNED[leakage_meters.FORMAT], rtol=0, atol=5e-3)  # processors round otherwise


@pytest.mark.parametrize("setting", ["FORMAT", "BATCH", "STEPS", "EPOCHS", "LEARNING_RATE"])
def test_another_training_makes_other_meters(quick, people, monkeypatch, setting):
    leakage_meters.meters(people[:9], "none")
    monkeypatch.setattr(leakage_meters, setting, getattr(leakage_meters, setting) * 2)
    leakage_meters.meters(people[:9], "none")
    assert len(quick) == 8


def test_a_meter_is_trained_once_for_the_same_originals_and_arguments(quick, people):
    first = leakage_meters.meters(people[:9], "none")
    again = leakage_meters.meters(people[:9], "hflip+contrast(factor=1.5)")
    assert quick == [meter.op for meter in again] == ["contrast", "invert", "hflip", "vflip"]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_equal(one, two)
    leakage_meters.meters(people[:9], "contrast(factor=2.0)")
    assert quick[4:] == ["contrast"]
    leakage_meters.meters(people[1:10], "none")
    assert quick[5:] == ["contrast", "invert", "hflip", "vflip"]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b""])
def test_a_damaged_file_is_made_anew(quick, people, damage):
    leakage_meters.meters(people[:9], "none")
    for path in (io.cache_dir() / "leakage").iterdir():
        path.write_bytes(damage(path.read_bytes()))
    leakage_meters.meters(people[:9], "none")
    leakage_meters.meters(people[:9], "none")
    assert len(quick) == 8


def test_a_further_op_is_picked_up(quick, people, monkeypatch):
    monkeypatch.setitem(augment.OPS, "darken", augment.Op(lambda image, *, by=0.5: image * by))
    monkeypatch.setitem(augment.OPS, "again", augment.Op(augment.identity))
    assert [meter.op for meter in leakage_meters.meters(people[:9], "none")] == [
        *"contrast invert hflip vflip darken".split()
    ]


def test_few_originals_have_a_reason_and_no_reading(people):
    found = leakage_meters.read(leakage_meters.meters(people[:7], "none"), thumbnails(people[:4]))
    assert found["leakage"]["vflip"] == {"share": None, "low": None, "high": None, "accuracy": None}
    assert "7 originals are too few" in found["reasons"]["leakage.vflip"]


def test_photographs(monkeypatch):
    if not (SHARED / "celeba_1000").is_dir():
        pytest.skip(f"no celeba_1000 in {SHARED} (GAN_DA_SHARED)")
    paths = sorted((SHARED / "celeba_1000").glob("*.jpg"))
    photographs = np.stack([np.asarray(Image.open(path).convert("RGB").resize((64, 64))) for path in paths])
    np.random.default_rng(0).shuffle(photographs)
    kept = {op: entry for op, entry in augment.OPS.items() if op not in ("contrast", "hflip")}
    monkeypatch.setattr(augment, "OPS", kept)
    check_readings(leakage_meters.meters(photographs[:700], "none"), photographs[700:])
