"""PyTorch's training in chunks: where a chunk ends, and in which process the next begins, makes no difference."""

import jax
import numpy as np
import pytest

from gan_da_jax import gan
from gan_da_jax.data import order
from gan_da_jax.devices import parallel

torch = pytest.importorskip("torch")
from gan_da_jax.pytorch import dcgan  # noqa: E402
from gan_da_jax.pytorch.loop import TorchLoop  # noqa: E402

SIZES = {"image_size": 32, "latent_dim": 6, "width": 4}
IMAGES = np.random.default_rng(0).integers(0, 256, (11, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network():
    return gan.create(**SIZES)


@pytest.fixture(scope="module")
def start(network):
    return gan.init(network, jax.random.key(0))


@pytest.fixture(scope="module")
def loop(network):
    """A function that begins a training anew; `weights` are drawn from that seed."""
    return lambda weights=0: TorchLoop(dcgan.Trainer(**SIZES, seed=weights), network, IMAGES, seed=3, batch_size=4)


@pytest.fixture(scope="module")
def whole(loop, start):
    """Four steps in one chunk."""
    [chunk] = loop().run(start, to=4)
    return chunk


def same(a, b):
    for one, other in zip(jax.tree.leaves(parallel.host(a)), jax.tree.leaves(parallel.host(b)), strict=True):
        np.testing.assert_array_equal(one, other)


def joined(chunks, name):
    return np.concatenate([chunk.metrics[name] for chunk in chunks])


def test_two_chunks_equal_one(loop, start, whole):
    trained = loop()
    [first] = trained.run(start, to=1)
    [second] = trained.run(first.state, to=4)
    assert (first.first, second.first, int(first.state.step), int(second.state.step)) == (0, 1, 1, 4)
    same(second.state, whole.state)
    for name, losses in whole.metrics.items():
        assert losses.shape == (4,) and losses.dtype == np.float32
        np.testing.assert_array_equal(joined([first, second], name), losses)


def test_a_time_limit_of_nothing_makes_chunks_of_a_step(loop, start, whole):
    chunks = list(loop().run(start, to=4, seconds=0.0))
    assert [chunk.first for chunk in chunks] == [0, 1, 2, 3]
    same(chunks[-1].state, whole.state)


def test_it_continues_from_a_state_that_another_loop_left(loop, start, whole):
    [first] = loop().run(start, to=2)
    [second] = loop(weights=9).run(first.state, to=4)  # of other weights, which the state replaces
    same(second.state, whole.state)
    [other] = loop(weights=9).run(start, to=4)
    assert not np.array_equal(other.metrics["generator_loss"], whole.metrics["generator_loss"])


def test_it_sees_the_images_in_the_order_of_our_run(network, start, monkeypatch):
    trainer, seen = dcgan.Trainer(**SIZES), []
    real = trainer.real
    monkeypatch.setattr(trainer, "real", lambda pixels: seen.append(real(pixels)) or seen[-1])
    list(TorchLoop(trainer, network, IMAGES, seed=3, batch_size=4).run(start, to=3))
    expected = order.batches(seed=3, images=11, batch_size=4, first=0, steps=3)
    for batch, chosen in zip(seen, expected, strict=True):
        pixels = np.round((batch.permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)
        np.testing.assert_array_equal(pixels, IMAGES[chosen])


@pytest.fixture(scope="module")
def latents(network, start):
    """The latents of three steps each with the seeds 3 and 4, as bytes."""

    def of(seed):
        trainer, drawn = dcgan.Trainer(**SIZES), []
        with pytest.MonkeyPatch.context() as patch:
            draw = trainer.latents
            patch.setattr(trainer, "latents", lambda *a, **k: drawn.append(draw(*a, **k)) or drawn[-1])
            list(TorchLoop(trainer, network, IMAGES, seed=seed, batch_size=4).run(start, to=3))
        return {batch.numpy().tobytes() for batch in drawn}

    return of(3), of(4)


def test_every_step_has_latents_of_its_own(latents):
    assert [len(found) for found in latents] == [3, 3]


def test_every_seed_has_latents_of_its_own(latents):
    assert not latents[0] & latents[1]


def test_nothing_is_left_to_do_at_the_last_step(loop, whole):
    assert list(loop().run(whole.state, to=4)) == []
