from pathlib import Path

import pytest

from gan_da_jax.data.sources import SOURCES, Location, require_location
from gan_da_jax.errors import UserError


@pytest.mark.parametrize(
    ("kind", "location", "words"),
    [
        ("faces", Location(""), None),
        ("faces", Location("dogs"), "config.data.path is 'dogs' for data.source faces: leave it empty"),
        ("folder", Location("dogs"), None),
        ("folder", Location(""), "config.data.path is '' for data.source folder: name the images"),
        ("folder", Location("dogs", "celeb_a"), "dataset is 'celeb_a' .*folder: leave it empty, or use tfds"),
        ("zip", Location(""), "name the images"),
        ("tfds", Location("", "celeb_a"), None),
        ("tfds", Location("/data", "celeb_a"), None),
        ("tfds", Location("/data"), "dataset is '' for data.source tfds: name one"),
    ],
)
def test_a_location_must_have_what_its_source_needs(kind, location, words):
    if words is None:
        require_location(kind, location)
    else:
        with pytest.raises(UserError, match=words):
            require_location(kind, location)


def test_the_sources_of_a_study_are_located():
    assert SOURCES["zip"].locate("a.zip", "ignored") == Location("a.zip")
    assert SOURCES["tfds"].locate("celeb_a", "/data") == Location("/data", "celeb_a")
    assert SOURCES["faces"].locate("", "") == Location("")


def test_only_a_folder_of_images_encloses_what_is_written_there(tmp_path):
    for kind, location in (("folder", Location(f"{tmp_path}/a")), ("zip", Location(f"{tmp_path}/a"))):
        inside = [SOURCES[kind].encloses(location, tmp_path / name) for name in ("a/b/c", "b", "a")]
        assert inside == [kind == "folder", False, kind == "folder"]
    assert not SOURCES["faces"].encloses(Location(""), Path())


def test_what_is_on_this_machine_is_ready(tmp_path):
    for kind in ("folder", "zip"):
        assert SOURCES[kind].is_ready(Location(str(tmp_path)))
        assert not SOURCES[kind].is_ready(Location(str(tmp_path / "absent")))
    assert SOURCES["faces"].is_ready(Location(""))
