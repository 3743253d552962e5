"""The training loop: however its steps are grouped, streamed or asked for, it takes the same ones."""

import jax
import numpy as np
import pytest

from gan_da_jax import gan, prng
from gan_da_jax.data import order
from gan_da_jax.devices import parallel
from gan_da_jax.training.loop import Loop

NETWORK = gan.create(image_size=32, latent_dim=8, width=4)
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
BATCH, UNTIL = 8, 7


def loop(limit=None):
    return Loop(NETWORK, IMAGES, seed=3, batch_size=BATCH, until=UNTIL, limit=limit)


def start():
    return parallel.replicate(jax.jit(lambda key: gan.init(NETWORK, key))(prng.stream(1, "init")))


def leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(parallel.host(state))]


@pytest.fixture(scope="module")
def updated():
    """The states after each step, by one update after the other, without a loop."""
    update, state, key = jax.jit(lambda *given: gan.train_step(NETWORK, *given)), start(), prng.stream(3, "train")
    found = []
    for step in range(UNTIL):
        (chosen,) = order.batches(seed=3, images=20, batch_size=BATCH, first=step, steps=1)
        latents = jax.random.normal(jax.random.fold_in(key, step), (BATCH, 8))
        state, metrics = update(state, IMAGES[chosen], latents)
        found.append((leaves(state), {name: float(value) for name, value in metrics.items()}))
    return found


@pytest.mark.parametrize(("limit", "seconds"), [(None, None), (None, 1e-9), (IMAGES.nbytes - 1, None)])
def test_the_loop_takes_one_update_after_the_other(limit, seconds, updated):
    whole = loop(limit)
    state, seen = whole.compile(start()), []
    for end in (3, UNTIL):
        for chunk in whole.run(state, to=end, seconds=seconds):
            state = chunk.state
            assert chunk.first == len(seen) and chunk.step == int(state.step) <= end and chunk.seconds > 0
            assert seconds is None or chunk.count >= 1
            seen += [{name: values[i] for name, values in chunk.metrics.items()} for i in range(chunk.count)]
    assert bool(whole.streamed) == (limit is not None)
    assert len(seen) == UNTIL
    for one, (_, expected) in zip(seen, updated, strict=True):
        assert one.keys() == {*gan.METRICS} == expected.keys()
        for name, value in expected.items():
            assert one[name] == pytest.approx(value, rel=2e-3, abs=2e-3)
    for found, expected in zip(leaves(state), updated[-1][0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)


def test_how_steps_are_grouped_changes_no_bit():
    one, other = loop(), loop(IMAGES.nbytes - 1)
    (*_, last) = one.run(start(), to=UNTIL)
    state = start()
    for end in range(1, UNTIL + 1):
        for chunk in other.run(state, to=end):
            state = chunk.state
    for a, b in zip(leaves(last.state), leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_compiling_takes_no_step():
    began = start()
    expected = leaves(began)
    state = loop().compile(began)
    assert int(state.step) == 0
    for a, b in zip(leaves(state), expected, strict=True):
        np.testing.assert_array_equal(a, b)
