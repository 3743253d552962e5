import functools
import itertools
import json
import os

import pytest

from gan_da_jax.errors import Failure
from gan_da_jax.pytorch import race

# What a spawned process is given must be found there by its name; these from the standard library are.
COUNT = race.Contender(itertools.count, {"start": 5})


def test_contenders_say_what_they_are_and_take_turns():
    found = race.run({"one": COUNT, "other": race.Contender(itertools.count, {"start": 8, "step": 2})}, turns=3)
    assert [*found] == ["one", "other"]
    assert found["one"][:2] == (5, [7, 8, 9])  # the turn that gave 6 does not count
    assert found["other"][:2] == (8, [12, 14, 16])
    assert found["one"].median == 8 and found["one"].peak_gib > 0.001


def test_a_ratio_is_that_of_the_medians_and_its_range_is_by_turns():
    one, other = race.Result({}, [4.0, 9.0, 6.0], 1.0), race.Result({}, [2.0, 3.0, 4.0], 1.0)
    assert race.ratio(one, other) == (2.0, 1.5, 3.0)


def test_each_has_an_environment_of_its_own():
    ask = functools.partial(map, os.getenv, ["RACE_TEST", "RACE_TEST"])
    with race.started("one", race.Contender(ask, environment={"RACE_TEST": "x"})) as racer:
        assert racer.result() == "x"
    with race.started("other", race.Contender(ask)) as racer:
        assert racer.result() is None


@pytest.mark.parametrize(
    ("contender", "says"),
    [
        (race.Contender(json.loads, {"s": "{"}), "broken has failed: Expecting property name"),
        (race.Contender(os._exit, {"status": 3}), "broken was killed"),
        (race.Contender(functools.partial(iter, [1, 2])), "broken .* ended"),
    ],
)
def test_what_fails_is_named_with_the_reason(contender, says):
    with pytest.raises(Failure, match=says):
        race.run({"well": COUNT, "broken": contender}, turns=2)
