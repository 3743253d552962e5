"""`python -m gan_da_jax VERB ...`."""

from gan_da_jax.main import run

run()
