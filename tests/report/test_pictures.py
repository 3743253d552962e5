import base64
import io

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.errors import UserError
from gan_da_jax.files import io as records
from gan_da_jax.report import pictures
from gan_da_jax.runs.folder import Folder


def decoded(picture):
    kind, data = picture.uri.split(";base64,")
    return kind, Image.open(io.BytesIO(base64.b64decode(data)))


def test_small_pictures_stay_lossless(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, pictures.LOSSLESS, 3), np.uint8)
    records.save_png(tmp_path / "a.png", pixels)
    kind, image = decoded(pictures.embed(tmp_path / "a.png"))
    assert kind == "data:image/png"
    np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("width", "expected"), [(1064, 532), (400, 400)])
def test_large_pictures_are_reduced(tmp_path, width, expected):
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    records.save_png(tmp_path / "a.png", np.broadcast_to(ramp[None, :, None], (width // 2, width, 3)))
    picture = pictures.embed(tmp_path / "a.png")
    kind, image = decoded(picture)
    assert kind == "data:image/jpeg"
    assert image.size == (picture.width, picture.height) == (expected, expected // 2)
    np.testing.assert_allclose(np.asarray(image)[0, :, 0], np.linspace(0, 255, expected), atol=4)


def test_broken_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UserError, match="a.png is not a readable picture"):
        pictures.embed(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("steps", "shown"),
    [([], []), ([7], [7]), ([20, 3], [3, 20]), (range(0, 900, 100), [0, 200, 400, 600, 800])],
)
def test_frames_are_the_first_the_last_and_some_between(tmp_path, steps, shown):
    samples = tmp_path / "samples"
    samples.mkdir()
    for step in steps:
        (samples / f"step_{step:08d}.png").touch()
    (samples / "step_last.png").touch()
    frames = pictures.frames(Folder(tmp_path).sample_grids())
    assert list(frames.items()) == [(step, samples / f"step_{step:08d}.png") for step in shown]
