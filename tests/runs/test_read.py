import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.main import main
from gan_da_jax.runs import read
from helpers import SCORED, command


def layout(value):
    """An object without its values: the names in it, and in the objects in it; names of files and ops are values."""
    if isinstance(value, dict):
        return {name: None if name in ("files", "reasons") else layout(each) for name, each in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [layout(value[0])]
    return None


def test_make_run_writes_what_the_verbs_write(tmp_path, make_run):
    real, made = tmp_path / "real", tmp_path / "made"
    for verb in ("train", "evaluate"):
        assert main(command(verb, real, **SCORED, train__epochs=2, augment__policy="hflip")) == 0
    ops = dict.fromkeys(("contrast", "invert", "hflip", "vflip"), 0.1)
    make_run(made, policy="hflip", count=9, epochs=2, distance=9.0, leakage=ops, memorised=0.1, probabilities=3)
    for folder in (real, made):
        read.read(folder, folder)  # it has the form that `schemas` asks for
        for name in ("metrics.jsonl", "scores.jsonl"):
            before, rows = "", io.read_jsonl(folder / name)
            for row in rows:
                assert row == io.seal(row, before)
                before = row["sha256"]
                for file, sha256 in row["files"].items():
                    assert io.file_sha256(folder / file) == sha256
        config_json = io.read_json(folder / "config.json")
        assert config_json == io.seal(config_json)
    for name in ("config.json", "dataset/manifest.json"):
        assert layout(io.read_json(real / name)) == layout(io.read_json(made / name))
    for name in ("metrics.jsonl", "scores.jsonl"):
        ours, theirs = (list(map(layout, io.read_jsonl(folder / name))) for folder in (made, real))
        assert ours == theirs
    kinds = [{path.relative_to(folder).parts[0] for path in folder.rglob("*.*")} for folder in (made, real)]
    assert kinds[1] - kinds[0] == {"checkpoints", ".lock"}


def test_nested_runs_of_a_run_are_its_own(tmp_path, make_run):
    make_run(tmp_path / "arm" / "seed0")
    make_run(tmp_path / "arm" / "seed0" / "generator", seed=1)
    make_run(tmp_path / "celeba" / "contrast+hflip@20" / "seed2", seed=2)
    make_run(tmp_path / "arm" / "deep" / "deeper" / "too_deep", seed=2)
    assert read.find(tmp_path) == [tmp_path / "arm" / "seed0", tmp_path / "celeba" / "contrast+hflip@20" / "seed2"]
    assert read.find(tmp_path / "arm" / "seed0") == [tmp_path / "arm" / "seed0"]


@pytest.mark.parametrize(
    "prepare",
    [
        lambda root: None,
        lambda root: root.rmdir(),
        lambda root: (root / "x").mkdir(),
        lambda root: (root / "config.json").write_text("{}"),
    ],
)
def test_no_run_found(tmp_path, prepare):
    root = tmp_path / "work"
    root.mkdir()
    prepare(root)
    with pytest.raises(UserError, match="no run .*work"):
        read.find(root)


def test_run_says_what_its_files_say(tmp_path, make_run):
    folder = make_run(tmp_path / "arm" / "seed7", policy="hflip", count=20, seed=7)
    run = read.read(folder, tmp_path)
    assert (run.name, run.seed, run.folder) == ("arm/seed7", 7, folder)
    assert run.config_json == io.read_json(folder / "config.json")
    assert run.manifest == io.read_json(folder / "dataset" / "manifest.json")
    assert run.metrics == io.read_jsonl(folder / "metrics.jsonl")
    assert run.scores == io.read_jsonl(folder / "scores.jsonl")


def test_torn_last_lines_and_repeated_rows(tmp_path, make_run):
    make_run(tmp_path, epochs=2)
    first, last = io.read_jsonl(tmp_path / "scores.jsonl")
    again = last | {"inception_score": {"mean": 7.77, "std": 0.1, "splits": 10}}
    other = last | {"classifier": "another"}
    second = last | {"repeat": 1}
    for row in (second, again, other):
        io.append_jsonl(tmp_path / "scores.jsonl", row)
    metrics = io.read_jsonl(tmp_path / "metrics.jsonl")
    io.append_jsonl(tmp_path / "metrics.jsonl", metrics[0])
    for name in ("scores.jsonl", "metrics.jsonl"):
        with open(tmp_path / name, "a") as file:
            file.write('{"step": 999, "epo')
    run = read.read(tmp_path, tmp_path)
    assert run.metrics == metrics
    assert run.scores == [other, first, again, second]


def test_scores_by_two_weight_files_are_never_mixed(tmp_path, make_run):
    make_run(tmp_path / "a")
    path = tmp_path / "a/scores.jsonl"
    rows = io.read_jsonl(path)
    io.append_jsonl(path, rows[-1] | {"weights_sha256": "ee" * 32, "fid": 50.0})
    kept = read.read(tmp_path / "a", tmp_path).scores
    assert [row["weights_sha256"] for row in kept] == ["ee" * 32] and len(rows) > 1


def test_each_way_of_scoring_has_its_best_step(tmp_path, make_run):
    folder = make_run(tmp_path, evaluations=4, repeats=2, distance=20.0)
    rows = io.read_jsonl(folder / "scores.jsonl")
    fid = {16: (9.0, 1.0), 32: (4.0, 4.0), 48: (6.0, 6.0), 64: (5.0, 5.0)}  # the mean of both sets counts
    rows = [row | {"fid": fid[row["step"]][row["repeat"]]} for row in rows]
    other = [row | {"tap": "192", "fid": None, "kid": {"mean": row["step"], "std": 0.1}} for row in rows]
    blind = [row | {"tap": "7", "fid": None, "kid": None} for row in rows]
    assert read.best_steps(rows) == {32}
    assert read.best_steps(other) == {16} and read.best_steps(blind) == set()
    assert read.best_steps([*rows, *other, *blind]) == {16, 32}
