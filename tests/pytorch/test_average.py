"""The average of the generator that PyTorch's training keeps: the formula's, and JAX's."""

import jax
import numpy as np
import pytest

from gan_da_jax import gan
from gan_da_jax.gan import average as ours

torch = pytest.importorskip("torch")
from gan_da_jax.pytorch import convert, dcgan, states  # noqa: E402
from gan_da_jax.pytorch.average import Average  # noqa: E402
from gan_da_jax.pytorch.loop import TorchLoop  # noqa: E402

SIZES = {"image_size": 32, "latent_dim": 6, "width": 4}
IMAGES = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)
HALF_LIFE = 0.001  # thousand images, which are 5% of what was shown up to step 5


@pytest.fixture(scope="module")
def network():
    return gan.create(**SIZES, ema_kimg=HALF_LIFE)


@pytest.fixture(scope="module")
def start(network):
    return gan.init(network, jax.random.key(0))


def loop(network, weights=0):
    return TorchLoop(dcgan.Trainer(**SIZES, seed=weights), network, IMAGES, seed=3, batch_size=4)


@pytest.fixture(scope="module")
def chunks(network, start):
    """Eight steps, each a chunk."""
    return list(loop(network).run(start, to=8, seconds=0.0))


def leaves(tree):
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_the_average_is_the_formulas_and_jaxs(chunks):
    first = convert.from_torch(dcgan.Trainer(**SIZES).tensors()["generator"]).variables["params"]
    expected = {path: leaf.astype(np.float64) for path, leaf in leaves(first).items()}
    in_jax = first
    for step, chunk in enumerate(chunks, 1):
        params = chunk.state.generator["params"]
        beta = 0.5 ** (4 / min(1000 * HALF_LIFE, 0.05 * 4 * step))
        in_jax = ours.follow(in_jax, params, ours.share(np.int32(step), batch=4, half_life=HALF_LIFE))
        also, found = leaves(in_jax), leaves(chunk.state.extra["average"])
        for path, leaf in leaves(params).items():
            expected[path] = beta * expected[path] + (1 - beta) * leaf.astype(np.float64)
            assert found[path].dtype == np.float32
            np.testing.assert_allclose(found[path], expected[path], rtol=1e-5, atol=1e-7, err_msg=path)
            np.testing.assert_allclose(found[path], also[path], rtol=1e-5, atol=1e-7, err_msg=path)
    assert any((leaf != leaves(params)[path]).any() for path, leaf in found.items())


def test_training_goes_on_with_the_average_that_another_loop_left(network, chunks):
    [rest] = loop(network, weights=9).run(chunks[2].state, to=8)
    for path, leaf in leaves(chunks[-1].state).items():
        np.testing.assert_array_equal(leaf, leaves(rest.state)[path], err_msg=path)


def test_training_is_the_same_whether_or_not_it_is_averaged(chunks):
    raw = gan.create(**SIZES)
    [whole] = loop(raw).run(gan.init(raw, jax.random.key(0)), to=8)
    assert whole.state.extra == {}
    for path, leaf in leaves(chunks[-1].state.replace(extra={})).items():
        np.testing.assert_array_equal(leaf, leaves(whole.state)[path], err_msg=path)


def test_there_and_back_is_bit_for_bit_and_the_tree_is_ours(network, start, chunks):
    state = jax.tree.map(np.asarray, chunks[-1].state)
    assert jax.tree.structure(state) == jax.tree.structure(start)
    other = dcgan.Trainer(**SIZES, seed=5)
    average = Average(other.networks["generator"], batch_size=4, half_life=HALF_LIFE)
    states.put(other, state, average)
    again = states.take(other, network, 8, average)
    for path, leaf in leaves(state).items():
        np.testing.assert_array_equal(leaf, leaves(again)[path], err_msg=path)
