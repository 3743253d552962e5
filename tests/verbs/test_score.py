import io
import json
import os
import runpy
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import special, stats
from scipy.spatial.distance import cdist

from gan_da_jax.classifiers import extract as features
from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.files import torch_file
from gan_da_jax.main import main
from gan_da_jax.training import sampling

GOLDEN = Path(__file__).parents[1] / "golden"
make = types.SimpleNamespace(**runpy.run_path(str(GOLDEN / "make_scores.py")))

FIELDS = {
    *("images", "images_count", "reference", "reference_count", "classifier", "classifier_accuracy", "weights_sha256"),
    *("tap", "seed", "inception_score", "inception_score_1", "inception_score_1_interval", "fid", "kid"),
    *("mind", "precision", "recall", "density", "coverage", "vendi", "authenticity", "c_t", "reasons"),
}
OF_RUNS = {"authenticity", "c_t"}  # scores that need the training images, which only a run knows
QUICK = "--classifier=faces_attributes"


def score(out, *arguments):
    assert main(["score", *arguments, f"--out={out}"]) == 0
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def golden():
    return json.loads((GOLDEN / "scores.json").read_text())


@pytest.fixture(scope="module")
def lively(golden, tmp_path_factory):
    """The folder of the golden sets of images and weights."""
    place = tmp_path_factory.mktemp("golden")
    for name in make.SETS:
        assert make.write(name, place / name) == golden["pictures_sha256"][name], "other images than the golden ones"
    torch_file.write(place / "w.safetensors", make.tensors(golden["common"], golden["scale"]))
    return place


