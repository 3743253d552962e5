import functools
import json
import os
import sys

import hypothesis
import numpy as np
import pytest

from gan_da_jax.configs import default
from gan_da_jax.files import io
from gan_da_jax.runs import environment

hypothesis.settings.register_profile("untimed", deadline=None)  # how long an example takes says nothing here
hypothesis.settings.load_profile("untimed")

# A file goes to one process: those that take minutes come first, so that none is left alone with one at the end.
_LONG = ("test_soak.py", "test_distributed.py", "test_audit.py", "test_train.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Downloads, trained classifiers and compiled programs of the tests stay apart from the user's own."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # by all test processes
    os.environ["GAN_DA_CACHE"] = os.environ.get("GAN_DA_TEST_CACHE") or str(shared / "cache")


@pytest.fixture(autouse=True)
def no_tensorflow():
    """No test process imports TensorFlow: Python crashes once Triton, which comes with PyTorch, is imported as well."""
    yield
    assert "tensorflow" not in sys.modules


@pytest.fixture(scope="session")
def make_run():
    """A function that writes the files of a run that a report reads, as the verbs write them, without any training."""
    return _make_run


def _make_run(
    folder,
    *,
    source="celeba_1000",
    policy="none",
    count=0,
    seed=0,
    originals=20,
    epochs=4,
    evaluations=2,
    classifier="faces_attributes",
    grids=2,
    size=16,
    level=2.0,
    distance=None,
    held_out=None,
    repeats=1,
    wanted=(),
    leakage=None,
    memorised=None,
    probabilities=0,
    train=None,
    extra=None,
):
    """Scores rise towards `level` plus a draw of the seed; a sample grid has 8 x 8 plain tiles of `size` pixels.

    With the level None the classifier's weights end before its last layer. FID falls towards `distance`; without one,
    there are too few images for it. With `held_out`, the FID against 500 images held out falls towards that. `leakage`
    is the share that each op's meter reads (None: it is blind), `memorised` the share of near copies, both plus a draw
    of the seed; `probabilities` the number of classes whose probabilities are written for each sample; `train` changes
    fields of the config, `extra` changes fields of each row of scores.
    """
    rng = np.random.default_rng([seed, count, sum(policy.encode())])
    ops = [op.partition("(")[0] for op in policy.split("+")] if policy != "none" else []
    machine, digest = _environment()
    config = _config(source=source, policy=policy, count=count, seed=seed, originals=originals)
    config["train"] |= {"epochs": epochs, "checkpoint_every": 1} | (train or {})
    config["evaluate"] |= {"classifier": classifier, "repeats": repeats, "tap": "64", "classes": ",".join(wanted)}
    io.write_json(folder / "config.json", io.seal({"config": config, **machine, "earlier": []}))
    io.write_json(folder / "dataset" / "manifest.json", _manifest(config, source, ops))

    def tiles(high):
        return rng.integers(0, 256, (high, 8, 3), np.uint8).repeat(size, 0).repeat(size, 1)

    def shown(files):
        for name, data in files.items():
            io.write_atomic(folder / name, data)
        return {name: io.sha256(data) for name, data in files.items()}

    described = shown({"dataset/preview.png": io.png(tiles(1 + len(ops)))} if ops else {})
    described["dataset/manifest.json"] = io.file_sha256(folder / "dataset" / "manifest.json")
    drawn = {round(epoch) for epoch in np.linspace(1, epochs, grids)} if grids else set()
    for epoch in range(1, epochs + 1):
        row = {
            "step": 16 * epoch,
            "epoch": float(epoch),
            "kimg": 1.024 * epoch,
            "steps": 16,
            "discriminator_loss": 0.6 + 0.5 / epoch + rng.normal(0, 0.05),
            "fake_logit": rng.normal(-1, 0.1),
            "generator_loss": 2.5 - 0.4 * np.log(epoch) + rng.normal(0, 0.15),
            "real_logit": rng.normal(1, 0.1),
            "images_per_second": 123.4 + rng.normal(0, 2),
            "seconds": 0.131,
            "environment_sha256": digest,
        }
        if epoch in drawn | {epochs}:
            grid = {f"samples/step_{16 * epoch:08d}.png": io.png(tiles(8))} if epoch in drawn else {}
            row |= {"state_sha256": "ab" * 32, "files": shown(grid) | described}
        io.append_sealed(folder / "metrics.jsonl", row)
    for epoch in np.linspace(1, epochs, evaluations).round() if evaluations else ():
        rise, chance = 1 - np.exp(-4 * epoch / epochs), rng.normal(0, 0.06)
        name = f"step_{int(16 * epoch):08d}"
        for repeat in range(repeats):
            files = {}
            if repeat == 0 and level and grids:
                files[f"certainty/{name}_{classifier}.png"] = io.png(tiles(2))
            if repeat == 0 and memorised is not None:
                files[f"memorisation/{name}.png"] = io.png(tiles(2))
            for what in (name, "originals") if repeat == 0 and probabilities else ():
                draws = np.random.default_rng(seed) if what == "originals" else rng  # the same at every checkpoint
                table = draws.dirichlet(np.full(probabilities, 0.3), 50).astype(np.float32)
                names = np.array([f"class {number}" for number in range(probabilities)])
                files[f"probabilities/{what}_{classifier}.npz"] = io.npz(probabilities=table, classes=names)
            row = {
                "step": int(16 * epoch),
                "epoch": float(epoch),
                "kimg": 1.024 * epoch,
                "repeat": repeat,
                "samples": 1000,
                "seed": seed,
                "classifier": classifier,
                "classifier_accuracy": 0.982,
                "weights_sha256": "cd" * 32,
                "tap": "64",
                "splits": 10,
                "reference": held_out and HELD_OUT,
                **_of_classes(level and 1 + (level - 1) * rise + chance + 0.02 * repeat, wanted, rng),
                **_distances(distance and distance * (3 - 2 * rise + chance) + 0.5 * repeat),
                **_against_reference(held_out and held_out * (3 - 2 * rise + chance)),
                **dict.fromkeys(("mind", "vendi", "real_vendi", "authenticity", "c_t")),
                **_shares(leakage, memorised, rng),
                "anchors": {key: _anchors(distance) for key in _ANCHORED}
                | ({f"reference_{key}": {"noise": 321.0, "halves": 4.5} for key in _ANCHORED} if held_out else {}),
                "real_images": originals,
                "reasons": (
                    {} if level else dict.fromkeys(_CLASSES, "the weights end before the classifier's last layer")
                )
                | ({} if distance else dict.fromkeys(_DISTANCES, "1 image is too few"))
                | ({} if distance else {f"anchors.{key}.halves": "1 image is too few" for key in _ANCHORED})
                | {
                    f"leakage.{op}": "originals look the same" for op, share in (leakage or {}).items() if share is None
                },
                "samples_sha256": "ef" * 32,
                "files": shown(files),
                "environment_sha256": digest,
            }
            io.append_sealed(folder / "scores.jsonl", row | (extra or {}))
    return folder


@functools.cache
def _environment():
    now = environment.current()
    return now, environment.digest(now)


def _config(*, source, policy, count, seed, originals):
    """The defaults but for what a run of the fixture is: 20 images of 64 pixels from a folder."""
    config = default.get_config().to_dict()
    config["seed"] = seed
    config["data"] |= {"source": "folder", "path": f"/data/{source}", "count": originals, "image_size": 64}
    config["augment"] |= {"policy": policy, "count": count or config["augment"]["count"], "generator": "/study/none"}
    return json.loads(json.dumps(config))


def _manifest(config, source, ops):
    data, augment = config["data"], config["augment"]
    count = augment["count"] if ops else 0
    added = [op for op in ops for _ in range(count // len(ops))]
    return {
        "format": 1,
        "source": {
            "kind": data["source"],
            "name": source,
            "path": data["path"],
            "dataset": "",
            "available": data["count"],
            "count": data["count"],
            "image_size": data["image_size"],
            "resize": data["resize"],
            "skipped": [],
        },
        "policy": augment["policy"],
        "count": count,
        "seed": config["seed"],
        "images_sha256": io.sha256(source.encode()),
        "records": [
            {"index": i, "op": op, "source_id": f"{i:06d}.jpg", "source_index": i, "sha256": "0" * 64}
            for i, op in enumerate(["original"] * data["count"] + added)
        ],
    }


_ANCHORED = ("fid", "kid", "mind")
HELD_OUT = {"kind": "heldout", "name": "celeba_1000", "images": 500, "sha256": "12" * 32}
_CLASSES = ("inception_score", "inception_score_1", "inception_score_1_interval", "classes")
_DISTANCES = ("fid", "kid", "precision", "recall", "density", "coverage")


def _of_classes(mean, wanted, rng):
    if mean is None:
        return dict.fromkeys((*_CLASSES, "real_inception_score", "real_inception_score_1"))
    return {
        "inception_score": {"mean": mean, "std": 0.1 + rng.uniform(0, 0.05), "splits": 10},
        "inception_score_1": mean * 1.08,
        "inception_score_1_interval": [mean * 1.02, mean * 1.14],
        "real_inception_score": {"mean": 3.4, "std": 0.2, "splits": 10},
        "real_inception_score_1": 3.7,
        "classes": {
            "wanted": list(wanted),
            "top1_share": rng.uniform() if wanted else None,
            "mean_probability": rng.uniform() if wanted else None,
            "most_frequent": [[f"class {number}", 400 - 50 * number] for number in range(7)],
        },
    }


def _distances(fid):
    if fid is None:
        return dict.fromkeys(_DISTANCES)
    return {
        "fid": fid,
        "kid": {"mean": fid / 1000, "std": fid / 20000, "subsets": 100, "subset_size": 10},
        "precision": 20 / (20 + fid),
        "recall": 10 / (10 + fid),
        "density": 25 / (20 + fid),
        "coverage": 15 / (15 + fid),
    }


def _against_reference(fid):
    return {} if fid is None else {f"reference_{key}": found for key, found in _distances(fid).items()}


def _anchors(distance):
    """Noise is far away, whatever the distance."""
    return {"noise": 500.0, "halves": 0.5} if distance else {"noise": None, "halves": None}


def _shares(leakage, memorised, rng):
    read = {}
    for op, share in (leakage or {}).items():
        at = None if share is None else max(0, share + rng.normal(0, 0.01))
        ends = {"low": None, "high": None} if at is None else {"low": at - 0.03, "high": at + 0.03}
        read[op] = {"share": at, **ends, "accuracy": 0.52 if at is None else 0.97}
    copied = None
    if memorised is not None:
        pixels = {"share": max(0, memorised + rng.normal(0, 0.01)), "expected": 0.05}
        copied = {"pixels": pixels, "features": pixels | {"expected": 0.07} if memorised else None}
    return {"leakage": read, "memorisation": copied}
