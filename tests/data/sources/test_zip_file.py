import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.data.sources import folder, zip_file
from gan_da_jax.data.sources.images import choose
from gan_da_jax.errors import UserError


def picture(number):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (22, 18, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


PICTURES = {f"img_align_celeba/{number:06d}.jpg": picture(number) for number in range(1, 13)}


def pack(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as packed:
        packed.mkdir("img_align_celeba")
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def load(path, source=zip_file, **changes):
    arguments = {"count": 1, "image_size": 16, "resize": "center_crop", "seed": 4, "skip_bad": False}
    with source.opened(str(path)) as files:
        return choose(files, **{**arguments, **changes})


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_like_celeba_s_equals_the_folder_it_unpacks_to(tmp_path, compression):
    found = load(pack(tmp_path / "img_align_celeba.zip", PICTURES, compression), count=7)
    assert [path.name for path in tmp_path.iterdir()] == ["img_align_celeba.zip"]  # nothing was extracted
    for name, data in PICTURES.items():
        (tmp_path / "unpacked" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "unpacked" / name).write_bytes(data)
    expected = load(tmp_path / "unpacked", source=folder, count=7)
    assert found.ids == expected.ids and set(found.ids) <= set(PICTURES)
    assert found.available == expected.available == 12
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert load(tmp_path / "img_align_celeba.zip", count=12).ids[:7] == found.ids


def test_entries_that_are_no_images_are_passed_over(tmp_path):
    others = {"__MACOSX/._a.jpg": b"resource fork", ".hidden.jpg": b"x", "list.txt": b"x", "inner.zip": b"PK"}
    outside = {"../../x.jpg": picture(1), "/y.jpg": picture(2), "c:\\z.JPG": picture(3)}
    found = load(pack(tmp_path / "a.zip", others | outside), count=3)
    assert set(found.ids) == set(outside)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_of_entries_with_one_name_the_last_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("a.jpg", b"older")
        packed.writestr("a.jpg", picture(0))
    assert load(tmp_path / "a.zip").ids == ["a.jpg"]


def damaged(path, name, *, flag=0, method=None, size=None, flip=False):
    """Edits the records of one entry of a stored zip file: local header and central directory."""
    with zipfile.ZipFile(path) as packed:
        entry = packed.getinfo(name)
    data = bytearray(path.read_bytes())
    local = entry.header_offset
    central = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    for start in (local + 6, central + 8):
        data[start] |= flag
        if method is not None:
            data[start + 2] = method
    if size is not None:
        data[central + 24 : central + 28] = size.to_bytes(4, "little")
    if flip:
        data[local + 30 + len(name) + 200] ^= 255
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"flag": 1}, "encrypted"),
        ({"method": 99}, "corrupt in the zip file: That compression method is not supported"),
        ({"size": 2**31}, "2048 MiB, more than 256 MiB"),
        ({"flip": True}, "corrupt in the zip file: Bad CRC-32"),
    ],
)
def test_a_bad_entry_is_named_with_its_reason(tmp_path, damage, reason):
    path = pack(tmp_path / "a.zip", PICTURES, zipfile.ZIP_STORED)
    name = "img_align_celeba/000005.jpg"
    damaged(path, name, **damage)
    with pytest.raises(UserError) as caught:
        load(path, count=3)
    message = str(caught.value)
    assert message.startswith(f"the zip file {path}: 1 of 12 images cannot be used: {name} ({reason}")
    assert message.endswith("data.skip_bad=true to leave them out") and message.isprintable()
    found = load(path, count=11, skip_bad=True)
    assert found.available == 11 and [record["id"] for record in found.skipped] == [name]


def test_wrong_files_are_refused(tmp_path):
    whole = pack(tmp_path / "whole.zip", PICTURES).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("404 not found")
    (tmp_path / "nothing.zip").write_bytes(b"")
    for path, words in (
        ("", "path of the zip file of images is empty"),
        (tmp_path / "absent.zip", "absent.zip does not exist"),
        (tmp_path, "is a folder, not a zip file: use data.source=folder"),
        (tmp_path / "cut.zip", "cut.zip is not a whole zip file"),
        (tmp_path / "text.zip", "text.zip is not a whole zip file"),
        (tmp_path / "nothing.zip", "nothing.zip is not a whole zip file"),
        (pack(tmp_path / "words.zip", {"a.txt": b"x"}), "words.zip has no image in it"),
        (pack(tmp_path / "outer.zip", {"a.zip": whole}), "has no image in it.*it holds other zip files"),
        (tmp_path / "whole.zip", "has 12 images, but 13 are asked for"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            load(path, count=13)
        assert str(caught.value).isprintable()
