import json

import numpy as np
import pytest

import helpers
from gan_da_jax import pytorch
from gan_da_jax.files import checkpoint, io
from gan_da_jax.main import main
from gan_da_jax.pytorch import race
from gan_da_jax.runs import read

torch = pytest.importorskip("torch")
from gan_da_jax.pytorch import parity  # noqa: E402

FIELDS = {"train.epochs": 2, "augment.policy": "hflip", "augment.count": 12}
FIELDS |= {"evaluate.classifier": "faces_attributes", "evaluate.samples": 12, "evaluate.splits": 2}
SPEEDS = {"jax": [12.0, 8.0, 10.0], "torch_stock": [4.0, 5.0, 6.0], "torch_expert": [8.0, 8.0, 8.0]}


def command(*flags, **fields):
    return helpers.command("compare", None, *flags, **FIELDS | helpers.dotted(fields))


def check(what, precision, steps, difference=1e-12, passed=True):
    rounding = None if precision == "float64" else 1e-6
    return parity.Check(what, precision, steps, difference, "generator main.0.weight", 1e-9, rounding, passed)


@pytest.fixture
def quick(monkeypatch):
    """No race is run, and parity is what the test says: the first list, which can be changed. The second: the races."""
    checks = [check("outputs", precision, steps) for steps in (0, 10) for precision in ("float64", "float32")]
    races = []

    def run(contenders, *, turns, told):
        races.append(contenders)
        about = {"name": "it", "device": "1 x cpu", "variant": "channels_last"}
        return {name: race.Result(about, SPEEDS[name], 1.5) for name in contenders}

    monkeypatch.setattr(race, "run", run)
    monkeypatch.setattr(parity, "measure", lambda **_: checks)
    return checks, races


