"""The average of the generator, against NumPy in float64 and against the generator run by hand."""

import dataclasses
import functools

import flax.linen as nn
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_da_jax import gan, prng
from gan_da_jax.gan import average

SIZE, LATENT_DIM, BATCH = 32, 6, 8
RAW = gan.create(image_size=SIZE, latent_dim=LATENT_DIM, width=4)
# A half-life of 30 images: 5% of what was shown is less up to step 75.
AVERAGED = gan.create(image_size=SIZE, latent_dim=LATENT_DIM, width=4, ema_kimg=0.03)
IMAGES = np.random.default_rng(1).integers(0, 256, (20, SIZE, SIZE, 3), dtype=np.uint8)
INDICES = np.random.default_rng(4).integers(0, 20, (100, BATCH), dtype=np.int32)


@functools.cache
def compiled(function, network):
    return jax.jit(functools.partial(function, network))


def start(network):
    return compiled(gan.init, network)(jax.random.key(0))


def trained(network, state, count):
    return compiled(gan.run_steps, network)(
        state, IMAGES, np.roll(INDICES, -int(state.step), axis=0), count, jax.random.key(3)
    )


def leaves(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def equal(one, other):
    one, other = leaves(one), leaves(other)
    assert one.keys() == other.keys()
    for path, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[path], err_msg=path)


@pytest.fixture(scope="module")
def states():
    """The state before the first step and after each of the first 90, taken one at a time."""
    found = [start(AVERAGED)]
    for _ in range(90):
        found.append(trained(AVERAGED, found[-1], 1)[0])
    return found


def test_the_average_starts_as_the_parameters_in_memory_of_its_own(states):
    equal(states[0].extra["average"], states[0].generator["params"])
    made = gan.init(AVERAGED, jax.random.key(0))
    pairs = zip(jax.tree.leaves(made.extra["average"]), jax.tree.leaves(made.generator["params"]), strict=True)
    assert all(one.unsafe_buffer_pointer() != other.unsafe_buffer_pointer() for one, other in pairs)


@pytest.mark.parametrize("first", [0, 75])  # where 5% of what was shown is the half-life, and where it is longer
def test_the_average_of_steps_is_the_formulas(states, first):
    expected = {path: leaf.astype(np.float64) for path, leaf in leaves(states[first].extra["average"]).items()}
    halves = []
    for step in range(first + 1, first + 16):
        kimg = step * BATCH / 1000
        halves.append(min(0.03, 0.05 * kimg))
        beta = 0.5 ** (BATCH / (1000 * halves[-1]))
        for path, leaf in leaves(states[step].generator["params"]).items():
            expected[path] = beta * expected[path] + (1 - beta) * leaf.astype(np.float64)
        for path, leaf in leaves(states[step].extra["average"]).items():
            assert leaf.dtype == np.float32
            np.testing.assert_allclose(leaf, expected[path], rtol=1e-5, atol=1e-8, err_msg=path)
    assert (halves[0] == 0.03) == (first == 75)
    assert (halves[-1] == 0.03) == (first == 75)


@given(step=st.integers(1, 2**31 - 1), batch=st.integers(2, 2**16), half_life=st.floats(1e-3, 1e6))
def test_the_share_of_a_step_is_the_formulas_at_any_size(step, batch, half_life):
    found = average.share(np.int32(step), batch=batch, half_life=half_life)
    images = min(1000 * half_life, 0.05 * batch * step)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, -np.expm1(-np.log(2) * batch / images), rtol=1e-5)


def test_training_is_the_same_bit_for_bit_whether_or_not_it_is_averaged(states):
    raw, metrics = trained(RAW, start(RAW), 40)
    same, also = trained(AVERAGED, states[0], 40)
    assert raw.extra == {} and same.extra.keys() == {"average"}
    equal(raw, same.replace(extra={}))
    equal(metrics, also)


def test_the_average_goes_on_bit_for_bit_however_steps_are_grouped(states):
    whole, _ = trained(AVERAGED, states[0], 40)
    part, _ = trained(AVERAGED, states[0], 17)
    part, _ = trained(AVERAGED, part, 23)
    equal(whole, part)
    equal(whole, states[40])


def test_without_an_average_the_generator_is_shown_as_it_is(states):
    raw = start(RAW)
    assert gan.shown(RAW, raw) is raw.generator


def test_the_average_is_shown_with_statistics_of_its_own(states):
    state = states[40]
    found = gan.shown(AVERAGED, state)
    equal(found["params"], state.extra["average"])
    # By hand: each BatchNorm moves its statistics a tenth of the way to the batch's, PASSES times.
    variables = {"params": state.extra["average"], "batch_stats": state.generator["batch_stats"]}
    for number in range(average.PASSES):
        key = jax.random.fold_in(prng.stream(0, "average"), number)
        _, changed = AVERAGED.generator.apply(
            variables, jax.random.normal(key, (average.BATCH, LATENT_DIM)), train=True, mutable=["batch_stats"]
        )
        variables |= changed
    expected, raw = leaves(variables["batch_stats"]), leaves(state.generator["batch_stats"])
    for path, leaf in leaves(found["batch_stats"]).items():
        np.testing.assert_allclose(leaf, expected[path], rtol=1e-4, atol=1e-6, err_msg=path)
        assert np.abs(leaf - raw[path]).max() > 1e-3, path


def test_the_statistics_of_the_first_layer_are_those_of_the_latents(states):
    """The first BatchNorm sees a linear map of the latents: NumPy has its statistics without the network."""
    state = states[40]
    kernel = np.asarray(state.extra["average"]["Dense_0"]["kernel"], np.float64)
    old = state.generator["batch_stats"]["BatchNorm_0"]
    mean, var = np.asarray(old["mean"], np.float64), np.asarray(old["var"], np.float64)
    for number in range(average.PASSES):
        key = jax.random.fold_in(prng.stream(0, "average"), number)
        z = np.asarray(jax.random.normal(key, (average.BATCH, LATENT_DIM)), np.float64)
        seen = (z @ kernel).reshape(-1, len(mean))
        mean, var = 0.9 * mean + 0.1 * seen.mean(axis=0), 0.9 * var + 0.1 * seen.var(axis=0)
    found = gan.shown(AVERAGED, state)["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found["var"], var, rtol=1e-4)


def test_what_is_shown_is_the_same_from_the_host_and_from_a_device_and_each_time(states):
    on_host = jax.tree.map(np.asarray, states[40])
    first = gan.shown(AVERAGED, states[40])
    equal(first, gan.shown(AVERAGED, on_host))
    equal(first, gan.shown(AVERAGED, states[40]))


class Bare(nn.Module):
    """A generator that has parameters only."""

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        assert not train, "it needs no passes"
        return nn.tanh(nn.Dense(SIZE * SIZE * 3)(latents)).reshape(-1, SIZE, SIZE, 3)


def test_a_generator_without_collections_is_shown_without_passes():
    network = dataclasses.replace(AVERAGED, generator=Bare())
    state = gan.init(network, jax.random.key(0))
    moved = state.replace(extra={"average": jax.tree.map(lambda leaf: leaf + 1, state.generator["params"])})
    found = gan.shown(network, moved)
    assert found.keys() == {"params"}
    equal(found["params"], moved.extra["average"])
