import numpy as np
import pytest

from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.pytorch import contenders

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
TRAINING = {
    "images": IMAGES,
    "batch_size": 8,
    "network": {"image_size": 32, "latent_dim": 6, "width": 2, "dtype": "float32"},
    "seconds": 0.01,
}


def turns(contender):
    about, *rates = next(contender), next(contender), next(contender)
    assert len(rates) == 2 and min(rates) > 0 and about["name"] and about["device"] and about["steps_a_turn"] >= 1
    return about


def test_ours_trains():
    about = turns(contenders.train(**TRAINING, limit=2 * 8 * IMAGES[0].nbytes))
    assert about["dtype"] == "float32" and about["streamed"]


def test_of_torchs_variants_the_fastest_races_and_what_fails_is_told(monkeypatch):
    torch = pytest.importorskip("torch")

    def fail(network):
        raise RuntimeError("no C++ compiler\nsays the linker")

    monkeypatch.setattr(torch, "compile", fail)
    variants = {"plain": {}, "channels_last": {"channels_last": True}, "compiled": {"compile": True}}
    about = turns(contenders.train_torch(**TRAINING, variants=variants))
    assert about["tried"]["compiled"] == "does not run here: no C++ compiler says the linker"
    times = {name: float(about["tried"][name].removesuffix(" ms a step")) for name in ("plain", "channels_last")}
    assert times[about["variant"]] == min(times.values()) and about["options"] == variants[about["variant"]]
    with pytest.raises(RuntimeError, match="no C"):
        next(contenders.train_torch(**TRAINING, variants={"compiled": {"compile": True}}))


def test_both_score(monkeypatch):
    stem = inception_v3.ORIGINAL.stages[0][1]
    short = inception_v3.InceptionV3((("2048", stem),), classes=5, bias=False)  # as the network, but for its length
    monkeypatch.setattr(inception_v3, "ORIGINAL", short)
    assert turns(contenders.score(images=IMAGES, seconds=0.01))["batch_size"] == 10
    pytest.importorskip("torch")
    monkeypatch.setattr(contenders, "_TORCH_SCORED", 2)
    about = turns(contenders.score_torch(images=IMAGES, seconds=0.01, variants={"stock": {}}))
    assert about["variant"] == "stock" and about["batch_size"] == 2
