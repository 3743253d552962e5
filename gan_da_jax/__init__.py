"""Which data augmentation should a GAN be trained on? The whole study in JAX, from 1,000 images to a verdict.

For a notebook: `score` images, `apply` an augmentation, `load_run` and `sample` it. The command line is `gan-da`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_da_jax.api import apply, load_run, sample, score

__version__ = "0.3.0"
__all__ = ["apply", "load_run", "sample", "score"]

if not (Path(__file__).parent / "configs").exists():  # in a clone they stand beside the package
    __path__.append(str(Path(__file__).parents[1]))


def __getattr__(name: str) -> Any:
    """Import the functions when they are first asked for: they import JAX, which takes seconds, and this package."""
    if name in __all__:
        from gan_da_jax import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
