"""The paper's first source: CelebA. Give the official archive with `--config.data.path=img_align_celeba.zip`.

Through TensorFlow Datasets: `--config.data.source=tfds --config.data.dataset=celeb_a --config.data.path=`.
"""

from ml_collections import ConfigDict

from gan_da_jax.configs import default


def get_config() -> ConfigDict:
    """Return the paper's set-up, from the aligned and cropped images (178x218) stretched to 128x128."""
    config = default.get_config()
    config.train.ema_kimg = 0.0  # the paper's samples are the generator's as it was trained
    config.data.source = "zip"
    config.data.path = "img_align_celeba.zip"
    return config
