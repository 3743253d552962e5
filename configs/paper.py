"""The paper's study: `study --config=configs/paper.py:PRESET`, with PRESET celeba, pomeranian, both or mini.

Every arm is shown equally many images: 600 thousand, which are the paper's 300 epochs of a data set of 2,000.
"""

from ml_collections import ConfigDict

from gan_da_jax.configs import default

_CELEBA, _POMERANIAN = "zip:img_align_celeba.zip", "folder:pomeranians"


def get_config(preset: str = "both") -> ConfigDict:
    """Return the twelve arms of a source.

    Args:
        preset: celeba, pomeranian or both, at 128 px for a GPU; or mini, at 64 px for two CPU cores, on the built-in
            faces unless another source is given. The budget of mini is a tenth of what scores need to settle: it shows
            how such a study goes, not what comes out of it.
    """
    config = default.get_config()
    config.train.kimg = 600.0
    config.train.ema_kimg = 0.0  # the paper's samples are the generator's as it was trained
    config.train.checkpoint_every = 60
    config.data.skip_bad = True  # pictures from the web
    match preset:
        case "celeba":
            config.study.sources = (_CELEBA,)
        case "pomeranian":
            config.study.sources = (_POMERANIAN,)
        case "both":
            config.study.sources = (_CELEBA, _POMERANIAN)
        case "mini":
            config.data.image_size = 64
            config.model.width = 32
            config.train.batch_size = 16  # many small steps: faces show early
            config.train.kimg = 10.0
            config.train.checkpoint_every = 5
            config.evaluate.classifier = "faces_attributes"
        case _:
            raise ValueError(f"paper.py has no preset {preset!r}; it has: celeba, pomeranian, both, mini")
    return config
