"""score: any images, against any reference, by any classifier -> a table and a JSON file."""

import contextlib
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from gan_da_jax import gan
from gan_da_jax.classifiers import extract as features
from gan_da_jax.classifiers import registry as classifiers
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.data import collection
from gan_da_jax.data.sources.images import shown
from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.metrics import classes, scores
from gan_da_jax.pytorch import convert
from gan_da_jax.training import sampling

SEED = 2020  # of a generator's latents, the shuffle before splitting, KID's subsets, the bootstrap; torch-fidelity's
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
    """Scores a folder, zip, `.npz` or `.npy` of images, or what the generator of a DCGAN makes.

    Args:
        images: what is scored; a `.pth`, `.pt` or `.safetensors` file holds a generator's weights, as PyTorch has them.
        reference: what it is compared with, likewise; its features are kept in the cache.
        classifier: a key of `classifiers.CLASSIFIERS`.
        weights: its weight file; "" for the published one.
        tap: the layer whose features are compared; None takes the network's usual one, `2048` of Inception.
        splits: of the Inception Score.
        samples: how many images a generator makes, from latents by the seed that the result has; 1000 if None.
        out: a `.json` file to write.
        probabilities: a `.npz` file to write: `probabilities` float32 [n, K], the names of the `images` [n], and of the
            `classes` [K].
        dry_run: check everything that can be checked without classifying an image.

    Raises:
        UserError: images, weights or options are wrong.
    """
    where = classifiers.check(classifier, weights, tap=tap or "")
    if splits < 1:
        raise UserError(f"--splits is {splits}, but it is at least 1 part")
    if tap is not None and reference is None:
        raise UserError(f"--tap={tap} is the layer that is compared: give a --reference, or leave it out")
    if out is not None:
        _require_place("--out", Path(out), ".json")
    if probabilities is not None:
        _require_place("--probabilities", Path(probabilities), ".npz")
    with contextlib.ExitStack() as stack:
        if images.endswith(_WEIGHTS):
            own = _samples(images, 1000 if samples is None else samples)
        elif samples is not None:
            raise UserError(f"--samples={samples} is for a generator's weights, but {shown(images)} are images already")
        else:
            own = stack.enter_context(collection.opened(images))
        other = None if reference is None else stack.enter_context(collection.opened(reference))
        for several in (own, other) if other else (own,):
            for _ in several.read():  # a bad file shows now, not when the network has worked for an hour
                pass
        if dry_run:
            against = f" against {other.size} of {shown(reference)}" if other else ""
            print(f"would score {own.size} images of {shown(images)}{against} by {classifier}, weights: {where}")
            return
        judge = classifiers.load(classifier, weights, taps=())
        tap = (tap or judge.usual_tap) if other else None
        if probabilities is not None:
            judge.require(("logits",))
        wanted = _wanted(judge, tap)
        extract = features.extractor(judge, wanted)

        known = None
        if other:
            known = features.cached(
                judge,
                wanted,
                other.read,
                lambda several: features.watched(
                    extract, several, what=f"reference {shown(reference)}", count=other.size
                ),
            )
        found = features.watched(extract, own.read(), what=f"images {shown(images)}", count=own.size)

    spread = scores.of_classes(found, splits=splits, seed=SEED, shuffle=True)
    distances = scores.against(found, known, tap=tap, seed=SEED)
    reasons = spread.pop("reasons") | distances.pop("reasons")
    result = {
        "images": images,
        "images_count": own.size,
        "reference": reference,
        "reference_count": other.size if other else None,
        "classifier": judge.name,
        "classifier_accuracy": judge.accuracy,
        "weights_sha256": judge.weights_sha256,
        "tap": tap,
        "seed": SEED,
        **spread,
        **distances,
        "reasons": reasons,
    }
    if probabilities is not None:
        given = classes.probabilities(found["logits"]).astype(np.float32)
        io.save_arrays(probabilities, probabilities=given, images=np.array(own.names), classes=judge.classes)
    if out is not None:
        io.write_json(out, result)
    print(_table(result))


def _samples(path: str, count: int) -> collection.Collection:
    """What the generator of a weight file makes, from latents by `SEED`."""
    if count < 1:
        raise UserError(f"--samples is {count}, but it is at least 1 image")
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
    """Refuses a file that could not be written once all the work is done."""
    folder = out.absolute().parent
    if out.is_dir():
        raise UserError(f"{flag}={shown(out)} is a folder: name a file in it, as in scores{suffix}")
    if out.suffix != suffix:
        raise UserError(f"{flag}={shown(out)}: the file that is written is a {suffix} file, and is to be called so")
    if not folder.is_dir():
        raise UserError(f"{flag}={shown(out)}: its folder does not exist; make it, or name another file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{flag}={shown(out)}: its folder may not be written to; name another file")


def _wanted(judge: Classifier, tap: str | None) -> tuple[str, ...]:
    """The layers that the scores are made of, as far as the weights reach: `tap`, if any, and the last."""
    judge.require((tap,) if tap else ())
    wanted = {tap, "logits"} & {*judge.taps}
    if not wanted:
        raise UserError(
            f"the weights of {judge.name} end before its last layer, which the Inception Score needs, and without a "
            f"--reference there is nothing else to compute: give one, and a --tap of {', '.join(judge.taps)}"
        )
    return tuple(name for name in judge.taps if name in wanted)


def _table(result: dict[str, Any]) -> str:
    """The result for a person: one line a score, with what it was measured on."""
    lines = []
    for name in ("images", "reference", "classifier", "weights_sha256", "tap"):
        count = result.get(f"{name}_count")
        lines.append((name, f"{shown(result[name] or 'none')}{f' ({count} images)' if count else ''}"))
    for name in ("inception_score", "inception_score_1", "fid", "kid", "precision", "recall", "density", "coverage"):
        lines.append((name, _written(result, name)))
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
