import csv
import io

import numpy as np
import pytest
from scipy import stats

from gan_da_jax.files import io as records
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
        "reference": "",
        "runs": ["contrast+hflip-20/seed0", "contrast+hflip-20/seed1"],
    }
    found = ("scores", "best", "against", "leakage", "memorisation")
    assert {key: value for key, value in pair.items() if key not in found} == expected
    assert (pair["best"], pair["leakage"], pair["memorisation"]) == (None, {}, {})
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


@pytest.fixture(scope="module")
def compared(tmp_path_factory, make_run, read_all):
    """Six seeds, FID and shares: `none`, a duplicate of each count, and arms; one has one seed, one other settings."""
    root = tmp_path_factory.mktemp("compared")
    for policy, count, distance in (
        ("none", 0, 60.0),
        ("duplicate", 20, 55.0),
        ("duplicate", 40, 50.0),
        ("hflip", 20, 20.0),
        ("contrast+hflip", 40, 30.0),
    ):
        for seed in range(6):
            shares = {"leakage": {"hflip": None, "contrast": 0.2}, "memorised": 0.1}
            run = {"policy": policy, "count": count, "seed": seed, "distance": distance, "grids": 0} | shares
            make_run(root / f"{policy}@{count}" / str(seed), **run)
    make_run(root / "vflip", policy="vflip", count=40, seed=3, distance=90.0)
    make_run(root / "other", policy="hflip", count=20, seed=3, distance=90.0, train={"batch_size": 32})
    return {
        (entry["arm"], bool(entry["settings"])): entry for entry in tables.entries(compare(group(read_all(root))[0]))
    }


def test_arms_are_held_against_their_controls(compared):
    hflip, vflip, pair = (compared[arm, False] for arm in ("hflip@20", "vflip@40", "contrast+hflip@40"))
    none, small, large = (compared[arm, False] for arm in ("none", "duplicate@20", "duplicate@40"))
    for arm, policy, control in (
        (hflip, "none", none),
        (hflip, "duplicate", small),
        (pair, "duplicate", large),
        (vflip, "duplicate", large),
        (large, "none", none),
    ):
        for key in ("fid", "kid", "recall", "inception_score_1"):
            found = arm["against"][policy][key]
            values = dict(zip(arm["seeds"], arm["scores"][key]["values"], strict=True))
            of_control = dict(zip(control["seeds"], control["scores"][key]["values"], strict=True))
            differences = [values[seed] - of_control[seed] for seed in arm["seeds"]]
            if len(differences) == 6:  # an arm with fewer runs is estimated with the help of the others
                assert found["difference"] == pytest.approx(np.mean(differences))
            assert (found["seeds"], found["control"]) == (arm["seeds"], control["arm"])
            low, high = found["ci95"]
            relative = key in ("fid", "inception_score_1")
            assert (found["percent"] is not None) == relative
            assert low < (found["percent"] if relative else found["difference"]) < high and 0 <= found["p"] <= 1
    # 5 arms against none, 3 of them against duplicate: by ranks 2 / 2^6 times as many.
    assert hflip["against"]["none"]["fid"]["p_rank"] == pytest.approx(5 * 2 / 2**6)
    assert hflip["against"]["duplicate"]["fid"]["p_rank"] == pytest.approx(3 * 2 / 2**6)
    assert hflip["against"]["none"]["fid"]["p"] < 0.001 and hflip["against"]["none"]["fid"]["seeds_needed"] == 2
    assert none["against"] == {} and list(small["against"]) == ["none"]
    assert compared["hflip@20", True]["against"] == {}  # none of these settings


def test_best_checkpoints_are_chosen_by_fid_each_seed_for_itself(tmp_path, make_run, read_all):
    root = tmp_path
    for seed in (0, 1):
        folder = make_run(root / str(seed), seed=seed, distance=20.0, evaluations=4)
        rows = records.read_jsonl(folder / "scores.jsonl")
        rows[1 + seed]["fid"] = 1.0 + seed
        records.write_jsonl(folder / "scores.jsonl", rows)
    [entry] = tables.entries(compare(group(read_all(root))[0]))
    best = entry["best"]
    assert (best["by"], best["steps"], best["epochs"]) == ("fid", [32, 48], [2.0, 3.0])
    assert best["scores"]["fid"]["values"] == [1.0, 2.0] and entry["scores"]["fid"]["mean"] > 15
    assert best["kimg"] == [2.048, 3.072] and set(best["scores"]) == set(entry["scores"])


def test_inception_score_never_chooses(tmp_path, make_run, read_all):
    make_run(tmp_path / "a", distance=20.0, extra={"fid": None})
    make_run(tmp_path / "b", policy="hflip", count=20)
    none, hflip = tables.entries(compare(group(read_all(tmp_path))[0]))
    assert none["best"]["by"] == "kid" and hflip["best"] is None


def test_csv_flattens_shares_comparisons_and_best(compared):
    lines = list(csv.DictReader(io.StringIO(tables.to_csv(list(compared.values())))))
    for line, entry in zip(lines, compared.values(), strict=True):
        assert line["best_by"] == "fid" and float(line["best_fid_mean"]) == entry["best"]["scores"]["fid"]["mean"]
        found = entry["against"].get("none", {}).get("fid")
        for field in ("percent", "p", "p_rank", "seeds_needed", "method", "p_spread"):
            expected = "" if found is None or found[field] is None else str(found[field])
            assert line[f"fid_against_none_{field}"] == expected
        assert line["fid_against_none_difference"] == (str(found["difference"]) if found else "")
        if entry["leakage"]:
            assert line["leakage_hflip_mean"] == "" and float(line["leakage_hflip_accuracy"]) == 0.52
            assert float(line["leakage_contrast_mean"]) == entry["leakage"]["contrast"]["mean"]
            assert float(line["memorisation_pixels_expected"]) == pytest.approx(0.05)


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