@pytest.mark.parametrize("name", make.KID_SUBSET_SIZE)
def test_scores_are_those_of_torch_fidelity(name, lively, golden, tmp_path):
    found = score(
        tmp_path / "scores.json",
        f"--images={lively}/{name}",
        f"--reference={lively}/others",
        "--classifier=inception_v3_2015",
        f"--weights={lively}/w.safetensors",
    )
    expected = golden["scores"][name]
    approx = pytest.approx
    assert found["inception_score"]["splits"] == 10
    assert 2 < found["inception_score"]["mean"] < 3 and found["fid"] > 1  # else agreement would say little
    assert found["inception_score"]["mean"] == approx(expected["inception_score_mean"], rel=1e-5)
    assert found["inception_score"]["std"] == approx(expected["inception_score_std"], rel=1e-4)
    assert found["fid"] == approx(expected["frechet_inception_distance"], rel=1e-5)
    assert found["kid"]["subsets"] == 100 and found["kid"]["subset_size"] == make.KID_SUBSET_SIZE[name]
    assert found["kid"]["mean"] == approx(expected["kernel_inception_distance_mean"], abs=1e-6, rel=1e-5)
    assert found["kid"]["std"] == approx(expected["kernel_inception_distance_std"], abs=1e-6, rel=1e-5)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Faces as a folder, and others as an array, a zip file and a folder."""
    place = tmp_path_factory.mktemp("sets")
    for name, seed, count in (("faces", 0, 120), ("others", 1, 90)):
        pixels, _ = faces.render(seed, np.arange(count), 32)
        if name == "others":
            pixels[:60] = pixels[:60] // 2 + 60
        np.savez(place / f"{name}.npz", pixels)
        (place / name).mkdir()
        with zipfile.ZipFile(place / f"{name}.zip", "w") as archive:
            for i, image in enumerate(pixels):
                (place / name / f"{i:03d}.png").write_bytes(png(image))
                archive.writestr(f"{i:03d}.png", png(image))
    return place


@pytest.fixture(scope="module")
def scored(sets, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "scores.json"
    return score(out, f"--images={sets}/faces", f"--reference={sets}/others", QUICK)


def test_the_file_says_what_was_measured_and_on_what(scored, sets):
    assert scored.keys() == FIELDS
    assert (scored["images"], scored["images_count"]) == (f"{sets}/faces", 120)
    assert (scored["reference"], scored["reference_count"]) == (f"{sets}/others", 90)
    network = classifiers.load("faces_attributes", "")
    assert scored["classifier"] == "faces_attributes" and scored["classifier_accuracy"] == network.accuracy
    assert scored["weights_sha256"] == network.weights_sha256
    assert (scored["tap"], scored["seed"], scored["reasons"].keys()) == ("64", 2020, OF_RUNS)
    assert scored["inception_score"].keys() == {"mean", "std", "splits"}
    assert scored["kid"].keys() == {"mean", "std", "subsets", "subset_size"}
    low, high = scored["inception_score_1_interval"]
    assert 1 < low < scored["inception_score_1"] < high < 12
    assert scored["fid"] > 0


def neighbours(x, k):
    return np.sort(cdist(x, x), axis=1)[:, k]


def test_precision_recall_density_and_coverage_are_those_of_brute_force(scored, sets):
    network = classifiers.load("faces_attributes", "")
    fake, real = (
        np.asarray(network.apply(np.load(sets / f"{name}.npz")["arr_0"], ("64",))["64"], np.float64)
        for name in ("faces", "others")
    )
    between = cdist(fake, real)
    dense = between < neighbours(real, 5)
    assert scored["precision"] == np.mean((between <= neighbours(real, 3)).any(1))
    assert scored["recall"] == np.mean((between <= neighbours(fake, 3)[:, None]).any(0))
    assert scored["density"] == dense.sum() / (5 * len(fake))
    assert scored["coverage"] == np.mean(dense.any(0))
    assert len({scored[name] for name in ("precision", "recall", "density", "coverage")}) > 2  # no two need to differ


def numbers(result):
    kept = {key: result[key] for key in FIELDS - {"images", "reference"}}
    flat = {}
    for key, value in kept.items():
        parts = value if isinstance(value, dict) else {"": value}
        flat |= {f"{key} {part}": number for part, number in parts.items() if isinstance(number, float)}
    return flat


@pytest.mark.parametrize("kind", [".zip", ".npz"])
def test_a_zip_file_and_an_array_score_as_the_folder_does(kind, scored, sets, tmp_path):
    found = score(tmp_path / "s.json", f"--images={sets}/faces{kind}", f"--reference={sets}/others{kind}", QUICK)
    assert numbers(found) == numbers(scored)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_scores_do_not_depend_on_the_batch(batch_size, scored, sets, tmp_path, monkeypatch):
    kept = classifiers.trained_here("faces_attributes")
    entry = classifiers.CLASSIFIERS["faces_attributes"]
    entry = entry._replace(origin=entry.origin._replace(path=lambda: kept))  # the same weights beside an empty cache
    monkeypatch.setitem(classifiers.CLASSIFIERS, "faces_attributes", entry)
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path / "cache"))  # no kept features
    monkeypatch.setattr(features, "batch_size", lambda: batch_size)
    found = score(tmp_path / "s.json", f"--images={sets}/faces", f"--reference={sets}/others", QUICK)
    assert numbers(found) == pytest.approx(numbers(scored), rel=1e-5, abs=1e-7)


def test_kept_features_of_the_reference_are_used(scored, sets, tmp_path, capsys):
    found = score(tmp_path / "s.json", f"--images={sets}/faces", f"--reference={sets}/others", QUICK)
    assert numbers(found) == numbers(scored)
    assert f"reference {sets}/others:" not in capsys.readouterr().out


def test_images_against_themselves_have_no_distance(sets, tmp_path):
    found = score(tmp_path / "s.json", f"--images={sets}/faces", f"--reference={sets}/faces", QUICK)
    assert found["fid"] < 1e-9
    assert found["precision"] == found["recall"] == found["coverage"] == 1
    assert found["kid"]["mean"] < 0 or found["kid"]["mean"] < found["kid"]["std"]


def test_images_of_mixed_sizes_are_compared_with_those_of_one(sets, tmp_path):
    place = tmp_path / "mixed"
    place.mkdir()
    for i, size in enumerate([(32, 32), (40, 31), (90, 100), (32, 32), (1, 1), (200, 40)]):
        image = Image.open(sets / "faces" / f"{i:03d}.png").resize(size)
        image.convert(("RGB", "L", "P", "RGBA", "1", "RGB")[i]).save(place / f"{i}.png")
    found = score(tmp_path / "s.json", f"--images={place}", f"--reference={sets}/others.npz", QUICK, "--splits=2")
    assert found["images_count"] == 6 and found["reasons"].keys() == OF_RUNS and found["kid"]["subset_size"] == 3


def test_the_table_says_it_to_people(sets, capsys):
    assert main(["score", f"--images={sets}/faces", f"--reference={sets}/others", QUICK]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[-17:])
    assert lines["images"] == f"{sets}/faces (120 images)" and lines["reference"].endswith("(90 images)")
    assert len(lines["weights_sha256"]) == 64 and lines["tap"] == "64"
    assert "splits 10" in lines["inception_score"] and "subsets 100, subset_size 45" in lines["kid"]
    assert float(lines["fid"]) > 0 and "95%" in lines["inception_score_1"]


def test_what_cannot_be_computed_is_null_with_a_reason(sets, tmp_path, capsys):
    for i in range(3):
        (tmp_path / "three").mkdir(exist_ok=True)
        (tmp_path / "three" / f"{i}.png").write_bytes((sets / "faces" / f"{i:03d}.png").read_bytes())
    found = score(tmp_path / "s.json", f"--images={tmp_path}/three", f"--reference={sets}/others.npz", QUICK)
    null = {"inception_score", "kid", "recall"}
    assert found.keys() == FIELDS
    assert {name for name, value in found.items() if value is None} == null | OF_RUNS == found["reasons"].keys()
    assert "3 images cannot be divided into 10 splits" in found["reasons"]["inception_score"]
    assert found["fid"] > 0 and found["inception_score_1"] > 1
    assert "kid               - (KID's subset size" in capsys.readouterr().out


def test_the_class_probabilities_of_each_image_are_those_of_the_classifier(sets, tmp_path):
    path = tmp_path / "p.npz"
    found = score(tmp_path / "s.json", f"--images={sets}/faces", QUICK, f"--probabilities={path}")
    with np.load(path, allow_pickle=False) as kept:
        p, names = kept["probabilities"].astype(np.float64), list(kept["images"])
        assert tuple(kept["classes"]) == faces.CLASSES and p.shape == (120, 12)
    assert names == sorted(file.name for file in (sets / "faces").iterdir())
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    network = classifiers.load("faces_attributes", "")
    for name in names[:3]:
        logits = network.apply(np.asarray(Image.open(sets / "faces" / name).convert("RGB"))[None])["logits"]
        np.testing.assert_allclose(p[names.index(name)], special.softmax(np.float64(logits[0])), atol=1e-5)
    one = np.exp(np.mean([stats.entropy(row, p.mean(0)) for row in p]))
    assert found["inception_score_1"] == pytest.approx(one, rel=1e-5)


def test_without_a_reference_there_is_the_inception_score(scored, sets, tmp_path):
    found = score(tmp_path / "s.json", f"--images={sets}/faces", QUICK)
    assert found.keys() == FIELDS
    for name in ("inception_score", "inception_score_1", "inception_score_1_interval"):
        assert found[name] == pytest.approx(scored[name])
    null = {"fid", "kid", "mind", "precision", "recall", "density", "coverage", "vendi", "authenticity", "c_t"}
    assert found["reasons"].keys() == null and not any(found[name] for name in null)
    assert found["tap"] is found["reference"] is found["reference_count"] is None


@pytest.fixture(scope="module")
def part(lively, golden):
    """Weights that end before the classifier."""
    tensors = make.tensors(golden["common"], golden["scale"])
    torch_file.write(lively / "part.safetensors", {k: v for k, v in tensors.items() if k.startswith("Conv2d_")})
    return lively / "part.safetensors"


def test_a_part_of_the_network_gives_distances(part, sets, tmp_path):
    some = tmp_path / "some.npy"
    np.save(some, np.load(sets / "faces.npz")["arr_0"][:12])
    found = score(tmp_path / "s.json", f"--images={some}", f"--reference={some}", f"--weights={part}", "--tap=64")
    assert found["fid"] < 1e-9 and found["tap"] == "64" and found["precision"] == 1
    assert {name for name, value in found.items() if value is None} == OF_RUNS | {
        *("classifier_accuracy", "inception_score", "inception_score_1", "inception_score_1_interval")
    }


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A generator's weights, as PyTorch saves them, and what PyTorch makes of the latents that `score` takes."""
    torch = pytest.importorskip("torch")
    from gan_da_jax.pytorch import dcgan

    place = tmp_path_factory.mktemp("generator")
    torch.manual_seed(0)
    network = dcgan.Generator(image_size=32, latent_dim=7, width=4)
    for parameter in network.parameters():  # else all images are nearly grey
        parameter.data *= 4
    torch.save({f"module.{name}": tensor for name, tensor in network.state_dict().items()}, place / "netG.pth")
    z = sampling.latents(seed=2020, stream="score", count=60, latent_dim=7)
    with torch.no_grad():
        images = network.eval()(torch.tensor(z)[:, :, None, None]).permute(0, 2, 3, 1).numpy()
    np.savez(place / "samples.npz", np.clip(images * 127.5 + 128, 0, 255).astype(np.uint8))
    discriminator = dcgan.Discriminator(image_size=32, width=4)
    torch.save(discriminator.state_dict(), place / "netD.pth")
    return place


