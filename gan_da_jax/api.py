"""Functions for a notebook: score images, apply an augmentation, load a run, sample it. `gan_da_jax` offers them."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from gan_da_jax import augment, gan
from gan_da_jax.augment import policy
from gan_da_jax.classifiers import extract, registry
from gan_da_jax.data import collection
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation import any_images
from gan_da_jax.runs.folder import Run
from gan_da_jax.training import sampling


def score(
    images: np.ndarray | str | Path,
    reference: np.ndarray | str | Path | None = None,
    *,
    classifier: str = "inception_v3_2015",
    weights: str = "",
    tap: str | None = None,
    splits: int = 10,
) -> dict[str, Any]:
    """Score images, with a reference against it too, as `gan-da score` does.

    Example:
        >>> real, fake = draw(20, seed=0), draw(20, seed=1)
        >>> found = gan_da_jax.score(fake, real, classifier="faces_attributes", splits=2)
        >>> found["fid"] > 0 and found["inception_score"]["splits"] == 2
        True

    Args:
        images: uint8 [n, H, W, 3], or the path of a folder, `.zip`, `.npz` or `.npy` of images.
        reference: the images to compare them with, in the same form; None for no comparison.
        classifier: the name of a network, see `gan-da weights list`, or `faces_attributes`.
        weights: its weight file; "" for the published one, which is downloaded when it is first needed.
        tap: the layer whose features are compared; None for the network's default.
        splits: parts of the Inception Score, at least 1 and at most n.

    Returns:
        The scores by their names: numbers, or objects with `mean` and `std`; None where one cannot be computed, and
        `reasons` says why. Beside them the classifier, the hash of its weights, the tap and the seed.

    Raises:
        UserError: the images, the weights or an option cannot be used.
    """
    registry.check(classifier, weights, tap=tap or "")
    if splits < 1:
        raise UserError(f"splits is {splits}; it must be at least 1")
    if tap is not None and reference is None:
        raise UserError(f"tap={tap} is the layer that is compared: give a reference, or leave it out")
    with contextlib.ExitStack() as stack:
        own = _seen(images, stack)
        other = None if reference is None else _seen(reference, stack)
        network = registry.load(classifier, weights)
        found, _ = any_images.score(own, other, classifier=network, tap=tap, splits=splits)
    return found


def apply(op: str, images: np.ndarray) -> np.ndarray:
    """Apply one augmentation to images, on the accelerator.

    Example:
        >>> import numpy as np
        >>> picture = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
        >>> gan_da_jax.apply("hflip", picture)[0, 0].tolist()
        [[3, 4, 5], [0, 1, 2]]
        >>> int(gan_da_jax.apply("invert", picture).max())
        255

    Args:
        op: one op of a policy, such as `hflip` or `contrast(factor=2)`.
        images: uint8 [n, H, W, 3].

    Returns:
        uint8 [n, H, W, 3].

    Raises:
        UserError: it is not one op, or the images are of another shape or dtype.
    """
    collection.require_pixels(images, "the array")
    parts = policy.parse(op)
    if len(parts) != 1:
        raise UserError(f"{op!r} is not one op; apply one after the other")
    return augment.apply(*parts[0], images)


def load_run(workdir: str | Path) -> Run:
    """Load a run: its config, its schedule, and where its files lie.

    Example:
        >>> run = gan_da_jax.load_run(workdir)
        >>> run.config.data.image_size, run.saved()[-1] == run.schedule.steps
        (32, True)

    Args:
        workdir: the folder of a run, of a study SOURCE/ARM/seedK in it.

    Raises:
        UserError: there is no run, or its config.json cannot be understood.
    """
    return Run.open(Path(workdir))


def sample(run: Run, count: int = 64, *, seed: int = 0, step: int | None = None) -> np.ndarray:
    """Generate images by the GAN of a run.

    Example:
        >>> images = gan_da_jax.sample(gan_da_jax.load_run(workdir), 3)
        >>> images.shape, images.dtype
        ((3, 32, 32, 3), dtype('uint8'))

    Args:
        run: as from `load_run`.
        count: images, at least 1.
        seed: of the latents, 0 to 2**32 - 1; image k is the same for every count.
        step: of the checkpoint; None for the last one.

    Returns:
        uint8 [count, S, S, 3].

    Raises:
        UserError: there is no such checkpoint, or it is damaged.
    """
    saved = run.saved()
    if count < 1:
        raise UserError(f"count is {count}; it must be at least 1")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is {seed}; it must be at least 0 and below 2**32")
    if not saved:
        raise UserError(f"{run} has no checkpoint: train the run first")
    if step not in (None, *saved):
        raise UserError(f"{run} has no checkpoint {step}; it has the checkpoints {', '.join(map(str, saved))}")
    state = run.trained_state(saved[-1] if step is None else step)
    latents = sampling.latents(seed=seed, stream="sample", count=count, latent_dim=run.config.model.latent_dim)
    return sampling.sampler(run.network)(gan.shown(run.network, state), latents)


def _seen(images: np.ndarray | str | Path, stack: contextlib.ExitStack) -> extract.Seen:
    """Look at images once; files stay open until the stack is left."""
    if isinstance(images, np.ndarray):
        collection.require_pixels(images, "the array")
        return extract.see(lambda: images)
    return extract.see(stack.enter_context(collection.opened(str(images))).read)
