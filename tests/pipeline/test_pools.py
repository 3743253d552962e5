"""The images that a data set is made of, read from a folder of pictures and compared with them by Pillow."""

import numpy as np
import pytest
from PIL import Image, ImageOps

import helpers
from gan_da_jax.augment import policy
from gan_da_jax.errors import UserError
from gan_da_jax.pipeline import pools

FIELDS = helpers.SMALL | {"data.source": "folder", "data.count": 10, "augment.count": 6}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return helpers.draw_faces(tmp_path_factory.mktemp("pictures"), 18)


def config(pictures, **fields):
    return helpers.configured(**FIELDS | {"data.path": str(pictures)} | helpers.dotted(fields))


def test_originals_and_more_have_no_image_in_common_and_their_names_are_true(pictures):
    images, ids, source = pools.real(config(pictures, augment__policy="more"))
    assert {pool: len(found) for pool, found in images.items()} == {"originals": 10, "more": 6}
    assert len({*ids["originals"], *ids["more"]}) == 16
    for pool, found in images.items():
        for name, image in zip(ids[pool], found, strict=True):
            np.testing.assert_array_equal(image, np.asarray(Image.open(pictures / name)))
    expected = {"kind": "folder", "path": str(pictures), "available": 18, "count": 10, "skipped": []}
    assert expected.items() <= source.items()


def test_the_originals_are_the_same_whatever_the_policy_and_others_with_another_seed(pictures):
    found = {text: pools.real(config(pictures, augment__policy=text)) for text in ("none", "hflip", "more")}
    for images, ids, _ in found.values():
        assert ids["originals"] == found["none"][1]["originals"]
        np.testing.assert_array_equal(images["originals"], found["none"][0]["originals"])
    assert list(found["hflip"][0]) == ["originals"]
    assert pools.real(config(pictures, seed=1))[1]["originals"] != found["none"][1]["originals"]


def test_generated_images_are_named_but_not_read(pictures):
    images, ids, _ = pools.real(config(pictures, augment__policy="hflip+generated"))
    assert list(images) == ["originals"] and ids["generated"] == [f"generated_{i:06d}" for i in range(3)]


def test_a_gan_that_is_not_trained_generates_nothing(pictures, tmp_path):
    with pytest.raises(UserError, match="is not trained to step 5"):  # 10 images in batches of 8, four epochs
        pools.generated(config(pictures, augment__policy="generated"), tmp_path)


def test_a_preview_has_a_row_for_the_originals_and_for_each_op():
    rng = np.random.default_rng(0)
    images = {
        name: rng.integers(0, 256, (count, 16, 16, 3), np.uint8) for name, count in {"originals": 5, "more": 2}.items()
    }
    drawn = pools.preview(policy.parse("hflip+more"), images)
    assert drawn.shape == (3 * 18 + 2, 5 * 18 + 2, 3) and drawn.dtype == np.uint8

    def tile(row, column):
        return drawn[2 + 18 * row :, 2 + 18 * column :][:16, :16]

    for column, image in enumerate(images["originals"]):
        np.testing.assert_array_equal(tile(0, column), image)
        np.testing.assert_array_equal(tile(1, column), np.asarray(ImageOps.mirror(Image.fromarray(image))))
    for column in range(5):  # two images of `more`, and blank places
        np.testing.assert_array_equal(tile(2, column), images["more"][column] if column < 2 else 255)
    many = {"originals": rng.integers(0, 256, (9, 16, 16, 3), np.uint8)}
    assert pools.preview(policy.parse("none"), many).shape[1] == pools.COLUMNS * 18 + 2
