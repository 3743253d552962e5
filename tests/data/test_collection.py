import io
import os
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.data import collection
from gan_da_jax.errors import UserError


def picture(seed, size=(6, 5)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def read(path):
    with collection.opened(str(path)) as images:
        found = [list(images.read()) for _ in range(2)]
        assert images.size == len(found[0])
    for first, second in zip(*found, strict=True):  # each time anew
        np.testing.assert_array_equal(first, second)
    return found[0]


# In the order in which they must come: by the bytes of their paths.
NAMES = ("10.png", "9.png", "B.PNG", "a-b.png", "a/2.png", "b.png", "ä.png")


def test_a_folder_and_a_zip_file_give_their_images_in_order(tmp_path):
    sizes = [(6, 5), (5, 6), (1, 1), (40, 3), (6, 5), (7, 7), (2, 9)]
    images = [picture(i, size) for i, size in enumerate(sizes)]
    (tmp_path / "folder" / "a").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name, image in reversed(list(zip(NAMES, images, strict=True))):
            (tmp_path / "folder" / name).write_bytes(png(image))
            archive.writestr(name, png(image))
    for path in ("folder", "images.zip"):
        for found, image in zip(read(tmp_path / path), images, strict=True):
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, image)


def test_images_of_other_modes_become_rgb(tmp_path):
    pixels = picture(0)
    modes = ("L", "P", "1", "RGBA", "CMYK")
    for mode in modes:
        Image.fromarray(pixels).convert(mode).save(tmp_path / f"{mode}.{'jpg' if mode == 'CMYK' else 'png'}")
    found = read(tmp_path)
    for image, mode in zip(found, sorted(modes), strict=True):
        path = next(tmp_path.glob(f"{mode}.*"))
        np.testing.assert_array_equal(image, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("kind", ["npz", "npz compressed", "npy"])
def test_an_array_gives_its_images(kind, tmp_path):
    pixels = np.stack([picture(i) for i in range(4)])
    path = tmp_path / f"x.{kind[:3]}"
    {"npz": np.savez, "npz compressed": np.savez_compressed, "npy": np.save}[kind](path, pixels)
    np.testing.assert_array_equal(read(path), pixels)


def test_a_path_below_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "x.npy", picture(0)[None])
    assert len(read("~/x.npy")) == 1


def test_a_folder_called_like_an_array_is_a_folder(tmp_path):
    (tmp_path / "x.npz").mkdir()
    (tmp_path / "x.npz" / "a.png").write_bytes(png(picture(0)))
    assert len(read(tmp_path / "x.npz")) == 1


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_all_bad_images_are_named_and_nothing_after_the_first_is_given(kind, tmp_path):
    files = {f"{i}.png": png(picture(i)) for i in range(6)} | {"1.png": png(picture(1))[:60], "4.png": b"a text"}
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in files.items():
            (tmp_path / "folder" / name).write_bytes(data)
            archive.writestr(name, data)
    given = []
    with collection.opened(str(tmp_path / {"folder": "folder", "zip": "x.zip"}[kind])) as images:
        assert images.size == 6
        with pytest.raises(UserError, match=r"2 of 6 images cannot be used: 1\.png \(.*4\.png \(not a JPEG"):
            given += images.read()
    assert len(given) <= 1


class Loud:
    """Were it unpickled, the test would hear of it."""

    def __reduce__(self):
        return (os.mkdir, (os.environ["LOUD"],))


def array(path, **arrays):
    np.savez(path, **arrays)


def objects(path):
    array(path, images=np.array([Loud()], dtype=object))


def pickled(path):
    path.write_bytes(pickle.dumps(Loud()))


def truncated(path):
    array(path, images=np.zeros((4, 8, 8, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-200])


def vast(path):
    """A header that promises what no memory holds."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**10, 2**10, 3)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())


IMAGES = np.zeros((2, 4, 5, 3), np.uint8)
BAD = {
    "two arrays": (lambda p: array(p, images=IMAGES, labels=np.zeros(2)), r"2 arrays \(images, labels\).*only one"),
    "no array": (array, "0 arrays"),
    "floats": (lambda p: array(p, images=IMAGES.astype(np.float32)), r"float32 \[2, 4, 5, 3\].*uint8 \[n, H, W, 3\]"),
    "grey": (lambda p: array(p, images=IMAGES[..., 0]), r"uint8 \[2, 4, 5\]"),
    "channels first": (lambda p: array(p, images=IMAGES.transpose(0, 3, 1, 2)), r"uint8 \[2, 3, 4, 5\]"),
    "RGBA": (lambda p: array(p, images=np.zeros((2, 4, 5, 4), np.uint8)), r"\[2, 4, 5, 4\]"),
    "no image": (lambda p: array(p, images=IMAGES[:0]), r"\[0, 4, 5, 3\]"),
    "a record": (lambda p: array(p, images=np.zeros(2, [("a", "u1")])), "holds"),
    "objects": (objects, "cannot be read as an array.*allow_pickle"),
    "a pickle": (pickled, "cannot be read as an array"),
    "truncated": (truncated, "cannot be read as an array"),
    "vast": (vast, "cannot be read as an array"),
    "a text": (lambda p: p.write_text("404 not found"), "cannot be read as an array"),
    "nothing": (lambda p: p.write_bytes(b""), "cannot be read as an array"),
    "a zip of images": (
        lambda p: zipfile.ZipFile(p, "w").writestr("a.png", png(picture(0))),
        r"holds |S.*images must be uint8",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_arrays_are_refused(case, tmp_path, monkeypatch):
    monkeypatch.setenv("LOUD", str(tmp_path / "unpickled"))
    make, words = BAD[case]
    make(tmp_path / "x.npz")
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path / "x.npz")
    assert "x.npz" in str(caught.value) and str(caught.value).isprintable()
    assert not (tmp_path / "unpickled").exists()


def test_a_damaged_array_gives_its_images_or_is_refused(tmp_path):
    array(tmp_path / "x.npz", images=np.stack([picture(i) for i in range(4)]))
    whole = (tmp_path / "x.npz").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        (tmp_path / "x.npz").write_bytes(damaged)
        try:
            assert all(image.dtype == np.uint8 and image.ndim == 3 for image in read(tmp_path / "x.npz"))
        except UserError:
            refused += 1
    assert refused > 100


def test_wrong_paths_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no picture")
    for path, words in (
        ("", "the path of the images is empty: name a folder"),
        (tmp_path / "absent", "absent does not exist: name a folder, .zip, .npz or .npy"),
        (tmp_path / "absent.npz", "absent.npz does not exist"),
        (tmp_path / "empty", "no image in it"),
        (tmp_path / "text.txt", "text.txt is not a whole zip file"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            read(path)
        assert "data.path" not in str(caught.value)
