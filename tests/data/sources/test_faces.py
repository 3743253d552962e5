import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gan_da_jax.data.sources import Location, faces
from gan_da_jax.data.sources.images import choose


def difference(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), indices=st.lists(st.integers(0, 2**40), min_size=1, max_size=6))
def test_a_face_depends_on_seed_and_index_alone(seed, indices):
    together, labels = faces.render(seed, np.array(indices), 40)
    assert together.shape == (len(indices), 40, 40, 3) and together.dtype == np.uint8
    assert labels.shape == (len(indices), len(faces.ATTRIBUTES)) and labels.dtype == np.int32
    for position, index in enumerate(indices):
        alone, label = faces.render(seed, np.array([index]), 40)
        np.testing.assert_array_equal(alone[0], together[position])
        np.testing.assert_array_equal(label[0], labels[position])


def test_faces_are_the_same_in_blocks_of_any_size(monkeypatch):
    whole, labels = faces.render(3, np.arange(37), 32)
    monkeypatch.setattr(faces, "_BLOCK_PIXELS", 5 * 32**2)
    parts, part_labels = faces.render(3, np.arange(37), 32)
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(labels, part_labels)


def test_indices_and_seeds_give_different_faces():
    pixels, _ = faces.render(0, np.arange(200), 32)
    assert len({face.tobytes() for face in pixels}) == 200
    assert difference(pixels, faces.render(1, np.arange(200), 32)[0]) > 20


@pytest.mark.parametrize("size", [32, 64, 128])
def test_every_size_shows_the_same_face(size):
    large, labels = faces.render(5, np.arange(12), 256)
    small, small_labels = faces.render(5, np.arange(12), size)
    np.testing.assert_array_equal(labels, small_labels)
    shrunk = np.stack([np.asarray(Image.fromarray(face).resize((size, size), Image.Resampling.BOX)) for face in large])
    assert difference(shrunk, small) < 4
    assert difference(shrunk[1:], small[:-1]) > 20  # other faces are far away


@pytest.mark.parametrize(
    ("operation", "least"),
    [(lambda x: x[:, ::-1], 40), (lambda x: 255 - x, 60), (lambda x: x[:, :, ::-1], 15)],
    ids=["vflip", "invert", "hflip"],
)
def test_flips_and_inversion_change_a_face(operation, least):
    pixels, _ = faces.render(7, np.arange(64), 64)
    assert difference(pixels, operation(pixels)) > least


def test_up_down_left_right_and_colour_mean_something():
    pixels = faces.render(11, np.arange(300), 64)[0].astype(float)
    sky = pixels[:, :, [0, 1, -2, -1]]
    assert (sky[:, :16].mean((1, 2, 3)) > sky[:, 32:48].mean((1, 2, 3))).all()  # brighter above, in every picture
    left, right = (pixels[:, 36:41, columns].mean((1, 2, 3)) for columns in (slice(22, 27), slice(37, 42)))
    assert (left > right).mean() > 0.95 and (left / right).mean() > 1.1  # the light falls from the left
    middle = pixels[:, 32:44, 28:36].mean((1, 2))
    assert (middle[:, 0] > middle[:, 1]).all() and (middle[:, 1] > middle[:, 2]).all()  # skin: red > green > blue


def test_labels_are_balanced_and_classes_are_their_product():
    _, labels = faces.render(0, np.arange(2400), 1)
    for column, values in enumerate(faces.ATTRIBUTES.values()):
        share = np.bincount(labels[:, column], minlength=len(values)) / len(labels)
        assert len(share) == len(values)
        np.testing.assert_allclose(share, 1 / len(values), atol=0.05)
    classes = faces.class_of(labels)
    assert classes.dtype == np.int32 and len(faces.CLASSES) == len(set(faces.CLASSES)) == 12
    assert set(classes) == set(range(12))
    for (hair, accessory, *_), number in zip(labels, classes, strict=True):
        assert faces.ATTRIBUTES["hair"][hair] in faces.CLASSES[number]
        assert faces.ATTRIBUTES["accessory"][accessory] in faces.CLASSES[number]


def test_labels_show_in_the_pixels():
    # The nearest mean picture of half of the faces names the hair colour and the accessory of the other half.
    pixels, labels = faces.render(0, np.arange(1600), 32)
    flat = pixels[:, :20].reshape(len(pixels), -1).astype(float)
    for name, least in (("hair", 0.6), ("accessory", 0.6)):
        truth = labels[:, list(faces.ATTRIBUTES).index(name)]
        means = np.stack([flat[:800][truth[:800] == value].mean(0) for value in range(truth.max() + 1)])
        guess = ((flat[800:, None] - means) ** 2).sum(-1).argmin(1)
        assert (guess == truth[800:]).mean() > least


def test_a_choice_appends_when_the_count_grows():
    arguments = {"image_size": 32, "resize": "stretch", "seed": 9, "skip_bad": False}
    with faces.SOURCE.opened(Location("")) as drawings:
        few, many = (choose(drawings, count=count, **arguments) for count in (5, 12))
    assert many.ids[:6] == few.ids + ["face_000005"] and len(many.ids) == 12
    np.testing.assert_array_equal(many.pixels[:5], few.pixels)
    np.testing.assert_array_equal(many.pixels, faces.render(9, np.arange(12), 32)[0])
    assert many.skipped == [] and many.available > 10**9
