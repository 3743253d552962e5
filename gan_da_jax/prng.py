"""Named streams of randomness, all derived from one seed; nothing random is ever stored."""

import zlib

import jax


def stream(seed: int, *names: str | int) -> jax.Array:
    """Return the key of the stream that `names` lead to from `seed`.

    Equal arguments give equal keys on every device, process and day; streams with different names are independent.

    Args:
        seed: the run's seed, 0 <= seed < 2**32.
        *names: the path of the stream, as in `stream(seed, "latents", step)`. Strings are folded in by their CRC-32.

    Returns:
        A typed threefry key, shape [].
    """
    key = jax.random.key(seed, impl="threefry2x32")
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(name.encode()) if isinstance(name, str) else name)
    return key
