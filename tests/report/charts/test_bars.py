import numpy as np
import pytest

from gan_da_jax.report.charts import bars, figures

PLACES = [figures.Ranked("none", 3.0, [2.5, 3.5], [2.9, 3.1]), figures.Ranked("a+b", 2.0, None, [2.0])]


def draw(**changes):
    groups = [[(bars.PLAIN, PLACES[0])], [("20 added", PLACES[1]), ("40 added", PLACES[0])]]
    arguments = {"names": [bars.PLAIN, "20 added", "40 added"], "label": "FID", "real": 9.0, "better": "lower"}
    return bars.bars(groups, **arguments | changes)


def test_bars_are_as_long_as_their_scores_and_reach_from_0():
    [axes] = draw().axes
    drawn = [bar for bar in axes.patches if bar.get_y() > -5]
    assert [(bar.get_x(), bar.get_width()) for bar in drawn] == [(0, 3.0), (0, 2.0), (0, 3.0)]
    assert axes.get_xlim()[0] == 0 and axes.get_xlim()[1] > 9
    assert [text.get_text() for text in axes.get_yticklabels()] == ["none", "a+b"]
    tops = [bar.get_y() for bar in drawn]
    assert tops == sorted(tops) and axes.get_ylim()[0] > max(tops) + 0.8  # y grows downwards, and nothing is cut off
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in drawn}) == 3
    [legend] = draw().legends
    names = [text.get_text() for text in legend.get_texts()]
    assert sorted(names) == sorted([bars.PLAIN, "20 added", "40 added", "real images 9.00"])


def test_bars_below_0_are_shown():
    low = figures.Ranked("a", -0.5, None, [-0.5])
    [axes] = bars.bars([[("x", low)]], names=["x"], label="KID", real=None, better="lower").axes
    assert axes.get_xlim()[0] < -0.5


@pytest.mark.parametrize("real", [None, np.array([0.2, 0.8])])
def test_classes_are_bars_and_single_samples_marks(real):
    single = np.array([[1.0, 0.0], [0.4, 0.6]])
    figure = bars.classes(names=["cat", "others"], real=real, samples=np.array([0.7, 0.3]), single=single)
    [axes] = figure.axes
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == ([] if real is None else [0.2, 0.8]) + [0.7, 0.3]
    marks = [mark.get_offsets()[:, 0].tolist() for mark in axes.collections if len(mark.get_offsets())]
    assert marks == single.tolist()
