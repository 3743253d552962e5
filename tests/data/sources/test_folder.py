import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.data.sources import folder, images
from gan_da_jax.errors import UserError

SHARED = Path(os.environ.get("GAN_DA_SHARED", "../shared"))


def save(path, number):
    path = Path(os.fsdecode(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (12, 10, 3), np.uint8)
    with open(path, "wb") as file:
        Image.fromarray(pixels).save(file, {".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG"))


def load(path, **changes):
    arguments = {"count": 1, "image_size": 8, "resize": "stretch", "seed": 0, "skip_bad": False}
    with folder.opened(str(path)) as files:
        return images.choose(files, **{**arguments, **changes})


def test_nested_images_of_every_kind_are_found(tmp_path):
    names = ["a.JPG", "b/c.jpeg", "b/d/e.PNG", "f.webp", "ü.png"]
    for number, name in enumerate([*names, ".h.jpg", ".git/i.png", "__MACOSX/a.JPG", "b/._c.jpeg"]):
        save(tmp_path / name, number)
    (tmp_path / "readme.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    found = load(tmp_path, count=5)
    assert sorted(found.ids) == sorted(names) and found.available == 5 and found.skipped == []
    for name, pixels in zip(found.ids, found.pixels, strict=True):
        expected = images.fit(images.decode((tmp_path / name).read_bytes()), image_size=8, resize="stretch")
        np.testing.assert_array_equal(pixels, expected)


def test_links_are_followed_and_loops_end(tmp_path):
    save(tmp_path / "elsewhere" / "a.png", 0)
    save(tmp_path / "here" / "b.png", 1)
    (tmp_path / "here" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "here" / "twice").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here", target_is_directory=True)
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "here" / "self").symlink_to("self")
    assert sorted(load(tmp_path / "here", count=2).ids) == ["b.png", "linked/a.png"]


def test_what_cannot_be_read_is_named(tmp_path):
    save(tmp_path / "good.png", 0)
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with open(tmp_path / "vast.jpg", "wb") as file:
        file.truncate(256 * 2**20 + 1)
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"the folder {tmp_path}: 4 of 5 images cannot be used: dangling.jpg (cannot be read: ")
    assert "pipe.jpg (not a regular file), vast.jpg (256 MiB, more than 256 MiB)" in message
    assert "loop.jpg (cannot be read: " in message and message.isprintable()
    found = load(tmp_path, skip_bad=True)
    assert found.ids == ["good.png"] and len(found.skipped) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names_are_shown_escaped(tmp_path):
    for name in (b"\xff\xfe.jpg", b"new\nline.jpg", b"\x1b[31m.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"")
    save(os.fsencode(tmp_path) + b"/\xe9.png", 0)
    with pytest.raises(UserError, match=r"3 of 4 images cannot be used") as caught:
        load(tmp_path)
    message = str(caught.value)
    assert message.isprintable() and message.encode()
    assert all(shown in message for shown in (r"\udcff\udcfe.jpg", r"new\nline.jpg", r"\x1b[31m.jpg"))
    assert load(tmp_path, skip_bad=True).ids == [os.fsdecode(b"\xe9.png")]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_folder_is_not_passed_over(tmp_path):
    save(tmp_path / "a.png", 0)
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(UserError, match="closed cannot be entered"):
        load(tmp_path)


def test_wrong_paths_are_refused(tmp_path):
    save(tmp_path / "one.png", 0)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        archive.write(tmp_path / "one.png")
    (tmp_path / "empty").mkdir()
    for path, words in (
        ("", "path of the folder of images is empty"),
        (tmp_path / "absent", "absent does not exist"),
        ("~nobody_of_this_name/x", "does not exist"),
        (tmp_path / "one.png", "is a file, not a folder: name a folder"),
        (tmp_path / "pack.zip", "is a file, not a folder: use data.source=zip"),
        (tmp_path / "empty", "has no image in it"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            load(path)
        assert str(caught.value).isprintable()


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason=f"no images in {SHARED} (GAN_DA_SHARED)")
@pytest.mark.parametrize(("name", "count"), [("celeba_1000", 1000), ("pomeranian_197", 197)])
def test_real_photographs_load(name, count):
    found = load(SHARED / "data" / name, count=count, image_size=64)
    assert found.available == count and found.pixels.shape == (count, 64, 64, 3)
    assert len({pixels.tobytes() for pixels in found.pixels}) == count
    assert 40 < found.pixels.mean() < 200 and found.pixels.std() > 30
