import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.errors import UserError
from gan_da_jax.files import io, schemas

SHA = "0123456789abcdef" * 4
STUDY = {"arms": ["none", "hflip@8"], "seeds": [0, 1], "failed": [{"run": "faces/none/seed0", "reason": "no memory"}]}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (schemas.TEXT, ["", "\udcff"], [None, 1, ["a"]]),
        (schemas.COUNT, [0, 2**53 - 1], [-1, 1.0, True, 2**53, "1", None]),
        (schemas.NUMBER, [0, -2, 1e-300, 9e29], [float("nan"), float("inf"), 10**400, -1e31, True, "1", None]),
        (schemas.POSITIVE, [1, 1e-300], [0, -1, float("nan"), float("inf")]),
        (schemas.SIDE, [32, 256], [0, 33, 64.0, "64", None]),
        (schemas.SHA256, [SHA], [SHA[1:], SHA + "0", SHA[:-1] + "-", 0, None]),
    ],
    ids=lambda value: value.name if isinstance(value, schemas.Kind) else "",
)
def test_what_a_kind_holds(kind, good, bad):
    for value in good:
        schemas.require(value, kind, "it")
    for value in bad:
        with pytest.raises(UserError, match=f"^it is .* a run writes {kind.name} there"):
            schemas.require(value, kind, "it")


@pytest.mark.parametrize(
    ("form", "value", "says"),
    [
        ({"a": schemas.COUNT}, {"a": 1, "more": "is left alone"}, None),
        ({"a": schemas.COUNT}, {}, "it lacks 'a'"),
        ({"a": schemas.COUNT}, [], "it is [], but a run writes an object"),
        ({"a": {"b": [schemas.COUNT]}}, {"a": {"b": [1, 2, "x"]}}, "it: a: b[2] is 'x'"),
        ({"a?": schemas.COUNT}, {}, None),
        ({"a?": schemas.COUNT}, {"a": None}, "it: a is None"),
        ({...: schemas.COUNT}, {}, None),
        ({...: schemas.COUNT}, {"x": 1, "y": -1}, "it: y is -1"),
        ([schemas.COUNT], [], None),
        ([schemas.COUNT], {}, "it is {}, but a run writes a list"),
        ((schemas.TEXT, schemas.COUNT), ["hat", 3], None),
        ((schemas.TEXT, schemas.COUNT), ["hat"], "it is ['hat'], but a run writes a list of 2"),
        ((schemas.TEXT, schemas.COUNT), ["hat", "3"], "it[1] is '3'"),
        (schemas.Maybe({"a": schemas.COUNT}), None, None),
        (schemas.Maybe({"a": schemas.COUNT}), {}, "it lacks 'a'"),
        (schemas.TEXT, list(range(10**6)), "it is [0, 1, 2, 3, 4, 5, ...]"),  # however long the value is
    ],
)
def test_the_first_part_that_is_wrong_is_named(form, value, says):
    if says is None:
        schemas.require(value, form, "it")
    else:
        with pytest.raises(UserError) as caught:
            schemas.require(value, form, "it")
        assert str(caught.value).startswith(says)


@pytest.fixture(scope="module")
def written(tmp_path_factory, make_run):
    """What stands in the files of a run: pairs of a form and a value by the name of the file."""
    told = {"distance": 5.0, "wanted": ("hat",), "leakage": {"hflip": 0.2, "vflip": None}, "memorised": 0.1}
    folder = make_run(tmp_path_factory.mktemp("run"), policy="hflip", count=4, epochs=2, grids=0, **told)
    return {
        "config.json": (schemas.CONFIG, io.read_json(folder / "config.json")),
        "manifest.json": (schemas.MANIFEST, io.read_json(folder / "dataset/manifest.json")),
        "metrics.jsonl": (schemas.METRICS, io.read_jsonl(folder / "metrics.jsonl")[-1]),
        "scores.jsonl": (schemas.SCORES, io.read_jsonl(folder / "scores.jsonl")[-1]),
        "study.json": (schemas.STUDY, STUDY),
    }


def test_what_a_run_writes_is_accepted(written):
    for name, (form, value) in written.items():
        schemas.require(value, form, name)


def leaves(value, place=()):
    """The places of all parts of a value that have no parts."""
    if not isinstance(value, dict | list) or not value:
        return [place]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [leaf for key, inner in items for leaf in leaves(inner, (*place, key))]


def told(name, place):
    """A place as messages have it."""
    return name + "".join(f"[{key}]" if isinstance(key, int) else f": {key}" for key in place)


def at(value, place):
    for key in place:
        value = value[key]
    return value


UNREAD = {  # by a report; an audit compares them with what it makes again
    "metrics.jsonl": {"fake_logit", "real_logit", "seconds", "sha256"},
    "scores.jsonl": {"splits", "subsets", "subset_size", "samples_sha256", "sha256"},
    "study.json": set(),
}


@pytest.mark.parametrize("name", UNREAD)
def test_every_part_of_a_line_that_a_report_reads_is_looked_at(written, name):
    (form, value), accepted = written[name], set()
    for place in leaves(value):
        spoilt = copy.deepcopy(value)
        at(spoilt, place[:-1])[place[-1]] = {"no": ["such", "thing"]}
        try:
            schemas.require(spoilt, form, name)
            accepted.add(place[-1])
        except UserError as error:
            assert str(error).startswith(told(name, place))
    assert accepted == UNREAD[name]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400)
JSON = st.recursive(LEAVES, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=5), of, max_size=3))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_an_edit_is_harmless_or_named_with_its_place(written, data):
    name = data.draw(st.sampled_from(sorted(written)))
    form, value = written[name]
    value, place = copy.deepcopy(value), ()
    while isinstance(inner := at(value, place), dict | list) and inner and (not place or data.draw(st.booleans())):
        place += (data.draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner)))),)
    *parent, key = place
    within, edit = at(value, parent), data.draw(st.sampled_from(["replace", "remove", "repeat", "rename"]))
    if edit == "replace":
        within[key] = data.draw(JSON)
    elif isinstance(within, list):
        within[key : key + 1] = [] if edit == "remove" else 2 * [within[key]]
    else:
        removed = within.pop(key)
        within |= {} if edit == "remove" else {data.draw(st.text(max_size=5)): removed}
    try:
        schemas.require(json.loads(json.dumps(value)), form, name)
    except UserError as error:
        assert str(error).startswith(told(name, place if edit == "replace" else parent))


def test_rows_name_the_object_in_the_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    io.write_jsonl(path, [{"step": 4, "epoch": 1.0, "kimg": 0.1}, {"step": 8, "epoch": 2.0}])
    with pytest.raises(UserError) as caught:
        schemas.rows(path, schemas.METRICS)
    assert str(caught.value).startswith(f"{path}, object 2 lacks 'kimg'")
    assert schemas.rows(tmp_path / "none.jsonl", schemas.METRICS) == []