def test_a_generators_weights_score_as_what_pytorch_makes_of_them(generator, sets, tmp_path):
    reference = f"--reference={sets}/others.npz"
    ours = score(tmp_path / "s.json", f"--images={generator}/netG.pth", "--samples=60", reference, QUICK)
    theirs = score(tmp_path / "s.json", f"--images={generator}/samples.npz", reference, QUICK)
    assert ours["images"].endswith("netG.pth") and ours["images_count"] == 60 and ours["seed"] == 2020
    assert numbers(ours) == pytest.approx(numbers(theirs), rel=1e-2)
    assert ours["inception_score_1"] > 1.05 and ours["fid"] > 1  # else agreement would say little


def test_more_samples_are_the_same_and_others(generator, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(features, "features_of", lambda _, taps, images, **__: made.append([*images.read()]) or stop())

    def stop():
        raise UserError("enough")

    for count in (["--samples=10"], []):
        assert main(["score", f"--images={generator}/netG.pth", QUICK, *count]) == 2
    assert [len(images) for images in made] == [10, 1000]
    np.testing.assert_array_equal(made[0], made[1][:10])


def mixed(t, sets):
    (t / "mixed").mkdir()
    (t / "mixed" / "good.png").write_bytes((sets / "faces" / "000.png").read_bytes())
    (t / "mixed" / "cut.png").write_bytes((sets / "faces" / "000.png").read_bytes()[:99])
    (t / "mixed" / "text.jpg").write_text("hello")
    return t / "mixed"


def empty(t):
    (t / "empty").mkdir()
    return t / "empty"


def objects(t):
    np.savez(t / "objects.npz", np.array([{}]))
    return t / "objects.npz"


def saved(t, **arrays):
    np.savez(t / "x.npz", **arrays)
    return t / "x.npz"


IMAGES = np.zeros((2, 4, 4, 3), np.uint8)
# What is given, and what the one line must say; each is a function of the test's folder, the sets, and the weights.
BAD = {
    "no images": (lambda t, s, w: [QUICK], ["needs --images"]),
    "an empty path": (lambda t, s, w: [QUICK, "--images="], ["needs --images"]),
    "an empty reference": (lambda t, s, w: [QUICK, f"--images={s}/faces", "--reference="], ["empty", ".npz"]),
    "absent images": (lambda t, s, w: [QUICK, f"--images={t}/no"], ["/no does not exist", "folder, .zip, .npz"]),
    "an absent reference": (
        lambda t, s, w: [QUICK, f"--images={s}/faces", f"--reference={t}/no.npz"],
        ["/no.npz does not exist"],
    ),
    "an empty folder": (lambda t, s, w: [QUICK, f"--images={empty(t)}"], ["has no image in it", "check the path"]),
    "corrupt files": (
        lambda t, s, w: [QUICK, f"--images={mixed(t, s)}"],
        ["2 of 3 images", "cut.png", "text.jpg", "repair or remove"],
    ),
    "corrupt files in the reference": (
        lambda t, s, w: [QUICK, f"--images={s}/faces", f"--reference={mixed(t, s)}"],
        ["cut.png", "text.jpg"],
    ),
    "two arrays": (lambda t, s, w: [QUICK, f"--images={saved(t, a=IMAGES, b=IMAGES)}"], ["2 arrays (a, b)"]),
    "floats": (lambda t, s, w: [QUICK, f"--images={saved(t, a=IMAGES / 255)}"], ["float64", "uint8 [n, H, W, 3]"]),
    "grey": (lambda t, s, w: [QUICK, f"--images={saved(t, a=IMAGES[..., :1])}"], ["[2, 4, 4, 1]"]),
    "a pickle": (lambda t, s, w: [QUICK, f"--images={objects(t)}"], ["objects.npz cannot be read"]),
    "no splits": (lambda t, s, w: [QUICK, f"--images={s}/faces", "--splits=0"], ["--splits is 0"]),
    "splits in words": (lambda t, s, w: [QUICK, f"--images={s}/faces", "--splits=ten"], ["ten"]),
    "an unknown classifier": (
        lambda t, s, w: [f"--images={s}/faces", "--classifier=inception"],
        ["'inception'", "inception_v3_2015"],
    ),
    "an unknown tap": (
        lambda t, s, w: [QUICK, f"--images={s}/faces", f"--reference={s}/others", "--tap=2048"],
        ["'2048'", "64, logits"],
    ),
    "a tap beyond the weights": (
        lambda t, s, w: [f"--images={s}/faces", f"--reference={s}/others", f"--weights={w}"],
        ["do not reach '2048'", "64, 192"],
    ),
    "a tap and no reference": (lambda t, s, w: [QUICK, f"--images={s}/faces", "--tap=64"], ["--reference"]),
    "nothing to compute": (
        lambda t, s, w: [f"--images={s}/faces", f"--weights={w}"],
        ["--reference", "--tap of 64, 192"],
    ),
    "weights of another network": (
        lambda t, s, w: [f"--images={s}/faces", "--classifier=resnet50", f"--weights={w}"],
        ["part.safetensors"],
    ),
    "weights of none": (
        lambda t, s, w: [f"--images={s}/faces", f"--weights={s}/faces/000.png"],
        ["000.png"],
    ),
    "weights for what is trained here": (
        lambda t, s, w: [QUICK, f"--images={s}/faces", f"--weights={w}"],
        ["takes no"],
    ),
    "samples of images": (
        lambda t, s, w: [QUICK, f"--images={s}/faces", "--samples=9"],
        ["--samples=9", "images already"],
    ),
    "no samples": (lambda t, s, w: [QUICK, f"--images={w}", "--samples=0"], ["--samples is 0"]),
    "an absent generator": (lambda t, s, w: [QUICK, f"--images={t}/netG.pth"], ["netG.pth does not exist"]),
    "a generator that is none": (lambda t, s, w: [QUICK, f"--images={w}"], ["part.safetensors does not hold a DCGAN"]),
    "absent weights": (lambda t, s, w: [f"--images={s}/faces", f"--weights={t}/no.pth"], ["/no.pth"]),
    "out in an absent folder": (lambda t, s, w: [QUICK, f"--images={s}/faces", f"--out={t}/no/s.json"], ["--out="]),
    "out is a folder": (lambda t, s, w: [QUICK, f"--images={s}/faces", f"--out={s}/faces"], ["is a folder"]),
    "out over its own input": (
        lambda t, s, w: [QUICK, f"--images={s}/faces", f"--out={next((s / 'faces').iterdir())}"],
        ["must end in .json"],
    ),
    "a flag of another verb": (lambda t, s, w: [QUICK, f"--images={s}/faces", "--workdir=x"], ["--workdir", "score"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_before_anything_is_classified(case, sets, part, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(features, "extractor", lambda *arguments: lambda *images: pytest.fail("classified something"))
    arguments, says = BAD[case]
    arguments = arguments(tmp_path, sets, part)
    before = sorted(tmp_path.rglob("*"))
    out = [] if any(argument.startswith("--out") for argument in arguments) else [f"--out={tmp_path}/s.json"]
    assert main(["score", *arguments, *out]) == 2
    error = capsys.readouterr().err.strip()
    last = error.splitlines()[-1]
    assert last.startswith("error: ") and "Traceback" not in error and "data.path" not in error
    for words in says:
        assert words in last
    assert sorted(tmp_path.rglob("*")) == before


def test_a_discriminator_makes_no_images(generator, capsys):
    assert main(["score", QUICK, f"--images={generator}/netD.pth"]) == 2
    assert "netD.pth holds a discriminator, which makes no images" in capsys.readouterr().err


def test_out_in_a_closed_folder_is_refused_before_the_work(sets, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(features, "extractor", lambda *arguments: lambda *images: pytest.fail("classified something"))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(tmp_path))  # root may write anywhere
    assert main(["score", QUICK, f"--images={sets}/faces", f"--out={tmp_path}/s.json"]) == 2
    assert "may not be written to" in capsys.readouterr().err


def test_a_dry_run_checks_and_says_what_would_be_done(sets, tmp_path, capsys):
    arguments = ["score", f"--images={sets}/faces", f"--reference={sets}/others.zip", QUICK, "--dry_run"]
    assert main([*arguments, f"--out={tmp_path}/s.json"]) == 0
    said = capsys.readouterr().out
    assert "120 images" in said and "90 of" in said and "faces_attributes" in said
    assert main(["score", f"--images={mixed(tmp_path, sets)}", QUICK, "--dry_run"]) == 2
    assert not (tmp_path / "s.json").exists()


def test_names_that_no_terminal_can_show_are_shown_escaped(sets, tmp_path, capsys):
    place = tmp_path / "a\nb\udcff"
    place.mkdir()
    for i in range(12):
        (place / f"{i}.png").write_bytes((sets / "faces" / f"{i:03d}.png").read_bytes())
    found = score(tmp_path / "s.json", f"--images={place}", QUICK)
    assert found["images"] == str(place)
    assert "a\\nb\\udcff (12 images)" in capsys.readouterr().out
