import flax.linen as nn
import jax
import numpy as np
import pytest

from gan_da_jax.classifiers import fitting


class Linear(nn.Module):
    """Logits that are a linear function of the pixels."""

    @nn.compact
    def __call__(self, x):
        return {"logits": nn.Dense(2)(x.reshape(len(x), -1))}


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Even images, which softening leaves alone, that are brighter in class 1."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, count)
    levels = rng.normal(classes[:, None, None, None], 0.5, (count, 1, 1, 3))
    return np.broadcast_to(levels, (count, 4, 4, 3)).astype(np.float32), classes


def test_full_batches_follow_adam_and_the_cosine_as_torch_does():
    torch = pytest.importorskip("torch")
    images, classes = examples(40)
    key = jax.random.key(3)
    epochs, rate = 30, 0.02
    found = fitting.fit(Linear(), images, classes, key, epochs=epochs, batch_size=40, learning_rate=rate)["params"]

    layer = torch.nn.Linear(48, 2)
    start = Linear().init(jax.random.split(key, 3)[1], images[:1])["params"]["Dense_0"]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.array(start["kernel"]).T))
        layer.bias.copy_(torch.from_numpy(np.array(start["bias"])))
    optimizer = torch.optim.Adam(layer.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + np.cos(np.pi * step / epochs)))
    for _ in range(epochs):
        optimizer.zero_grad()
        logits = layer(torch.from_numpy(images.reshape(40, -1)))
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(classes)).backward()
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(found["Dense_0"]["kernel"], layer.weight.detach().T, atol=2e-4)
    np.testing.assert_allclose(found["Dense_0"]["bias"], layer.bias.detach(), atol=2e-4)


def test_what_can_be_learned_is_learned_and_again_the_same():
    images, classes = examples(203)
    arguments = {"epochs": 20, "batch_size": 16, "learning_rate": 0.01}
    one, two = (fitting.fit(Linear(), images, classes, jax.random.key(0), **arguments) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, one, two)
    predicted = np.argmax(Linear().apply(one, images)["logits"], axis=1)
    best = np.mean((images.mean(axis=(1, 2, 3)) > 0.5) == classes)  # the rule of least error for these two classes
    assert np.mean(predicted == classes) == pytest.approx(best, abs=0.03) and best > 0.85


def test_sharp_images_are_softened_by_amounts_of_their_own():
    """The gradient of one step with a rate of 0 is nothing: so look at which pixels reach the loss instead."""
    sharp = np.zeros((64, 5, 5, 3), np.float32)
    sharp[:, 2, 2] = 1
    found = fitting.fit(
        Linear(), sharp, np.ones(64, int), jax.random.key(1), epochs=1, batch_size=64, learning_rate=0.1
    )
    start = Linear().init(jax.random.split(jax.random.key(1), 3)[1], sharp[:1])
    moved = np.asarray(found["params"]["Dense_0"]["kernel"] - start["params"]["Dense_0"]["kernel"])
    reached = np.abs(moved).max(axis=1).reshape(5, 5, 3).max(axis=2) > 1e-3
    expected = np.zeros((5, 5), bool)
    expected[1:4, 1:4] = True
    np.testing.assert_array_equal(reached, expected)
