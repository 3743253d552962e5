"""Your own pictures: `study --config=configs/mine.py:PRESET --config.data.path=FOLDER`, with PRESET cpu or gpu.

Six arms with three seeds each, scored against a fifth of the pictures that no arm trains on. The budgets come from
measured curves, see configs/README.md; the report says if they were too small for your pictures.
"""

from ml_collections import ConfigDict

from gan_da_jax.configs import default


def get_config(preset: str = "cpu") -> ConfigDict:
    """Return the study of a folder of 1,000 pictures, of which 800 are trained on.

    Args:
        preset: cpu, at 32 px, for two CPU cores and at most 90 minutes; or gpu, at 128 px.
    """
    config = default.get_config()
    config.data.source = "folder"
    config.data.path = "pictures"
    config.data.resize = "center_crop"
    config.data.skip_bad = True
    config.evaluate.classifier = "inception_v3_2015"
    config.evaluate.reference = "heldout(0.2)"
    config.evaluate.samples = 500
    config.study.arms = ("none", "contrast@800", "invert@800", "hflip@800", "vflip@800", "generated@800")
    config.study.seeds = (0, 1, 2)
    match preset:
        case "cpu":
            config.data.image_size = 32
            config.model.width = 32
            config.train.batch_size = 32
            config.train.kimg = 100.0
            config.train.checkpoint_every = 93  # scored at three quarters of the budget, and at its end
        case "gpu":
            config.model.dtype = "bfloat16"
            config.train.kimg = 600.0
            config.train.checkpoint_every = 93
            config.evaluate.samples = 1000
        case _:
            raise ValueError(f"mine.py has no preset {preset!r}; it has: cpu, gpu")
    return config
