"""The leakage meters: for each op two small classifiers, trained on a run's originals against op(originals)."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from gan_da_jax import augment, prng
from gan_da_jax.augment import policy
from gan_da_jax.classifiers import fitting, kept
from gan_da_jax.classifiers.networks import small_cnn
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation.thumbnails import thumbnails
from gan_da_jax.files import io
from gan_da_jax.metrics import adjusted_count

# To be raised when anything that is not in `_cached`'s key changes the votes: the network's layers, `fitting.fit`, the
# thumbnails, the halves. A test holds a small meter against pinned numbers and fails when one of these changed.
FORMAT = 1
FEWEST = 8  # originals: a half of fewer teaches nothing
BATCH = 32
STEPS = 300  # of the training of one classifier, enough for 1,000 images
EPOCHS = 40  # at most, so that few images take less time
LEARNING_RATE = 3e-3  # at the start, see `fitting.fit`
NETWORK = small_cnn.Attributes(2)


class Meter(NamedTuple):
    """Two classifiers that tell originals from what an op makes of them.

    Attributes:
        op: a key of `augment.OPS`.
        variables: Flax variables of `NETWORK`, of the classifiers that were trained on either half of the originals;
            none if there are fewer than `FEWEST`.
        plain: float32 [n], 1 where an original is taken for an augmented image by the classifier that has not seen it,
            else 0.
        augmented: float32 [n], likewise of the originals' augmented twins, which are in the same half.
    """

    op: str
    variables: tuple[dict, ...]
    plain: np.ndarray
    augmented: np.ndarray


def meters(originals: np.ndarray, policy_text: str, *, cache: Path | None = None) -> list[Meter]:
    """Train the meters of all ops that change originals, in the order of `augment.OPS`, or read them from the cache.

    Each depends on the originals, the op and its arguments alone, and is kept in the cache, so that runs on the same
    originals share it.

    Args:
        originals: uint8 [n, S, S, 3].
        policy_text: a run's policy; an op in it is taken with the arguments it has there, others with the default ones.
        cache: the folder that they are kept in, `io.cache_dir()` if not given.
    """
    parts = {part.op: part for part in policy.parse(policy_text)}
    ops = [op for op, entry in augment.OPS.items() if entry.function is not augment.identity]
    return [_cached(originals, parts.get(op) or policy.parse(op)[0], cache or io.cache_dir()) for op in ops]


def read(meters: Sequence[Meter], samples: np.ndarray) -> dict[str, Any]:
    """Read every meter on a set of samples.

    Args:
        meters: as from `meters`.
        samples: float32 [m, 32, 32, 3], as from `thumbnails`; m >= 1.

    Returns:
        `leakage` {op: {share, low, high, accuracy}}: the share of samples that look augmented by the op, its 95%
        interval, and the share of held-out originals and twins that the meter classifies rightly; all 0..1. What
        cannot be said is None, and `reasons` says why, under `leakage.OP`.
    """
    readings, reasons = {}, {}
    for meter in meters:
        reading: dict[str, float | None] = {"share": None, "low": None, "high": None, "accuracy": None}
        readings[meter.op] = reading
        try:
            if not meter.variables:
                raise UserError(
                    f"{len(meter.plain)} originals are too few to train a classifier: there must be at least {FEWEST}"
                )
            reading["accuracy"] = adjusted_count.accuracy(meter.plain, meter.augmented)
            votes = np.mean([_votes(variables, samples) for variables in meter.variables], axis=0)
            reading |= adjusted_count.share(votes, meter.plain, meter.augmented)._asdict()
        except UserError as error:
            reasons[f"leakage.{meter.op}"] = str(error)
    return {"leakage": readings, "reasons": reasons}


def _cached(originals: np.ndarray, part: policy.Part, cache: Path) -> Meter:
    twins = augment.apply(part.op, part.arguments, originals)
    identity = {
        "format": FORMAT,
        "network": [*NETWORK.taps, NETWORK.classes],
        "training": [FEWEST, BATCH, STEPS, EPOCHS, LEARNING_RATE],
        "shape": originals.shape,
        "originals": io.sha256(originals),
        "augmented": io.sha256(twins),  # says what the op and its arguments do
    }

    def train() -> dict[str, np.ndarray]:
        meter = _train(part.op, thumbnails(originals), thumbnails(twins))
        flat = flax.traverse_util.flatten_dict(dict(zip("01", meter.variables, strict=False)), sep="/")
        return {"plain": meter.plain, "augmented": meter.augmented, **flat}

    flat = kept.arrays("leakage", identity, train, names=("plain", "augmented"), cache=cache)
    plain, augmented = flat.pop("plain"), flat.pop("augmented")
    halves = flax.traverse_util.unflatten_dict(flat, sep="/")
    return Meter(part.op, tuple(halves[half] for half in sorted(halves)), plain, augmented)


def _train(op: str, plain: np.ndarray, augmented: np.ndarray) -> Meter:
    """Train on thumbnails float32 [n, 32, 32, 3]; the halves are the even and the odd ones, so all ops compile once."""
    half = len(plain) // 2
    if len(plain) < FEWEST:
        return Meter(op, (), np.zeros(len(plain), np.float32), np.zeros(len(plain), np.float32))
    batch_size = min(BATCH, 2 * half)
    epochs = min(EPOCHS, -(-STEPS // (2 * half // batch_size)))
    votes, variables = np.empty((2, len(plain)), np.float32), []
    for parity in range(2):
        seen = slice(parity, 2 * half, 2)
        variables.append(
            jax.device_get(
                fitting.fit(
                    NETWORK,
                    np.concatenate([plain[seen], augmented[seen]]),
                    np.repeat([0, 1], half),
                    prng.stream(0, "leakage", parity),
                    epochs=epochs,
                    batch_size=batch_size,
                    learning_rate=LEARNING_RATE,
                )
            )
        )
        unseen = slice(1 - parity, None, 2)
        votes[:, unseen] = [_votes(variables[-1], images[unseen]) for images in (plain, augmented)]
    return Meter(op, tuple(variables), *votes)


def _votes(variables: dict, images: np.ndarray) -> np.ndarray:
    """Tell which thumbnails are taken for augmented ones: float32 [n], 1 or 0.

    Votes, not probabilities: a GAN's first blots leave a classifier undecided, which says nothing of any share.
    """
    return _classify()(variables, images)["augmented"]


@functools.cache
def _classify():
    def augmented(variables, images):
        return {"augmented": jnp.argmax(NETWORK.bind(variables)(images)["logits"], axis=1).astype(jnp.float32)}

    return parallel.batches(augmented, batch_size=64)
