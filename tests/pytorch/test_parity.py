import numpy as np
import optax
import pytest

pytest.importorskip("torch")
from gan_da_jax.pytorch import parity  # noqa: E402

SETTINGS = {"image_size": 32, "latent_dim": 6, "width": 4, "learning_rate": 2e-4, "beta1": 0.5, "seed": 3}
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 32, 32, 3), dtype=np.uint8)


def test_both_are_the_same_gan():
    said = []
    checks = parity.measure(**SETTINGS, images=IMAGES, told=said.append)
    assert len(said) == 2
    assert {(c.what, c.steps) for c in checks} == {("outputs", 0)} | {
        (what, steps) for what in parity.TOLERANCES for steps in (1, 10)
    }
    assert len(checks) == 22 and all(check.passed for check in checks)
    for check in checks:
        assert 0 <= check.difference <= check.tolerance
        assert (check.rounding is None) == (check.precision == "float64")
        if check.precision == "float64":
            assert check.difference < 1e-11
    single = {(c.what, c.steps): c.difference for c in checks if c.precision == "float32"}
    assert single["outputs", 0] <= 1e-5 and single["losses", 1] <= 1e-5
    assert single["outputs", 10] <= 1e-3 and single["losses", 10] <= 1e-3


def test_another_optimizer_is_not_the_same_gan(monkeypatch):
    adam = optax.adam
    monkeypatch.setattr(optax, "adam", lambda rate, **settings: adam(rate, **settings, eps=1e-6))
    monkeypatch.setattr(parity, "STEPS", (0, 1))
    monkeypatch.setattr(parity, "PRECISIONS", ("float64",))
    checks = {(check.what, check.steps): check for check in parity.measure(**SETTINGS, images=IMAGES)}
    assert {key for key, check in checks.items() if not check.passed} >= {("parameters", 1), ("outputs", 1)}
    assert checks["outputs", 0].passed  # before the first step


@pytest.mark.parametrize(("kind", "passes"), [("generator", 1), ("discriminator", 3)])
def test_the_unbiased_running_variance_is_that_of_numpy(kind, passes):
    rng, batch, size = np.random.default_rng(0), 4, 32
    side = 4 if kind == "generator" else 8
    biased = unbiased = start = rng.uniform(1, 2, 5)
    for _ in range(2 * passes):
        x = rng.standard_normal((batch, side, side, 5))
        biased = 0.9 * biased + 0.1 * x.var((0, 1, 2))
        unbiased = 0.9 * unbiased + 0.1 * x.var((0, 1, 2), ddof=1)
    layers = {"BatchNorm_0": {"mean": start, "var": biased}}
    begun = {"BatchNorm_0": {"mean": start, "var": start}}
    fair = parity._unbiased(kind, layers, begun, 2, batch, size)
    np.testing.assert_allclose(fair["BatchNorm_0"]["var"], unbiased, rtol=1e-12)
    assert np.abs(biased - unbiased).max() > 1e-4
