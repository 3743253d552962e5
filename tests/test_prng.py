import zlib

import jax
import numpy as np
import pytest

from gan_da_jax import prng


def threefry(key, counter):
    """Threefry-2x32 with 20 rounds: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"."""
    keys = [*key, 0x1BD11BDA ^ key[0] ^ key[1]]
    a, b = ((counter[i] + keys[i]) % 2**32 for i in range(2))
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            a = (a + b) % 2**32
            b = ((b << turn | b >> 32 - turn) % 2**32) ^ a
        a, b = (a + keys[(group + 1) % 3]) % 2**32, (b + keys[(group + 2) % 3] + group + 1) % 2**32
    return a, b


def bits(seed, *names):
    return tuple(np.asarray(jax.random.key_data(prng.stream(seed, *names))).tolist())


def test_the_reference_is_threefry():
    assert threefry((0, 0), (0, 0)) == (0x6B200159, 0x99BA4EFE)  # the answer that its authors publish


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
@pytest.mark.parametrize("names", [(), ("train",), ("évaluate 0", 12), (2**32 - 1, "", "a")])
def test_each_name_of_a_stream_is_a_turn_of_threefry(seed, names):
    expected = (0, seed)
    for name in names:
        expected = threefry(expected, (0, zlib.crc32(name.encode()) if isinstance(name, str) else name))
    assert bits(seed, *names) == expected


def test_streams_differ_by_seed_and_by_every_name():
    paths = [(0,), (1,), (0, "a"), (0, "a", 1), (0, "a", "b"), (0, "b", "a")]
    assert len({bits(*path) for path in paths}) == len(paths)
