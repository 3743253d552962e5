from collections import Counter

import numpy as np
import pytest

from gan_da_jax.data import dataset
from gan_da_jax.errors import UserError
from gan_da_jax.files import io


def pool(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)


SOURCE = {"name": "faces", "path": "", "image_size": 8, "skipped": []}


def build(policy: str, count: int, originals: int = 10):
    pools = {"originals": pool(0, originals), "generated": pool(1, count), "more": pool(2, count)}
    ids = {name: [f"{name}/{i}" for i in range(len(array))] for name, array in pools.items()}
    return dataset.build(source=SOURCE, policy_text=policy, count=count, seed=0, pools=pools, ids=ids), pools


@pytest.mark.parametrize(
    ("policy", "count", "ops"),
    [
        ("none", 0, {"original": 10}),
        ("hflip", 10, {"original": 10, "hflip": 10}),
        ("contrast+hflip", 20, {"original": 10, "contrast": 10, "hflip": 10}),
        ("generated+hflip", 7, {"original": 10, "generated": 4, "hflip": 3}),
        ("duplicate", 25, {"original": 10, "duplicate": 25}),
        ("more", 5, {"original": 10, "more": 5}),
    ],
)
def test_records(policy, count, ops):
    (made, pixels), pools = build(policy, count)
    rows = made["records"]
    assert Counter(row["op"] for row in rows) == ops
    assert [row["index"] for row in rows] == list(range(10 + count)) and len(pixels) == 10 + count
    assert [row["op"] for row in rows[:10]] == ["original"] * 10
    assert made["images_sha256"] == io.sha256(pixels)
    reference = {
        "original": lambda i: pools["originals"][i],
        "duplicate": lambda i: pools["originals"][i],
        "hflip": lambda i: pools["originals"][i][:, ::-1],
        "generated": lambda i: pools["generated"][i],
        "more": lambda i: pools["more"][i],
    }
    for row, image in zip(rows, pixels, strict=True):
        assert row["sha256"] == io.sha256(image)
        kind = row["op"] if row["op"] in ("generated", "more") else "originals"
        assert row["source_id"] == f"{kind}/{row['source_index']}"
        if row["op"] in reference:
            np.testing.assert_array_equal(image, reference[row["op"]](row["source_index"]))


def write(folder, policy="contrast(factor=1.7)+hflip", count=9):
    (made, pixels), pools = build(policy, count)
    for name, array in pools.items():
        io.save_array(folder / f"{name}.npy", array)
    io.write_json(folder / "manifest.json", made)
    return made, pixels


def test_manifest_and_originals_are_the_whole_truth(tmp_path):
    made, pixels = write(tmp_path)
    (tmp_path / "generated.npy").unlink()  # this policy does not need them
    (tmp_path / "more.npy").unlink()
    read, again = dataset.load(tmp_path)
    assert read == made
    np.testing.assert_array_equal(again, pixels)


def _change(folder, **changes):
    made = io.read_json(folder / "manifest.json")
    io.write_json(folder / "manifest.json", made | changes)


def _swap_rows(folder):
    rows = io.read_json(folder / "manifest.json")["records"]
    rows[10]["source_index"], rows[11]["source_index"] = rows[11]["source_index"], rows[10]["source_index"]
    _change(folder, records=rows)


def _flip_a_bit(folder):
    originals = io.load_array(folder / "originals.npy")
    originals[3, 2, 1, 0] ^= 1
    io.save_array(folder / "originals.npy", originals)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "originals.npy").unlink(),
        lambda folder: (folder / "originals.npy").write_bytes((folder / "originals.npy").read_bytes()[:500]),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: _change(folder, format=2),
        lambda folder: _change(folder, policy="invert"),
        lambda folder: _change(folder, records=[{"op": "rotate", "source_index": 0}]),
        lambda folder: _change(folder, records=[{"op": "hflip", "source_index": 10**6}]),
        lambda folder: _change(folder, records=7),
        _swap_rows,
        _flip_a_bit,
    ],
)
def test_a_damaged_data_set_is_refused(tmp_path, damage):
    write(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=str(tmp_path)):
        dataset.load(tmp_path)
