import pytest

from gan_da_jax.audit.finding import difference
from gan_da_jax.errors import UserError
from gan_da_jax.files import schemas
from gan_da_jax.metrics import columns, over_seeds
from gan_da_jax.metrics.measure import Measure, Score


def test_no_field_stands_twice_and_every_one_is_joined():
    keys = columns.keys()
    assert len({*keys, *(detail for one in columns.MEASURES for detail in one.details)}) == len(keys) + sum(
        len(one.details) for one in columns.MEASURES
    )
    assert set(over_seeds.join([dict.fromkeys(keys, 1.0)])) == set(keys)


def test_what_the_catalogue_says_of_each_score():
    assert {score.better for score in columns.catalogue()} == {"higher", "lower", "near 0", "disputed"}
    assert all("arXiv:" in score.source for score in columns.catalogue())
    distances = ("fid", "kid", "mind")
    assert columns.choosing() == (*(f"reference_{key}" for key in distances), *distances)
    assert {score.better for score in columns.catalogue() if score.chooses} == {"lower"}


def test_files_reports_and_the_audit_ask_the_table(monkeypatch):
    scores = (Score("gap", "Gap", "lower", "nobody", real="real_gap", spread=True, chooses=True),)
    scores += (Score("odd", "Odd", "higher", "nobody", share=True),)
    own = Measure(scores, lambda inputs: {})
    monkeypatch.setattr(columns, "MEASURES", (*columns.MEASURES, own))
    assert columns.keys()[-3:] == ("gap", "real_gap", "odd") and columns.choosing()[-1] == "gap"
    assert over_seeds.join([{"gap": {"mean": 2.0, "std": 1.0}, "odd": 0.5}]).keys() == {"gap", "odd"}
    form = {name: one for name, one in schemas.SCORES().items() if name.removesuffix("?") in columns.keys()}
    schemas.require({"gap": {"mean": 2.0, "std": 1.0}, "real_gap": None, "odd": 0.5}, form, "here")
    for wrong in ({"gap": 2.0}, {"real_gap": 2.0}, {"odd": {"mean": 0.5, "std": 0.1}}):
        with pytest.raises(UserError, match="here: "):
            schemas.require(wrong, form, "here")
    assert difference({"odd": 0.1}, {"odd": 0.14}, 0.05) == ""  # a share: by the difference
    assert difference({"c_t": 0.01}, {"c_t": -0.02}, 0.05) == "" != difference({"c_t": 0.1}, {"c_t": 0.2}, 0.05)
    assert difference({"fid": 1.0}, {"fid": 1.04}, 0.05) == "" != difference({"fid": 0.1}, {"fid": 0.14}, 0.05)


@pytest.mark.parametrize(
    ("number", "text"),
    [(2.345, "2.35"), (123.456, "123.46"), (0.053, "0.0530"), (-3.0, "-3.00"), (17093.6, "17,094"), (None, "–")],
)
def test_written(number, text):
    assert columns.written(number) == text


@pytest.mark.parametrize(("number", "text"), [(-11.8, "−11.80"), (0.053, "+0.0530"), (0.0, "+0.00")])
def test_signed(number, text):
    assert columns.signed(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (-11.8, "−12%"),
        (4.25, "+4.2%"),
        (0.0, "+0.0%"),
        (9.96, "+10%"),
        (-99.97, "−100%"),
        (5512.4, "+5,512%"),
        (3e20, "+3e+20%"),
    ],
)
def test_percent(number, text):
    assert columns.percent(number) == text


def test_scores_compared_by_ratio_are_no_shares_and_cannot_fall_below_0():
    by_key = {score.key: score for score in columns.catalogue()}
    assert not any(score.positive and score.share for score in by_key.values())
    assert by_key["fid"].positive and by_key["inception_score"].positive and not by_key["kid"].positive
