"""score: any images, against any reference, by any classifier -> a table and a JSON file."""

from pathlib import Path
from typing import Any

from gan_da_jax import classifiers, features, records
from gan_da_jax.data import collection
from gan_da_jax.errors import UserError
from gan_da_jax.metrics import scores
from gan_da_jax.progress import Progress

SEED = 2020  # of the shuffle before splitting, of KID's subsets and of the bootstrap; that of torch-fidelity


def main(
    *,
    images: str,
    reference: str | None = None,
    classifier: str = "inception_v3_2015",
    weights: str = "",
    tap: str | None = None,
    splits: int = 10,
    out: str | None = None,
    dry_run: bool = False,
) -> None:
    """Scores a folder, zip, `.npz` or `.npy` of images.

    Args:
        images: what is scored.
        reference: what it is compared with, likewise; its features are kept in the cache.
        classifier: a key of `classifiers.CLASSIFIERS`.
        weights: its weight file; "" for the published one.
        tap: the layer whose features are compared; None takes the network's usual one, `2048` of Inception.
        splits: of the Inception Score.
        out: a `.json` file to write.
        dry_run: check everything that can be checked without classifying an image.

    Raises:
        UserError: images, weights or options are wrong.
    """
    where = classifiers.check(classifier, weights)
    if splits < 1:
        raise UserError(f"--splits is {splits}, but it is at least 1 part")
    if out is not None and not Path(out).absolute().parent.is_dir():
        raise UserError(f"--out={out}: its folder does not exist; make it, or name another file")
    with collection.opened(images) as own, collection.opened(reference or images) as other:
        if dry_run:
            against = f" against {other.count} of {reference}" if reference else ""
            print(f"would score {own.count} images of {images}{against} by {classifier}, weights: {where}")
            return
        judge = classifiers.load(classifier, weights, taps=())
        tap = tap or judge.usual_tap
        if reference or tap not in judge.taps:
            judge.require((tap,))
        wanted = tuple(dict.fromkeys(name for name in (tap, "logits") if name in judge.taps))
        extract = features.extractor(judge, wanted)

        def run(what: str, several, count: int) -> dict:
            progress = Progress(what, total=count)
            found = extract(several, progress.advance)
            progress.close()
            return found

        known = None
        if reference:
            known = features.cached(
                judge, wanted, other.read, lambda several: run(f"reference {reference}", several, other.count)
            )
        found = run(f"images {images}", own.read(), own.count)

    classes = scores.of_classes(found, splits=splits, seed=SEED, shuffle=True)
    distances = scores.against(found, known, tap=tap, seed=SEED)
    reasons = classes.pop("reasons") | distances.pop("reasons")
    result = {
        "images": images,
        "images_count": own.count,
        "reference": reference,
        "reference_count": other.count if reference else None,
        "classifier": judge.name,
        "classifier_accuracy": judge.accuracy,
        "weights_sha256": judge.weights_sha256,
        "tap": tap,
        "seed": SEED,
        **classes,
        **distances,
        "reasons": reasons,
    }
    if out is not None:
        records.write_json(out, result)
    print(_table(result))


def _table(result: dict[str, Any]) -> str:
    """The result for a person: one line a score, with what it was measured on."""
    lines = []
    for name in ("images", "reference", "classifier", "weights_sha256", "tap"):
        count = result.get(f"{name}_count")
        lines.append((name, f"{result[name] or 'none'}{f' ({count} images)' if count else ''}"))
    for name in ("inception_score", "inception_score_1", "fid", "kid", "precision", "recall", "density", "coverage"):
        lines.append((name, _written(result, name)))
    return "\n".join(f"{name:18}{value}" for name, value in lines)


def _written(result: dict[str, Any], name: str) -> str:
    value = result[name]
    if value is None:
        return f"- ({result['reasons'][name]})"
    if not isinstance(value, dict):
        return f"{value:.6g}"
    how = ", ".join(f"{key} {value[key]}" for key in ("splits", "subsets", "subset_size") if key in value)
    return f"{value['mean']:.6g} +- {value['std']:.3g} ({how})"
