import numpy as np
import pytest
from scipy import stats

from gan_da_jax.metrics import shares


def leak(share, accuracy=0.9):
    low, high = (None, None) if share is None else (share - 0.1, share + 0.2)
    return {"share": share, "low": low, "high": high, "accuracy": accuracy}


def test_leakage_is_averaged_over_sets_before_seeds():
    seeds = [
        [{"leakage": {"hflip": leak(None, 0.5), "invert": leak(0.2)}}, {"leakage": {"invert": leak(0.4, 0.8)}}],
        [{"leakage": {"hflip": leak(None, 0.6), "invert": leak(0.5)}}],
        [{"leakage": None}, {"fid": 1.0}],
    ]
    found = shares.leakage(seeds)
    assert found["invert"] == {
        "mean": pytest.approx(0.4),
        "ci95": pytest.approx(stats.t.interval(0.95, 1, 0.4, stats.sem([0.3, 0.5]))),
        "values": [pytest.approx(0.3), 0.5, None],
        "sampling": pytest.approx([np.mean([0.1, 0.3, 0.4]), np.mean([0.4, 0.6, 0.7])]),
        "accuracy": pytest.approx(np.mean([0.9, 0.8, 0.9])),
    }
    blind = {"mean": None, "ci95": None, "values": [None] * 3, "sampling": None, "accuracy": pytest.approx(0.55)}
    assert found["hflip"] == blind
    assert shares.leakage([[{"fid": 1.0}]]) == {}
    untrained = shares.leakage([[{"leakage": {"vflip": leak(None, None)}}], [{"leakage": {"vflip": leak(None, 0.5)}}]])
    assert (untrained["vflip"]["accuracy"], untrained["vflip"]["mean"]) == (0.5, None)
    assert shares.leakage([[{"leakage": {"vflip": leak(None, None)}}]])["vflip"]["accuracy"] is None


def test_memorisation_is_joined_in_the_spaces_that_were_measured():
    seeds = [
        [{"memorisation": {"pixels": {"share": 0.1, "expected": 0.05}, "features": None}}],
        [{"memorisation": {"pixels": {"share": 0.3, "expected": 0.07}, "features": None}}],
        [{"memorisation": None}],
    ]
    found = shares.memorisation(seeds)
    assert list(found) == ["pixels"] and found["pixels"]["values"] == [0.1, 0.3, None]
    assert (found["pixels"]["mean"], found["pixels"]["expected"]) == (pytest.approx(0.2), pytest.approx(0.06))
    assert shares.memorisation([[{"fid": 1.0}]]) == {}
