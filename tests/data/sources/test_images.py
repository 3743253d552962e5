import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_da_jax.data.sources import images
from gan_da_jax.data.sources.source import Files
from gan_da_jax.errors import UserError

OPAQUE = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def smooth(height, width, phase=0.0):
    y, x = np.mgrid[:height, :width]
    planes = [np.sin(x / 9 + phase) + np.cos(y / 7), np.sin((x + y) / 8 + phase), np.cos(x / 5) * np.sin(y / 6 + phase)]
    return np.stack([(plane - plane.min()) / max(np.ptp(plane), 1e-6) * 255 for plane in planes], -1).astype(np.uint8)


def picture(number):
    return encoded(Image.fromarray(smooth(20, 16, phase=0.1 * number)))


def choose(files, **changes):
    arguments = {"count": 1, "image_size": 8, "resize": "stretch", "seed": 0, "skip_bad": False}
    return images.choose(Files("the folder /pictures", list(files), files.__getitem__), **{**arguments, **changes})


def on_white(colour, alpha):
    colour, alpha = colour.astype(float), alpha[..., None].astype(float)
    return (colour * alpha + 255 * (255 - alpha)) / 255


def palette_image():
    index = OPAQUE[..., 0] % 7
    image = Image.fromarray(index, "L").copy()
    image = Image.frombytes("P", image.size, image.tobytes())
    colours = OPAQUE.reshape(-1, 3)[:7]
    image.putpalette(colours.tobytes())
    return image, index, colours


def cases():
    grey, alpha = OPAQUE[..., 0], OPAQUE[..., 1]
    grey3 = np.repeat(grey[..., None], 3, -1)
    deep = OPAQUE[..., 0].astype(np.uint16) * 256 + OPAQUE[..., 1]
    paletted, index, colours = palette_image()
    some = np.where(index == 3, 0, 255)
    graded = np.array([0, 40, 80, 120, 160, 200, 255], np.uint8)
    rgba = Image.fromarray(np.dstack([OPAQUE, alpha]))
    keyed = np.where((OPAQUE == OPAQUE[4, 5]).all(-1), 0, 255)
    yield "RGB PNG", encoded(Image.fromarray(OPAQUE)), OPAQUE
    yield "RGB WebP", encoded(Image.fromarray(OPAQUE), "WEBP", lossless=True), OPAQUE
    yield "grey", encoded(Image.fromarray(grey)), grey3
    yield "16-bit grey", encoded(Image.fromarray(deep)), grey3
    yield "black and white", encoded(Image.fromarray(grey > 99)), np.where(grey3 > 99, 255, 0)
    yield "palette", encoded(paletted), colours[index]
    yield "palette, one colour transparent", encoded(paletted, transparency=3), on_white(colours[index], some)
    yield (
        "palette, graded transparency",
        encoded(paletted, transparency=graded.tobytes()),
        on_white(colours[index], graded[index]),
    )
    yield (
        "RGB, one colour transparent",
        encoded(Image.fromarray(OPAQUE), transparency=tuple(int(value) for value in OPAQUE[4, 5])),
        on_white(OPAQUE, keyed),
    )
    yield "RGBA PNG", encoded(rgba), on_white(OPAQUE, alpha)
    yield "RGBA WebP", encoded(rgba, "WEBP", lossless=True, exact=True), on_white(OPAQUE, alpha)
    yield "grey with alpha", encoded(Image.fromarray(np.dstack([grey, alpha]))), on_white(grey3, alpha)


