"""How many of some images look augmented, from the outputs of a classifier that was held-out tested on both kinds."""

from typing import NamedTuple

import numpy as np

from gan_da_jax.errors import UserError

# A classifier below this sees too little: a miscount is magnified by 1 / (tpr - fpr) = 1 / (2 accuracy - 1), here four
# times. Forman (2008) leaves out denominators below 1/4, too.
LEAST_ACCURACY = 0.625
_Z = 1.959964  # two-sided 95% of the normal distribution


class Share(NamedTuple):
    """A share of images, 0..1, and its 95% interval."""

    share: float
    low: float
    high: float


def accuracy(plain: np.ndarray, augmented: np.ndarray) -> float:
    """Compute the share of images, 0..1, that are classified rightly; arguments as in `share`."""
    return (1 - float(np.mean(plain)) + float(np.mean(augmented))) / 2


def share(samples: np.ndarray, plain: np.ndarray, augmented: np.ndarray) -> Share:
    """Estimate which share of the samples are augmented images.

    To count the samples that are taken for augmented ones would count the classifier's errors as well. If a share s of
    the samples are like the augmented images and the others like the plain ones, the votes' mean over the samples is
    (1 - s) mean(plain) + s mean(augmented), which gives s: the adjusted count of Forman (Quantifying counts and costs
    via classification, 2008), where the last two means are called fpr and tpr.

    The interval is Fieller's, for all three means are uncertain, and an image's vote goes with its augmented twin's.
    Each variance counts two more votes of 0 and two of 1 (as Agresti and Coull, 1998): a classifier that made no error
    on n images is not infallible. Both the share and the interval are clipped to 0..1. An interval wholly outside means
    that the samples are no mixture of the two kinds (more faded than any original, say, when contrast is counted): it
    then reaches as far into 0..1 as the share lies outside.

    Args:
        samples: float [m], m >= 1: 1 where a sample is taken for an augmented image, else 0, or the mean of several
            classifiers' votes.
        plain: float [n], n >= 2, the votes on plain images that the classifier (or one of several) was not trained on.
        augmented: float [n], the votes on the same images, augmented.

    Raises:
        UserError: the accuracy is below `LEAST_ACCURACY`, or may be chance on so few images.
    """
    samples, plain, augmented = (np.asarray(array, np.float64) for array in (samples, plain, augmented))
    found = accuracy(plain, augmented)
    if found < LEAST_ACCURACY:
        raise UserError(
            f"the classifier tells {found:.1%} of held-out images from their augmented twins (chance gives 50%): "
            f"it must be at least {LEAST_ACCURACY:.1%} for a count"
        )
    gap, excess = augmented.mean() - plain.mean(), samples.mean() - plain.mean()
    twins = np.cov([*plain, 0, 0, 1, 1], [*(augmented - plain), 0, 1, 0, -1]) / len(plain)
    noise = np.var([*samples, 0, 0, 1, 1], ddof=1) / len(samples)
    # (excess - s gap)^2 <= z^2 variance(s): a quadratic inequality in s, whose solution is an interval if a > 0.
    a = gap**2 - _Z**2 * twins[1, 1]
    b = excess * gap + _Z**2 * twins[0, 1]
    c = excess**2 - _Z**2 * (noise + twins[0, 0])
    if a <= 0:
        raise UserError(
            f"the classifier tells {found:.1%} of held-out images from their augmented twins, but {len(plain)} images "
            "are too few to rule out chance: take more originals"
        )
    half = np.sqrt(max(b**2 - a * c, 0))
    raw, low, high = excess / gap, (b - half) / a, (b + half) / a
    clipped = np.clip(raw, 0, 1)
    if high < 0 or low > 1:
        low, high = clipped - abs(raw - clipped), clipped + abs(raw - clipped)
    return Share(*(float(np.clip(value, 0, 1)) for value in (clipped, low, high)))
