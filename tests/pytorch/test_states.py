"""States between PyTorch's training and ours: nothing is lost on the way."""

import jax
import numpy as np
import pytest

from gan_da_jax import gan

torch = pytest.importorskip("torch")
from gan_da_jax.pytorch import dcgan, states  # noqa: E402

SIZES = {"image_size": 32, "latent_dim": 6, "width": 4}


@pytest.fixture(scope="module")
def network():
    return gan.create(**SIZES)


@pytest.fixture(scope="module")
def trainer():
    """A trainer after two updates, so that moments and averages are no zeros."""
    found = dcgan.Trainer(**SIZES)
    pixels = found.place(np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))
    for step in range(2):
        found.update(found.real(pixels), found.latents(8, seed=step))
    return found


def leaves(state):
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]}


def test_there_and_back_is_bit_for_bit(trainer, network):
    state = states.take(trainer, network, 2)
    other = dcgan.Trainer(**SIZES, seed=5)
    states.put(other, state)
    before, after = leaves(state), leaves(states.take(other, network, 2))
    assert before.keys() == after.keys() and len(before) > 50
    for name, leaf in before.items():
        assert leaf.dtype == after[name].dtype and np.isfinite(leaf).all(), name
        np.testing.assert_array_equal(leaf, after[name], err_msg=name)


def test_the_numbers_are_pytorchs_own(trainer, network):
    state = states.take(trainer, network, 2)
    generator, discriminator = trainer.networks["generator"], trainer.networks["discriminator"]
    for kind, module in (("generator", generator), ("discriminator", discriminator)):
        weights = list(module.parameters())
        moments = [trainer.optimizers[kind].state[weight]["exp_avg_sq"] for weight in weights]
        (adam,) = (
            part for part in jax.tree.leaves(getattr(state, f"{kind}_optimizer"), is_leaf=is_adam) if is_adam(part)
        )
        assert int(adam.count) == 2 == trainer.optimizers[kind].state[weights[0]]["step"]
        for ours, theirs in ((getattr(state, kind)["params"], weights), (adam.nu, moments)):
            # The layouts differ, the numbers do not.
            assert numbers(jax.tree.leaves(ours)) == numbers(tensor.detach().numpy() for tensor in theirs)


def is_adam(part):
    return hasattr(part, "nu")


def numbers(arrays):
    return sorted(tuple(np.sort(np.asarray(array), axis=None).tolist()) for array in arrays)


def test_what_was_taken_stays_when_training_goes_on(network):
    trainer = dcgan.Trainer(**SIZES)
    pixels = trainer.place(np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8))
    trainer.update(trainer.real(pixels), trainer.latents(8, seed=0))
    state = states.take(trainer, network, 1)
    kept = {name: np.array(leaf, copy=True) for name, leaf in leaves(state).items()}
    trainer.update(trainer.real(pixels), trainer.latents(8, seed=1))
    for name, leaf in leaves(state).items():
        np.testing.assert_array_equal(leaf, kept[name], err_msg=name)
