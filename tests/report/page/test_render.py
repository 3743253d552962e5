import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from gan_da_jax.classifiers.registry import CLASSIFIERS
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.metrics.columns import written
from gan_da_jax.report import pictures, study_file
from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.charts import choose
from gan_da_jax.report.page import render

VOID = {"meta", "img", "br", "wbr"}


class Page(HTMLParser):
    """Checks the nesting of tags while it gathers their attributes, the text and the table rows."""

    def __init__(self, html):
        super().__init__()
        self.html, self.open, self.tags, self.text, self.rows = html, [], [], "", []
        self.feed(html)
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

    @property
    def images(self):
        return [attributes for tag, attributes in self.tags if tag == "img"]


@pytest.fixture(scope="module")
def page_of(read_all):
    def page_of(root):
        arms, left_out = group(read_all(root))
        boards = compare(arms)
        drawn = choose.draw(arms, boards)
        return Page(render.render(root.name, arms, boards, left_out, study_file.read(root, arms), drawn))

    return page_of


@pytest.fixture(scope="module")
def study_page(study, page_of):
    return page_of(study)


def test_page_is_one_sound_file_that_loads_nothing(study, study_page):
    loaded = [
        attributes[name]
        for _, attributes in study_page.tags
        for name in ("src", "href", "srcset")
        if name in attributes
    ]
    links = [address for address in loaded if not address.startswith(("data:image/", "#"))]
    assert {(study / "report" / unquote(link)).resolve() for link in links} == {
        path.parent for path in study.resolve().rglob("config.json")
    }
    assert not re.search(r"https?://|url\(|@import|<script|<link", study_page.html)
    targets = {attributes.get("id") for _, attributes in study_page.tags}
    assert all(address[1:] in targets for address in loaded if address.startswith("#"))
    assert all(attributes["alt"].strip() for attributes in study_page.images)
    # 1 ranking, 1 of bars, 2 curves, 4 panels of losses, 1 of previews, 1 of all samples, 2 sample grids of each of 4
    # arms, 3 sheets by certainty
    assert len(study_page.images) == 1 + 1 + 2 + 4 + 1 + 1 + 8 + 3


def test_page_gives_both_readings_and_the_real_images_beside(study, study_page, read_all):
    [board] = compare(group(read_all(study))[0])
    ranked = board.ranked(board.scores[0])
    (highest, high), (lowest, low) = (
        (standing.arm.as_training.replace("`", ""), written(standing.scores["inception_score"]["mean"]))
        for standing in (ranked[0], ranked[-1])
    )
    text = " ".join(study_page.text.split())
    assert (
        f"The highest Inception Score, {high}, is from {highest}; the lowest, {low}, is from {lowest}; the real "
        in text
    )
    assert re.search(
        rf"field reads higher as better:[^.]*; of the arms that may be used, {re.escape(highest)} is then best", text
    )
    assert re.search(
        rf"follows reads lower as better:[^.]*; of the arms that may be used, {re.escape(lowest)} is then best", text
    )
    assert "not comparable with any published Inception Score" in text
    assert "Not evaluated yet: vflip@20." in text
    assert any("contrast 10 + hflip 10" in row for row in study_page.rows)


def test_run_without_scores_is_shown(tmp_path, make_run, page_of):
    found = page_of(make_run(tmp_path, policy="hflip", count=20, evaluations=0))
    assert "not evaluated" in found.text
    assert len(found.images) == 1 + 1 + 2  # losses, preview, two sample grids


def test_prepared_run_without_any_training_is_shown(tmp_path, make_run, page_of):
    make_run(tmp_path, evaluations=0, grids=0)
    (tmp_path / "metrics.jsonl").unlink()
    found = page_of(tmp_path)
    assert "Not trained yet" in found.text and "No samples yet" in found.text


def test_seeds_that_wait_and_copies_are_told(tmp_path, make_run, page_of):
    make_run(tmp_path / "a", seed=0)
    make_run(tmp_path / "b", seed=1, evaluations=1)
    make_run(tmp_path / "copy", seed=0)
    make_run(tmp_path / "d", seed=0, train={"batch_size": 32})
    text = page_of(tmp_path).text
    assert "not yet: 1" in text and "copy is left out" in text and "none (train.batch_size=32)" in text


