"""A bare machine's study: built-in faces, a small DCGAN, a built-in classifier; no data, no network, two minutes."""

from ml_collections import ConfigDict

from gan_da_jax.configs import default


def get_config() -> ConfigDict:
    """Return three arms on 1,000 faces at 32 px, width 32, 24 kimg: about two minutes on two cores."""
    config = default.get_config()
    config.data.image_size = 32
    config.model.width = 32
    config.train.batch_size = 16  # many small steps: faces already show after 10 kimg
    config.train.kimg = 24.0
    config.train.checkpoint_every = 6
    config.evaluate.classifier = "faces_attributes"
    config.study.arms = ("none", "hflip@1000", "vflip@1000")
    config.study.processes = 2
    return config
