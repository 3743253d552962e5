"""The functions for a notebook: their examples run, and they do what the command line does."""

import doctest
import inspect
import json

import numpy as np
import pytest

import gan_da_jax
from gan_da_jax import api
from gan_da_jax.classifiers import registry
from gan_da_jax.data.sources import faces
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.main import main
from helpers import command, draw_faces


def draw(count, seed):
    return np.asarray(faces.render(seed, np.arange(count), 32)[0])


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    place = tmp_path_factory.mktemp("api") / "run"
    assert main(command("train", place, train__epochs=2)) == 0
    return place


@pytest.mark.parametrize("name", gan_da_jax.__all__)
def test_every_public_function_has_an_example_that_runs(name, workdir, monkeypatch):
    monkeypatch.setattr("gan_da_jax.progress.print", lambda *_, **__: None, raising=False)  # how far it is
    registry.load("faces_attributes", "")  # says how long it is trained
    function = getattr(gan_da_jax, name)
    globs = {"gan_da_jax": gan_da_jax, "draw": draw, "workdir": workdir}
    examples = doctest.DocTestFinder().find(function, name, globs=globs)
    assert sum(len(one.examples) for one in examples) >= 2
    runner = doctest.DocTestRunner()
    for one in examples:
        runner.run(one)
    assert runner.summarize().failed == 0


def test_all_public_functions_are_offered():
    functions = {name for name, one in vars(api).items() if inspect.isfunction(one) and one.__module__ == api.__name__}
    assert {name for name in functions if not name.startswith("_")} == {*gan_da_jax.__all__} <= {*dir(gan_da_jax)}
    with pytest.raises(AttributeError):
        gan_da_jax.nothing  # noqa: B018


def test_scores_are_those_of_the_command_line(tmp_path):
    folder, reference = draw_faces(tmp_path / "pictures"), tmp_path / "reference.npy"
    io.save_array(reference, draw(20, seed=5))
    words = ["--classifier=faces_attributes", "--splits=4", f"--out={tmp_path}/scores.json"]
    assert main(["score", f"--images={folder}", f"--reference={reference}", *words]) == 0
    expected = json.loads((tmp_path / "scores.json").read_text())
    for images, other in ((folder, reference), (draw_array(folder), np.load(reference))):
        found = gan_da_jax.score(images, other, classifier="faces_attributes", splits=4)
        assert json.loads(json.dumps(found)) == {name: expected[name] for name in found}


def draw_array(folder):
    from PIL import Image

    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.iterdir())])


def test_samples_depend_on_their_seed_alone(workdir):
    run = gan_da_jax.load_run(workdir)
    images = gan_da_jax.sample(run, 5)
    np.testing.assert_array_equal(gan_da_jax.sample(run, 2), images[:2])
    assert (gan_da_jax.sample(run, 5, seed=1) != images).any()
    first = run.saved()[0]
    assert (gan_da_jax.sample(run, 5, step=first) != images).any() and first < run.saved()[-1]


def untrained(run):
    return type(run)(run.config, run.workdir / "nowhere")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda run: gan_da_jax.apply("hflip+vflip", np.zeros((1, 4, 4, 3), np.uint8)), "not one op"),
        (lambda run: gan_da_jax.apply("none", np.zeros((1, 4, 4, 3), np.uint8)), "not one op"),
        (lambda run: gan_da_jax.apply("hfilp", np.zeros((1, 4, 4, 3), np.uint8)), "did you mean hflip?"),
        (lambda run: gan_da_jax.apply("hflip", np.zeros((1, 4, 4, 3))), "must be uint8 [n, H, W, 3]"),
        (lambda run: gan_da_jax.score(np.zeros((0, 4, 4, 3), np.uint8)), "must be uint8 [n, H, W, 3]"),
        (lambda run: gan_da_jax.score("nowhere", classifier="faces_attributes"), "nowhere does not exist"),
        (lambda run: gan_da_jax.score("nowhere", classifier="faces"), "there is no classifier 'faces'"),
        (lambda run: gan_da_jax.score("nowhere", "nowhere", tap="3"), "has no tap '3'"),
        (lambda run: gan_da_jax.score("nowhere", tap="64"), "tap=64 is the layer that is compared: give a reference"),
        (lambda run: gan_da_jax.score(np.zeros((1, 4, 4, 3), np.uint8), splits=0), "splits is 0; it must be"),
        (lambda run: gan_da_jax.score(np.zeros((1, 4, 4, 3), np.uint8), classifier="resnet"), "resnet50"),
        (lambda run: gan_da_jax.load_run("nowhere"), "is this the workdir of a run?"),
        (lambda run: gan_da_jax.sample(run, 0), "count is 0; it must be at least 1"),
        (lambda run: gan_da_jax.sample(run, seed=-1), "seed is -1; it must be at least 0"),
        (lambda run: gan_da_jax.sample(run, step=3), "has no checkpoint 3; it has the checkpoints "),
        (lambda run: gan_da_jax.sample(untrained(run)), "has no checkpoint: train the run first"),
    ],
)
def test_what_cannot_be_is_refused_with_one_line(call, says, workdir):
    with pytest.raises(UserError) as caught:
        call(gan_da_jax.load_run(workdir))
    assert says in str(caught.value) and "\n" not in str(caught.value)
