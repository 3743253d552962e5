import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.metrics.over_seeds import Curve
from gan_da_jax.report.charts import figures

AXES = {"curves", "ranking", "losses"}


def curve(level):
    epochs = np.arange(1.0, 6.0)
    return Curve(epochs, level + epochs, level + epochs - 0.5, level + epochs + 0.5)


def draw(kind):
    if kind == "curves":
        return figures.curves(
            {"2.00 none": (0, curve(1)), "3.00 a$b_": (8, curve(2))}, label="FID", real=4.5, unit="epoch"
        )
    if kind == "ranking":
        places = [figures.Ranked("first", 1.0, [0.5, 1.5], [0.9, 1.1]), figures.Ranked("last", 2.0, None, [2.0])]
        return figures.ranking(places, label="KID", real=None, better="lower")
    course = (np.arange(4.0), np.array([1.0, 2.0, np.nan, 3.0]), np.full(4, 0.5))
    return figures.losses([course, course], limits=(0.4, 3.3))


def texts(figure):
    return [element.text for element in ET.fromstring(figures.svg(figure)).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("kind", sorted(AXES))
def test_figures_become_equal_bytes_every_time(kind):
    assert figures.svg(draw(kind)) == figures.svg(draw(kind))
    assert figures.png(draw(kind)) == figures.png(draw(kind))
    picture = Image.open(io.BytesIO(figures.png(draw(kind))))
    assert picture.format == "PNG" and picture.width > 600 and len(picture.convert("RGB").getcolors(1 << 24)) > 20


def test_curves_draw_the_numbers():
    [axes] = draw("curves").axes
    lines = {line.get_label(): line for line in axes.lines}
    assert set(lines) == {"2.00 none", "3.00 a$b_", "4.50\u2002real images"}
    np.testing.assert_array_equal(lines["3.00 a$b_"].get_ydata(), 2 + np.arange(1.0, 6.0))
    assert set(lines["4.50\u2002real images"].get_ydata()) == {4.5}
    assert {"FID", "epoch", "3.00 a$b_"} <= set(texts(draw("curves")))


def test_ranking_runs_from_the_top_down():
    [axes] = draw("ranking").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["last", "first"]  # y grows upwards
    assert any("lower is better" in text for text in texts(draw("ranking")))


def test_ranking_shows_all_scores_whatever_the_intervals():
    places = [figures.Ranked("a", 2.0, [-500.0, 504.0], [1.9, 2.1]), figures.Ranked("b", 3.0, None, [3.0])]
    [axes] = figures.ranking(places, label="IS", real=5.0, better="disputed").axes
    low, high = axes.get_xlim()
    assert -5 < low < 1.9 and 5 < high < 12


def test_an_interval_below_0_is_cut_where_no_score_is():
    places = [figures.Ranked("a", 2.0, [-9.0, 13.0], [1.0, 3.0]), figures.Ranked("b", 5.0, None, [5.0])]
    [axes] = figures.ranking(places, label="FID", real=None, better="lower").axes
    assert -0.5 < axes.get_xlim()[0] < 0
    places[1] = figures.Ranked("b", -1.0, None, [-1.0])
    [axes] = figures.ranking(places, label="KID", real=None, better="lower").axes
    assert axes.get_xlim()[0] < -4


def test_ranking_of_equal_scores_has_an_axis():
    [axes] = figures.ranking([figures.Ranked("a", 0.0, None, [0.0])], label="IS", real=None, better="higher").axes
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]


@pytest.mark.parametrize(("limits", "scale"), [((0.01, 5.0), "log"), ((0.5, 5.0), "linear"), ((0.0, 5.0), "linear")])
def test_losses_are_logarithmic_only_where_they_span_magnitudes(limits, scale):
    course = (np.arange(3.0), np.array([5.0, 4.0, 3.0]), np.array([0.6, 0.5, 0.5]))
    figure = figures.losses([course], limits=limits)
    [axes] = figure.axes
    numbers = [float(text) for text in texts(figure) if text not in ("epoch", "generator", "discriminator")]
    assert len(numbers) >= 4  # ticks, all of them plain numbers
    assert axes.get_yscale() == scale and axes.get_ylim() == limits


def test_strips_are_the_pictures_under_their_labels():
    rows = [(name, np.full((10, 40, 3), grey, np.uint8)) for name, grey in (("a$b_", 10), ("x" * 99, 200))]
    figure = figures.strips(rows)
    assert [text.get_text() for text in figure.texts] == ["a$b_", "x" * 69 + "…"]
    pixels = np.asarray(Image.open(io.BytesIO(figures.png(figure))).convert("L"))
    high = len(pixels)
    assert [pixels[round(high * part), 440] for part in (0.3, 0.9)] == [10, 200]
    boxes = [axes.get_position() for axes in figure.axes]
    assert boxes[0].y0 > boxes[1].y1 and all(0 <= box.y0 and box.y1 <= 1 for box in boxes)
    assert all(box.width * 880 / (box.height * high) == pytest.approx(4, rel=0.02) for box in boxes)


def test_looks_differ_for_all_arms_of_a_large_study():
    looks = [tuple(map(str, figures.look(index).values())) for index in range(24)]
    assert len(set(looks)) == 24


def test_long_names_do_not_push_the_picture_away():
    name = "contrast(factor=1.5)+generated@2000 (" + "very.long_field=value, " * 8 + ")"
    for figure in (
        figures.ranking([figures.Ranked(name, 1.0, None, [1.0])], label="IS", real=2.0, better="disputed"),
        figures.curves({name: (0, curve(1))}, label="IS", real=None, unit="kimg"),
    ):
        figures.svg(figure)  # lays the figure out
        assert figure.axes[0].get_position().width > 0.4