@pytest.mark.parametrize(("name", "data", "expected"), list(cases()), ids=[case[0] for case in cases()])
def test_every_mode_becomes_rgb(name, data, expected):
    image = images.decode(data)
    assert image.mode == "RGB"
    np.testing.assert_allclose(
        np.asarray(image).astype(float), expected, atol=1 if "trans" in name or "A" in name else 0.5
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_agrees_with_pillow(mode):
    data = encoded(Image.fromarray(smooth(40, 56)).convert(mode), "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(np.asarray(images.decode(data)), expected)
    assert (
        np.abs(expected.astype(int) - np.asarray(Image.fromarray(smooth(40, 56)).convert(mode).convert("RGB"))).mean()
        < 9
    )


UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_exif_orientation_is_applied(orientation, form):
    stored = smooth(24, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    image = np.asarray(images.decode(encoded(Image.fromarray(stored), form, exif=exif, **options))).astype(int)
    expected = UPRIGHT[orientation](stored)
    assert image.shape == expected.shape
    assert np.abs(image - expected).mean() < (8 if form == "JPEG" else 0.5)


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense" * 5])
def test_broken_exif_says_nothing_about_the_pixels(exif):
    data = encoded(Image.fromarray(smooth(24, 40)), "JPEG", exif=exif)
    with warnings.catch_warnings(action="ignore"):
        assert images.decode(data).size == (40, 24)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(form):
    first, second = Image.fromarray(OPAQUE), Image.fromarray(255 - OPAQUE)
    options = {"lossless": True} if form == "WEBP" else {}
    data = encoded(first, form, save_all=True, append_images=[second], duration=50, **options)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    np.testing.assert_array_equal(np.asarray(images.decode(data)), OPAQUE)


def test_a_camera_s_multi_picture_jpeg_is_a_jpeg():
    picture_, preview = Image.fromarray(smooth(24, 40)), Image.fromarray(smooth(12, 20))
    data = encoded(picture_, "MPO", save_all=True, append_images=[preview])
    assert images.decode(data).size == (40, 24)


def lanczos(count, target):
    scale = count / target
    width = max(scale, 1)
    centres = (np.arange(target) + 0.5) * scale
    offsets = (np.arange(count) + 0.5 - centres[:, None]) / width
    weights = np.where(np.abs(offsets) < 3, np.sinc(offsets) * np.sinc(offsets / 3), 0)
    return weights / weights.sum(1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(1, 48), resize=st.sampled_from(images.RESIZES)
)
def test_fit_is_an_antialiased_lanczos_filter(height, width, size, resize):
    pixels = smooth(height, width)
    square = pixels
    if resize == "center_crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[top : top + side, left : left + side]
    # Pillow filters one axis after the other, with 8 bits in between, in the order that is cheaper.
    axes = [("ih,hwc->iwc", lanczos(square.shape[0], size)), ("jw,hwc->hjc", lanczos(square.shape[1], size))]
    candidates = []
    for order in (axes, axes[::-1]):
        expected = square.astype(float)
        for axis, weights in order:
            expected = np.clip(np.round(np.einsum(axis, weights, expected)), 0, 255)
        candidates.append(expected)
    fitted = images.fit(Image.fromarray(pixels), image_size=size, resize=resize)
    assert fitted.shape == (size, size, 3) and fitted.dtype == np.uint8
    assert min(np.abs(fitted - expected).max() for expected in candidates) <= 3


@settings(deadline=None, max_examples=60)
@given(form=st.sampled_from(["JPEG", "PNG", "WEBP"]), share=st.floats(0, 0.95))
def test_a_truncated_file_is_unreadable(form, share):
    data = encoded(Image.fromarray(smooth(64, 48)), form)
    with pytest.raises(images.Unreadable):
        images.decode(data[: int(share * len(data))])


def claims(width, height):
    """A small PNG file whose header claims width x height pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"0" * 99))]
    body = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


HOSTILE = {
    "empty.jpg": (b"", "empty file"),
    "text.jpg": (b"this is no picture\n" * 40, "not a JPEG, PNG or WebP image"),
    "gif.png": (encoded(Image.fromarray(OPAQUE), "GIF"), "not a JPEG, PNG or WebP image"),
    "half.jpg": (encoded(Image.fromarray(smooth(64, 64)), "JPEG")[:900], "truncated"),
    "large.png": (claims(9500, 9500), "9500 x 9500 pixels, more than 64 million"),
    "bomb.png": (claims(60000, 60000), "more than 64 million pixels"),
    "line\nbreak\x1b.png": (picture(0)[:70], "cannot be decoded"),
    "again.png": (picture(1), "the same bytes as a.png"),
}
GOOD = {"a.png": picture(1), "b/c.png": picture(2), "zebra.png": picture(3)}


def test_bad_files_are_named_in_one_line(capfd, recwarn):
    with pytest.raises(UserError) as caught:
        choose(GOOD | {name: data for name, (data, _) in HOSTILE.items()})
    message = str(caught.value)
    assert message.isprintable() and "\n" not in message
    assert message.startswith("the folder /pictures: 8 of 11 images cannot be used: ")
    assert message.endswith("or set data.skip_bad=true to leave them out")
    for name, (_, reason) in HOSTILE.items():
        assert reason in message.split(images.shown(name) + " (")[1].split(")")[0]
    assert r"line\nbreak\x1b.png" in message
    assert capfd.readouterr() == ("", "") and not recwarn.list


@pytest.mark.parametrize("name", HOSTILE)
def test_one_bad_file_is_enough(name):
    with pytest.raises(UserError, match="1 of 4 images cannot be used"):
        choose(GOOD | {name: HOSTILE[name][0]})


def test_at_most_ten_bad_files_are_named():
    with pytest.raises(UserError, match=r"25 of 28 images .*bad09\.jpg \(empty file\) and 15 more: repair") as caught:
        choose(GOOD | {f"bad{number:02d}.jpg": b"" for number in range(25)})
    assert "bad10.jpg" not in str(caught.value)


def test_skip_bad_leaves_them_out_as_if_they_were_not_there(recwarn):
    found = choose(GOOD | {name: data for name, (data, _) in HOSTILE.items()}, count=3, skip_bad=True)
    clean = choose(GOOD, count=3)
    assert found.ids == clean.ids and found.available == 3
    np.testing.assert_array_equal(found.pixels, clean.pixels)
    assert [record["id"] for record in found.skipped] == sorted(HOSTILE, key=str.encode)
    assert all(HOSTILE[record["id"]][1] in record["reason"] for record in found.skipped)
    assert not recwarn.list


def test_of_repeats_the_first_by_name_stays():
    found = choose({"c.png": picture(1), "B.png": picture(1), "a.png": picture(1)}, skip_bad=True)
    assert found.ids == ["B.png"]
    assert found.skipped == [{"id": name, "reason": "the same bytes as B.png"} for name in ("a.png", "c.png")]


@pytest.mark.parametrize(
    ("extra", "count", "words"),
    [
        ({}, 5, "the folder /pictures has 3 images, but 5 are asked for"),
        ({"x.png": b"", "y.png": b""}, 4, "has 3 usable images (2 bad or repeated ones left out), but 4 are asked for"),
    ],
)
def test_too_few_images_are_refused_with_both_numbers(extra, count, words):
    with pytest.raises(UserError) as caught:
        choose(GOOD | extra, count=count, skip_bad=True)
    assert words in str(caught.value) and str(caught.value).isprintable()


def test_too_few_files_are_refused_before_any_is_read():
    with pytest.raises(UserError, match="has 2 images, but 3 are asked for"):
        choose({"a.png": None, "b.png": None}, count=3, skip_bad=True)


def test_an_unknown_resize_is_refused():
    with pytest.raises(UserError, match="data.resize=squash is unknown: use stretch or center_crop"):
        choose(GOOD, resize="squash")


MANY = {f"{number:03d}.png": picture(number) for number in range(30)}


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.tuples(st.integers(1, 30), st.integers(1, 30)).map(sorted),
    bad=st.sets(st.integers(0, 40)),
)
def test_a_larger_count_only_appends(seed, counts, bad):
    files = MANY | {f"{number:03d}_bad.png": b"" for number in bad}
    few, many = (choose(files, count=count, seed=seed, skip_bad=True) for count in counts)
    assert many.ids[: counts[0]] == few.ids
    np.testing.assert_array_equal(many.pixels[: counts[0]], few.pixels)
    assert len(set(many.ids)) == counts[1] and set(many.ids) <= set(MANY)
    assert few.available == many.available == 30
    for name, pixels in zip(many.ids, many.pixels, strict=True):
        np.testing.assert_array_equal(pixels, images.fit(images.decode(MANY[name]), image_size=8, resize="stretch"))


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_listing():
    backwards = dict(reversed(MANY.items()))
    assert choose(MANY, count=10).ids == choose(backwards, count=10).ids
    assert choose(MANY, count=10).ids != choose(MANY, count=10, seed=1).ids
    assert sorted(choose(MANY, count=30).ids) == sorted(MANY) != choose(MANY, count=30).ids


def test_files_are_listed_by_ending_and_hidden_ones_passed_over():
    assert all(map(images.wanted, ["a.jpg", "b/c.JPEG", "d.Png", "e.f.webp", "../x.jpg", "/x.jpg", "ü\n.jpg"]))
    hidden = [
        "a.gif",
        "jpg",
        ".a.jpg",
        "b/._c.jpg",
        ".git/a.png",
        "__MACOSX/a.png",
        "x/__MACOSX/a.png",
        "a.jpg.txt",
        "",
    ]
    assert not any(map(images.wanted, hidden))
