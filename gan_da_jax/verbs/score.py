"""score: any images, against any reference, by any classifier -> a table and a JSON file."""

import contextlib
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from gan_da_jax import gan
from gan_da_jax.classifiers import extract, registry
from gan_da_jax.data import collection
from gan_da_jax.data.sources.images import shown
from gan_da_jax.errors import UserError
from gan_da_jax.evaluation import any_images
from gan_da_jax.evaluation.any_images import SEED
from gan_da_jax.files import io
from gan_da_jax.metrics import classes, columns
from gan_da_jax.pytorch import convert
from gan_da_jax.training import sampling
from gan_da_jax.verbs.verb import Flag, Verb

_WEIGHTS = (".pth", ".pt", ".safetensors")


def main(
    *,
    images: str,
    reference: str | None = None,
    classifier: str = "inception_v3_2015",
    weights: str = "",
    tap: str | None = None,
    splits: int = 10,
    samples: int | None = None,
    out: str | None = None,
    probabilities: str | None = None,
    dry_run: bool = False,
) -> None:
    """Score a folder, zip, `.npz` or `.npy` of images, or what the generator of a DCGAN makes.

    Args:
        images: what is scored; a `.pth`, `.pt` or `.safetensors` file holds a generator's weights, as PyTorch has them.
        reference: what it is compared with, likewise; its features are kept in the cache.
        classifier: a key of `registry.CLASSIFIERS`.
        weights: its weight file; "" for the published one.
        tap: the layer whose features are compared; None takes the network's default, `2048` of Inception.
        splits: of the Inception Score.
        samples: how many images a generator makes, from latents by the seed that the result has; 1000 if None.
        out: a `.json` file to write.
        probabilities: a `.npz` file to write: `probabilities` float32 [n, K], the names of the `images` [n], and of the
            `classes` [K].
        dry_run: check everything that can be checked without classifying an image.

    Raises:
        UserError: images, weights or options are wrong.
    """
    where = registry.check(classifier, weights, tap=tap or "")
    _check_options(splits=splits, tap=tap, reference=reference, out=out, probabilities=probabilities)
    with _opened(images, samples) as own, _reference(reference) as other:
        own_seen, other_seen = extract.see(own.read), extract.see(other.read) if other else None
        place, other_place = shown(images), shown(reference or "")
        if dry_run:
            against = f" against {other.size} of {other_place}" if other else ""
            print(f"would score {own.size} images of {place}{against} by {classifier}, weights: {where}")
            return
        network = registry.load(classifier, weights)
        found, features = any_images.score(
            own_seen,
            other_seen,
            classifier=network,
            tap=tap,
            splits=splits,
            probabilities=probabilities is not None,
            titles=(f"images {place}", f"reference {other_place}"),
        )

    result = {
        "images": images,
        "images_count": own.size,
        "reference": reference,
        "reference_count": other.size if other else None,
        **found,
    }
    if probabilities is not None:
        _save_probabilities(probabilities, features["logits"], own.names, network.classes)
    if out is not None:
        io.write_json(out, result)
    print(_table(result))


def _check_options(
    *, splits: int, tap: str | None, reference: str | None, out: str | None, probabilities: str | None
) -> None:
    if splits < 1:
        raise UserError(f"--splits is {splits}; it must be at least 1")
    if tap is not None and reference is None:
        raise UserError(f"--tap={tap} is the layer that is compared: give a --reference, or leave it out")
    if out is not None:
        _require_place("--out", Path(out), ".json")
    if probabilities is not None:
        _require_place("--probabilities", Path(probabilities), ".npz")


def _opened(images: str, samples: int | None) -> contextlib.AbstractContextManager[collection.Collection]:
    """Open what is scored, as a context: images as they are, or the images that a generator's weights make."""
    if images.endswith(_WEIGHTS):
        return contextlib.nullcontext(_samples(images, 1000 if samples is None else samples))
    if samples is not None:
        raise UserError(f"--samples={samples} is for a generator's weights, but {shown(images)} are images already")
    return collection.opened(images)


