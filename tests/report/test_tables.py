import csv
import io

import numpy as np
import pytest
from scipy import stats

from gan_da_jax import records
from gan_da_jax.report import tables
from gan_da_jax.report.arms import compare, group

KEYS = ["inception_score", "inception_score_1", "real_inception_score", "real_inception_score_1"]


@pytest.fixture(scope="module")
def arms(study, read_all):
    return group(read_all(study))[0]


@pytest.fixture(scope="module")
def entries(arms):
    return tables.entries(compare(arms))


def test_entries_have_the_specified_fields_and_students_interval(study, entries):
    assert [entry["arm"] for entry in entries] == ["none", "hflip@20", "contrast+hflip@20"]
    pair = entries[2]
    rows = [records.read_jsonl(study / "contrast+hflip-20" / f"seed{seed}" / "scores.jsonl")[-1] for seed in (0, 1)]
    values = [row["inception_score"]["mean"] for row in rows]
    expected = {
        "arm": "contrast+hflip@20",
        "source": "celeba_1000",
        "policy": "contrast+hflip",
        "count": 20,
        "images": 40,
        "seeds": [0, 1],
        "classifier": "faces_attributes",
        "tap": "64",
        "splits": 10,
        "sets": [1, 1],
        "step": 64,
        "epoch": 4.0,
        "kimg": 4.096,
        "settings": {},
        "weights_sha256": rows[0]["weights_sha256"],
        "samples": 1000,
        "real_images": 20,
        "runs": ["contrast+hflip-20/seed0", "contrast+hflip-20/seed1"],
    }
    assert {key: found for key, found in pair.items() if key != "scores"} == expected
    score = pair["scores"]["inception_score"]
    assert score["values"] == values
    assert score["mean"] == pytest.approx(np.mean(values))
    assert score["ci95"] == pytest.approx(stats.t.interval(0.95, 1, np.mean(values), stats.sem(values)))
    assert sorted(pair["scores"]) == KEYS


def test_one_seed_has_no_interval(tmp_path, make_run, read_all):
    make_run(tmp_path / "a", policy="hflip", count=20, extra={"kid": {"mean": 0.0531, "std": 0.0012}}, repeats=2)
    make_run(tmp_path / "b")
    none, hflip = tables.entries(compare(group(read_all(tmp_path))[0]))
    assert hflip["scores"]["kid"] == {"mean": 0.0531, "ci95": None, "values": [0.0531]}
    assert all(score["ci95"] is None for score in none["scores"].values()) and "kid" not in none["scores"]


def test_csv_says_what_the_entries_say(entries):
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(entries))))
    assert [line["arm"] for line in lines] == [entry["arm"] for entry in entries]
    for line, entry in zip(lines, entries, strict=True):
        assert line["runs"].split(";") == entry["runs"] and line["seeds"] == "0 1"
        assert (line["tap"], line["splits"], line["sets"]) == ("64", "10", "1 1")
        assert float(line["kimg"]) == entry["kimg"] and int(line["images"]) == entry["images"]
        for key, score in entry["scores"].items():
            assert float(line[f"{key}_mean"]) == score["mean"]
            assert [float(line[f"{key}_ci95_low"]), float(line[f"{key}_ci95_high"])] == score["ci95"]
            assert [float(number) for number in line[f"{key}_values"].split()] == score["values"]


def test_csv_without_scores_is_the_same_header(entries):
    header = tables.to_csv([])
    assert header.startswith("arm,source,policy,count,") and header.endswith("\n") and header.count("\n") == 1
    assert tables.to_csv(entries).startswith(header.rstrip())


def test_text_names_every_arm_with_its_scores_or_without(arms, entries):
    first, *lines = tables.to_text(arms, entries).splitlines()
    assert [name in first for name in ("arm", "inception_score_1", "fid")] == [True, True, False]
    assert [line.split()[1] for line in lines] == ["none", "hflip@20", "contrast+hflip@20", "vflip@20"]
    for line, entry in zip(lines, entries, strict=False):
        assert f" {entry['scores']['inception_score']['mean']:.2f} " in line and line.endswith("3.40")
    assert lines[-1].endswith("not evaluated")


def test_text_without_inception_scores_has_no_column_for_them(tmp_path, make_run, read_all):
    make_run(tmp_path, level=None, distance=20.0)
    arms, _ = group(read_all(tmp_path))
    first, line = tables.to_text(arms, tables.entries(compare(arms))).splitlines()
    assert "inception_score" not in first and first.split()[-6:] == [
        *("fid", "kid", "precision", "recall", "density", "coverage")
    ]
    assert line.split()[4:6] == ["faces_attributes", "64"]
