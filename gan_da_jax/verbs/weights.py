"""weights: list, fetch and convert the weights of classifiers, say what a file is; export the weights of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gan_da_jax import gan, pytorch
from gan_da_jax.classifiers import registry
from gan_da_jax.classifiers.weights import download
from gan_da_jax.classifiers.weights.published import Published
from gan_da_jax.devices import parallel
from gan_da_jax.errors import UserError, did_you_mean
from gan_da_jax.files import io, keras_h5, torch_file
from gan_da_jax.pytorch import convert
from gan_da_jax.runs.folder import Run
from gan_da_jax.verbs.verb import Flag, Verb


def main(words: list[str], *, out: str | None = None, dry_run: bool = False) -> None:
    """Do what the words say; the first is a key of `ACTIONS`.

    Args:
        words: what stands after `weights` on the command line, without flags.
        out: for `convert`, the file to write; its place in the cache if it is None. For `export`, the folder.
        dry_run: only check, and say what would be fetched or written.

    Raises:
        UserError: the words or the file are wrong, or a download fails.
    """
    action = _action(words)
    if out is not None and words[0] not in ("convert", "export"):
        raise UserError(f"--out is for weights convert and export; weights {words[0]} writes no file of yours")
    for kind, word in zip(action.takes, words[1:], strict=False):
        _check_word(kind, word)
    action.function(*words[1:], out=out, dry_run=dry_run)


def _action(words: list[str]) -> "Action":
    """Find the action of the first word; a `UserError` if there is none, or it takes fewer or more words."""
    action = ACTIONS.get(words[0]) if words else None
    optional = sum(word.startswith("[") for word in action.takes) if action else 0
    if action is None or not len(action.takes) - optional <= len(words) - 1 <= len(action.takes):
        forms = ", ".join(" ".join(["weights", name, *action.takes]) for name, action in ACTIONS.items())
        raise UserError(f"{' '.join(['weights', *words])!r} is not understood; there are: {forms}")
    return action


def _check_word(kind: str, word: str) -> None:
    published = _published()
    if kind == "NAME" and word not in published:
        raise UserError(
            f"there are no weights {word!r}: {did_you_mean(word, published)}there are: {', '.join(published)}"
        )
    if kind == "FILE" and not Path(word).is_file():
        raise UserError(f"{word} is not a file: check the path")


def _published() -> dict[str, Published]:
    """Return the published files of all classifiers, by the classifier's name."""
    return {name: entry.origin for name, entry in registry.CLASSIFIERS.items() if isinstance(entry.origin, Published)}


def _list(*, out: None, dry_run: bool) -> None:
    for name, published in _published().items():
        print(f"{name}\n  for      {published.purpose}\n  address  {published.address}\n  hash     {published.hash}")
        print(f"  size     {_megabytes(published.size)}\n  licence  {published.licence}")
        print(f"  here     {_presence(name, published)}\n")


def _presence(name: str, published: Published) -> str:
    place, kept = download.destination(published), download.kept(name, published)
    if kept == place:
        whole = download.is_published(kept, published)
        return str(kept) if whole else f"{kept}, which is not the published file: delete it or replace it"
    if kept:
        return f"{kept}, converted"
    part = download.part(place)
    if part.exists():
        return f"no; {_megabytes(part.stat().st_size)} of it are in {part}"
    return f"no; it would be {place}"


def _fetch(name: str, *, out: None, dry_run: bool) -> None:
    published = _published()[name]
    path = download.destination(published)
    if dry_run and not path.exists():
        print(f"would download {published.address}, {_megabytes(published.size)}, to {path}")
    else:
        print(download.fetch(name, published))


def _convert(file: str, name: str, *, out: str | None, dry_run: bool) -> None:
    target = download.converted(name) if out is None else Path(out)
    if target.suffix != ".safetensors":
        raise UserError(f"--out={out}: its name must end in .safetensors")
    taps = registry.load(name, file).taps
    if out is None and taps != registry.CLASSIFIERS[name].taps:
        raise UserError(f"{file} ends at tap {taps[-1]} of {name}: the cache is for whole networks, give --out=FILE")
    if dry_run:
        print(f"would write {target}")
        return
    from_keras = name in _of_keras()
    tensors = keras_h5.flatten(keras_h5.read_layers(file)) if from_keras else torch_file.read(file)
    try:
        torch_file.write(target, tensors)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}): choose another --out=FILE") from None
    print(f"{target}: {name}, {len(tensors)} tensors, sha256:{io.file_sha256(target)}")


