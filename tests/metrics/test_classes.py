import ast
import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gan_da_jax.classifiers.weights import class_names
from gan_da_jax.errors import UserError
from gan_da_jax.metrics import classes

# Few different values, so that ties are common.
MATRICES = arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(1, 6)),
    elements=st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]),
)


@settings(deadline=None)
@given(MATRICES, st.data())
def test_shares_and_counts_by_plain_loops(p, data):
    chosen = data.draw(st.lists(st.integers(0, p.shape[1] - 1), unique=True))
    best = [max(range(p.shape[1]), key=lambda k: row[k]) for row in p]  # the first of equal ones
    assert classes.predictions(p).tolist() == best
    assert classes.top1_share(p, chosen) == pytest.approx(sum(b in chosen for b in best) / len(p))
    mean = sum(float(row[k]) for row in p for k in chosen) / len(p)
    assert classes.mean_probability(p, chosen) == pytest.approx(mean)
    counts = sorted(Counter(best).items(), key=lambda item: (-item[1], item[0]))
    assert classes.most_frequent(p, 3) == counts[:3]
    assert classes.most_frequent(p, 10) == counts


@settings(deadline=None)
@given(MATRICES, st.integers(0, 25))
def test_certainty_orders_the_images(p, count):
    best = [max(row) for row in p.tolist()]
    order = range(len(p))
    most, least = classes.by_certainty(p, count)
    assert most.tolist() == sorted(order, key=lambda i: (-best[i], i))[:count]
    assert least.tolist() == sorted(order, key=lambda i: (best[i], i))[:count]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (["pomeranian"], (259,)),
        (["Pomeranian", 259, "259"], (259,)),
        (["toy poodle", "Toy-Poodle", 207, "tench"], (0, 207, 265)),
        (["crane"], (134, 517)),
        (["maillot"], (638, 639)),
        (["cardigan"], (264, 474)),
        (["jack-o'-lantern"], (607,)),
        ([" 999 "], (999,)),
    ],
)
def test_classes_by_name_and_number(wanted, numbers):
    assert classes.select(wanted, class_names.CLASSES) == numbers


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (["pomeranien"], "no class 'pomeranien': did you mean pomeranian"),
        (["Goldenretriever"], "golden_retriever"),
        (["xqzw"], r"no class 'xqzw': give a name, or a number in 0\.\.999"),
        ([1000], "no class '1000'"),
        ([-1], "no class '-1'"),
        (["259.0"], "no class '259.0'"),
        ([""], "no class ''"),
        (["pomeranian", "x y z"], "no class 'x y z'"),
        ([], "no class is named"),
    ],
)
def test_what_is_no_class_is_refused(wanted, reason):
    with pytest.raises(UserError, match=reason) as error:
        classes.select(wanted, class_names.CLASSES)
    assert "\n" not in str(error.value)


def test_names_that_are_numbers_are_the_numbers():
    names = tuple(map(str, range(1008)))
    assert classes.select(["1007", 5], names) == (5, 1007)
    with pytest.raises(UserError, match="'-5'"):
        classes.select([-5], names)


@pytest.mark.parametrize("p", [np.zeros((0, 10)), np.zeros((3, 0)), np.zeros(10), np.array([[0.5, np.nan]])])
def test_no_probabilities_are_refused(p):
    for measure in (
        lambda: classes.predictions(p),
        lambda: classes.top1_share(p, [0]),
        lambda: classes.mean_probability(p, [0]),
        lambda: classes.most_frequent(p, 1),
        lambda: classes.by_certainty(p, 1),
    ):
        with pytest.raises(UserError):
            measure()


def test_the_names_of_imagenet():
    assert len(class_names.CLASSES) == 1000
    assert all(name == name.lower().strip() and name and " " not in name for name in class_names.CLASSES)
    # Known from the networks' own documentation, at the ends, in the middle and beside the doubled names.
    known = {0: "tench", 1: "goldfish", 151: "chihuahua", 207: "golden_retriever", 281: "tabby", 282: "tiger_cat"}
    known |= {207: "golden_retriever", 259: "pomeranian", 340: "zebra", 404: "airliner", 504: "coffee_mug"}
    known |= {779: "school_bus", 817: "sports_car", 954: "banana", 963: "pizza", 980: "volcano", 999: "toilet_tissue"}
    assert {number: class_names.CLASSES[number] for number in known} == known


def test_the_names_of_imagenet_are_torchvisions():
    torchvision = importlib.util.find_spec("torchvision")
    if torchvision is None:
        pytest.skip("torchvision is not installed")
    # Read, not imported: torchvision refuses to be imported beside another torch than its own.
    module = ast.parse(Path(torchvision.origin).with_name("models").joinpath("_meta.py").read_text())
    theirs = next(ast.literal_eval(node.value) for node in module.body if isinstance(node, ast.Assign))
    ours = [name.replace("_", " ") for name in class_names.CLASSES]
    differing = {i for i, name in enumerate(theirs) if name.lower() != ours[i]}
    assert differing == {134, 639}  # the second crane and maillot, which torchvision tells apart by a longer name
