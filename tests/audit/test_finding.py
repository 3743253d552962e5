import pytest

from gan_da_jax.audit.finding import (
    DIFFERS,
    NOTED,
    SAME,
    UNCHECKED,
    Differs,
    Finding,
    Noted,
    Unchecked,
    difference,
    find,
)
from gan_da_jax.errors import UserError


def raising(error):
    def check():
        raise error

    return check


@pytest.mark.parametrize(
    ("check", "result"),
    [
        (lambda: "all well", SAME),
        (raising(Differs("a.png")), DIFFERS),
        (raising(UserError("a.npy is damaged")), DIFFERS),
        (raising(KeyError("step")), DIFFERS),
        (raising(Unchecked("no source")), UNCHECKED),
        (raising(Noted("another device")), NOTED),
    ],
)
def test_a_check_ends_in_a_finding(check, result):
    found = find("check", check)
    assert isinstance(found, Finding) and found.check == "check" and found.result == result and found.detail


ROW = {"fid": 2.0, "kid": {"mean": 0.5}, "leakage": {"vflip": {"share": 0.1}}, "reasons": {}, "n": 3, "top": [["a", 1]]}


@pytest.mark.parametrize(
    ("new", "place", "tolerated"),
    [
        (ROW, "", True),
        (ROW | {"fid": 2.05}, "fid is 2.0, again 2.05", True),
        (ROW | {"fid": 2.2}, "fid is 2.0, again 2.2", False),
        (ROW | {"fid": None}, "fid is 2.0, again None", False),
        (ROW | {"fid": 2}, "fid is 2.0, again 2", True),
        (ROW | {"n": True}, "n is 3, again True", False),
        (ROW | {"kid": {"mean": 0.6}}, "kid.mean is 0.5, again 0.6", False),
        (ROW | {"leakage": {"vflip": {"share": 0.14}}}, "leakage.vflip.share is 0.1, again 0.14", True),
        (ROW | {"leakage": {"vflip": {"share": 0.2}}}, "leakage.vflip.share is 0.1, again 0.2", False),
        (ROW | {"reasons": {"fid": "few"}}, "reasons.fid is missing", True),
        (ROW | {"top": [["a", 2]]}, "top[0][1] is 1, again 2", False),
        (ROW | {"top": []}, "top is [['a', 1]], again []", False),
        ({name: ROW[name] for name in ROW if name != "n"}, "n is in excess", False),
    ],
)
def test_the_first_difference_is_named(new, place, tolerated):
    assert difference(ROW, new) == place
    assert difference(ROW, new, 0.05) == ("" if tolerated else place)
