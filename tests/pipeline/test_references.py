"""Real images that nobody trains on: which they are, what is refused, and that scores of two are never mixed."""

import shutil
import zipfile

import numpy as np
import pytest

import helpers
from gan_da_jax.data import reference
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.main import main
from gan_da_jax.pipeline import evaluate, pools, prepare, references
from gan_da_jax.report import build
from gan_da_jax.runs import read
from gan_da_jax.runs.folder import Run

FIELDS = helpers.SMALL | {"data.source": "folder", "data.count": 10, "augment.policy": "none"}
FIELDS |= {"evaluate.reference": "heldout", "evaluate.splits": 4, "study.arms": ("none", "more@15")}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return helpers.draw_faces(tmp_path_factory.mktemp("pictures"), 140)


@pytest.fixture
def run_in(pictures):
    def run(workdir, **fields):
        return Run(helpers.configured(**FIELDS | {"data.path": str(pictures)} | helpers.dotted(fields)), workdir)

    return run


def names(found):
    return [row["id"] for row in found.entry["records"]]


def test_no_arm_is_trained_on_what_is_held_out(run_in, tmp_path):
    found = references.make(run_in(tmp_path))
    assert found.identity["images"] == len(found.pixels) == len(set(names(found))) == 140 - 10 - 15
    arms = {"none": 0, "hflip": 4, "more": 15}
    for policy, count in arms.items():
        run = run_in(tmp_path, augment__policy=policy, augment__count=max(count, 1))
        images, ids, _ = pools.real(run.config)
        assert not {*names(found)} & {*ids["originals"], *ids.get("more", ())}
        hashes = {io.sha256(image) for pool in images.values() for image in pool}
        assert not hashes & {row["sha256"] for row in found.entry["records"]}
        assert references.make(run).identity == found.identity


def test_what_is_held_out_depends_on_the_seed_and_not_on_the_arms(run_in, tmp_path):
    found = references.make(run_in(tmp_path))
    fewer = references.make(run_in(tmp_path, study__arms=("more@20",)))
    assert names(fewer) == names(found)[: 140 - 10 - 20]
    np.testing.assert_array_equal(fewer.pixels, found.pixels[:110])
    assert names(references.make(run_in(tmp_path, seed=1))) != names(found)


def test_at_most_so_many_are_held_out_from_the_end(run_in, tmp_path, monkeypatch):
    whole = references.make(run_in(tmp_path))
    monkeypatch.setattr(pools, "MOST", 105)
    assert names(references.make(run_in(tmp_path))) == names(whole)[:105]


def test_images_are_counted_before_any_are_kept(run_in, tmp_path, pictures):
    asked = {"heldout": 140 - 10 - 15, str(pictures): 140, "originals": 0}
    assert {text: references.count(run_in(tmp_path, evaluate__reference=text)) for text in asked} == asked
    aside = run_in(tmp_path, evaluate__reference="heldout(0.8)", data__count=130, study__arms=("none",))
    assert references.count(aside) == len(references.make(aside).pixels) == 104
    assert references.count(run_in(tmp_path, data__source="faces", data__path="", evaluate__samples=50)) == 1000
    reference.save(run_in(tmp_path).references, references.make(run_in(tmp_path)))
    assert references.count(run_in(tmp_path, data__path="/nowhere")) == 115  # the files say so


def test_the_same_images_under_another_name_do_not_replace_those_that_scores_name(run_in, tmp_path, pictures):
    first, second = (shutil.copytree(pictures, tmp_path / name) for name in ("old", "new"))
    kept = [
        references.of(run_in(tmp_path / "run", data__source="faces", data__path="", evaluate__reference=str(place)))
        for place in (first, second)
    ]
    assert kept[0].identity["sha256"] == kept[1].identity["sha256"]
    for one in kept:
        assert reference.load(tmp_path / "run/reference", identity=one.identity) is not None


