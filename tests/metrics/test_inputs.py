import numpy as np
import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.metrics import columns
from gan_da_jax.metrics.inputs import matrix, pair
from gan_da_jax.metrics.measure import Inputs, Real

MEASURES = [measure for measure in columns.MEASURES if measure.compared]  # those look at two sets
METRICS = [lambda a, b, of=measure: of.compute(Inputs(None, a, Real(b), splits=1, seed=0)) for measure in MEASURES]
NAMES = ["-".join(measure.fields) for measure in MEASURES]
GOOD = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_are_compared_in_float64(dtype):
    features = GOOD.astype(dtype)
    np.testing.assert_array_equal(matrix(features), features)
    assert [found.dtype for found in pair(features, features[:2])] == [np.float64, np.float64]


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_in_either_set(metric, bad):
    features = GOOD.copy()
    features[7, 2] = bad
    for sets in [(features, GOOD), (GOOD, features)]:
        with pytest.raises(UserError, match="not finite"):
            metric(*sets)


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize("shape", [(20,), (20, 2, 2), (0, 4), (20, 0), ()])
def test_other_shapes_are_named(metric, shape):
    for sets in [(np.zeros(shape), GOOD), (GOOD, np.zeros(shape))]:
        with pytest.raises(UserError) as error:
            metric(*sets)
        assert str(list(shape)) in str(error.value)


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_sets_of_different_layers_are_named(metric):
    with pytest.raises(UserError, match="(4 features .* 3|3 features .* 4):"):
        metric(GOOD, GOOD[:, :3])


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_the_features_given_stay_as_they_are(metric):
    # In float64 nothing is converted, so a metric that works in place would change its caller's.
    a, b = GOOD.astype(np.float64), GOOD[:9] + 0.5
    before = a.copy(), b.copy()
    metric(a, b)
    np.testing.assert_array_equal(a, before[0])
    np.testing.assert_array_equal(b, before[1])
