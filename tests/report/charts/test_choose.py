import io
import re

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.charts import choose


@pytest.fixture
def draw(read_all):
    def draw(root):
        arms, _ = group(read_all(root))
        return choose.draw(arms, compare(arms))

    return draw


def test_every_board_score_and_trained_arm_has_its_chart(study, draw):
    drawn = draw(study)
    curves = [("curve", 0, "inception_score"), ("curve", 0, "inception_score_1")]
    scores = [*curves, ("ranking", 0, "inception_score"), ("bars", 0, "inception_score")]
    assert list(drawn) == [*scores, *(("losses", number) for number in range(4)), ("preview", 0), ("samples", 0)]
    name = "losses-3-celeba_1000-contrast-hflip-20"
    assert drawn["losses", 3].files == {f"{name}.png": drawn["losses", 3].png, f"{name}.svg": drawn["losses", 3].svg}
    for chart in drawn.values():
        assert all(choose.FILE_NAME.fullmatch(name) for name in chart.files)
        assert Image.open(io.BytesIO(chart.png)).format == "PNG" and b"<svg" in chart.svg


def test_legend_runs_from_the_highest_score_to_the_lowest(tmp_path, make_run, draw):
    for policy, level in (("hflip", 3.0), ("invert", 9.0), ("vflip", 6.0)):
        make_run(tmp_path / policy, policy=policy, count=20, level=level, grids=0)
    legend = re.findall("([0-9.]+)\u2002([^<]+)<", draw(tmp_path)["curve", 0, "inception_score"].svg.decode())
    assert [name for _, name in legend if name != "real images"] == ["invert@20", "vflip@20", "hflip@20"]
    assert sorted((float(mean) for mean, name in legend[:3]), reverse=True) == [float(mean) for mean, _ in legend[:3]]


def test_names_of_users_become_plain_file_names(tmp_path, make_run, draw):
    for number, name in enumerate(("../../x$\\frac{", "名前", "a" * 300, "con/..")):
        make_run(tmp_path / str(number), source=name, policy="contrast(factor=1.5)", count=20)
    names = [name for chart in draw(tmp_path).values() for name in chart.files]
    # of each source 2 curves, 1 ranking, losses, preview and samples, as PNG and SVG
    assert len(set(names)) == len(names) == 4 * 6 * 2
    assert all(choose.FILE_NAME.fullmatch(name) and len(name) <= 104 for name in names)


@pytest.mark.parametrize("name", ["cover.png", "losses.png", "curve-a.png", "ranking-0.gif", "losses-1-a b.png", ".x"])
def test_other_files_are_no_charts(name):
    assert not choose.FILE_NAME.fullmatch(name)


def test_untrained_arm_has_no_losses(tmp_path, make_run, draw):
    make_run(tmp_path, evaluations=0, grids=0)
    (tmp_path / "metrics.jsonl").unlink()
    assert draw(tmp_path) == {}


@pytest.mark.parametrize(
    ("losses", "limits"),
    [([[1.0, 3.0]], (0.9, 3.3)), ([[0.5, np.nan], [2.0]], (0.45, 2.2)), ([[0.0, 2.0]], (0, 2.2)), ([], (0, 1.1))],
)
def test_all_panels_of_losses_share_one_axis(losses, limits):
    courses = [[(np.arange(len(loss)), np.array(loss), np.array(loss))] for loss in losses]
    assert choose._limits(courses) == pytest.approx(limits)


def labels(chart):
    return re.findall("<text[^>]*>([^<]+)<", chart.svg.decode())


def test_bars_hold_single_augmentations_and_what_adds_none(tmp_path, make_run, draw):
    for policy, count in (("vflip", 20), ("contrast(factor=1.5)", 20), ("duplicate", 20), ("contrast+hflip", 20)):
        make_run(tmp_path / f"{policy}{count}", policy=policy, count=count, distance=30.0, grids=0)
    make_run(tmp_path / "none", distance=40.0, grids=0)
    drawn = draw(tmp_path)
    known = {"none", "duplicate@20", "contrast(factor=1.5)@20", "vflip@20", "contrast+hflip@20"}
    rows = [text for text in labels(drawn["bars", 0, "fid"]) if text in known]
    assert rows == ["none", "duplicate@20", "contrast(factor=1.5)@20", "vflip@20"]
    assert ("counts", 0, "fid") not in drawn and ("bars", 0, "kid") not in drawn


def test_counts_hold_what_there_are_several_amounts_of(tmp_path, make_run, draw):
    for policy, count in (("none", 0), ("hflip", 20), ("contrast+hflip", 20), ("contrast+hflip", 1040)):
        make_run(tmp_path / f"{policy}{count}", policy=policy, count=count, grids=0)
    found = labels(draw(tmp_path)["counts", 0, "inception_score"])
    assert {"contrast+hflip", "20 added", "1,040 added"} <= set(found) and "hflip" not in found


def test_chart_of_shares_leaves_blind_meters_out(tmp_path, make_run, draw):
    make_run(tmp_path / "a", leakage={"vflip": 0.2, "hflip": None}, memorised=0.1, grids=0)
    make_run(tmp_path / "b", policy="hflip", count=20, leakage={"vflip": None, "hflip": None}, grids=0)
    drawn = draw(tmp_path)
    assert [key[2] for key in drawn if key[0] == "leakage"] == ["vflip"]
    assert [key[2] for key in drawn if key[0] == "memorisation"] == ["pixels", "features"]
    assert "none" in labels(drawn["leakage", 0, "vflip"]) and "hflip@20" not in labels(drawn["leakage", 0, "vflip"])
    assert "expected 5.00" in labels(drawn["memorisation", 0, "pixels"])