def test_of_drawings_far_numbers_are_held_out(tmp_path):
    few, many = (
        references.make(
            Run(
                helpers.configured(**helpers.SMALL, evaluate__reference="heldout", evaluate__samples=samples),
                tmp_path,
            )
        )
        for samples in (50, 1010)
    )
    assert len(few.pixels) == 1000 and names(many)[:1000] == names(few) and len(many.pixels) == 1010
    last = 2**32 - 1
    assert names(few)[:2] == [f"face_{last}", f"face_{last - 1}"]
    np.testing.assert_array_equal(few.pixels[:3], faces.render(0, last - np.arange(3), 32)[0])


def test_too_few_left_say_how_many_and_what_to_do(run_in, tmp_path):
    run = run_in(tmp_path, study__arms=("more@31",))
    with pytest.raises(UserError, match=r"99 of the source are left beyond the 41 .*heldout\(0.2\)") as error:
        prepare.plan(run)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())
    assert "images are made again" not in prepare.plan(run_in(tmp_path, study__arms=("more@30",)))


def test_a_share_is_set_aside_of_the_images_that_would_be_trained_on(run_in, tmp_path):
    whole = run_in(tmp_path, data__count=130, evaluate__reference="originals", augment__policy="more")
    aside = run_in(tmp_path, data__count=130, evaluate__reference="heldout(0.8)", augment__policy="more")
    (images, ids, _), (fewer, named, source) = pools.real(whole.config), pools.real(aside.config)
    assert named["originals"] == ids["originals"][:26] and source["count"] == 26
    np.testing.assert_array_equal(fewer["more"], images["more"])
    found = references.make(aside)
    assert names(found) == ids["originals"][26:] and found.identity["kind"] == "heldout(0.8)"
    np.testing.assert_array_equal(found.pixels, images["originals"][26:])
    prepare.prepare(aside)
    assert len(io.load_array(tmp_path / "dataset/originals.npy")) == 26
    assert reference.load(aside.references, asked=references.asked(aside.config)).identity == found.identity
    for text in ("originals", "heldout", "heldout(0.9)"):
        with pytest.raises(UserError, match=r"another config, which differs in evaluate.reference \('heldout\(0.8\)'"):
            run_in(tmp_path, data__count=130, evaluate__reference=text, augment__policy="more").check()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Other faces than the pictures, in all forms."""
    root = tmp_path_factory.mktemp("own")
    pixels = faces.render(8, np.arange(110), 32)[0]
    np.save(root / "own.npy", pixels)
    np.savez(root / "own.npz", pixels)
    with zipfile.ZipFile(root / "own.zip", "w") as archive:
        for number, image in enumerate(pixels):
            io.save_png(root / "folder" / f"{number:03d}.png", image)
            archive.write(root / "folder" / f"{number:03d}.png", f"{number:03d}.png")
    return root


@pytest.mark.parametrize("form", ["own.npy", "own.npz", "own.zip", "folder"])
def test_images_of_ones_own_come_in_every_form_and_are_the_same_for_all_seeds(run_in, own, tmp_path, form):
    found = references.make(run_in(tmp_path, evaluate__reference=str(own / form)))
    expected = np.load(own / "own.npy")
    assert sorted(map(io.sha256, found.pixels)) == sorted(map(io.sha256, expected))
    name = "folder" if form == "folder" else "own"
    assert (found.identity["kind"], found.identity["name"]) == ("path", name)
    assert references.make(run_in(tmp_path, evaluate__reference=str(own / form), seed=5)).identity == found.identity


def test_files_are_resized_as_originals_are_and_arrays_must_fit(run_in, own, tmp_path):
    folder = run_in(tmp_path, evaluate__reference=str(own / "folder"), data__image_size=64)
    assert references.make(folder).pixels.shape == (110, 64, 64, 3)
    array = run_in(tmp_path, evaluate__reference=str(own / "own.npy"), data__image_size=64)
    with pytest.raises(UserError, match=r"32 x 32 pixels; an array must have the size that is trained, 64 x 64"):
        prepare.plan(array)


def test_more_images_than_needed_are_chosen_the_same_for_every_seed(run_in, own, tmp_path, monkeypatch):
    monkeypatch.setattr(references, "MOST", 103)
    for form in ("own.npz", "folder"):
        found = [references.make(run_in(tmp_path, evaluate__reference=str(own / form), seed=seed)) for seed in (0, 1)]
        assert found[0].identity == found[1].identity and len({*names(found[0])}) == 103


def test_training_images_are_no_reference(run_in, own, pictures, tmp_path):
    run = run_in(tmp_path, evaluate__reference=str(pictures))
    with pytest.raises(UserError, match="10 of its 140 images are training images of the run, in every pixel"):
        prepare.plan(run)
    originals = pools.real(run.config)[0]["originals"]
    np.save(tmp_path / "some.npy", np.concatenate([np.load(own / "own.npy"), originals[:3]]))
    with pytest.raises(UserError, match="3 of its 113 images are training images"):
        prepare.plan(run_in(tmp_path, evaluate__reference=str(tmp_path / "some.npy")))


def test_what_is_no_reference_is_refused_before_anything_is_made(run_in, own, tmp_path):
    np.save(tmp_path / "few.npy", np.load(own / "own.npy")[:99])
    np.save(tmp_path / "floats.npy", np.zeros((100, 32, 32, 3)))
    for text, said in {
        str(tmp_path / "absent"): "does not exist; it must be originals, heldout",
        "held-out": "does not exist; it must be originals, heldout",
        str(tmp_path / "few.npy"): "at least 100 images: 99 images are there",
        str(tmp_path / "floats.npy"): "float64",
    }.items():
        with pytest.raises(UserError, match=said) as error:
            prepare.plan(run_in(tmp_path / "run", evaluate__reference=text))
        assert "\n" not in str(error.value)
    inside = run_in(own / "folder/run", evaluate__reference=str(own / "folder"))
    with pytest.raises(UserError, match="inside the folder of images of config.evaluate.reference"):
        prepare.plan(inside)


SCORED = {"data.source": "folder", "data.count": 16, "augment.policy": "none", "train.epochs": 2}
SCORED |= helpers.SCORED | {"evaluate.reference": "heldout", "study.arms": "more@8", "train.checkpoint_every": 1}


@pytest.fixture(scope="module")
def scored(pictures, own, tmp_path_factory):
    """A run that was scored without a reference, with what is held out, and with images of one's own."""
    root = tmp_path_factory.mktemp("scored")
    copy = shutil.copytree(pictures, root / "pictures")
    fields = SCORED | {"data.path": copy}
    assert main(helpers.command("train", root / "run", **fields)) == 0
    for text in ("originals", "heldout", f"{own}/own.npz"):
        assert main(helpers.command("evaluate", root / "run", **fields | {"evaluate.reference": text})) == 0
    return root