def test_the_file_and_the_table_say_what_was_found(quick, tmp_path, capsys):
    assert main(command(f"--out={tmp_path}/c.json")) == 0
    found = json.loads((tmp_path / "c.json").read_text())
    assert found.keys() == {"parity", "speed", "versions", "devices", "config"}
    assert found["parity"]["passed"] and found["parity"]["checks"][0]["difference"] == 1e-12
    for row in (found["speed"]["train"], found["speed"]["score"]):
        assert (row["jax"], row["torch_stock"], row["torch_expert"]) == (10, 5, 8)
        assert (row["ratio_stock"], row["ratio_expert"]) == (2, 1.25)
        assert row["ratio_stock_turns"] == [1.6, 3] and row["ratio_expert_turns"] == [1, 1.5]
        assert row["contenders"]["torch_stock"]["images_per_second"] == [4, 5, 6]
    assert found["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert found["versions"]["jax"]
    assert found["devices"] == dict.fromkeys(SPEEDS, "1 x cpu")
    said = capsys.readouterr().out
    assert "the same GAN, 32 px, width 4, batch 8" in said and "channels_last" in said
    assert "1.60 to 3.00" in said and "1.0e-12" in said


def test_what_races_is_what_the_config_says(quick, tmp_path):
    assert main(command("--config.model.dtype=bfloat16")) == 0
    training, scoring = quick[1]
    ours = training["jax"].arguments
    assert ours["batch_size"] == 8 and ours["images"].shape[1:] == (32, 32, 3) and ours["images"].dtype == np.uint8
    assert ours["network"] == {
        **{"image_size": 32, "latent_dim": 8, "width": 4, "learning_rate": 2e-4, "beta1": 0.5, "dtype": "bfloat16"}
    }
    expert, stock = (training[f"torch_{name}"].arguments for name in ("expert", "stock"))
    assert stock["variants"] == {"stock": {}}
    assert all(options["autocast"] and options["freeze"] for options in expert["variants"].values())
    assert [*expert["variants"]] == ["plain", "channels_last", "plain, compiled", "channels_last, compiled"]
    assert [*scoring["torch_expert"].arguments["variants"]] == ["plain", "channels_last"]


def test_without_parity_the_status_is_1_once_the_file_is_written(quick, tmp_path, capsys):
    quick[0][2] = check("outputs", "float64", 10, difference=float("nan"), passed=False)
    assert main(command(f"--out={tmp_path}/c.json")) == 1
    said = capsys.readouterr()
    assert "parity: 1 of 4 comparisons failed, outputs after 10 steps in float64" in said.err
    assert "c.json has them all" in said.err and "NOT the same GAN" in said.out and "failed" in said.out
    assert json.loads((tmp_path / "c.json").read_text())["parity"]["passed"] is False


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a comparison with training."""
    workdir = tmp_path_factory.mktemp("compared") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            race,
            "run",
            lambda contenders, **_: {n: race.Result({"device": "x", "variant": "y"}, [1.0], 1.0) for n in contenders},
        )
        patch.setattr(parity, "measure", lambda **_: [check("outputs", p, 0) for p in ("float64", "float32")])
        assert main(command(f"--workdir={workdir}", "--train")) == 0
    return workdir


def test_both_are_trained_for_as_long_and_scored_alike(trained):
    found = json.loads((trained / "compare.json").read_text())["trained"]
    folders = {"jax": trained, "torch": trained / "torch"}
    for name, folder in folders.items():
        assert found[name]["workdir"] == str(folder) and found[name]["step"] == 8 and found[name]["kimg"] == 0.064
        (score,) = found[name]["scores"]
        assert score["fid"] > 0 and score["classifier"] == "faces_attributes" and score["inception_score_1"] > 1
        assert checkpoint.steps(folder / "checkpoints") == [4, 8]
        assert [row["step"] for row in io.read_jsonl(folder / "scores.jsonl")] == [4, 8]
        assert [row["step"] for row in io.read_jsonl(folder / "metrics.jsonl")] == [4, 8]
        assert len([*(folder / "samples").iterdir()]) == 2
    first, last = (io.read_jsonl(trained / "torch" / "metrics.jsonl")[i] for i in (0, -1))
    assert last["trained_by"].startswith("torch ") and first["state_sha256"] != last["state_sha256"]
    assert (trained / "dataset/manifest.json").read_bytes() == (trained / "torch/dataset/manifest.json").read_bytes()
    assert found["jax"]["scores"][0]["fid"] != found["torch"]["scores"][0]["fid"]
    assert [folder.name for folder in read.find(trained / "torch")] == ["torch"]


def test_training_of_torch_continues_as_if_it_had_not_stopped(trained, quick, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert main(command(f"--workdir={workdir}", "--train", train__epochs=1)) == 0
    assert main(command(f"--workdir={workdir}", "--train")) == 0
    assert f"{workdir}/torch: continues from step 4 of 8" in capsys.readouterr().out
    before, after = (io.read_jsonl(place / "torch" / "metrics.jsonl") for place in (trained, workdir))
    for one, other in zip(before, after, strict=True):
        for name in ("generator_loss", "discriminator_loss"):
            assert one[name] == pytest.approx(other[name], rel=1e-3)
    assert main(command(f"--workdir={workdir}", "--train")) == 0
    assert f"{workdir}/torch: trained to step 8 already" in capsys.readouterr().out


def test_dry_run_writes_nothing(quick, tmp_path, capsys):
    assert main(command(f"--workdir={tmp_path}/run", "--train", "--dry_run")) == 0
    said = capsys.readouterr().out
    assert "32 px, width 4, batch 8" in said and f"{tmp_path}/run/torch" in said and "compare.json" in said
    assert not (tmp_path / "run").exists() and not quick[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--train"], "--train needs a --workdir"),
        (["--out=x.txt"], "--out=x.txt: the name of the file must end in .json"),
        (["--out=no/x.json"], "--out=no/x.json: its folder does not exist"),
        (["--config.data.image_size=31"], "data.image_size is 31"),
        (["--workdir=/dev/null/x", "--train"], "not a folder"),
        (["--images=x"], "--images is not a flag of compare"),
    ],
)
def test_bad_input_gets_one_line(arguments, says, quick, capsys):
    assert says in helpers.refused(command(*arguments), capsys)
    assert not quick[1]


def test_without_torch_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(pytorch.importlib.util, "find_spec", lambda name: None)
    assert "pip install '.[torch]'" in helpers.refused(command(), capsys)
