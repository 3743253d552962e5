"""The numbers that PyTorch draws on a CPU, without PyTorch: scores that draw agree with tools that use it.

PyTorch's CPU generator and `numpy.random.RandomState` are the same Mersenne Twister, seeded alike, so only what is made
of its 32-bit words differs.
"""

import numpy as np

_GROUP = 16  # normal numbers that PyTorch makes at once, from as many words


def normals(random: np.random.RandomState, count: int) -> np.ndarray:
    """Draw what `torch.randn(count)` draws in float32, but for rounding of its last digits.

    The transform of Box and Muller (A note on the generation of random normal deviates, 1958) makes each 16 uniform
    numbers normal, number j together with number j + 8. A last group that is not full is drawn anew, with the numbers
    before it, so that it is.

    Args:
        random: is moved on by `count` words, and 16 more where these are no multiple of 16.
        count: at least 16; fewer are drawn in another way.

    Returns:
        float64 [count].
    """
    whole = count // _GROUP * _GROUP
    found = np.empty(count)
    uniform = _uniform(random, count)
    found[:whole] = _box_muller(uniform[:whole])
    if whole < count:
        found[-_GROUP:] = _box_muller(_uniform(random, _GROUP))
    return found


def chosen(random: np.random.RandomState, n: int, count: int) -> np.ndarray:
    """Draw what `torch.randperm(n)[:count]` draws: `count` of n things, without replacement, in random order.

    Args:
        random: is moved on by n - 1 words.
        n: things, at least 1 and below 2^32.
        count: 0 .. n.

    Returns:
        int [count], 0 .. n - 1.
    """
    order = np.arange(n)
    for place, word in enumerate(_words(random, n - 1)[:count].tolist()):
        other = place + word % (n - place)
        order[[place, other]] = order[[other, place]]
    return order[:count]


def _words(random: np.random.RandomState, count: int) -> np.ndarray:
    return random.randint(0, 2**32, size=count, dtype=np.uint32)


def _uniform(random: np.random.RandomState, count: int) -> np.ndarray:
    """Draw uniform numbers from 0 to below 1: the last 24 bits of each word, as many as a float32 holds."""
    return (_words(random, count) % 2**24) / 2**24


def _box_muller(uniform: np.ndarray) -> np.ndarray:
    radii, turns = np.moveaxis(uniform.reshape(-1, 2, _GROUP // 2), 1, 0)
    lengths, angles = np.sqrt(-2 * np.log1p(-radii)), 2 * np.pi * turns
    return np.stack([lengths * np.cos(angles), lengths * np.sin(angles)], axis=1).ravel()