def test_each_classifier_has_its_note(tmp_path, make_run, page_of):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", classifier="inception_v3_2015", policy="hflip", count=20)
    make_run(tmp_path / "c", classifier="inception_v3", policy="vflip", count=20)
    text = page_of(tmp_path).text
    assert "not the Inception network" in text and "network of the original Inception Score" in text
    assert "Inception-v3 of Keras" in text


def test_later_scores_appear_only_where_measured(tmp_path, make_run, page_of):
    make_run(tmp_path / "a", policy="hflip", count=20, extra={"fid": 62.16, "kid": {"mean": 0.0531, "std": 0.0012}})
    make_run(tmp_path / "b")
    found = page_of(tmp_path)
    row = next(row for row in found.rows if row.startswith("hflip@20|") and "±" in row)
    assert "|62.16|" in row and "0.0531 ± 0.0012" in row
    assert "lower is better" in found.text and not any("Recall" in row for row in found.rows)


def test_names_of_users_stay_text(tmp_path, make_run, page_of):
    evil = "<script>alert('1')</script>\" onload=\"x $\\frac{"
    root = tmp_path / "a <b> & c"
    for policy, count in (("none", 0), ("contrast(factor=1.5)", 20)):
        make_run(root / f"'{policy}' <i>", source=evil, policy=policy, count=count)
    found = page_of(root)
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "i"} and not any("onload" in attributes for _, attributes in found.tags)
    assert evil in found.text and "a <b> & c" in found.text and "'none' <i>" in found.text


def test_reduced_grids_are_smooth_and_small_ones_pixelated(tmp_path, make_run, page_of):
    make_run(tmp_path / "large", size=128, grids=1, evaluations=0)
    make_run(tmp_path / "small", size=16, grids=1, evaluations=0, policy="hflip", count=20)
    large, small = (attributes for attributes in page_of(tmp_path).images if attributes["alt"].startswith("Grid"))
    assert (large["width"], small["width"]) == (str(pictures.WIDEST), "128")
    assert "class" not in large and small["class"] == "pixelated"


def test_broken_grid_is_named(tmp_path, make_run, page_of):
    make_run(tmp_path)
    (tmp_path / "samples" / "step_00000016.png").write_text("no picture")
    with pytest.raises(UserError, match="step_00000016.png is not a readable picture"):
        page_of(tmp_path)


def test_sets_of_samples_are_told_and_averaged(tmp_path, make_run, page_of):
    run = make_run(tmp_path, repeats=2, distance=20.0)
    first, second = (row["fid"] for row in io.read_jsonl(run / "scores.jsonl")[-2:])
    found = page_of(tmp_path)
    text = " ".join(found.text.split())
    assert "scored on 2 sets of 1,000 generated images each" in text and "mean of 2 sets of samples" in text
    assert f"|{written((first + second) / 2)}|" in next(row for row in found.rows if "resampled" in row)
    assert f"{written(abs(first - second) / 2**0.5)} (FID)" in text


def test_board_without_inception_scores_claims_nothing_about_them(tmp_path, make_run, page_of):
    make_run(tmp_path / "a", level=None, distance=20.0)
    make_run(tmp_path / "b", level=None, distance=90.0, policy="hflip", count=20)
    found = page_of(tmp_path)
    text = " ".join(found.text.split())
    assert re.search("The best FID, [0-9.]+, is from training on the originals alone .none.; the worst, ", text)
    assert "KID puts the same arm first" in text and "There is no Inception Score: why." in text
    assert (
        "Not computed: Inception Score; Inception Score, 1 split; classes of single images, because the weights end"
        in text
    )
    for claim in (
        "two readings",
        "Two readings",
        "real images score",
        "as the field reads",
        "Dashed",
        "looks at no real",
    ):
        assert claim not in text
    assert not any(row.startswith("real images") for row in found.rows)
    assert "What the classifier sees in single samples" not in text
    assert {attributes.get("id") for _, attributes in found.tags} >= {"missing-1"}


