"""The verb `weights`, through the command line."""

import hashlib
import http.server
import os
import shutil
import threading

import flax.traverse_util
import h5py
import jax
import numpy as np
import pytest

from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.classifiers.networks import inception_v3, resnet50
from gan_da_jax.classifiers.weights import download
from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.devices import parallel
from gan_da_jax.files import checkpoint, io, torch_file
from gan_da_jax.main import main
from gan_da_jax.pytorch import convert
from gan_da_jax.runs import networks
from gan_da_jax.runs.folder import Run
from helpers import configured, refused

PUBLISHED = {
    name: entry.origin for name, entry in classifiers.CLASSIFIERS.items() if isinstance(entry.origin, Published)
}
NETWORKS = {"resnet50": resnet50.ResNet50(), "inception_v3_2015": inception_v3.ORIGINAL}


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "weights"


def shapes(name):
    network = NETWORKS[name]
    size = resnet50.SIZE if name == "resnet50" else inception_v3.SIZE
    variables = jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), np.float32))
    return {unit: arrays for unit, arrays in variables["params"].items()}


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    """ResNet-50 as an older Keras writes it, every tensor different."""
    path = tmp_path_factory.mktemp("keras") / "resnet.h5"
    layers = {}
    for unit, arrays in shapes("resnet50").items():
        kernel, bias = arrays["kernel"].shape, arrays["bias"].shape
        if unit == "logits":
            layers["probs"] = {"kernel": kernel, "bias": bias}
        else:
            layers[f"{unit}_conv"] = {"kernel": kernel, "bias": bias}
            layers[f"{unit}_bn"] = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), bias)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, tensors in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in tensors]
            for i, (name, shape) in enumerate(tensors.items()):
                group[f"{layer}/{name}:0"] = np.full(shape, 1 + i + len(layer), np.float32)
    return path


@pytest.fixture(scope="module")
def torch_tensors():
    """The network of 2015 as PyTorch ports name it, to its end."""
    tensors = {}
    for unit, arrays in shapes("inception_v3_2015").items():
        kernel = arrays["kernel"].shape
        if unit == "logits":
            tensors["fc.weight"] = np.ones(kernel[::-1], np.float32)
            continue
        tensors[f"{unit}.conv.weight"] = np.ones([kernel[i] for i in (3, 2, 0, 1)], np.float32)
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{unit}.bn.{name}"] = np.ones(kernel[3], np.float32)
    return tensors


