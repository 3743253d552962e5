"""The files of a report: their numbers, from scores.jsonl by hand, and that equal runs give equal bytes."""

import csv
import io
import json
import shutil

import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.files import io as records
from gan_da_jax.report import build, tables


@pytest.fixture
def root(make):
    return make(2, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"level": 1.5})


def test_the_summary_holds_every_arm_with_the_means_of_its_lines(root):
    found = build.summary(build.gather(root))
    assert list(found) == ["summary.json", "summary.csv"]
    whole = json.loads(found["summary.json"])
    assert whole["format"] == 1 and [arm["arm"] for arm in whole["arms"]] == ["none", "hflip@20", "vflip@20"]
    table = list(csv.DictReader(io.StringIO(found["summary.csv"].decode())))
    for arm, row, policy in zip(whole["arms"], table, ("none", "hflip", "vflip"), strict=True):
        lines = [records.read_jsonl(root / policy / str(seed) / "scores.jsonl")[-1] for seed in (0, 1)]
        expected = sum(line["inception_score"]["mean"] for line in lines) / 2
        assert arm["scores"]["inception_score"]["mean"] == pytest.approx(expected)
        assert row["arm"] == arm["arm"] and float(row["inception_score_mean"]) == pytest.approx(expected)
        if policy != "vflip":
            assert arm["scores"]["fid"]["mean"] == pytest.approx(sum(line["fid"] for line in lines) / 2)
    assert "fid" not in whole["arms"][2]["scores"]
    [board] = whole["boards"]
    assert (board["source"], board["classifier"], board["tap"]) == ("celeba_1000", "faces_attributes", "64")
    assert board["verdict"][0].startswith("Use hflip@20: ") and board["use"] == "hflip@20"


def test_a_second_run_of_an_arm_and_seed_is_left_out(root):
    shutil.copytree(root / "none/0", root / "none/again")
    results = build.gather(root)
    assert results.left_out == {"none/again": "none/0"} and results.study is None
    assert [len(arm.runs) for arm in results.arms] == [2, 2, 2]


def test_a_folder_without_runs_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no run"):
        build.gather(tmp_path)


def test_equal_files_of_runs_give_equal_bytes_wherever_they_are(make_run, tmp_path):
    root = make_run(tmp_path / "runs/none", distance=60.0).parent
    make_run(root / "hflip", policy="hflip", count=20, distance=20.0)
    copy = shutil.copytree(root, tmp_path / "copy")
    pages = [build.pages(build.gather(place), "A <title>") for place in (root, copy)]
    assert pages[0] == pages[1] and b"A &lt;title&gt;" in pages[0]["report/index.html"]
    charts = pages[0].keys() - {"report/index.html"}
    assert charts and all(name.startswith("report/") for name in charts)
    (root / "report").mkdir()
    for name, data in pages[0].items():
        (root / name).write_bytes(data)
    gone = sorted(charts)[0]
    (root / "report/mine.png").write_bytes(b"")
    assert build.stale(root, pages[0]) == []
    assert build.stale(root, pages[0].keys() - {gone}) == [root / gone]


def test_a_folder_without_a_report_has_no_stale_chart(tmp_path):
    assert build.stale(tmp_path, {}) == []


def test_with_images_held_out_they_decide_and_the_originals_stand_in_one_table(make):
    """By FID against the originals hflip is best, by the held-out one vflip is."""
    arms = {"none": (60.0, 60.0), "hflip": (5.0, 50.0), "vflip": (40.0, 30.0)}
    root = make(2, **{policy: {"distance": near, "held_out": far} for policy, (near, far) in arms.items()})
    results = build.gather(root)
    [board] = results.boards
    assert board.reference == "heldout, 500 images" and board.ranked(board.deciding)[0].arm.label == "vflip@20"
    assert [score.label for score in board.scores if score.distance] == ["held-out FID", "held-out KID"]
    assert [score.key for score in board.against_originals][:2] == ["fid", "kid"]
    page = build.pages(results, "title")["report/index.html"].decode()
    rows = [records.read_jsonl(root / "vflip" / str(seed) / "scores.jsonl")[-1] for seed in (0, 1)]
    mean = sum(row["reference_fid"] for row in rows) / 2
    assert "Use vflip@20: by held-out FID (lower is better), it " in page and f"may be used, {mean:.2f}" in page
    assert "Held-out FID is the distance from 500 real images that nobody trained on" in page
    assert page.count("<h4>Against the originals</h4>") == 1 and "They reward copying" in page
    assert "held-out FID of noise is 321.00, of one half of the real images against the other half 4.50" in page
    table = page.split("<h4>Against the originals</h4>")[1].split("</table>")[0]
    near = sum(row["fid"] for row in rows) / 2
    assert f">{near:.2f}<" in table and f">{mean:.2f}<" not in table
    assert "<th" in table and ">FID</th>" not in page.replace(table, "")
    whole = json.loads(build.summary(results)["summary.json"])
    assert whole["arms"][2]["reference"] == "heldout, 500 images" and whole["arms"][2]["best"]["by"] == "reference_fid"
    assert {"fid", "reference_fid"} <= whole["arms"][2]["scores"].keys()
    [header, *_] = tables.to_text(results.arms, results.entries).splitlines()
    assert "reference_fid" in header.split() and "fid" not in header.split()


def test_runs_with_and_without_a_reference_are_on_boards_of_their_own(make):
    root = make(1, none={"distance": 60.0}, hflip={"distance": 5.0, "held_out": 50.0})
    boards = build.gather(root).boards
    assert [(board.reference, len(board.standings)) for board in boards] == [("", 1), ("heldout, 500 images", 1)]
    page = build.pages(build.gather(root), "title")["report/index.html"].decode()
    assert ", reference: heldout, 500 images" in page
