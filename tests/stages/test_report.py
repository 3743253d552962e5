import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import stats

from gan_da_jax import records
from gan_da_jax.errors import UserError
from gan_da_jax.stages import report

VOID = {"meta", "img", "br", "wbr"}
KEYS = ["inception_score", "inception_score_1", "real_inception_score", "real_inception_score_1"]


def grid(rng, *, images=8, size=16, progress=1.0):
    """Blobs that turn from noise into faces of a sort: enough of a picture to look at."""
    sheet = Image.new("RGB", (images * size, images * size))
    for place in range(images * images):
        noise = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        tile = Image.new("RGB", (size, size), tuple(map(int, rng.integers(60, 200, 3))))
        draw = ImageDraw.Draw(tile)
        draw.ellipse([size * 0.2, size * 0.12, size * 0.8, size * 0.9], fill=tuple(map(int, rng.integers(150, 250, 3))))
        for x in (0.38, 0.62):
            draw.ellipse([size * (x - 0.06), size * 0.4, size * (x + 0.06), size * 0.5], fill=(30, 30, 40))
        draw.arc(
            [size * 0.36, size * 0.5, size * 0.64, size * 0.76], 20, 160, fill=(120, 20, 30), width=max(1, size // 20)
        )
        tile = Image.blend(Image.fromarray(noise), tile, progress)
        sheet.paste(tile, (place % images * size, place // images * size))
    return np.asarray(sheet)


def make_run(
    folder,
    *,
    source="celeba_1000",
    policy="none",
    count=0,
    seed=0,
    originals=20,
    epochs=4,
    evaluations=2,
    classifier="faces_attributes",
    grids=2,
    size=16,
    level=2.0,
    train=None,
    extra=None,
):
    """A run's files as the other verbs write them; scores rise towards `level` plus a draw of the seed."""
    rng = np.random.default_rng([seed, count, sum(policy.encode())])
    ops = [op.partition("(")[0] for op in policy.split("+")] if policy != "none" else []
    added = [op for op in ops for _ in range(count // len(ops))]
    config = {
        "seed": seed,
        "data": {
            "source": "folder",
            "path": f"/data/{source}",
            "count": originals,
            "image_size": 64,
            "resize": "stretch",
            "skip_bad": False,
        },
        "augment": {"policy": policy, "count": count, "generator": {"epochs": 100}},
        "model": {"latent_dim": 100, "width": 64},
        "train": {"batch_size": 64, "epochs": epochs, "kimg": 0, "checkpoint_every": 1} | (train or {}),
        "evaluate": {"samples": 1000, "classifier": classifier, "weights": "", "splits": 10},
    }
    versions = {"gan_da_jax": "0.1.0", "jax": "0.10.2", "flax": "0.12.8", "optax": "0.2.6", "numpy": "2.3.1"}
    records.write_json(
        folder / "config.json", {"config": config, "versions": versions, "devices": ["TFRT_CPU_0"], "backend": "cpu"}
    )
    rows = [
        {"index": i, "op": op, "source_id": f"{i:06d}.jpg", "source_index": i, "sha256": "0" * 64}
        for i, op in enumerate(["original"] * originals + added)
    ]
    records.write_json(
        folder / "dataset" / "manifest.json",
        {
            "format": 1,
            "policy": policy,
            "count": count,
            "seed": seed,
            "images_sha256": records.sha256(source.encode()),
            "source": {
                "kind": "folder",
                "name": source,
                "path": f"/data/{source}",
                "count": originals,
                "available": originals,
                "image_size": 64,
                "resize": "stretch",
                "skipped": [],
            },
            "records": rows,
        },
    )
    if ops:
        strip = grid(rng, images=8, size=size)[: size * (1 + len(ops))]
        records.save_png(folder / "dataset" / "preview.png", strip)
    for epoch in range(1, epochs + 1):
        row = {
            "step": 16 * epoch,
            "epoch": float(epoch),
            "kimg": 1.024 * epoch,
            "steps": 16,
            "generator_loss": 2.5 - 0.4 * np.log(epoch) * np.cos(epoch / 9) + rng.normal(0, 0.15),
            "discriminator_loss": 0.6 + 0.5 / epoch + rng.normal(0, 0.05),
            "real_logit": 1.2,
            "fake_logit": -2.0,
            "images_per_second": 123.4 + rng.normal(0, 2),
            "seconds": 8.3,
        }
        records.append_jsonl(folder / "metrics.jsonl", row | ({"state_sha256": "ab" * 32} if epoch == epochs else {}))
    for step in np.linspace(1, epochs, grids).round() if grids else ():
        picture = grid(rng, size=size, progress=0.15 + 0.8 * step / epochs)
        records.save_png(folder / "samples" / f"step_{int(16 * step):08d}.png", picture)
    for epoch in np.linspace(1, epochs, evaluations).round() if evaluations else ():
        mean = 1 + (level - 1) * (1 - np.exp(-4 * epoch / epochs)) + rng.normal(0, 0.06)
        records.append_jsonl(
            folder / "scores.jsonl",
            {
                "step": int(16 * epoch),
                "epoch": float(epoch),
                "kimg": 1.024 * epoch,
                "samples": 1000,
                "seed": seed,
                "classifier": classifier,
                "classifier_accuracy": 0.982,
                "weights_sha256": "cd" * 32,
                "inception_score": {"mean": mean, "std": 0.1 + rng.uniform(0, 0.05), "splits": 10},
                "inception_score_1": mean * 1.08,
                "real_images": originals,
                "real_inception_score": {"mean": 3.4, "std": 0.2, "splits": 10},
                "real_inception_score_1": 3.7,
            }
            | (extra or {}),
        )
    return folder


class Page(HTMLParser):
    """Checks the nesting of tags while it gathers their attributes, the text and the table rows."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.rows = [], [], "", []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
            if "tr" in self.open:
                self.rows[-1] += data + "|"


def page_of(folder):
    return Page((folder / "report" / "index.html").read_text())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Three arms with two seeds, a fourth with one and no score; every seed of an arm has its own value."""
    root = tmp_path_factory.mktemp("study")
    for policy, count in (("none", 0), ("hflip", 20), ("contrast+hflip", 20)):
        for seed in (0, 1):
            make_run(root / f"{policy}-{count}" / f"seed{seed}", policy=policy, count=count, seed=seed)
    make_run(root / "vflip", policy="vflip", count=20, evaluations=0)
    report.run(root)
    return root


def test_summary_has_the_specified_fields_and_students_interval(study):
    summary = records.read_json(study / "summary.json")
    assert summary["format"] == 1
    assert [entry["arm"] for entry in summary["arms"]] == ["none", "hflip@20", "contrast+hflip@20"]
    pair = summary["arms"][2]
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
        "step": 64,
        "epoch": 4.0,
        "kimg": 4.096,
        "settings": {},
        "samples": 1000,
        "runs": ["contrast+hflip-20/seed0", "contrast+hflip-20/seed1"],
    }
    assert {key: found for key, found in pair.items() if key != "scores"} == expected
    score = pair["scores"]["inception_score"]
    assert score["values"] == values
    assert score["mean"] == pytest.approx(np.mean(values))
    assert score["ci95"] == pytest.approx(stats.t.interval(0.95, 1, np.mean(values), stats.sem(values)))
    assert sorted(pair["scores"]) == KEYS


def test_csv_says_what_json_says(study):
    entries = records.read_json(study / "summary.json")["arms"]
    with open(study / "summary.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["arm"] for line in lines] == [entry["arm"] for entry in entries]
    for line, entry in zip(lines, entries, strict=True):
        assert line["runs"].split(";") == entry["runs"] and line["seeds"] == "0 1"
        assert float(line["kimg"]) == entry["kimg"] and int(line["images"]) == entry["images"]
        for key, score in entry["scores"].items():
            assert float(line[f"{key}_mean"]) == score["mean"]
            assert [float(line[f"{key}_ci95_low"]), float(line[f"{key}_ci95_high"])] == score["ci95"]
            assert [float(number) for number in line[f"{key}_values"].split()] == score["values"]


def test_page_is_one_sound_file_that_loads_nothing(study):
    text = (study / "report" / "index.html").read_text()
    page = Page(text)
    loaded = [
        attributes[name] for _, attributes in page.tags for name in ("src", "href", "srcset") if name in attributes
    ]
    assert loaded and all(address.startswith(("data:image/", "#")) for address in loaded)
    assert not re.search(r"https?://|url\(|@import|<script|<link", text)
    targets = {attributes.get("id") for _, attributes in page.tags}
    assert all(address[1:] in targets for address in loaded if address.startswith("#"))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(attributes["alt"].strip() for attributes in pictures)
    # 1 ranking, 2 curves, 4 panels of losses, 3 previews, 2 sample grids of each of 4 arms
    assert len(pictures) == 1 + 2 + 4 + 3 + 8
    assert len(list((study / "report").glob("*.png"))) == 1 + 2 + 4


def test_page_gives_both_readings_and_the_real_images_beside(study):
    page = page_of(study)
    means = {
        entry["arm"]: entry["scores"]["inception_score"]["mean"]
        for entry in records.read_json(study / "summary.json")["arms"]
    }
    highest, lowest = max(means, key=means.get), min(means, key=means.get)
    text = " ".join(page.text.split())
    assert f"{highest} reached the highest Inception Score, {means[highest]:.2f}" in text
    assert f"{lowest} the lowest, {means[lowest]:.2f}; the real images score 3.40" in text
    assert re.search(rf"field reads higher as better:[^.]*; so read, {re.escape(highest)} leads", text)
    assert re.search(rf"follows reads lower as better:[^.]*; so read, {re.escape(lowest)} leads", text)
    assert "not comparable with any published Inception Score" in text
    assert "Not evaluated yet: vflip@20." in text
    assert any("contrast 10 + hflip 10" in row for row in page.rows)


@pytest.mark.parametrize(
    ("levels", "said", "unsaid"),
    [
        ((2.0, 2.0), "The differences can be chance", "differ by more than chance"),
        ((1.5, 9.0), "differ by more than chance", "The differences can be chance"),
    ],
)
def test_verdict_depends_on_the_intervals(tmp_path, levels, said, unsaid):
    for policy, level in zip(("hflip", "vflip"), levels, strict=True):
        for seed in range(3):
            make_run(tmp_path / policy / str(seed), policy=policy, count=20, seed=seed, level=level, grids=0)
    report.run(tmp_path)
    text = page_of(tmp_path).text
    assert said in text and unsaid not in text


def test_one_seed_allows_no_conclusion(tmp_path):
    make_run(tmp_path / "a", policy="hflip", count=20, grids=0)
    make_run(tmp_path / "b", grids=0)
    report.run(tmp_path)
    assert "No conclusion can be drawn from one seed an arm" in page_of(tmp_path).text
    assert all(
        score["ci95"] is None
        for entry in records.read_json(tmp_path / "summary.json")["arms"]
        for score in entry["scores"].values()
    )


def test_report_is_the_same_again_byte_for_byte(study, tmp_path):
    def written(root):
        paths = [root / "summary.json", root / "summary.csv", *sorted((root / "report").iterdir())]
        return {path.name: records.file_sha256(path) for path in paths}

    first = written(study)
    code = f"import pathlib; from gan_da_jax.stages import report; report.run(pathlib.Path({str(study)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert written(study) == first


def test_run_without_scores_is_shown(tmp_path, capsys):
    make_run(tmp_path, policy="hflip", count=20, evaluations=0)
    report.run(tmp_path)
    page = page_of(tmp_path)
    assert "not evaluated" in page.text and "not evaluated" in capsys.readouterr().out
    assert sum(tag == "img" for tag, _ in page.tags) == 1 + 1 + 2
    assert records.read_json(tmp_path / "summary.json") == {"format": 1, "arms": []}


def test_prepared_run_without_any_training_is_shown(tmp_path):
    make_run(tmp_path, evaluations=0, grids=0)
    (tmp_path / "metrics.jsonl").unlink()
    report.run(tmp_path)
    assert "Not trained yet" in page_of(tmp_path).text


def test_torn_last_lines_and_repeated_rows(tmp_path):
    make_run(tmp_path, epochs=2)
    last = records.read_jsonl(tmp_path / "scores.jsonl")[-1]
    again = last | {"inception_score": {"mean": 7.77, "std": 0.1, "splits": 10}}
    records.append_jsonl(tmp_path / "scores.jsonl", again)
    for name in ("scores.jsonl", "metrics.jsonl"):
        with open(tmp_path / name, "a") as file:
            file.write('{"step": 999, "epo')
    report.run(tmp_path)
    [entry] = records.read_json(tmp_path / "summary.json")["arms"]
    assert entry["scores"]["inception_score"]["values"] == [7.77] and entry["step"] == last["step"]


def test_seed_that_is_behind_waits(tmp_path):
    make_run(tmp_path / "a", seed=0, epochs=4)
    make_run(tmp_path / "b", seed=1, epochs=4, evaluations=1)
    report.run(tmp_path)
    [entry] = records.read_json(tmp_path / "summary.json")["arms"]
    assert entry["seeds"] == [0] and entry["runs"] == ["a"] and entry["step"] == 64
    assert "not yet: 1" in page_of(tmp_path).text


def test_copies_and_other_settings_are_no_seeds(tmp_path, capsys):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    make_run(tmp_path / "c", train={"batch_size": 32})
    report.run(tmp_path)
    entries = records.read_json(tmp_path / "summary.json")["arms"]
    assert [(entry["settings"], entry["runs"]) for entry in entries] == [({}, ["a"]), ({"train.batch_size": 32}, ["c"])]
    assert "b is left out" in capsys.readouterr().out
    assert "none (train.batch_size=32)" in page_of(tmp_path).text


def test_two_classifiers_give_two_entries(tmp_path):
    make_run(tmp_path)
    make_run(tmp_path / "other", classifier="inception_v3_2015", evaluations=1)
    with open(tmp_path / "scores.jsonl", "ab") as file:
        file.write((tmp_path / "other" / "scores.jsonl").read_bytes())
    report.run(tmp_path)
    entries = records.read_json(tmp_path / "summary.json")["arms"]
    assert [entry["classifier"] for entry in entries] == ["faces_attributes", "inception_v3_2015"]
    assert "network of the original Inception Score" in page_of(tmp_path).text


def test_later_scores_appear_only_where_measured(tmp_path):
    make_run(tmp_path / "a", policy="hflip", count=20, extra={"fid": 62.16, "kid": {"mean": 0.0531, "std": 0.0012}})
    make_run(tmp_path / "b")
    report.run(tmp_path)
    page = page_of(tmp_path)
    row = next(row for row in page.rows if row.startswith("hflip@20|") and "±" in row)
    assert "62.16" in row and "0.0531 ± 0.0012" in row
    assert "lower is better" in page.text and "Recall" not in page.text
    entries = {entry["arm"]: entry["scores"] for entry in records.read_json(tmp_path / "summary.json")["arms"]}
    assert entries["hflip@20"]["kid"] == {"mean": 0.0531, "ci95": None, "values": [0.0531]}
    assert "fid" not in entries["none"]


def test_names_of_users_stay_text(tmp_path, capsys):
    evil = "<script>alert('1')</script>\" onload=\"x $\\frac{"
    root = tmp_path / "a <b> & c"
    for policy, count in (("none", 0), ("contrast(factor=1.5)", 20)):
        make_run(root / f"'{policy}' <i>", source=evil, policy=policy, count=count)
    report.run(root)
    page = page_of(root)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "i"} and not any("onload" in attributes for _, attributes in page.tags)
    assert evil in page.text and "a <b> & c" in page.text and "'none' <i>" in page.text
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", path.name) for path in (root / "report").iterdir())
    assert capsys.readouterr().out.endswith("index.html\n")


def test_nested_runs_of_a_run_are_its_own(tmp_path):
    make_run(tmp_path / "arm" / "seed0")
    make_run(tmp_path / "arm" / "seed0" / "generator", seed=1)
    make_run(tmp_path / "arm" / "deep" / "too_deep", seed=2)
    report.run(tmp_path)
    [entry] = records.read_json(tmp_path / "summary.json")["arms"]
    assert entry["runs"] == ["arm/seed0"]


def test_large_grids_are_reduced_and_small_ones_stay_lossless(tmp_path):
    make_run(tmp_path / "large", size=128, grids=1, evaluations=0)
    make_run(tmp_path / "small", size=16, grids=1, evaluations=0, policy="hflip", count=20)
    report.run(tmp_path)
    grids = [
        attributes
        for tag, attributes in page_of(tmp_path).tags
        if tag == "img" and attributes["alt"].startswith("Grid")
    ]
    assert [attributes["src"][:15] for attributes in grids] == ["data:image/jpeg", "data:image/png;"]
    assert [attributes["width"] for attributes in grids] == [str(report.WIDEST), "128"]
    assert "class" not in grids[0] and grids[1]["class"] == "pixelated"


def test_dry_run_writes_nothing(tmp_path, capsys):
    make_run(tmp_path / "a")
    before = sorted(tmp_path.rglob("*"))
    report.run(tmp_path, dry_run=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert "1 runs of 1 arms" in capsys.readouterr().out


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
        report.run(root)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("config.json", "{", "config.json is not valid JSON"),
        ("config.json", json.dumps({"config": {}}), "lack 'seed'"),
        ("dataset/manifest.json", "[]", "the files of the run"),
        ("samples/step_00000016.png", "no picture", "no readable picture"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, match):
    make_run(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=match) as raised:
        report.run(tmp_path)
    assert "\n" not in str(raised.value)


def test_unwritable_place_is_named(tmp_path):
    make_run(tmp_path, grids=0)
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written to"):
        report.run(tmp_path)


def test_importing_the_stage_does_not_import_matplotlib():
    code = "import sys, gan_da_jax.stages.report; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