def _reference(path: str | None) -> contextlib.AbstractContextManager[collection.Collection | None]:
    """Open what is compared with, if anything, as a context."""
    return contextlib.nullcontext() if path is None else collection.opened(path)


def _samples(path: str, count: int) -> collection.Collection:
    """Return the images that the generator of a weight file makes, from latents by `SEED`."""
    if count < 1:
        raise UserError(f"--samples is {count}; it must be at least 1")
    network = convert.load(path)
    if network.kind != "generator":
        raise UserError(f"{path} holds a discriminator, which makes no images: give the generator's weights")
    of = gan.create(image_size=network.image_size, latent_dim=network.latent_dim, width=network.width)
    latents = sampling.latents(seed=SEED, stream="score", count=count, latent_dim=network.latent_dim)

    @functools.cache
    def pixels() -> np.ndarray:
        return sampling.sampler(of)(network.variables, latents)

    return collection.Collection([str(number) for number in range(count)], lambda: iter(pixels()))


def _require_place(flag: str, out: Path, suffix: str) -> None:
    """Refuse a file that could not be written once all the work is done."""
    folder = out.absolute().parent
    if out.is_dir():
        raise UserError(f"{flag}={shown(out)} is a folder: name a file in it, as in scores{suffix}")
    if out.suffix != suffix:
        raise UserError(f"{flag}={shown(out)}: its name must end in {suffix}")
    if not folder.is_dir():
        raise UserError(f"{flag}={shown(out)}: its folder does not exist; make it, or name another file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{flag}={shown(out)}: its folder may not be written to; name another file")


def _save_probabilities(path: str, logits: np.ndarray, names: list[str], class_names: tuple[str, ...]) -> None:
    probabilities = classes.probabilities(logits).astype(np.float32)
    io.save_arrays(path, probabilities=probabilities, images=np.array(names), classes=np.array(class_names))


def _table(result: dict[str, Any]) -> str:
    """Write the result for a person: what was measured on what, then one line a score."""
    lines = []
    for name in ("images", "reference", "classifier", "weights_sha256", "tap"):
        count = result.get(f"{name}_count")
        lines.append((name, f"{shown(result[name] or 'none')}{f' ({count} images)' if count else ''}"))
    lines += [(score.key, _written(result, score.key)) for score in columns.catalogue() if not score.plain]
    return "\n".join(f"{name:18}{value}" for name, value in lines)


def _written(result: dict[str, Any], name: str) -> str:
    value = result[name]
    if value is None:
        return f"- ({result['reasons'][name]})"
    if isinstance(value, dict):
        how = ", ".join(f"{key} {value[key]}" for key in ("splits", "subsets", "subset_size") if key in value)
        return f"{value['mean']:.6g} +- {value['std']:.3g} ({how})"
    interval = result.get(f"{name}_interval")
    return f"{value:.6g}" + (f" (95% of resamples: {interval[0]:.6g} to {interval[1]:.6g})" if interval else "")


VERB = Verb(
    "scores any images against any reference; needs no config",
    main,
    needs=(
        Flag(
            "images",
            "A folder, .zip, .npz or .npy of images, or a .pth or .safetensors of a DCGAN's generator.",
            "file",
            "--images=DIR",
        ),
    ),
    takes=(
        Flag("reference", "What to compare them with, likewise.", "file"),
        Flag("classifier", "The network; inception_v3_2015 if not given."),
        Flag("weights", "Its weight file; the published one if not given.", "file"),
        Flag("tap", "The layer that is compared; 2048 of Inception."),
        Flag("splits", "Parts of the Inception Score; 10 if not given.", "number"),
        Flag("samples", "Images of a generator's weights; 1000 if not given.", "number"),
        Flag("out", "A .json file to write.", "file"),
        Flag("probabilities", "A .npz file for the class probabilities of each image.", "file"),
    ),
)
