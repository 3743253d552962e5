"""What `prepare` says, makes, exports and refuses, on a folder of pictures."""

import numpy as np
import pytest
from PIL import Image

import helpers
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools
from gan_da_jax.pipeline.prepare import plan, prepare
from gan_da_jax.runs.folder import Run

FIELDS = helpers.SMALL | {"data.source": "folder", "data.count": 6, "augment.policy": "hflip", "augment.count": 4}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return helpers.draw_faces(tmp_path_factory.mktemp("pictures"), 12)


@pytest.fixture
def run_in(pictures):
    """A function that names a run of these pictures in a folder, with other values in some fields."""

    def run(workdir, **fields):
        return Run(helpers.configured(**FIELDS | {"data.path": str(pictures)} | helpers.dotted(fields)), workdir)

    return run


def test_a_plan_says_what_would_be_and_then_what_is_and_writes_nothing(run_in, tmp_path):
    run = run_in(tmp_path / "run")
    assert "would hold 6 originals and 4 augmented images" in plan(run)
    assert list(tmp_path.iterdir()) == []
    assert prepare(run).endswith("6 original + 4 hflip")
    before = helpers.written(tmp_path)
    assert plan(run).endswith("6 original + 4 hflip, as prepared before") and plan(run) == prepare(run)
    assert helpers.written(tmp_path) == before


def test_every_image_is_exported_with_its_exact_pixels(run_in, pictures, tmp_path):
    run = run_in(tmp_path / "run")
    prepare(run, export=tmp_path / "png")
    expected = [f"{index:05d}_{'original' if index < 6 else 'hflip'}.png" for index in range(10)]
    assert sorted(path.name for path in (tmp_path / "png").iterdir()) == expected
    for row in io.read_json(run.manifest)["records"]:
        given = Image.open(pictures / row["source_id"])
        if row["op"] == "hflip":
            given = given.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        with Image.open(tmp_path / "png" / expected[row["index"]]) as exported:
            assert exported.mode == "RGB"
            np.testing.assert_array_equal(np.asarray(exported), np.asarray(given.convert("RGB")))


@pytest.mark.parametrize("step", [plan, prepare])
def test_an_export_folder_with_files_is_refused_and_kept(step, run_in, tmp_path):
    (tmp_path / "png").mkdir()
    (tmp_path / "png/mine.txt").write_text("mine")
    for place in ("png", "png/mine.txt"):
        with pytest.raises(UserError, match="is not an empty folder"):
            step(run_in(tmp_path / "run"), export=tmp_path / place)
    assert [path.name for path in tmp_path.rglob("*")] == ["png", "mine.txt"]


@pytest.mark.parametrize("step", [plan, prepare])
def test_no_file_is_written_into_the_folder_of_images(step, run_in, pictures, tmp_path):
    inside = pictures / "mine"
    for run, export in (
        (run_in(inside), None),
        (run_in(tmp_path), inside),
        (run_in(tmp_path, augment__generator=str(inside)), None),
    ):
        with pytest.raises(UserError, match="is inside the folder of images"):
            step(run, export=export)
    assert not inside.exists() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", [plan, prepare])
def test_other_originals_than_the_generators_are_refused(step, run_in, tmp_path):
    drawn, shared = helpers.draw_faces(tmp_path / "drawn", 6), {"augment__generator": str(tmp_path / "none")}
    shared["data__path"] = str(drawn)
    prepare(run_in(tmp_path / "none", augment__policy="none", **shared))
    assert step(run_in(tmp_path / "same", **shared))
    io.save_png(drawn / "02.png", np.zeros((32, 32, 3), np.uint8))
    pools.read.cache_clear()
    with pytest.raises(UserError, match="none has other originals"):
        step(run_in(tmp_path / "other", **shared))
    with pytest.raises(UserError, match=r"none holds a run with another config, which differs in seed \(0, now 1\)"):
        step(run_in(tmp_path / "other", seed=1, **shared))
    assert not (tmp_path / "other").exists()
