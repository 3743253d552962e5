import functools

import jax
import numpy as np
import pytest

from gan_da_jax import gan

torch = pytest.importorskip("torch")
from gan_da_jax.pytorch import dcgan, states  # noqa: E402

SIZES = {"image_size": 32, "latent_dim": 6, "width": 4}
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def train(trainer, steps, first=0):
    pixels = trainer.place(IMAGES)
    return [
        {
            name: loss.item()
            for name, loss in trainer.update(
                trainer.real(pixels[step % 3 * 6 :][:8]), trainer.latents(8, seed=step)
            ).items()
        }
        for step in range(first, first + steps)
    ]


@pytest.mark.parametrize("image_size", [32, 64, 128, 256])
def test_the_networks_are_the_tutorials(image_size):
    maps = [2**stage for stage in range(image_size.bit_length() - 4, -1, -1)]
    made = {"generator": dcgan.Generator(image_size=image_size, latent_dim=6, width=1)}
    made["discriminator"] = dcgan.Discriminator(image_size=image_size, width=1)
    images = made["generator"](torch.randn(2, 6, 1, 1))
    assert images.shape == (2, 3, image_size, image_size) and images.abs().max() <= 1
    assert made["discriminator"](images).shape == (2,)
    names = {kind: [name for name in network.state_dict() if name.endswith("weight")] for kind, network in made.items()}
    stages = len(maps)
    assert names["generator"][:4] == ["main.0.weight", "main.1.weight", "main.3.weight", "main.4.weight"]
    assert names["generator"][-1] == f"main.{3 * stages}.weight"
    assert names["discriminator"][:4] == ["main.0.weight", "main.2.weight", "main.3.weight", "main.5.weight"]
    assert names["discriminator"][-1] == f"main.{3 * stages - 1}.weight"


@pytest.mark.parametrize("options", [{"channels_last": True}, {"freeze": True}, {"autocast": True}])
def test_what_an_expert_switches_on_changes_speed_alone(options):
    plain, other = dcgan.Trainer(**SIZES), dcgan.Trainer(**SIZES, options=dcgan.Options(**options))
    for ours, theirs in zip(train(plain, 3), train(other, 3), strict=True):
        assert ours == pytest.approx(theirs, rel=0.05 if "autocast" in options else 1e-5)


def test_a_loader_gives_each_image_once_an_epoch_and_so_does_none_twice():
    trainer = dcgan.Trainer(**SIZES)
    loaded = trainer.loaded(IMAGES, batch_size=10, workers=0)
    for _ in range(2):
        epoch = torch.cat([next(loaded), next(loaded)])
        found = np.round((epoch.permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)
        assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in IMAGES)
    batch = next(trainer.drawn(IMAGES, batch_size=5))
    pixels = np.round((batch.permute(0, 2, 3, 1).numpy() + 1) * 127.5).astype(np.uint8)
    assert {image.tobytes() for image in pixels} <= {image.tobytes() for image in IMAGES}


@pytest.fixture(scope="module")
def trained():
    """Two steps of training, and the state that they end in."""
    trainer, network = dcgan.Trainer(**SIZES), gan.create(**SIZES)
    train(trainer, 2)
    return trainer, network, states.take(trainer, network, 2)


def test_a_state_has_the_form_of_ours(trained):
    _, network, state = trained
    ours = jax.eval_shape(lambda: gan.init(network, jax.random.key(0)))
    assert jax.tree.structure(state) == jax.tree.structure(ours)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), ours
    )
    assert int(state.step) == 2


def test_both_go_on_from_a_state_as_if_nothing_had_happened(trained):
    trainer, network, state = trained
    other = dcgan.Trainer(**SIZES, seed=5)
    states.put(other, state)
    (further,) = train(other, 1, first=2)
    z = other.latents(8, seed=2).numpy()[:, :, 0, 0]
    ours, losses = jax.jit(functools.partial(gan.train_step, network))(state, IMAGES[12:], z)
    assert train(trainer, 1, first=2) == [further]
    assert {name: float(losses[name]) for name in further} == pytest.approx(further, rel=1e-4)
    # Adam's moments decide the step: without them, it would be several times as long.
    theirs = states.take(other, network, 3)
    for kind in ("generator_optimizer", "discriminator_optimizer"):
        for a, b in zip(jax.tree.leaves(getattr(ours, kind)), jax.tree.leaves(getattr(theirs, kind)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(b).max())
    for before, a, b in zip(*(jax.tree.leaves(s.generator["params"]) for s in (state, ours, theirs)), strict=True):
        assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b - before)
