"""The largest of several correlated t statistics: how likely it exceeds a number, and which it seldom exceeds.

Dunnett's many-to-one test (1955, A Multiple Comparison Procedure for Comparing Several Treatments with a Control, JASA
50) holds each |estimate| / standard error against this distribution, the multivariate t of Dunnett and Sobel (1954).
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import chdtri, fdtrc, ndtr, ndtri, stdtr, stdtrit
from scipy.stats import qmc

Survival = Callable[[np.ndarray, float], np.ndarray]  # numbers t [m] and degrees of freedom -> P(max |T| > t) [m]

_POINTS = 2**13  # directions that stand for all where the covariance is a general one
_Z = np.arange(-8.5, 8.51, 0.1)  # the trapezoidal rule converges faster than any power for the normal density
_DENSITY = 0.1 * np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi)
_LOG_Y = np.arange(np.log(1e-7), np.log(25), 0.04)
_SCALES = 160


class LargestT(NamedTuple):
    """Distribution of max |T_i|, where T has a multivariate t distribution around 0.

    Attributes:
        number: k >= 1, how many T_i there are.
        survival: the distribution.
    """

    number: int
    survival: Survival

    def exceeds(self, t: np.ndarray, df: float) -> np.ndarray:
        """Compute P(max |T_i| > t), float64 [m], for t float64 [m] >= 0 and df > 0 degrees of freedom."""
        return np.clip(self.survival(np.asarray(t, np.float64), df), 0.0, 1.0)

    def critical(self, df: float, level: float) -> float:
        """Compute the number that max |T_i| exceeds with probability `level`, 0 < level < 1."""
        return _critical(self, df, level)


@functools.lru_cache(maxsize=4096)
def _critical(distribution: LargestT, df: float, level: float) -> float:
    # It lies between the quantiles for one statistic and for k of them by Bonferroni.
    low, high = (-float(stdtrit(df, level / 2 / number)) for number in (1, distribution.number))
    if distribution.number == 1:
        return low

    def beyond(t: float) -> float:
        return float(distribution.exceeds(np.array([t]), df)[0]) - level

    return float(brentq(beyond, 0.99 * low, 1.01 * high, rtol=1e-9))


def complete(arms: int) -> LargestT:
    """Find the distribution for `arms` arms and a control that all have the same seeds."""
    return one_factor((math.sqrt(0.5),) * arms)


def of_covariance(covariance: np.ndarray) -> LargestT:
    """Find the distribution for estimates with this covariance, up to a factor.

    Where all pairs of estimates have the same covariance, as in complete layouts, and in groups of any size without
    seeds, they depend on one common normal variable, which a quadrature integrates out, to within 1e-6. Any other
    covariance takes a fixed scrambled Sobol sequence of 2^13 directions, whose length is integrated out exactly: the
    same number every time, to within 0.0005 for p-values around 0.05 and up to twelve estimates.

    Args:
        covariance: float64 [k, k], k >= 1, positive definite.
    """
    k = len(covariance)
    if k == 1:
        return complete(1)
    deviations = np.sqrt(np.diag(covariance))
    others = covariance[~np.eye(k, dtype=bool)]
    common = others.mean()
    if common >= 0 and np.allclose(others, common, rtol=1e-9, atol=1e-12 * deviations.max() ** 2):
        loads = np.round(np.sqrt(common) / deviations, 12)
        return one_factor(tuple(sorted(loads.tolist())))
    return LargestT(k, _by_directions(covariance / np.outer(deviations, deviations)))


@functools.lru_cache(maxsize=64)
def one_factor(loads: tuple[float, ...]) -> LargestT:
    """Find the distribution where T_i and T_j have the correlation l_i l_j, by quadrature.

    Args:
        loads: k >= 1 numbers l_i, 0 <= l_i < 1.
    """
    if len(loads) == 1:
        return LargestT(1, lambda t, df: 2 * stdtr(df, -t))
    loading, times = np.unique(loads, return_counts=True)
    own = np.sqrt(1 - loading**2)[:, None, None]
    shift, y = loading[:, None, None] * _Z, np.exp(_LOG_Y)[:, None]
    outside = np.minimum(ndtr((shift - y) / own) + ndtr((-shift - y) / own), 1.0)  # of one normal |X_i| > y, given Z
    with np.errstate(divide="ignore"):
        missing = -np.expm1(np.einsum("i,iyz->yz", times, np.log1p(-outside)))
    # Far out, a common variable beyond the grid decides, and all loads near 1 leave 0; one |X_i| > y alone is a bound.
    larger = np.maximum(missing @ _DENSITY, 2 * ndtr(-y[:, 0]))
    # The logarithm of P(max |X_i| > y) is smooth over all of its range, and so keeps small p-values exact.
    spline = CubicSpline(_LOG_Y, np.log(larger))

    def survival(t: np.ndarray, df: float) -> np.ndarray:
        scale, weight = scales(df)
        with np.errstate(divide="ignore"):
            log_y = np.log(t)[..., None] + np.log(scale)
        return np.exp(spline(np.clip(log_y, _LOG_Y[0], _LOG_Y[-1]))) @ weight

    return LargestT(len(loads), survival)


@functools.lru_cache(maxsize=4096)
def scales(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Find nodes and weights for the expectation over s, where s^2 is a chi-squared variable over its df > 0 degrees.

    Returns:
        Float64 arrays of the same length: numbers s, and weights of the sum 1.
    """
    low, high = (np.log(chdtri(df, tail) / df) / 2 for tail in (1 - 1e-13, 1e-15))
    x = np.linspace(low, high, _SCALES)
    log_density = df * (x - np.exp(2 * x) / 2)  # of log s, up to a constant
    weight = np.exp(log_density - log_density.max())
    return np.exp(x), weight / weight.sum()


def _by_directions(correlation: np.ndarray) -> Survival:
    k = len(correlation)
    root = np.linalg.cholesky(correlation)
    normal = ndtri(qmc.Sobol(k, seed=0).random(_POINTS))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    reach = np.abs(normal @ root.T).max(axis=1)  # max |X_i| of the direction, for a length of 1
    # The squared length over k, and that over s^2, is a variable of the F distribution.
    return lambda t, df: fdtrc(k, df, (t[..., None] / reach) ** 2 / k).mean(axis=-1)
