"""The paper's second source: Pomeranians. Give your folder of pictures with `--config.data.path=DIR`.

The 200 of Oxford-IIIT Pet alone, through TensorFlow Datasets: `--config.data.source=tfds --config.data.path=
--config.data.dataset=oxford_iiit_pet#pomeranian --config.data.count=200`.
"""

from ml_collections import ConfigDict

from gan_da_jax.configs import default


def get_config() -> ConfigDict:
    """Return the paper's set-up. Pictures collected from the web may hold bad files; these are left out."""
    config = default.get_config()
    config.train.ema_kimg = 0.0  # the paper's samples are the generator's as it was trained
    config.data.source = "folder"
    config.data.path = "pomeranians"
    config.data.skip_bad = True
    return config
