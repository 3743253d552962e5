"""What a source of original images is: where its images lie, what it needs, and how it is opened."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np


class Location(NamedTuple):
    """Where a source finds its images.

    Attributes:
        path: a file or folder, as `data.path` gives it; "" for none.
        dataset: the name of a data set, as `data.dataset` gives it; "" for none.
    """

    path: str
    dataset: str = ""


class Files(NamedTuple):
    """The image files of a source.

    Attributes:
        where: what messages call the source, such as "the folder /data/faces".
        names: the files, relative posix paths or numbers, in any order.
        read: returns the bytes of the file of a name, from any thread; raises `images.Unreadable`.
    """

    where: str
    names: list[str]
    read: Callable[[str], bytes]


class Drawings(NamedTuple):
    """The images of a source that draws any number of them, each from its index.

    Attributes:
        name: what one image is called.
        draw: (seed, indices int [n], image_size) -> pixels uint8 [n, image_size, image_size, 3], sRGB.
    """

    name: str
    draw: Callable[[int, np.ndarray, int], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Source:
    """One kind of source. Nobody outside of the package `sources` needs to know it by name.

    Attributes:
        opened: opens a location for as long as the images are read; `images.choose` takes its value. It raises a
            `UserError` where the images cannot be had.
        path: whether `data.path` is "needed", "optional", or must be empty ("none").
        needs_dataset: whether `data.dataset` names the images; otherwise it must be empty.
        downloads: whether opening a location that is not ready needs the network.
        reads_folder: whether every image below `data.path` belongs to the source, so that nothing may be written there.
        draws: whether it opens `Drawings`, of which there are always enough.
        is_ready: whether a location can be opened without the network and its images are on this machine. Where
            `downloads`, it raises every `UserError` of `opened` that can be found without a download.
    """

    opened: Callable[[Location], AbstractContextManager[Files | Drawings]]
    path: Literal["needed", "optional", "none"] = "none"
    needs_dataset: bool = False
    downloads: bool = False
    reads_folder: bool = False
    draws: bool = False
    is_ready: Callable[[Location], bool] = lambda location: True

    def locate(self, where: str, path: str) -> Location:
        """Return the location that `KIND:where` of a study means, in a config whose `data.path` is `path`."""
        return Location(path, where) if self.needs_dataset else Location(where)

    def encloses(self, location: Location, place: Path) -> bool:
        """Tell whether a file written to `place` would be taken for an image of the source."""
        return self.reads_folder and place.resolve().is_relative_to(Path(os.path.expanduser(location.path)).resolve())


def path_exists(location: Location) -> bool:
    """Tell whether there is anything at the path of a location."""
    return os.path.exists(os.path.expanduser(location.path))
