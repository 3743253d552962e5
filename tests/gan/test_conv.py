import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from gan_da_jax.gan import conv

FORMS = {
    "conv": (conv.conv_native, conv.conv_matmul, conv.conv_winograd),
    "conv_transpose": (conv.conv_transpose_native, conv.conv_transpose_matmul, conv.conv_transpose_winograd),
}
ANY_SIZE = [form for native, matmul, _ in FORMS.values() for form in (native, matmul)]
sizes = st.integers(1, 9)
channels = st.integers(1, 5)


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def value_and_gradients(function, x, kernel):
    cotangent = arrays(jax.eval_shape(function, x, kernel).shape)[0].astype(x.dtype)

    @jax.jit
    def run(x, kernel):
        y, vjp = jax.vjp(function, x, kernel)
        return y, *vjp(cotangent)

    return run(x, kernel)


def assert_close(ours, theirs):
    # Sums of up to 16 * channels, or of batch * positions, float32 products of standard normal numbers.
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=15, deadline=None)
@given(batch=st.integers(1, 3), height=sizes, width=sizes, channels=channels, features=channels)
def test_the_forms_are_equal_in_value_and_gradients(name, batch, height, width, channels, features):
    if name == "conv":
        height, width = height + 1, width + 1  # no patch fits in one pixel
    x, kernel = arrays((batch, height, width, channels), (4, 4, channels, features))
    native, matmul = (value_and_gradients(form, x, kernel) for form in FORMS[name][:2])
    for ours, theirs in zip(matmul, native, strict=True):
        assert ours.shape == theirs.shape
        assert_close(ours, theirs)


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=5, deadline=None)
@given(
    batch=st.integers(1, 3), tiles=st.tuples(st.integers(1, 3), st.integers(1, 3)), channels=channels, features=channels
)
def test_nine_products_are_sixteen(name, batch, tiles, channels, features):
    side = 4 if name == "conv" else 2
    x, kernel = arrays((batch, side * tiles[0], side * tiles[1], channels), (4, 4, channels, features))
    native, _, winograd = (value_and_gradients(form, x, kernel) for form in FORMS[name])
    for ours, theirs in zip(winograd, native, strict=True):
        assert ours.shape == theirs.shape
        assert_close(ours, theirs)


@pytest.mark.parametrize("name", FORMS)
def test_nine_products_round_as_float32_does(name):
    x, kernel = arrays((8, 16, 16, 64), (4, 4, 64, 64))
    ours = value_and_gradients(FORMS[name][2], x, kernel)
    with jax.enable_x64(True):
        exact = value_and_gradients(
            FORMS[name][0], *(jnp.asarray(np.asarray(array), jnp.float64) for array in (x, kernel))
        )
        exact = [np.asarray(array) for array in exact]
    for array, other in zip(ours, exact, strict=True):
        assert other.dtype == np.float64
        assert np.abs(array - other).max() < 5e-6 * np.abs(other).max()


@pytest.mark.parametrize("form", ANY_SIZE)
def test_the_gradients_are_those_of_finite_differences(form):
    check_grads(jax.jit(form), arrays((2, 5, 6, 2), (4, 4, 2, 3)), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("height, width", [(2, 2), (8, 6), (5, 7)])
@pytest.mark.parametrize("form", FORMS["conv"][:2])
def test_conv_is_that_of_torch(form, height, width):
    torch = pytest.importorskip("torch")
    x, kernel = arrays((2, height, width, 3), (4, 4, 3, 5))
    theirs = torch.nn.functional.conv2d(
        torch.tensor(np.array(x)).permute(0, 3, 1, 2),
        torch.tensor(np.array(kernel)).permute(3, 2, 0, 1),
        stride=2,
        padding=1,
    )
    assert_close(jax.jit(form)(x, kernel), theirs.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("height, width", [(1, 1), (4, 3), (5, 7)])
@pytest.mark.parametrize("form", FORMS["conv_transpose"][:2])
def test_conv_transpose_is_that_of_torch(form, height, width):
    torch = pytest.importorskip("torch")
    x, kernel = arrays((2, height, width, 3), (4, 4, 3, 5))
    theirs = torch.nn.functional.conv_transpose2d(
        torch.tensor(np.array(x)).permute(0, 3, 1, 2),
        torch.tensor(np.array(kernel)).permute(2, 3, 0, 1),
        stride=2,
        padding=1,
    )
    assert_close(jax.jit(form)(x, kernel), theirs.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize(
    "backend, size, channels, dtype, which",
    [
        ("cpu", 8, 32, "float32", 2),
        ("cpu", 8, 3, "float32", 1),
        ("cpu", 6, 32, "float32", 1),
        ("cpu", 8, 32, "bfloat16", 1),
        ("gpu", 8, 32, "float32", 0),
        ("tpu", 8, 3, "bfloat16", 0),
    ],
)
def test_backend_shape_and_dtype_choose_the_form(monkeypatch, backend, size, channels, dtype, which):
    chosen = []
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    for form in [form for forms in FORMS.values() for form in forms]:
        monkeypatch.setattr(conv, form.__name__, lambda x, kernel, form=form: chosen.append(form))
    conv.conv(np.zeros((1, size, size, channels), dtype), np.zeros((4, 4, channels, 5)))
    conv.conv_transpose(np.zeros((1, size // 2, size // 2, 5), dtype), np.zeros((4, 4, 5, channels)))
    assert chosen == [forms[which] for forms in FORMS.values()]
