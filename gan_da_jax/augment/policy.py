"""The policy grammar: `hflip`, `contrast(factor=1.5)+hflip`, and which image each op is given."""

import ast
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from gan_da_jax import augment, prng
from gan_da_jax.errors import UserError, did_you_mean


class Part(NamedTuple):
    """One op of a policy with its arguments: a key of `augment.OPS` and pairs of name and value, defaults included."""

    op: str
    arguments: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        """Write the part as a policy does, `contrast(factor=2)`, without arguments that are the op's defaults."""
        usual = dict(parse(self.op)[0].arguments)
        given = ", ".join(f"{name}={value:g}" for name, value in self.arguments if value != usual[name])
        return f"{self.op}({given})" if given else self.op


class Draw(NamedTuple):
    """One augmented image: made by `op` from image `source_index` of the op's pool."""

    op: str
    source_index: int


@functools.cache  # trying the arguments out takes milliseconds, and a run asks for its policy all the time
def parse(policy: str) -> tuple[Part, ...]:
    """Read a policy; `none`, the policy of training on the originals alone, gives no parts.

    Raises:
        UserError: an unknown op or argument, a value out of range, an op named twice, or a text that is no policy.
    """

    def wrong(reason: str, hint: str = "") -> UserError:
        known = ", ".join(f"{op}({', '.join(augment.signature(op))})".replace("()", "") for op in augment.OPS)
        return UserError(
            f"augment.policy {policy!r}: {reason}; {hint}it must be `none`, or ops joined by +, of: {known}"
        )

    if policy == "none":
        return ()
    try:
        tree = ast.parse(policy, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise wrong("this cannot be read") from None
    terms: list[ast.expr] = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
        terms.insert(0, tree.right)
        tree = tree.left
    parts = [_part(term, wrong) for term in (tree, *terms)]
    names = [part.op for part in parts]
    for name in names:
        if names.count(name) > 1:
            raise wrong(f"{name} is named twice")
    return tuple(parts)


def _part(term: ast.expr, wrong: Callable[..., UserError]) -> Part:
    call = term if isinstance(term, ast.Call) else ast.Call(func=term, args=[], keywords=[])
    if not isinstance(call.func, ast.Name):
        raise wrong("this cannot be read")
    op = call.func.id
    if op not in augment.OPS:
        raise wrong(f"{op} is not an op", did_you_mean(op, augment.OPS))
    if call.args:
        raise wrong(f"arguments of {op} must be given by name")
    arguments = dict(augment.signature(op))
    for keyword in call.keywords:
        if keyword.arg not in arguments:
            name = keyword.arg or "**"
            raise wrong(f"{op} has no argument {name}", did_you_mean(name, arguments))
        try:
            value = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, RecursionError):
            value = None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(f"{keyword.arg} of {op} must be a number")
        arguments[keyword.arg] = value
    try:  # the op knows the range of its own arguments; no pixel is computed
        arguments = {name: float(np.float32(value)) for name, value in arguments.items()}
        function = functools.partial(augment.OPS[op].function, **arguments)
        jax.eval_shape(function, jax.ShapeDtypeStruct((2, 2, 3), np.float32))
    except (ValueError, OverflowError) as error:
        raise wrong(f"{op}: {error}") from None
    return Part(op, tuple(arguments.items()))


def shares(parts: tuple[Part, ...], count: int) -> dict[str, int]:
    """Split `count` images between the ops as evenly as possible; the first ops get one more where a rest is left."""
    return {part.op: (count + i) // len(parts) for part, i in zip(parts, reversed(range(len(parts))), strict=True)}


def pool_sizes(parts: tuple[Part, ...], count: int) -> dict[str, int]:
    """Count the images that the policy needs of each pool other than the originals, as in `{"generated": 500}`."""
    sizes: dict[str, int] = {}
    for op, share in shares(parts, count).items():
        pool = augment.OPS[op].pool
        if pool != "originals":
            sizes[pool] = max(share, sizes.get(pool, 0))
    return sizes


def draw(parts: tuple[Part, ...], *, count: int, originals: int, seed: int) -> list[Draw]:
    """Decide which image each augmented image is made from.

    Originals are drawn by seed, without replacement until all of them are used, then again from all. Other pools hold
    exactly the images that are needed and are used in order.

    Args:
        parts: the policy.
        count: augmented images, all ops together.
        originals: the number of originals.
        seed: the run's seed.
    """
    draws = []
    for op, share in shares(parts, count).items():
        if augment.OPS[op].pool == "originals":
            rounds = -(-share // originals)
            orders = [jax.random.permutation(prng.stream(seed, "augment", op, i), originals) for i in range(rounds)]
            indices = np.concatenate([np.asarray(order) for order in orders] or [np.empty(0, int)])[:share]
        else:
            indices = np.arange(share)
        draws += [Draw(op, int(index)) for index in indices]
    return draws
