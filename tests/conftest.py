import os
import sys

import numpy as np
import pytest

from gan_da_jax.files import io

# A file goes to one process: those that take minutes come first, so that none is left alone with one at the end.
_LONG = ("test_soak.py", "test_distributed.py", "test_audit.py", "test_train.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Downloads, trained classifiers and compiled programs of the tests stay apart from the user's own."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # that of all test processes
    os.environ["GAN_DA_CACHE"] = os.environ.get("GAN_DA_TEST_CACHE") or str(shared / "cache")


@pytest.fixture(autouse=True)
def no_tensorflow():
    """No test process imports TensorFlow: Python crashes once Triton, which comes with PyTorch, is imported as well."""
    yield
    assert "tensorflow" not in sys.modules


@pytest.fixture(scope="session")
def save_keras():
    """A function that saves a Keras model as one .h5 file, for which Keras imports TensorFlow wherever it can."""

    def save(model, path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "tensorflow", None)
            model.save(path)

    return save


@pytest.fixture(scope="session")
def make_run():
    """A function that writes a run's files as the verbs write them, without training anything."""
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
    there are too few images for it. `leakage` is the share
    that each op's meter reads (None: it is blind), `memorised` the share of near copies, both plus a draw of the seed;
    `probabilities` the number of classes whose probabilities are written for each sample.
    """
    rng = np.random.default_rng([seed, count, sum(policy.encode())])
    ops = [op.partition("(")[0] for op in policy.split("+")] if policy != "none" else []
    added = [op for op in ops for _ in range(count // len(ops))]
    rows = [
        {"index": i, "op": op, "source_id": f"{i:06d}.jpg", "source_index": i, "sha256": "0" * 64}
        for i, op in enumerate(["original"] * originals + added)
    ]
    data = {"source": "folder", "path": f"/data/{source}", "count": originals, "image_size": 64, "resize": "stretch"}
    config = {
        "seed": seed,
        "data": data | {"skip_bad": False},
        "augment": {"policy": policy, "count": count, "generator": {"epochs": 100}},
        "model": {"latent_dim": 100, "width": 64},
        "train": {"batch_size": 64, "epochs": epochs, "kimg": 0, "checkpoint_every": 1} | (train or {}),
        "evaluate": {
            "samples": 1000,
            "repeats": repeats,
            "classifier": classifier,
            "weights": "",
            "tap": "64",
            "classes": ",".join(wanted),
            "splits": 10,
        },
    }
    versions = {"gan_da_jax": "0.1.0", "jax": "0.10.2", "flax": "0.12.8", "optax": "0.2.6", "numpy": "2.3.1"}
    io.write_json(
        folder / "config.json", {"config": config, "versions": versions, "devices": ["TFRT_CPU_0"], "backend": "cpu"}
    )
    io.write_json(
        folder / "dataset" / "manifest.json",
        {
            "format": 1,
            "policy": policy,
            "count": count,
            "seed": seed,
            "images_sha256": io.sha256(source.encode()),
            "source": data | {"kind": "folder", "name": source, "available": originals, "skipped": []},
            "records": rows,
        },
    )

    def tiles(high):
        return rng.integers(0, 256, (high, 8, 3), np.uint8).repeat(size, 0).repeat(size, 1)

    if ops:
        io.save_png(folder / "dataset" / "preview.png", tiles(1 + len(ops)))
    for epoch in range(1, epochs + 1):
        row = {
            "step": 16 * epoch,
            "epoch": float(epoch),
            "kimg": 1.024 * epoch,
            "generator_loss": 2.5 - 0.4 * np.log(epoch) + rng.normal(0, 0.15),
            "discriminator_loss": 0.6 + 0.5 / epoch + rng.normal(0, 0.05),
            "images_per_second": 123.4 + rng.normal(0, 2),
        }
        io.append_jsonl(folder / "metrics.jsonl", row | ({"state_sha256": "ab" * 32} if epoch == epochs else {}))
    for step in np.linspace(1, epochs, grids).round() if grids else ():
        io.save_png(folder / "samples" / f"step_{int(16 * step):08d}.png", tiles(8))
    for epoch in np.linspace(1, epochs, evaluations).round() if evaluations else ():
        rise, chance = 1 - np.exp(-4 * epoch / epochs), rng.normal(0, 0.06)
        for repeat in range(repeats):
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
                **_of_classes(level and 1 + (level - 1) * rise + chance + 0.02 * repeat, wanted, rng),
                **_distances(distance and distance * (3 - 2 * rise + chance) + 0.5 * repeat),
                "real_images": originals,
                **_shares(leakage, memorised, rng),
                "reasons": (
                    {} if level else dict.fromkeys(_CLASSES, "the weights end before the classifier's last layer")
                )
                | ({} if distance else dict.fromkeys(_DISTANCES, "1 image is too few"))
                | {
                    f"leakage.{op}": "originals look the same" for op, share in (leakage or {}).items() if share is None
                },
            }
            io.append_jsonl(folder / "scores.jsonl", row | (extra or {}))
        if level and grids:
            sheet = tiles(2)
            io.save_png(folder / "certainty" / f"step_{int(16 * epoch):08d}_{classifier}.png", sheet)
        if memorised is not None:
            io.save_png(folder / "memorisation" / f"step_{int(16 * epoch):08d}.png", tiles(2))
        for name in (f"step_{int(16 * epoch):08d}", "originals") if probabilities else ():
            table = rng.dirichlet(np.full(probabilities, 0.3), 50).astype(np.float32)
            names = np.array([f"class {number}" for number in range(probabilities)])
            with (
                io.atomic(folder / "probabilities" / f"{name}_{classifier}.npz") as path,
                open(path, "wb") as file,
            ):
                np.savez(file, probabilities=table, classes=names)
    return folder


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


def _shares(leakage, memorised, rng):
    found = {}
    if leakage is not None:
        found["leakage"] = {
            op: {"share": None, "low": None, "high": None, "accuracy": 0.52}
            if share is None
            else {"share": (read := max(0, share + rng.normal(0, 0.01))), "low": read - 0.03, "high": read + 0.03}
            | {"accuracy": 0.97}
            for op, share in leakage.items()
        }
    if memorised is not None:
        pixels = {"share": max(0, memorised + rng.normal(0, 0.01)), "expected": 0.05}
        found["memorisation"] = {"pixels": pixels, "features": pixels | {"expected": 0.07} if memorised else None}
    return found
