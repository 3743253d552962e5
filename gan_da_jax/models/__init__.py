"""Networks as flax.linen modules: the DCGAN that is trained, and the classifiers that judge what it makes."""
