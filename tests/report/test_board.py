"""Whether the distances of a board order its arms as a reading of the Inception Score does."""

import pytest

from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.board import agreement


@pytest.mark.parametrize(("sign", "reading"), [(1, "paper"), (-1, "field"), (0, None)])
def test_fid_agrees_with_a_reading_where_it_orders_the_arms_alike(make, read_all, sign, reading):
    policies = ("none", "hflip", "vflip", "invert", "contrast")
    distances = [60, 20, 40, 30, 50] if sign == 0 else [40 + 8 * sign * n for n in range(5)]
    arms = {
        p: {"level": 2.0 + n, "distance": float(d)} for n, (p, d) in enumerate(zip(policies, distances, strict=True))
    }
    [board] = compare(group(read_all(make(1, **arms)))[0])
    (fid, found), _ = agreement(board)
    assert (fid.key, found["arms"], found["reading"]) == ("fid", 5, reading)
    assert found["tau"] == pytest.approx(sign, abs=0.01)


def test_three_arms_have_no_order_to_agree_with(make, read_all):
    root = make(1, none={"distance": 60.0}, hflip={"distance": 20.0}, vflip={"distance": 40.0})
    assert agreement(compare(group(read_all(root))[0])[0]) == []
