"""The devices: what is whole on each of them, what is split between them. The only file that knows `jax.pmap`."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

AXIS = "devices"

# Without YNNPACK, XLA runs a large network forward a fifth faster on a CPU; training steps run faster with it. The
# option is experimental: a version of XLA that does not know it refuses to compile.
_FORWARD_ON_CPU = {"xla_cpu_experimental_ynn_fusion_type": ""}


def devices() -> list[str]:
    """Return the names of all devices, as in `["TFRT_CPU_0"]`."""
    return [str(device) for device in jax.devices()]


def kind() -> str:
    """Return the model of the devices, as in `NVIDIA H100 80GB HBM3`."""
    return jax.devices()[0].device_kind


def local_devices() -> int:
    """Count the devices that belong to this process."""
    return jax.local_device_count()


def replicate(tree: Any) -> Any:
    """Put a tree of arrays whole on every device of this process; other processes do the same with theirs."""
    return jax.device_put(tree, _whole())


def abstract(tree: Any) -> Any:
    """Return a tree of shapes and dtypes with the placement of `replicate`."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=_whole()), tree)


def _whole() -> jax.sharding.NamedSharding:
    # `jax.pmap` takes and gives what belongs to this process, as if there were no other.
    return jax.sharding.NamedSharding(
        jax.sharding.Mesh(np.array(jax.local_devices()), (AXIS,)), jax.sharding.PartitionSpec()
    )


def share(tree: Any) -> Any:
    """Give all processes the arrays of process 0, bit for bit, whole on every device; the others pass their shapes.

    All processes must call it at the same time. Elements must be of one to four bytes.
    """
    if jax.process_count() == 1:
        return tree
    first = next(i for i, device in enumerate(jax.devices()) if device.process_index == 0)

    def share(number, bits):  # as integers, because as floats -0 + 0 is 0
        return jax.lax.psum(jax.tree.map(lambda leaf: jnp.where(number == first, leaf, 0), bits), AXIS)

    bits = [np.asarray(leaf) for leaf in jax.tree.leaves(host(tree))]
    bits = [leaf.view(f"u{leaf.dtype.itemsize}") for leaf in bits]
    numbers = mine(np.arange(jax.device_count())[None])[0, :, 0]
    shared = jax.pmap(share, axis_name=AXIS, in_axes=(0, None), out_axes=None)(numbers, bits)
    leaves = [np.asarray(new).view(old.dtype) for new, old in zip(host(shared), jax.tree.leaves(tree), strict=True)]
    return replicate(jax.tree.unflatten(jax.tree.structure(tree), leaves))


def memory() -> int | None:
    """Return the bytes of memory of one device; None where it does not tell, as a CPU does not."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    return statistics.get("bytes_limit")


def scatter(images: np.ndarray, indices: np.ndarray) -> jax.Array:
    """Put on every device its own images of some steps, in the order of the steps, and wait for it.

    Args:
        images: [N, ...], on the host.
        indices: int [K, batch], the images of each step; `batch` must be a multiple of the number of devices.

    Returns:
        [devices of this process, K * batch / devices, ...], the first axis split between them.
    """
    chosen = mine(indices).swapaxes(0, 1)
    gathered = images[chosen.reshape(len(chosen), -1)]
    mesh = jax.sharding.Mesh(np.array(jax.local_devices()), (AXIS,))
    placement = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
    return jax.block_until_ready(jax.device_put(gathered, placement))


def mine(indices: np.ndarray) -> np.ndarray:
    """Split the batches [K, batch] evenly between all devices: [K, devices of this process, batch / devices]."""
    mine = [i for i, device in enumerate(jax.devices()) if device.process_index == jax.process_index()]
    return indices.reshape(len(indices), jax.device_count(), -1)[:, mine]


def host(tree: Any) -> Any:
    """Copy a tree of arrays that are whole on every device to the host, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.asarray(leaf.addressable_shards[0].data), tree)


def mapped(
    function: Callable[..., Any], *, in_axes: Any, out_axes: Any, donate_argnums: int | tuple[int, ...] = ()
) -> Callable[..., Any]:
    """Compile a function that takes an `axis_name` for all devices of all processes, see `jax.pmap`.

    With an out_axes of None, the result of device 0 is taken unchecked: the function must return the same on all.

    Args:
        function: takes arrays, and by name `axis_name`.
        in_axes: for each argument the axis that is split between the devices; None where all take the whole.
        out_axes: the same for its result.
        donate_argnums: the argument whose memory is used for the result.
    """
    return jax.pmap(
        functools.partial(function, axis_name=AXIS),
        axis_name=AXIS,
        in_axes=in_axes,
        out_axes=out_axes,
        donate_argnums=donate_argnums,
    )


@functools.cache
def _accepted(options: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """Return compiler options as a mapping if this version of XLA knows them all, or None: they only save time."""
    try:
        jax.jit(lambda x: x + 1, compiler_options=dict(options)).lower(np.float32(0)).compile()
    except jax.errors.JaxRuntimeError:
        return None
    return dict(options)


def batches(
    function: Callable[[Any, jax.Array], Mapping[str, jax.Array]], *, batch_size: int
) -> Callable[[Any, np.ndarray], dict[str, np.ndarray]]:
    """Compile a function of single examples for whole arrays of them, in equal batches over the local devices.

    The last batch is filled up with copies of its last example, whose results are cut off: no example is dropped, none
    counts twice, and the results do not depend on `batch_size` beyond float rounding.

    Args:
        function: (variables, [b, ...]) -> arrays [b, ...] by name, each row depending on its own example only.
        batch_size: examples a device is given at once.

    Returns:
        A function of the variables and an array [n, ...], n >= 1, that returns the arrays [n, ...] by name, on the
        host.
    """
    local = jax.local_devices()
    mesh = jax.sharding.Mesh(np.array(local), (AXIS,))
    whole, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(AXIS)
    mapped = jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=(whole, split), out_specs=split),
        compiler_options=_accepted((*_FORWARD_ON_CPU.items(),)) if local[0].platform == "cpu" else None,
    )

    def run(variables: Any, examples: np.ndarray) -> dict[str, np.ndarray]:
        size, blocks = batch_size * len(local), []
        for start in range(0, len(examples), size):
            block = examples[start : start + size]
            padded = np.concatenate([block, np.repeat(block[-1:], size - len(block), axis=0)])
            results = mapped(variables, padded)
            blocks.append({name: np.asarray(values)[: len(block)] for name, values in results.items()})
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    return run
