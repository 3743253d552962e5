"""A bare machine's study: built-in faces, a small DCGAN, a built-in classifier; no data, no network, five minutes."""

from ml_collections import ConfigDict

from gan_da_jax.configs import default


def get_config() -> ConfigDict:
    """Return four arms with three seeds each on 1,000 faces at 32 px, width 16, 40 kimg: five minutes on two cores."""
    config = default.get_config()
    config.data.image_size = 32
    config.model.width = 16
    config.train.batch_size = 32
    config.train.kimg = 40.0  # the distance from held-out faces falls until about here
    config.train.checkpoint_every = 30  # scored at three quarters of the budget, and at its end
    config.evaluate.classifier = "faces_attributes"
    config.evaluate.reference = "heldout"
    config.study.arms = ("none", "hflip@1000", "vflip@1000", "generated@1000")
    config.study.seeds = (0, 1, 2)
    config.study.processes = 2
    return config
