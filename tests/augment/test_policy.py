from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax import augment
from gan_da_jax.augment import policy
from gan_da_jax.errors import UserError


def test_none_has_no_parts():
    assert policy.parse("none") == ()


def test_arguments_and_defaults():
    assert policy.parse("contrast") == (policy.Part("contrast", (("factor", 1.5),)),)
    assert policy.parse("contrast(factor=2) + hflip") == (
        policy.Part("contrast", (("factor", 2.0),)),
        policy.Part("hflip", ()),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read"),
        ("hflip+", "cannot be read"),
        ("hflip vflip", "cannot be read"),
        ("hflip*2", "cannot be read"),
        ("(lambda: 0)()", "cannot be read"),
        ("none+hflip", "none is not an op"),
        ("rotate", "rotate is not an op"),
        ("Hflip", "Hflip is not an op"),
        ("hflip+hflip", "hflip is named twice"),
        ("contrast(2.0)", "given by name"),
        ("contrast(strength=2)", "no argument strength"),
        ("hflip(p=0.5)", "no argument p"),
        ("contrast(factor='x')", "must be a number"),
        ("contrast(factor=True)", "must be a number"),
        ("contrast(factor=__import__('os'))", "must be a number"),
        ("contrast(factor=-1)", "at least 0"),
        ("contrast(factor=1e999)", "finite"),
        ("(" * 10000, "cannot be read"),
    ],
)
def test_wrong_policies_say_why_and_what_is_allowed(text, reason):
    with pytest.raises(UserError, match="vflip") as caught:
        policy.parse(text)
    assert reason in str(caught.value)


@given(st.text(alphabet="hflipvcontras(=.1)+ *[]{}'\"\\\n", max_size=40))
def test_any_text_is_a_policy_or_a_user_error(text):
    try:
        parts = policy.parse(text)
    except UserError:
        return
    assert all(part.op in augment.OPS for part in parts)


policies = st.lists(st.sampled_from(list(augment.OPS)), min_size=1, unique=True).map("+".join)


@settings(max_examples=50, deadline=None)
@given(text=policies, count=st.integers(0, 50))
def test_shares_are_as_equal_as_possible(text, count):
    shares = policy.shares(policy.parse(text), count)
    assert sum(shares.values()) == count
    assert max(shares.values()) - min(shares.values()) <= 1
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


@settings(max_examples=30, deadline=None)
@given(text=policies, count=st.integers(0, 40), originals=st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_originals_are_drawn_without_replacement_until_all_are_used(text, count, originals, seed):
    parts = policy.parse(text)
    draws = policy.draw(parts, count=count, originals=originals, seed=seed)
    assert draws == policy.draw(parts, count=count, originals=originals, seed=seed)
    for op, share in policy.shares(parts, count).items():
        used = [draw.source_index for draw in draws if draw.op == op]
        assert len(used) == share
        if augment.OPS[op].pool == "originals":
            assert set(used) <= set(range(originals))
            times = Counter(used)
            assert max(times.values(), default=0) - min((times[i] for i in range(originals)), default=0) <= 1
        else:
            assert used == list(range(share))


def test_seeds_and_ops_draw_differently():
    def used(op, seed):
        return [draw.source_index for draw in policy.draw(policy.parse(op), count=50, originals=100, seed=seed)]

    assert used("hflip", 0) != used("hflip", 1)
    assert used("hflip", 0) != used("vflip", 0)


def test_a_larger_count_only_appends():
    parts = policy.parse("hflip")
    longer = policy.draw(parts, count=30, originals=20, seed=5)
    assert policy.draw(parts, count=10, originals=20, seed=5) == longer[:10]


def test_pool_sizes():
    assert policy.pool_sizes(policy.parse("generated+hflip"), 5) == {"generated": 3}
    assert policy.pool_sizes(policy.parse("more"), 7) == {"more": 7}
    assert policy.pool_sizes(policy.parse("hflip"), 7) == {}


def test_part_is_written_without_defaults():
    text = "contrast(factor=2)+hflip+vflip"
    assert "+".join(map(str, policy.parse(text))) == text
    assert str(policy.parse("contrast(factor=1.5)")[0]) == "contrast"