@pytest.mark.parametrize(
    ("distances", "said"),
    [
        (
            (50.0, 90.0, 20.0),
            "By it, vflip@20, which the field's reading also prefers, comes first of the arms that may be used, with",
        ),
        (
            (20.0, 90.0, 50.0),
            "alone .none., which the paper's reading also prefers, comes first of the arms that may be used, with",
        ),
        (
            (90.0, 20.0, 50.0),
            "By it, hflip@20, which neither reading prefers, comes first of the arms that may be used, with",
        ),
    ],
)
def test_fid_is_held_against_both_readings(tmp_path, make_run, page_of, distances, said):
    for (policy, level), distance in zip((("none", 2.0), ("hflip", 5.0), ("vflip", 9.0)), distances, strict=True):
        make_run(tmp_path / policy, policy=policy, count=20, level=level, distance=distance, grids=0)
    text = " ".join(page_of(tmp_path).text.split())
    assert re.search(said, text) and "KID puts the same arm first" in text


def test_arm_without_the_leading_score_keeps_its_row_and_its_reason(tmp_path, make_run, page_of):
    make_run(tmp_path / "a", distance=20.0)
    make_run(tmp_path / "b", level=None, distance=30.0, policy="hflip", count=20)
    found = page_of(tmp_path)
    assert any("".join(row.split()).startswith("hflip@20|0|4|4.096||–||–|") for row in found.rows)
    assert "Not computed for hflip@20: Inception Score;" in found.text


def test_the_arm_none_is_never_a_bare_word(tmp_path, make_run, page_of):
    make_run(tmp_path / "a", level=None, distance=20.0)
    make_run(tmp_path / "b", distance=30.0, policy="hflip", count=20)
    found = page_of(tmp_path)
    assert "Not computed for the arm none: Inception Score;" in found.text
    assert "Not computed for the arm <code>none</code>: Inception" in found.html
    spoken = [text for _, attributes in found.tags for text in map(attributes.get, ("alt", "aria-label")) if text]
    assert not [text for text in spoken if re.search(r"(?<!`)\bnone\b", text)]


def test_the_best_checkpoints_are_chosen_by_what_the_network_calls_its_distance(
    tmp_path, make_run, page_of, monkeypatch
):
    entry = CLASSIFIERS["faces_attributes"]._replace(distance="FD-faces")
    monkeypatch.setitem(CLASSIFIERS, "faces_attributes", entry)
    make_run(tmp_path / "a", distance=20.0)
    found = page_of(tmp_path)
    assert any("FD-faces" in row for row in found.rows if row.startswith("none")) and "FID" not in "".join(found.rows)


def test_classes_are_shown_with_shares_counts_and_a_sheet(tmp_path, make_run, page_of):
    run = make_run(tmp_path / "a", repeats=2, wanted=("pomeranian", "hat <b>"))
    make_run(tmp_path / "b", policy="hflip", count=20)
    share = [row["classes"]["top1_share"] for row in io.read_jsonl(run / "scores.jsonl")[-2:]]
    found = page_of(tmp_path)
    assert "Wanted: pomeranian; hat <b>." in found.text
    rows = [row for row in found.rows if "class 4 |200|" in row]
    assert rows[0].startswith(f"none|{sum(share) / 2:.1%}|") and rows[1].startswith("hflip@20|class 0 |400|")
    assert not any("class 5" in row for row in rows)
    assert len([image for image in found.images if "most and least certain" in image["alt"]]) == 2


@pytest.mark.parametrize(("interval", "said"), [([1.0, 9.0], False), ([1.0, 1.1], True)])
def test_interval_that_leaves_out_the_score_is_explained(tmp_path, make_run, page_of, interval, said):
    make_run(tmp_path, extra={"inception_score_1_interval": interval})
    found = page_of(tmp_path)
    assert any(f"resampled|{written(interval[0])} to {written(interval[1])}" in row for row in found.rows)
    assert ("may leave out the score beside it" in found.text) == said


def test_fewer_samples_than_splits_leave_the_score_over_one(tmp_path, make_run, page_of):
    make_run(tmp_path, extra={"inception_score": None, "real_inception_score": None, "splits": 5000})
    text = page_of(tmp_path).text
    assert "Its Inception Score, 1 split is" in " ".join(text.split()) and "5,000" not in text


