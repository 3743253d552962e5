"""What a command needs of the machine: memory, and a place for compiled programs."""

import contextlib
import os
from collections.abc import Iterator

import jax

from gan_da_jax.errors import UserError, reason
from gan_da_jax.files import io


@contextlib.contextmanager
def enough_memory() -> Iterator[None]:
    """Say what to lower where the block uses up the memory of the device or of the machine."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(
            f"Out of memory ({reason(error)}). Lower config.train.batch_size, config.model.width, "
            "config.data.image_size or config.data.resident_mb, score smaller images, or stop other programs on the "
            "device"
        ) from None


def keep_compiled() -> None:
    """Keep XLA's programs for later processes, unless the user has set a place or a limit of their own."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(io.cache_dir() / "xla"))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # a start compiles many small programs