def test_another_reference_adds_lines_and_the_same_one_none(scored, own, capsys):
    rows = io.read_jsonl(scored / "run/scores.jsonl")
    kinds = [row["reference"] and row["reference"]["kind"] for row in rows]
    assert kinds == [None] * 2 + ["heldout"] * 2 + ["path"] * 2
    assert [row["reference"]["images"] for row in rows[2:]] == [116, 116, 110, 110]
    first, *others = (
        [row for row in rows if row["step"] == 2 and row["reference"] == one["reference"]] for one in rows[::2]
    )
    for [other] in others:
        assert other["fid"] == first[0]["fid"] and other["reference_fid"] not in (None, other["fid"])
        assert other["c_t"] is not None or "too few" in other["reasons"]["c_t"]
    assert others[0][0]["reference_fid"] != others[1][0]["reference_fid"]
    assert "reference_fid" not in first[0]
    fields = SCORED | {"data.path": scored / "pictures"}
    shutil.move(scored / "pictures", scored / "away")  # what was prepared needs no source
    for text in ("originals", "heldout", f"{own}/own.npz"):
        capsys.readouterr()
        assert main(helpers.command("evaluate", scored / "run", **fields | {"evaluate.reference": text})) == 0
        assert "all checkpoints are scored already" in capsys.readouterr().out
    shutil.move(scored / "away", scored / "pictures")
    assert io.read_jsonl(scored / "run/scores.jsonl") == rows


