"""The sources of original images, by the name that `data.source` gives: a further one is a file here and a line."""

from gan_da_jax.data.sources import faces, folder, tfds, zip_file
from gan_da_jax.data.sources.source import Location, Source
from gan_da_jax.errors import UserError

SOURCES: dict[str, Source] = {
    "faces": faces.SOURCE,
    "folder": folder.SOURCE,
    "zip": zip_file.SOURCE,
    "tfds": tfds.SOURCE,
}


def require_location(kind: str, location: Location) -> None:
    """Raise a `UserError` that names the field where a location lacks what the source `kind` needs, or has more."""
    source = SOURCES[kind]
    if location.path and source.path == "none" or not location.path and source.path == "needed":
        hint = "leave it empty" if location.path else "name the images, as in --config.data.path=DIR"
        raise UserError(f"config.data.path is {location.path!r} for data.source {kind}: {hint}")
    if bool(location.dataset) != source.needs_dataset:
        others = " or ".join(name for name, other in SOURCES.items() if other.needs_dataset)
        hint = (
            f"leave it empty, or use {others}" if location.dataset else "name one, as in --config.data.dataset=celeb_a"
        )
        raise UserError(f"config.data.dataset is {location.dataset!r} for data.source {kind}: {hint}")
