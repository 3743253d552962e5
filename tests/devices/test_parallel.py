import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from gan_da_jax.devices import parallel


@pytest.mark.parametrize("batch_size", [1, 7, 64])
@pytest.mark.parametrize("count", [1, 6, 7, 8, 20])
def test_batches_drop_nothing_and_do_not_depend_on_their_size(batch_size, count):
    examples = np.arange(count * 3, dtype=np.float32).reshape(count, 3)
    run = parallel.batches(lambda scale, x: {"sum": scale * x.sum(1), "x": x}, batch_size=batch_size)
    results = run(np.float32(2), examples)
    np.testing.assert_array_equal(results["sum"], 2 * examples.sum(1))
    np.testing.assert_array_equal(results["x"], examples)


def test_an_option_that_xla_does_not_know_costs_time_only(monkeypatch):
    monkeypatch.setattr(parallel, "_FORWARD_ON_CPU", {"xla_cpu_no_such_option": "1"})
    with pytest.raises(Exception, match="xla_cpu_no_such_option"):  # else the option would be known after all
        jax.jit(lambda x: x, compiler_options=dict(parallel._FORWARD_ON_CPU)).lower(1.0).compile()
    run = parallel.batches(lambda scale, x: {"y": scale * x}, batch_size=2)
    np.testing.assert_array_equal(run(np.float32(3), np.arange(5.0))["y"], 3 * np.arange(5.0))


def test_batches_over_eight_devices():
    code = (
        "import numpy as np; from gan_da_jax.devices import parallel\n"
        "run = parallel.batches(lambda v, x: {'y': x * v}, batch_size=4)\n"
        "for n in (1, 5, 8, 31, 32, 33):\n"
        "    x = np.arange(n, dtype=np.float32); np.testing.assert_array_equal(run(np.float32(3), x)['y'], 3 * x)\n"
        "print(len(parallel.devices()))"
    )
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "8"


def test_replicate_and_host_are_inverse():
    tree = {"a": np.arange(5), "b": [np.ones((2, 3), np.float32)]}
    copied = parallel.host(parallel.replicate(tree))
    jax.tree.map(np.testing.assert_array_equal, tree, copied)
