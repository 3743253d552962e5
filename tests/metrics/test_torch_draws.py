import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_da_jax.metrics.torch_draws import chosen, normals

torch = pytest.importorskip("torch")

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, first=st.integers(16, 200), n=st.integers(1, 60), second=st.integers(16, 40), data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_numbers_are_torchs_one_draw_after_the_other(seed, first, n, second, data):
    count = data.draw(st.integers(0, n))
    generator, random = torch.Generator().manual_seed(seed), np.random.RandomState(seed)
    for size in (first, second):
        theirs = torch.randn(size, generator=generator, dtype=torch.float32).numpy()
        np.testing.assert_allclose(normals(random, size), theirs, rtol=1e-5, atol=2e-6)
        theirs = torch.randperm(n, generator=generator).numpy()
        np.testing.assert_array_equal(chosen(random, n, count), theirs[:count])


@pytest.mark.parametrize("shape", [(1000, 2048), (1000, 7), (1001, 3)])
def test_many_normal_numbers_are_torchs(shape):
    theirs = torch.randn(*shape, generator=torch.Generator().manual_seed(2020), dtype=torch.float32).numpy()
    ours = normals(np.random.RandomState(2020), theirs.size).reshape(shape)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)
