import threading
import weakref

import numpy as np
import pytest

from gan_da_jax.data import order
from gan_da_jax.devices import parallel
from gan_da_jax.training import feed

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), np.uint8)
BATCH, UNTIL, OF_A_STEP = 6, 40, 6 * 4 * 4 * 3


def source(limit, steps=9):
    return feed.create(IMAGES, seed=3, batch_size=BATCH, steps=steps, until=UNTIL, limit=limit)


def shown(chunk):
    images, indices, count = chunk
    assert indices.dtype == np.int32 and indices.shape[1] == BATCH
    images = np.asarray(images)
    return (images if images.ndim == 4 else images[0])[indices[:count]]


@pytest.mark.parametrize(
    ("limit", "streamed", "steps"),
    [
        (None, False, 9),
        (IMAGES.nbytes, False, 9),
        (IMAGES.nbytes - 1, True, 4),
        (6 * OF_A_STEP, True, 3),
        (4.9 * OF_A_STEP, True, 2),
        (1, True, 1),
    ],
)
@pytest.mark.parametrize("start", [0, 7])
def test_steps_see_the_images_of_the_order(limit, streamed, steps, start):
    given, rng, step = source(limit), np.random.default_rng(start), start
    assert (given.streamed, given.steps) == (streamed, steps)
    assert given.take(step, 0)[2] == 0
    while step < UNTIL:
        asked = min(int(rng.integers(1, 12)), UNTIL - step)
        images = shown(given.take(step, asked))
        count = len(images)
        assert 1 <= count <= min(asked, steps)
        expected = order.batches(seed=3, images=50, batch_size=BATCH, first=step, steps=count)
        np.testing.assert_array_equal(images, IMAGES[expected])
        step += count


def test_a_shard_is_never_larger_than_a_chunk():
    assert source(IMAGES.nbytes - 1, steps=2).steps == 2


def test_the_next_shard_comes_while_this_one_is_used_and_there_are_never_more_than_two(monkeypatch):
    shards, asked, scatter = [], [], parallel.scatter
    loaded = threading.Semaphore(0)

    def watched(images, indices):
        assert sum(shard() is not None for shard in shards) <= 1
        placed = scatter(images, indices)
        shards.append(weakref.ref(placed))
        asked.append(indices)
        loaded.release()
        return placed

    monkeypatch.setattr(parallel, "scatter", watched)
    given = source(6 * OF_A_STEP)
    for step in range(UNTIL):
        chunk = given.take(step, 1)
        assert chunk[0].nbytes == 3 * OF_A_STEP
        if step == 0:
            assert loaded.acquire(timeout=60)
        if step % 3 == 0 and step + 3 < UNTIL:  # the next one arrives, though nobody has asked for it yet
            assert loaded.acquire(timeout=60) and len(shards) == step // 3 + 2
        del chunk
    assert len(asked) == -(-UNTIL // 3)  # none beyond the end of the run
    np.testing.assert_array_equal(
        np.concatenate(asked)[:UNTIL], order.batches(seed=3, images=50, batch_size=BATCH, first=0, steps=UNTIL)
    )


def test_what_fails_while_a_shard_is_loaded_is_told(monkeypatch):
    def fail(images, indices):
        raise MemoryError("full")

    monkeypatch.setattr(parallel, "scatter", fail)
    with pytest.raises(MemoryError, match="full"):
        source(1).take(0, 1)
