"""The sources of original images, by the name that `data.source` gives."""

from gan_da_jax.data import archive, faces, folder, tfds

SOURCES = {
    "faces": faces.load,
    "folder": folder.load,
    "zip": archive.load,
    "tfds": tfds.load,
}