def test_comparisons_shares_and_best_have_their_tables(tmp_path, make_run, page_of):
    for policy, distance in (("none", 60.0), ("hflip", 20.0)):
        shares = {"leakage": {"hflip": None, "vflip": 0.2}, "memorised": 0.1}
        for seed in range(6):
            run = {"policy": policy, "count": 20, "seed": seed, "distance": distance, "grids": 0} | shares
            make_run(tmp_path / policy / str(seed), **run, probabilities=9)
    found = page_of(tmp_path)
    text = " ".join(found.text.split())
    assert "meter 52.0% right" in text and "Not read, hflip: originals look the same" in text
    [row] = [row for row in found.rows if row.startswith("hflip@20|6|")]
    assert row.count("by ranks 0.031") == 6  # the least of 6 seeds and one arm, in each score but the two of classes
    assert row.count("p = ") == 8 and "%|" in row
    assert any(row.startswith("none|blind|") for row in found.rows)
    assert any(row.startswith("hflip@20|") and row.endswith("|7.0%|") for row in found.rows)  # expected, by features
    assert "At the best checkpoint of each seed" in text and "optimistic" in text
    alts = [image["alt"] for image in found.images]
    for start in (
        "Share of samples of every arm of celeba_1000 that look like vflip",
        "Classes that faces_attributes sees",
    ):
        assert any(alt.startswith(start) for alt in alts)
    targets = {attributes.get("id") for _, attributes in found.tags}
    assert {"leakage", "memorisation", "sights", "bars"} <= targets


def test_the_seeds_that_are_needed_are_told_where_nothing_is_claimed(tmp_path, make_run, page_of):
    for policy, scores in (("none", (1.9, 2.3, 2.1)), ("hflip", (2.1, 2.3, 2.4))):
        for seed, score in enumerate(scores):
            run = {"policy": policy, "count": 20, "seed": seed, "grids": 0}
            make_run(tmp_path / policy / str(seed), **run, extra={"inception_score_1": score})
    [row] = [row for row in page_of(tmp_path).rows if row.startswith("hflip@20|3|")]
    assert re.search(r"\|\+8\.\d%\|\[−[\d.]+%, \+\d+%\]\|p = 0\.\d+\|by ranks 0\.\d+\|[5-9] seeds needed\|", row)


def test_originals_too_few_for_the_meters_are_told(tmp_path, make_run, page_of):
    untrained = dict.fromkeys(("share", "low", "high", "accuracy"))
    reasons = {"leakage.vflip": "3 originals are too few", "memorisation": "2 images are too few"}
    make_run(tmp_path, extra={"leakage": {"vflip": untrained}, "memorisation": None, "reasons": reasons})
    found = page_of(tmp_path)
    assert any(row.startswith("none|blind") for row in found.rows)
    assert "Not read, vflip: 3 originals are too few" in " ".join(found.text.split())


def test_quick_report_has_no_empty_sections(tmp_path, make_run, page_of):
    found = page_of(make_run(tmp_path))
    targets = {attributes.get("id") for _, attributes in found.tags}
    assert not targets & {"bars", "leakage", "memorisation", "previews"}
    assert "Compared with the arm" not in found.text and "best checkpoint of each" not in found.text
    assert "every arm at its last" not in found.text.lower()
    links = {attributes["href"] for tag, attributes in found.tags if tag == "a"}
    assert {link for link in links if not link.startswith("#")} == {"../"}


def test_the_network_has_the_name_of_the_config(tmp_path, make_run, page_of):
    run = make_run(tmp_path)
    assert "DCGAN trained on celeba_1000" in page_of(tmp_path).text
    entry = io.read_json(run / "config.json")
    entry["config"]["model"]["name"] = "another"
    io.write_json(run / "config.json", entry)
    text = page_of(tmp_path).text
    assert "another trained on celeba_1000" in text and "the another was trained" in text and "DCGAN" not in text


def test_failed_and_missing_runs_of_a_study_are_told(tmp_path, make_run, page_of):
    make_run(tmp_path / "celeba" / "none" / "seed0")
    plan = {
        "format": 1,
        "arms": ["celeba/none"],
        "seeds": [0, 1, 2],
        "failed": [{"run": "celeba/none/seed1", "reason": "x <y>"}],
    }
    io.write_json(tmp_path / "study.json", plan)
    text = " ".join(page_of(tmp_path).text.split())
    assert "1 run of the study failed: celeba/none/seed1: x <y>" in text
    assert "Planned, but not there yet: celeba/none/seed2." in text