def test_lines_of_before_there_was_a_reference_are_whole(scored, tmp_path, capsys):
    run = shutil.copytree(scored / "run", tmp_path / "run")
    rows = io.read_jsonl(run / "scores.jsonl")[:2]
    io.write_jsonl(
        run / "scores.jsonl", [{k: row[k] for k in row if k not in ("reference", "anchors")} for row in rows]
    )
    fields = SCORED | {"data.path": scored / "pictures", "evaluate.reference": "originals"}
    assert main(helpers.command("evaluate", run, **fields)) == 0
    assert "all checkpoints are scored already" in capsys.readouterr().out
    assert {read.scored_by(row)[-1] for row in read.read(run, run).scores} == {""}
    assert build.summary(build.gather(run))


def test_scores_of_several_references_are_on_boards_of_their_own(scored):
    boards = build.gather(scored / "run").boards
    found = {board.reference: board for board in boards}
    assert [*found][:2] == ["", "heldout, 116 images"] and [*found][2].startswith("own, 110 images, SHA-256 ")
    assert found[""].deciding.key == "fid" and found[""].against_originals == []
    assert found["heldout, 116 images"].deciding.key == "reference_fid"
    assert "fid" in [score.key for score in found["heldout, 116 images"].against_originals]


def test_a_source_that_changed_holds_nothing_out(scored, tmp_path):
    run = shutil.copytree(scored / "run", tmp_path / "run")
    shutil.rmtree(run / "reference")
    folder = shutil.copytree(scored / "pictures", tmp_path / "pictures")
    (folder / "000.png").unlink(missing_ok=True)
    next(iter(sorted(folder.iterdir()))).unlink()
    config = helpers.configured(**helpers.SMALL | SCORED | {"data.path": str(folder), "study.arms": ("more@8",)})
    with pytest.raises(UserError, match="no longer gives the originals of the run"):
        references.of(Run(config, run))


def test_damaged_images_are_not_scored_against(scored, tmp_path):
    run = shutil.copytree(scored / "run", tmp_path / "run")
    for path in (run / "reference").glob("*.npy"):
        pixels = np.load(path)
        pixels[7, 0, 0, 0] ^= 1
        np.save(path, pixels)
    fields = helpers.SMALL | SCORED | {"data.path": str(scored / "pictures"), "study.arms": ("more@8",)}
    with pytest.raises(UserError, match="does not hold the images that its .json describes"):
        list(evaluate.evaluate(Run(helpers.configured(**fields), run)))


def tamper(run):
    for path in (run / "reference").glob("*.npy"):
        pixels = np.load(path)
        pixels[7, 0, 0, 0] ^= 1
        np.save(path, pixels)


def forge(run):
    """Other images, with every hash renewed that the folder `reference` and the lines have of them."""
    for path in (run / "reference").glob("*.json"):
        entry, pixels = io.read_json(path), np.load(path.with_suffix(".npy"))
        if entry["identity"]["kind"] != "heldout":
            continue
        old = dict(entry["identity"])
        pixels[7] = 255 - pixels[7]
        np.save(path.with_suffix(".npy"), pixels)
        entry["records"][7]["sha256"], entry["identity"]["sha256"] = io.sha256(pixels[7]), io.sha256(pixels)
        io.write_json(path, io.seal(entry))
        rows, before = io.read_jsonl(run / "scores.jsonl"), ""
        for row in rows:
            if row["reference"] == old:
                row["reference"] = entry["identity"]
            row |= io.seal(row, before)
            before = row["sha256"]
        io.write_jsonl(run / "scores.jsonl", rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, ""),
        (tamper, "does not hold the images that its .json describes"),
        (forge, "image 7 ("),
        (lambda run: shutil.rmtree(run / "reference"), "the folder reference does not hold"),
    ],
    ids=["nothing", "a pixel", "an image, renewed", "the folder"],
)
def test_an_audit_checks_the_references_and_scores_with_them(scored, tmp_path, capsys, change, said):
    run = shutil.copytree(scored / "run", tmp_path / "run")
    if change:
        change(run)
    assert main(["audit", f"--workdir={run}", "--step=0"]) == (1 if change else 0)
    assert said in capsys.readouterr().err
    findings = {one["check"]: one for one in io.read_json(run / "audit.json")["checks"]["."]}
    if change is None:
        assert findings["references"]["result"] == findings["references' source"]["result"] == "same"
        assert findings["scores of 4"]["detail"].startswith("3 sets of samples")