@pytest.fixture(scope="module")
def torch_whole(torch_tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("torch") / "whole.safetensors"
    torch_file.write(path, torch_tensors)
    return path


@pytest.fixture(scope="module")
def torch_part(torch_tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("torch") / "part.safetensors"
    torch_file.write(path, {k: v for k, v in torch_tensors.items() if not k.startswith(("Mixed_7", "fc"))})
    return path


def publish(monkeypatch, published):
    """Has ResNet-50 published as another file."""
    entry = classifiers.CLASSIFIERS["resnet50"]._replace(origin=published)
    monkeypatch.setitem(classifiers.CLASSIFIERS, "resnet50", entry)


def same(a, b):
    a, b = (flax.traverse_util.flatten_dict(classifier.variables) for classifier in (a, b))
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_list_names_everything_and_says_what_is_here(folder, capsys):
    assert main(["weights", "list"]) == 0
    blocks = dict(block.split("\n", 1) for block in capsys.readouterr().out.strip().split("\n\n"))
    assert blocks.keys() == PUBLISHED.keys()
    for name, published in PUBLISHED.items():
        for value in (published.address, published.hash, published.licence, published.purpose):
            assert value in blocks[name]
        assert f"no; it would be {download.destination(published)}" in blocks[name]
    assert not folder.exists()
    folder.mkdir(parents=True)
    download.destination(PUBLISHED["inception_v3"]).write_bytes(b"something else")
    download.converted("resnet50").write_bytes(b"")
    download.part(download.destination(PUBLISHED["inception_v3_2015"])).write_bytes(bytes(3_100_000))
    assert main(["weights", "list"]) == 0
    blocks = dict(block.split("\n", 1) for block in capsys.readouterr().out.strip().split("\n\n"))
    assert "not the published file" in blocks["inception_v3"]
    assert "resnet50.safetensors, converted" in blocks["resnet50"]
    assert "3.1 MB of it" in blocks["inception_v3_2015"]


def test_fetch_downloads_once(folder, monkeypatch, capsys):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"weights")

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            published = PUBLISHED["resnet50"]._replace(
                address=f"http://127.0.0.1:{server.server_port}/x.h5",
                hash=f"md5:{hashlib.md5(b'weights').hexdigest()}",
                size=7,
            )
            publish(monkeypatch, published)
            assert main(["weights", "fetch", "resnet50", "--dry_run"]) == 0
            assert f"would download {published.address}" in capsys.readouterr().out and not folder.exists()
            assert main(["weights", "fetch", "resnet50"]) == 0
        finally:
            server.shutdown()
            thread.join()
    assert (folder / "x.h5").read_bytes() == b"weights"
    assert main(["weights", "fetch", "resnet50"]) == 0  # without the server
    assert capsys.readouterr().out.splitlines()[-1] == str(folder / "x.h5")
    assert main(["weights", "list"]) == 0
    assert f"  here     {folder / 'x.h5'}\n" in capsys.readouterr().out


def test_a_keras_file_is_converted_into_the_cache_and_used_from_there(folder, keras_file, capsys):
    assert main(["weights", "convert", str(keras_file), "resnet50", "--dry_run"]) == 0
    assert not folder.exists()
    assert main(["weights", "convert", str(keras_file), "resnet50"]) == 0
    kept = folder / "resnet50.safetensors"
    assert str(kept) in capsys.readouterr().out
    assert classifiers.check("resnet50", "") == str(kept)
    ours, theirs = classifiers.load("resnet50", ""), classifiers.load("resnet50", str(keras_file))
    assert ours.weights_sha256 == io.file_sha256(kept) != theirs.weights_sha256
    assert same(ours, theirs)
    # The published file goes first, and is not taken for what it is not.
    download.destination(PUBLISHED["resnet50"]).write_bytes(keras_file.read_bytes())
    assert main(["weights", "list"]) == 0
    assert "not the published file" in capsys.readouterr().out


def test_a_pytorch_file_is_converted_to_where_one_wants(tmp_path, folder, torch_whole):
    torch = pytest.importorskip("torch")
    pth, out = tmp_path / "x.pth", tmp_path / "out" / "x.safetensors"
    torch.save({name: torch.tensor(array) for name, array in torch_file.read(torch_whole).items()}, pth)
    assert main(["weights", "convert", str(pth), "inception_v3_2015", f"--out={out}"]) == 0
    assert same(*(classifiers.load("inception_v3_2015", str(path)) for path in (pth, out)))
    assert not folder.exists()


def test_a_part_of_a_network_is_converted_but_not_into_the_cache(tmp_path, folder, torch_part, capsys):
    assert main(["weights", "convert", str(torch_part), "inception_v3_2015"]) == 2
    assert "ends at tap 768 of inception_v3_2015" in capsys.readouterr().err
    out = tmp_path / "x.safetensors"
    assert main(["weights", "convert", str(torch_part), "inception_v3_2015", f"--out={out}"]) == 0
    assert torch_file.read(out).keys() == torch_file.read(torch_part).keys()
    assert not folder.exists()


def test_check_says_what_a_file_is(tmp_path, keras_file, torch_whole, torch_part, monkeypatch, capsys):
    assert main(["weights", "check", str(keras_file)]) == 0
    text = capsys.readouterr().out
    assert io.file_sha256(keras_file) in text and "  resnet50: complete, taps 2048, logits\n" in text
    assert "inception" not in text and "not a published file" in text

    assert main(["weights", "check", str(torch_whole)]) == 0
    assert "  inception_v3_2015: complete, taps 64, 192, 768, 2048, logits\n" in capsys.readouterr().out

    assert main(["weights", "check", str(torch_part)]) == 0
    text = capsys.readouterr().out
    for name in ("inception_v3_2015", "inception_v3_torchvision"):  # up to there they have the same tensors
        assert f"  {name}: partial, taps 64, 192, 768\n" in text

    content = keras_file.read_bytes()
    entry = PUBLISHED["resnet50"]._replace(size=len(content), hash=f"md5:{hashlib.md5(content).hexdigest()}")
    publish(monkeypatch, entry)
    assert main(["weights", "check", str(keras_file)]) == 0
    assert "it is the published file of resnet50" in capsys.readouterr().out


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _pickle_with_code(tmp_path):
    import pickle

    path = tmp_path / "x.pth"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "touched")))
    return path


def _file(name, data):
    def write(tmp_path):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def _h5(tmp_path):
    h5py.File(tmp_path / "x.h5", "w").close()
    return tmp_path / "x.h5"


def _safetensors(**tensors):
    def write(tmp_path):
        torch_file.write(tmp_path / "x.safetensors", {k.replace("__", "/"): v for k, v in tensors.items()})
        return tmp_path / "x.safetensors"

    return write


