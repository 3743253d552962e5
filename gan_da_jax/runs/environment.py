"""What numbers owe to where they were computed: versions, devices and flags. Equal environments give equal bits."""

import importlib.metadata
import os
import platform
from typing import Any

import jax

import gan_da_jax
from gan_da_jax.devices import parallel
from gan_da_jax.devices.processor import processor
from gan_da_jax.files import io

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "scipy",
    "pillow",
    "matplotlib",
)
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
_OPTIONS = ("jax_default_matmul_precision", "jax_enable_x64", "jax_threefry_partitionable", "jax_disable_jit")
_DETERMINISTIC = "--xla_gpu_deterministic_ops"


def current() -> dict[str, Any]:
    """Describe the environment of this process.

    Returns:
        `versions` of packages; `backend`, the names of all `devices`, their `kind` (of CPUs with the number of cores
        that this process may use, for sums are split between these); `flags`, the variables and options of JAX that
        change numbers.
    """
    versions = {"gan_da_jax": gan_da_jax.__version__, "python": platform.python_version()}
    versions |= {package: importlib.metadata.version(package) for package in _PACKAGES}
    flags = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    flags |= {name: getattr(jax.config, name) for name in _OPTIONS}
    backend = jax.default_backend()
    return {
        "versions": versions,
        "backend": backend,
        "devices": parallel.devices(),
        "kind": processor() if backend == "cpu" else parallel.kind(),
        "flags": flags,
    }


def digest(environment: dict[str, Any]) -> str:
    """Return the SHA-256 that stands for an environment in the lines of a run's files; 64 hex digits."""
    return io.seal(environment)["sha256"]


def recorded(config_json: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the environments that a run's config.json names, by their hashes; the last one comes first.

    Whatever the file holds beside the config is the environment, so that one with other keys, of an older or a newer
    version, keeps its hash.
    """
    last = {name: value for name, value in config_json.items() if name not in ("config", "earlier", "sha256")}
    return {digest(one): one for one in (last, *config_json.get("earlier", []))}


def nondeterminism(environment: dict[str, Any]) -> str:
    """Say why an environment may give other bits each time; "" if it does not.

    On GPUs, XLA picks kernels by their speed of the moment, and some of them add in the order in which threads end. One
    flag forbids both (https://openxla.org/xla/determinism).
    """
    if environment["backend"] not in ("gpu", "cuda", "rocm"):
        return ""
    given = [flag for flag in environment["flags"].get("XLA_FLAGS", "").split() if flag.startswith(_DETERMINISTIC)]
    if given and given[-1].partition("=")[2].lower() in ("", "true", "1"):
        return ""
    return f"on a GPU without XLA_FLAGS={_DETERMINISTIC}=true, numbers differ from one time to the next"


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Name what differs between two environments, as in `versions.jax (0.10.1, now 0.10.2)`."""
    before, after = _flat(then), _flat(now)
    return [
        f"{name} ({before.get(name)}, now {after.get(name)})"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _flat(environment: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in environment.items():
        flat |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return flat
