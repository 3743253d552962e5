import subprocess
import sys

import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.verbs import report


@pytest.fixture
def study(tmp_path, make_run):
    """Two arms, one with two seeds; and one that is not evaluated."""
    root = tmp_path / "study"
    make_run(root / "none", grids=1)
    for seed in (0, 1):
        make_run(root / "hflip" / f"seed{seed}", policy="hflip", count=20, seed=seed, grids=1)
    make_run(root / "vflip", policy="vflip", count=20, evaluations=0)
    return root


def digests(root):
    paths = [root / "summary.json", root / "summary.csv", *sorted((root / "report").iterdir())]
    return {path.name: io.file_sha256(path) for path in paths}


def test_report_writes_the_summary_the_page_and_its_charts(study, capsys):
    report.main(study)
    summary = io.read_json(study / "summary.json")
    assert summary["format"] == 1
    assert [(entry["arm"], entry["seeds"]) for entry in summary["arms"]] == [("none", [0]), ("hflip@20", [0, 1])]
    assert len((study / "summary.csv").read_text().splitlines()) == 1 + 2
    assert "<title>study: data augmentation for GANs</title>" in (study / "report" / "index.html").read_text()
    # 2 curves, 1 ranking, 1 of bars, 3 panels of losses, previews and samples, each as PNG and SVG
    assert len(list((study / "report").iterdir())) == 1 + 2 * (2 + 1 + 1 + 3 + 2)
    [board] = summary["boards"]
    assert (board["source"], len(board["verdict"])) == ("celeba_1000", 3) and board["verdict"][2] == board["caveats"][0]
    out = capsys.readouterr().out
    assert "hflip@20" in out and "not evaluated" in out and out.endswith(f"{study / 'report' / 'index.html'}\n")


def test_report_is_the_same_again_byte_for_byte(study):
    report.main(study)
    first = digests(study)
    code = f"import pathlib; from gan_da_jax.verbs import report; report.main(pathlib.Path({str(study)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert digests(study) == first


def test_charts_of_an_earlier_report_go_and_other_files_stay(study):
    report.main(study)
    first = digests(study)
    stale = [study / "report" / name for name in ("losses-9-gone-invert-20.png", "curve-2-fid-gone-inception_v3.svg")]
    kept = [study / "report" / name for name in ("mine.png", "losses-mine.png", "notes.txt")]
    for path in (*stale, *kept):
        path.write_bytes(b"")
    report.main(study)
    assert {path.name for path in (study / "report").iterdir()} == {
        *(name for name in first if not name.startswith("summary")),
        *(path.name for path in kept),
    }


def test_run_without_scores_is_reported(tmp_path, make_run, capsys):
    make_run(tmp_path, policy="hflip", count=20, evaluations=0)
    report.main(tmp_path)
    assert "not evaluated" in capsys.readouterr().out
    assert io.read_json(tmp_path / "summary.json") == {"format": 1, "arms": [], "boards": []}
    assert (tmp_path / "summary.csv").read_text().startswith("arm,source,policy,count,")


def test_copies_are_told(tmp_path, make_run, capsys):
    make_run(tmp_path / "a", grids=0)
    make_run(tmp_path / "b", grids=0)
    report.main(tmp_path)
    [entry] = io.read_json(tmp_path / "summary.json")["arms"]
    assert entry["runs"] == ["a"] and "b is left out" in capsys.readouterr().out


def test_dry_run_writes_nothing(study, capsys):
    before = sorted(study.rglob("*"))
    report.main(study, dry_run=True)
    assert sorted(study.rglob("*")) == before
    assert "4 runs of 3 arms" in capsys.readouterr().out


def test_broken_picture_is_named_before_anything_is_written(study):
    (study / "none" / "samples" / "step_00000016.png").write_text("no picture")
    before = sorted(study.rglob("*"))
    with pytest.raises(UserError, match="not a readable picture"):
        report.main(study)
    assert sorted(study.rglob("*")) == before


def test_unwritable_place_is_named(tmp_path, make_run):
    make_run(tmp_path, grids=0)
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written to"):
        report.main(tmp_path)


def test_importing_the_stage_does_not_import_matplotlib():
    code = "import sys, gan_da_jax.verbs.report; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
