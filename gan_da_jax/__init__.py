"""Which data augmentation should a GAN be trained on? The whole study in JAX, from 1,000 images to a verdict."""

from pathlib import Path

__version__ = "0.2.0"

if not (Path(__file__).parent / "configs").exists():  # in a clone they stand beside the package
    __path__.append(str(Path(__file__).parents[1]))