HOSTILE = {
    "empty": (_file("x.h5", b""), ["damaged or not a Keras weight file"]),
    "a web page": (_file("x.h5", b"<html>"), ["damaged or not a Keras weight file", "inception_v3, resnet50"]),
    "HDF5 without weights": (_h5, ["neither `layer_names` nor `layers`"]),
    "no safetensors": (_file("x.safetensors", b"<html>"), ["damaged or not a .safetensors file"]),
    "other tensors": (_safetensors(a=np.zeros(3, np.float32)), ["missing"]),
    "other layers": (_safetensors(dense__kernel=np.zeros((3, 3), np.float32)), ["conv1_conv", "0 convolutions"]),
    "code": (_pickle_with_code, ["nothing in it was run"]),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_the_reason(case, tmp_path, capsys, folder):
    if case == "code":
        pytest.importorskip("torch")
    write, says = HOSTILE[case]
    path = write(tmp_path)
    before = sorted(tmp_path.iterdir())
    for command in (["check", str(path)], ["convert", str(path), "resnet50"]):
        if case == "code" and command[0] == "convert":
            command = ["convert", str(path), "inception_v3_2015"]
        error = refused(["weights", *command], capsys)
        assert str(path) in error
        for words in says if command[0] == "check" else []:
            assert words in error
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], ["weights list", "weights fetch NAME", "weights convert FILE NAME", "weights check FILE"]),
        (["lst"], ["'weights lst'", "weights list"]),
        (["list", "all"], ["'weights list all'"]),
        (["fetch"], ["'weights fetch'"]),
        (["fetch", "resnet"], ["'resnet'", "did you mean resnet50", "inception_v3_2015"]),
        (["fetch", "faces_attributes"], ["there are no weights 'faces_attributes'"]),
        (["check", "no.h5"], ["no.h5 is not a file"]),
        (["convert", "no.h5", "resnet50"], ["no.h5 is not a file"]),
        (["convert", __file__, "resnet50", "--out=x.h5"], ["--out=x.h5", ".safetensors"]),
        (["convert", "a", "b", "c"], ["'c'", "after weights convert a b"]),
        (["check", __file__, "--out=x"], ["--out is for weights convert and export"]),
        (["export"], ["'weights export'", "weights export RUN [STEP]"]),
        (["export", "no"], ["needs --out=DIR"]),
        (["export", "no", "--out=x"], ["no/config.json does not exist"]),
        (["list", "--workdir=x"], ["--workdir is not a flag of weights", "--out, --dry_run"]),
    ],
)
def test_wrong_words_get_one_line(words, says, capsys):
    error = refused(["weights", *words], capsys)
    for part in says:
        assert part in error


def test_one_cannot_write_where_one_may_not(tmp_path, keras_file, capsys):
    (tmp_path / "file").write_text("")
    assert main(["weights", "convert", str(keras_file), "resnet50", f"--out={tmp_path}/file/x.safetensors"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run of a tiny GAN with two checkpoints, and the states in them."""
    place = tmp_path_factory.mktemp("runs") / "run"
    config = configured(data__image_size=32, model__width=2, model__latent_dim=6, train__ema_kimg=0.0)
    state = networks.initial_state(config)
    run = Run(config, place)
    run.claim()
    states = {step: jax.tree.map(lambda leaf, step=step: leaf + leaf.dtype.type(step), state) for step in (3, 12)}
    for step, one in states.items():
        row = run.schedule.position(step) | {"state_sha256": checkpoint.digest(parallel.host(one))}
        io.append_jsonl(place / "metrics.jsonl", row)
        checkpoint.save(place / "checkpoints", step, one)
    return place, states


@pytest.mark.parametrize(("words", "step"), [([], 12), (["3"], 3)])
def test_a_runs_weights_are_exported_as_pytorchs(words, step, run_folder, tmp_path, capsys):
    place, states = run_folder
    arguments = ["weights", "export", str(place), *words, f"--out={tmp_path}/torch"]
    assert main([*arguments, "--dry_run"]) == 0
    assert f"step {step}" in capsys.readouterr().out and not (tmp_path / "torch").exists()
    assert main(arguments) == 0
    assert capsys.readouterr().out.count(f"step {step}, sha256:") == 2
    for kind in ("generator", "discriminator"):
        network = convert.load(tmp_path / "torch" / f"{kind}.safetensors")
        assert (network.kind, network.image_size, network.width) == (kind, 32, 2)
        expected = parallel.host(getattr(states[step], kind))
        jax.tree.map(np.testing.assert_array_equal, network.variables, expected)


def test_an_exported_generator_loads_into_that_of_the_tutorial(run_folder, tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    from gan_da_jax.pytorch import dcgan as stock

    assert main(["weights", "export", str(run_folder[0]), f"--out={tmp_path}"]) == 0
    network = stock.Generator(image_size=32, latent_dim=6, width=2)
    network.load_state_dict(library.load_file(tmp_path / "generator.safetensors"))
    assert torch.isfinite(network(torch.randn(2, 6, 1, 1))).all()


def test_what_cannot_be_exported_is_told(run_folder, tmp_path, capsys):
    place, _ = run_folder
    out = f"--out={tmp_path}/torch"
    assert main(["weights", "export", str(place), "4", out]) == 2
    assert "no checkpoint 4; it has the checkpoints 3, 12" in capsys.readouterr().err
    other = shutil.copytree(place, tmp_path / "other")
    shutil.rmtree(other / "checkpoints/12")
    shutil.copytree(other / "checkpoints/3", other / "checkpoints/12")
    assert main(["weights", "export", str(other), out]) == 2
    assert "checkpoints/12 is not the state that metrics.jsonl notes; delete that folder" in capsys.readouterr().err
    (tmp_path / "config.json").write_text("[]")
    assert main(["weights", "export", str(tmp_path), out]) == 2
    assert "a run writes an object there" in capsys.readouterr().err
    assert not (tmp_path / "torch").exists()