def _check(file: str, *, out: None, dry_run: bool) -> None:
    fits, reasons = _fitting(file)
    if not fits:
        raise UserError(f"{file} fits no network: " + "; ".join(f"{', '.join(n)}: it {r}" for r, n in reasons.items()))
    size = _megabytes(Path(file).stat().st_size)
    published = [name for name, entry in _published().items() if download.is_published(Path(file), entry)]
    print(f"{file}: {size}, sha256:{io.file_sha256(file)}", *fits, sep="\n")
    print(
        f"  it is the published file of {published[0]}" if published else "  it is not a published file, byte for byte"
    )


def _fitting(file: str) -> tuple[list[str], dict[str, list[str]]]:
    """Try a file with all networks that may read it: a line for each that it fits, and why it does not fit others."""
    fits: list[str] = []
    reasons: dict[str, list[str]] = {}
    for name in _candidates(Path(file)):
        try:
            taps = registry.load(name, file).taps
        except UserError as error:
            reason = str(error).removeprefix(file).lstrip(": ")
            reasons.setdefault(reason, []).append(name)
        else:
            extent = "complete" if taps == registry.CLASSIFIERS[name].taps else "partial"
            fits.append(f"  {name}: {extent}, taps {', '.join(taps)}")
    return fits, reasons


def _export(workdir: str, step: str | None = None, *, out: str | None, dry_run: bool) -> None:
    """Write both networks of a checkpoint, the last one unless a step is named, as state dicts of PyTorch."""
    place, folder = Path(workdir), Path(out) if out else None
    if folder is None:
        raise UserError(
            "weights export needs --out=DIR, the folder for generator.safetensors and discriminator.safetensors"
        )
    run = Run.open(place)
    pytorch.require_dcgan(name=run.config.model.name)
    saved = run.saved()
    if not saved:
        raise UserError(f"{place} has no checkpoint: train the run first")
    if step is not None and step not in map(str, saved):
        raise UserError(f"{place} has no checkpoint {step}; it has the checkpoints {', '.join(map(str, saved))}")
    number = int(step) if step else saved[-1]
    if dry_run:
        print(f"would write both networks of {place}, step {number}, to {folder}")
        return
    state = parallel.host(run.trained_state(number))
    for kind, variables in {"generator": gan.shown(run.network, state), "discriminator": state.discriminator}.items():
        path = folder / f"{kind}.safetensors"
        torch_file.write(path, convert.to_torch(variables))
        print(f"{path}: step {number}, sha256:{io.file_sha256(path)}")


def _of_keras() -> list[str]:
    return [name for name, published in _published().items() if published.address.endswith(".h5")]


def _candidates(path: Path) -> list[str]:
    """List the networks whose readers know the file's format; the reasons of the others would only confuse."""
    if path.suffix == ".safetensors":
        return list(_published())
    keras = path.suffix in (".h5", ".hdf5") or keras_h5.is_hdf5(path)
    return [name for name in _published() if (name in _of_keras()) == keras]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


class Action(NamedTuple):
    """What stands after its name, and the function that gets these words."""

    takes: tuple[str, ...]
    function: Callable[..., None]


ACTIONS = {
    "list": Action((), _list),
    "fetch": Action(("NAME",), _fetch),
    "convert": Action(("FILE", "NAME"), _convert),
    "check": Action(("FILE",), _check),
    "export": Action(("RUN", "[STEP]"), _export),
}


VERB = Verb(
    "classifiers' weights: list, fetch NAME, convert FILE NAME, check FILE; a run's: export RUN [STEP] --out=DIR",
    main,
    takes=(Flag("out", "For convert, the file to write; for export, the folder.", "file"),),
    words=3,
)
