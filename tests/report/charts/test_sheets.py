import numpy as np
import pytest
from PIL import Image

from gan_da_jax.report.arms import group
from gan_da_jax.report.charts import sheets


@pytest.fixture
def arms_of(read_all):
    return lambda root: group(read_all(root))[0]


def row(path, number, rows):
    pixels = np.asarray(Image.open(path))
    high = len(pixels) // rows
    return pixels[number * high : (number + 1) * high]


def test_every_op_is_shown_once_below_the_originals(tmp_path, make_run, arms_of):
    for policy in ("none", "hflip", "contrast(factor=2.0)+hflip", "contrast+vflip"):
        make_run(tmp_path / policy, policy=policy, count=0 if policy == "none" else 20)
    found = dict(sheets.previews(arms_of(tmp_path)))
    assert list(found) == ["originals", "hflip", "contrast(factor=2)", "contrast", "vflip"]
    previews = {policy: tmp_path / policy / "dataset" / "preview.png" for policy in ("hflip", "contrast+vflip")}
    np.testing.assert_array_equal(found["originals"], row(previews["hflip"], 0, 2))
    np.testing.assert_array_equal(found["hflip"], row(previews["hflip"], 1, 2))
    np.testing.assert_array_equal(found["vflip"], row(previews["contrast+vflip"], 2, 3))


def test_samples_are_the_first_row_of_the_last_grid(tmp_path, make_run, arms_of):
    for seed in (0, 1):
        make_run(tmp_path / str(seed), seed=seed)
    make_run(tmp_path / "untrained", policy="hflip", count=20, grids=0)
    [(label, pixels)] = sheets.samples(arms_of(tmp_path))
    assert label == "none"
    np.testing.assert_array_equal(pixels, row(tmp_path / "0" / "samples" / "step_00000064.png", 0, 8))
