import jax
import numpy as np
import pytest

from gan_da_jax.gan import LOSSES

REAL, FAKE = np.array([-90.0, -1, 0, 2], np.float32), np.array([3.0, 0, -4, 95], np.float32)


def discriminate(variables, images):
    """A discriminator whose logits are its images; its variables note the batches that it has been given."""
    return images, variables | {"seen": [*variables["seen"], images]}


def of_each(name):
    """A loss's scalars for the discriminator and the generator, with the batches that each has had judged."""
    loss = LOSSES[name]
    for_discriminator, judged = loss.discriminator(discriminate, {"seen": []}, REAL, FAKE)
    for_generator, variables = loss.generator(discriminate, {"seen": []}, REAL, FAKE)
    return (for_discriminator, judged), (for_generator, variables["seen"])


def test_the_losses_of_the_dcgan_are_the_cross_entropies_of_torch():
    torch = pytest.importorskip("torch")
    (for_discriminator, _), (for_generator, _) = of_each("dcgan")
    loss, ones, zeros = torch.nn.BCEWithLogitsLoss(), torch.ones(4), torch.zeros(4)
    theirs = loss(torch.tensor(REAL), ones) + loss(torch.tensor(FAKE), zeros)
    np.testing.assert_allclose(for_discriminator, theirs.item(), rtol=1e-6)
    np.testing.assert_allclose(for_generator, loss(torch.tensor(FAKE), ones).item(), rtol=1e-6)


def test_the_losses_of_the_dcgan_have_the_slopes_of_a_sigmoid():
    loss = LOSSES["dcgan"]
    slopes = jax.grad(lambda images: loss.generator(discriminate, {"seen": []}, REAL, images)[0])(FAKE)
    np.testing.assert_allclose(slopes, -1 / (1 + np.exp(np.float64(FAKE))) / 4, rtol=1e-5, atol=1e-12)
    slopes = jax.grad(lambda images: loss.discriminator(discriminate, {"seen": []}, images, FAKE)[0])(REAL)
    np.testing.assert_allclose(slopes, -1 / (1 + np.exp(np.float64(REAL))) / 4, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_has_judged_is_in_the_variables_that_it_returns(name):
    (for_discriminator, judged), (for_generator, seen) = of_each(name)
    assert np.shape(for_discriminator) == np.shape(for_generator) == ()
    np.testing.assert_array_equal(judged.real_logits, REAL)
    np.testing.assert_array_equal(judged.fake_logits, FAKE)
    assert {id(batch) for batch in judged.variables["seen"]} == {id(REAL), id(FAKE)}
    assert any(batch is FAKE for batch in seen)
