"""The Inception Score (Salimans et al., 2016, arXiv:1606.03498) of any classifier's logits."""

import numpy as np
from scipy.special import entr, log_softmax

from gan_da_jax.errors import UserError
from gan_da_jax.metrics.inputs import require_finite
from gan_da_jax.metrics.measure import Inputs, Measure, Score

RESAMPLES = 1000  # of the bootstrap
_AT_ONCE = 64  # resamples computed at once, as one matrix product


def inception_score(logits: np.ndarray, *, splits: int) -> tuple[float, float]:
    """Compute exp(mean over i of KL(p(y|x_i) || p(y))), where p(y) is the mean of p(y|x_i) over the same split.

    Split i holds the images from i*n // splits up to (i+1)*n // splits, in the order given: shuffle sorted images
    before. Everything is computed in float64.

    Args:
        logits: float [n, K], finite; the classifier's outputs before the softmax, one image a row.
        splits: number of parts, 1 <= splits <= n.

    Returns:
        Mean and standard deviation (ddof 0) over the splits; each split lies in 1 .. min(K, images of the split).

    Raises:
        UserError: fewer images than splits, or logits that are not finite.
    """
    n = len(logits)
    if not 1 <= splits <= n:
        raise UserError(
            f"{n} images cannot be divided into {splits} splits: score more images or choose between 1 and {n} splits"
        )
    log_p = _log_probabilities(logits)
    p = np.exp(log_p)
    bounds = [i * n // splits for i in range(splits + 1)]
    scores = [_score(p[a:b], log_p[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]
    return float(np.mean(scores)), float(np.std(scores))


def bootstrap_interval(logits: np.ndarray, *, resamples: int, seed: int) -> tuple[float, float]:
    """Compute the 95% interval of the score with 1 split under drawing other images: percentiles over resampled images.

    Each resample draws n of the n images with replacement. It holds fewer different images, and the score falls with
    their number: with few images for the number of classes the interval lies low and may leave out the score itself.

    Args:
        logits: float [n, K], finite, n >= 1; the classifier's outputs before the softmax, one image a row.
        resamples: their number, at least 1; 1,000 and more give steady ends.
        seed: of the draws, 0 or more.

    Returns:
        The 2.5th and 97.5th percentiles.

    Raises:
        UserError: no images, no resamples, or logits that are not finite.
    """
    n = len(logits)
    if n < 1 or resamples < 1:
        raise UserError(f"{n} images and {resamples} resamples give no interval: there must be at least 1 of each")
    p = np.exp(_log_probabilities(logits))
    random = np.random.default_rng(seed)
    # The mean KL(p(y|x_i) || p(y)) is the entropy of p(y) less the mean entropy of p(y|x_i).
    entropies = entr(p).sum(axis=1)
    scores = []
    for start in range(0, resamples, _AT_ONCE):
        draws = random.integers(n, size=(min(_AT_ONCE, resamples - start), n))
        weights = np.stack([np.bincount(draw, minlength=n) for draw in draws]) / n
        scores.append(np.exp(entr(weights @ p).sum(axis=1) - weights @ entropies))
    low, high = np.percentile(np.concatenate(scores), [2.5, 97.5])
    return float(low), float(high)


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    require_finite(logits)
    return log_softmax(np.asarray(logits, np.float64), axis=1)


def _score(p: np.ndarray, log_p: np.ndarray) -> float:
    marginal = p.mean(axis=0)
    # Where a probability underflows to 0 in every image, so does the marginal: 0 (log 0 - log 0) counts as 0.
    log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
    return np.exp(np.mean(np.sum(p * (log_p - log_marginal), axis=1)))


def _split(inputs: Inputs) -> dict[str, dict]:
    mean, std = inception_score(inputs.logits, splits=inputs.splits)
    return {"inception_score": {"mean": mean, "std": std, "splits": inputs.splits}}


def _whole(inputs: Inputs) -> dict[str, object]:
    return {
        "inception_score_1": inception_score(inputs.logits, splits=1)[0],
        "inception_score_1_interval": list(bootstrap_interval(inputs.logits, resamples=RESAMPLES, seed=inputs.seed)),
    }


_PAPER = "Salimans et al., 2016, arXiv:1606.03498"
SPLIT = Measure(
    (
        Score(
            "inception_score",
            "Inception Score",
            "disputed",
            _PAPER,
            real="real_inception_score",
            positive=True,
            spread=True,
        ),
    ),
    _split,
)
WHOLE = Measure(
    (
        Score(
            "inception_score_1",
            "Inception Score, 1 split",
            "disputed",
            _PAPER,
            real="real_inception_score_1",
            positive=True,
        ),
    ),
    _whole,
    details=("inception_score_1_interval",),
)
