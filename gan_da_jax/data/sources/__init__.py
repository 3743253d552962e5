"""The sources of original images, by the name that `data.source` gives."""

from gan_da_jax.data.sources import faces, folder, tfds, zip_file

SOURCES = {
    "faces": faces.load,
    "folder": folder.load,
    "zip": zip_file.load,
    "tfds": tfds.load,
}
