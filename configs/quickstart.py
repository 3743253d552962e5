"""A bare machine: procedural faces, a small DCGAN and a built-in classifier. No data, no network, minutes on two cores."""

from ml_collections import ConfigDict

from gan_da_jax.configs import default


def get_config() -> ConfigDict:
    """1,000 faces at 32 px, width 32, 20 kimg: about a minute and a half an arm on two cores."""
    config = default.get_config()
    config.data.image_size = 32
    config.model.width = 32
    config.train.kimg = 20.0
    config.train.checkpoint_every = 4
    config.evaluate.classifier = "faces_attributes"
    return config
