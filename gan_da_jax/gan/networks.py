"""The networks that `model.name` chooses from. Another one is a file that ends in its `Network`, and a line here."""

from gan_da_jax.gan import dcgan
from gan_da_jax.gan.interface import Network

NETWORKS: dict[str, Network] = {
    "dcgan": dcgan.NETWORK,
}
