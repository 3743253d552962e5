import jax
import numpy as np
import pytest

from gan_da_jax import gan, prng
from gan_da_jax.devices import parallel
from gan_da_jax.runs import networks
from helpers import configured


def test_the_initial_state_does_not_depend_on_how_well_it_is_compiled():
    config = configured(seed=7, data__image_size=32, model__width=5)
    expected = jax.jit(lambda key: gan.init(networks.network(config), key))(prng.stream(7, "init"))
    jax.tree.map(np.testing.assert_array_equal, parallel.host(networks.initial_state(config)), jax.device_get(expected))


@pytest.mark.parametrize(("megabytes", "memory", "expected"), [(0.0, None, None), (0.0, 8e9, 4e9), (1.5, 8e9, 1.5e6)])
def test_half_of_the_memory_is_for_images_unless_the_config_says_otherwise(megabytes, memory, expected, monkeypatch):
    monkeypatch.setattr(parallel, "memory", lambda: memory)
    assert networks.resident_bytes(configured(data__resident_mb=megabytes)) == expected
