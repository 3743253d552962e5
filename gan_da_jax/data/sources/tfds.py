"""The source `tfds`: image data sets that TensorFlow Datasets (tfds) knows by name, such as `celeb_a`.

tfds downloads a data set and prepares it, which needs TensorFlow; reading a prepared data set does not. A process that
imports TensorFlow and then Triton, which comes with PyTorch, crashes: a process of its own prepares, and this one never
imports TensorFlow. Importing tfds takes seconds, so this happens inside the functions that need it.
"""

import contextlib
import difflib
import fcntl
import importlib.abc
import importlib.util
import io
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np

from gan_da_jax.data.sources import child
from gan_da_jax.data.sources.images import Unreadable, in_parallel, shown
from gan_da_jax.data.sources.source import Files, Location, Source
from gan_da_jax.errors import UserError

_NAME = re.compile(r"\w+(/[\w.\-]+)?(:[\d.*]+)?")  # NAME[/CONFIG][:VERSION]; no other site's data sets, no arguments
_TIMEOUT = (10, 60)  # seconds until a server answers at all, and without a byte of a download
_NAMED = 10  # classes that a message names


@contextlib.contextmanager
def opened(location: Location) -> Iterator[Files]:
    """Yield the images of a data set, of all its splits together; prepare the data set first where it is not prepared.

    A name such as `train/000123` is the place in tfds' order of the split, which is the same everywhere for one version
    of a data set. The location's path is tfds' data folder, or empty for its own choice, which is TFDS_DATA_DIR or
    ~/tensorflow_datasets; its data set is NAME, NAME/CONFIG or NAME:VERSION as tfds knows it, with #LABEL for the
    images of one class alone.

    Raises:
        UserError: as in `is_prepared`; or the download fails or is not the published one; or the data are damaged.
    """
    if not is_prepared(location):
        child.call(__name__, "prepare", path=location.path, dataset=location.dataset)
    builder = _builder(location)
    image, label = _image(builder), _label(builder, location.dataset)
    where = f"the tfds data set {shown(location.dataset)}"
    names, read = _examples(builder)
    if label:
        names = _of_class(names, read, *label)
        if not names:
            raise UserError(f"{where} has no image of that class: name another one")
    yield Files(where, names, lambda name: read(name, image))


def is_prepared(location: Location) -> bool:
    """Tell whether `opened` can read the data set as it is; otherwise it downloads and prepares it first.

    Raises:
        UserError: the errors of `opened` that can be found without a download: there is no such data set, no images in
            it, no such class, only a part of it is here, or preparing it needs TensorFlow, which is not installed.
    """
    builder = _builder(location)
    prepared = _is_whole(builder)
    if not prepared and builder.data_path.exists():
        raise UserError(f"{shown(builder.data_dir)} is not a whole data set: remove it, to have it prepared anew")
    _image(builder)
    _label(builder, location.dataset, known=prepared)
    if not prepared and importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"{builder.info.full_name} is not prepared in {shown(builder.data_dir)}; preparing it needs TensorFlow: "
            f"pip install 'gan_da_jax[tfds]', or {_without_tfds(builder)}"
        )
    return prepared


def _is_whole(builder: Any) -> bool:
    return (builder.data_path / "dataset_info.json").exists()


def _builder(location: Location) -> Any:
    import tensorflow_datasets as tfds

    path, dataset = location
    root = os.path.expanduser(path)
    if os.path.isfile(root) or root.endswith(".zip"):
        raise UserError(
            f"data.path={shown(path)} is a file: for data.source=tfds it must be a folder, or empty, as in "
            "--config.data.path= for the usual one; data.source=zip reads zip files"
        )
    name, sign, label = dataset.partition("#")
    if not _NAME.fullmatch(name) or (sign and not label):
        raise UserError(
            f"data.dataset={shown(dataset)} is no name of a tfds data set: it must look like celeb_a or "
            "cifar10:3.0.2, or like oxford_iiit_pet#pomeranian for one class"
        )
    try:
        with _NoTensorFlow(), contextlib.redirect_stdout(io.StringIO()):  # where tfds says at length that there is none
            return tfds.builder(name, data_dir=root or None)
    except tfds.core.DatasetNotFoundError:
        known = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {', '.join(close)}?" if close else "see the catalogue of TensorFlow Datasets"
        raise UserError(f"data.dataset={shown(dataset)}: tfds knows no data set {shown(name)}: {hint}") from None
    except ImportError as error:
        missing = error.name or getattr(error.__cause__, "name", None)
        if missing == "tensorflow":
            plain = name.partition(":")[0]
            raise UserError(
                f"data.dataset={shown(dataset)}: tfds cannot describe it without TensorFlow: prepare it yourself with "
                f"`tfds build {plain}`, and give its version, as in {plain}:1.0.0"
            ) from None
        raise UserError(
            f"data.dataset={shown(dataset)} needs the package {missing}: install it, or {_without_tfds(None)}"
        ) from None
    except Exception as error:  # builders are code of many hands, and raise almost anything
        raise UserError(f"data.dataset={shown(dataset)} cannot be used: {_reason(error)}") from None


class _NoTensorFlow(importlib.abc.Loader):
    """A block in which importing TensorFlow is an error: beside Triton, which comes with PyTorch, it crashes Python.

    Whether TensorFlow is installed may still be asked, as tfds does.
    """

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *error: object) -> None:
        sys.meta_path.remove(self)

    def find_spec(self, name: str, *others: Any) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        found = (finder.find_spec(name, *others) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found), None)
        if spec is not None:
            spec.loader = self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        raise ModuleNotFoundError("TensorFlow is for a process of its own", name="tensorflow")


def _image(builder: Any) -> str:
    """Return the name of the feature that holds the image: `image`, or else the only one there is."""
    from tensorflow_datasets.core import features

    # Images of floats are depth maps, whose bits are stored as colours.
    name = _feature(builder, lambda f: isinstance(f, features.Image) and f.np_dtype != np.float32, "image")
    if not name:
        raise UserError(f"{builder.info.full_name} is a tfds data set without an image in each example: name another")
    return name


def _label(builder: Any, dataset: str, *, known: bool = True) -> tuple[str, int] | None:
    """Return the feature that holds the class, and the number of the class after `#`; None where all are wanted.

    The download of some data sets, such as cifar10, brings the names of their classes. Before it they are not `known`,
    and where there are only numbers the answer is None as well.
    """
    from tensorflow_datasets.core import features

    label = dataset.partition("#")[2]
    if not label:
        return None
    feature = _feature(builder, lambda f: isinstance(f, features.ClassLabel), "label")
    if not feature:
        raise UserError(f"data.dataset={shown(dataset)}: {builder.info.full_name} has no classes: leave the # out")
    names = builder.info.features[feature].names if builder.info.features[feature].num_classes else []
    if not known and all(name.isdigit() for name in names):
        return None
    plain = [_plain(name) for name in names]
    if _plain(label) not in plain:
        close = [names[plain.index(name)] for name in difflib.get_close_matches(_plain(label), plain, 3)]
        some = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        hint = f"did you mean {', '.join(close)}?" if close else f"it has {some}"
        raise UserError(
            f"data.dataset={shown(dataset)}: {builder.info.full_name} has no class {shown(label)}: {shown(hint)}"
        )
    return feature, plain.index(_plain(label))


def _feature(builder: Any, suits: Callable[[Any], bool], usual: str) -> str:
    features = builder.info.features
    names = [name for name, feature in features.items() if suits(feature)] if hasattr(features, "items") else []
    return usual if usual in names else names[0] if len(names) == 1 else ""


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]", "", label.casefold())


def prepare(path: str, dataset: str) -> None:
    """Download a data set and write its images, unchanged, to files that need no TensorFlow to read.

    It imports TensorFlow: `opened` calls it in a process of its own, and so must every other caller.

    Raises:
        UserError: the download fails, or is not the published one.
    """
    for name, quiet in (("TF_CPP_MIN_LOG_LEVEL", "2"), ("TF_ENABLE_ONEDNN_OPTS", "0")):  # it does not compute anything
        os.environ.setdefault(name, quiet)
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    tf.config.set_visible_devices([], "GPU")  # TensorFlow would take all their memory from JAX
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    builder = _builder(Location(path, dataset))
    name, advice = builder.info.full_name, _without_tfds(builder)
    downloads = builder.data_dir_root / "downloads"  # where tfds puts them
    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with open(downloads / f"{builder.name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process that prepares it is waited for
            if not _is_whole(builder):
                with _limited_requests():
                    builder.download_and_prepare(file_format="array_record", download_config=settings)
    except NonMatchingChecksumError as error:
        raise UserError(
            f"{name}: what was downloaded is not the published file, by its checksum ({_reason(error)}); perhaps it "
            f"is a page that says that too many have asked for it: try again tomorrow, or {advice}"
        ) from None
    except Exception as error:  # of the network, the disk, the archive, or the builder's own
        raise UserError(f"{name} could not be downloaded and prepared ({_reason(error)}): {advice}") from None


@contextlib.contextmanager
def _limited_requests() -> Iterator[None]:
    """Limit the requests of tfds, which would wait for ever and try eleven times, and end them all on leaving.

    tfds downloads in threads and takes no limits; when one file fails, the others would go on, and keep the process.
    """
    from requests.adapters import HTTPAdapter

    send, responses = HTTPAdapter.send, []

    def limited(adapter: HTTPAdapter, request: Any, **options: Any) -> Any:
        adapter.max_retries = adapter.max_retries.new(total=2, connect=0, read=0)  # again only if told to
        responses.append(send(adapter, request, **options | {"timeout": _TIMEOUT}))
        return responses[-1]

    HTTPAdapter.send = limited  # type: ignore  # for good: the process does nothing else
    try:
        yield
    finally:
        for response in responses:
            response.close()


def _without_tfds(builder: Any) -> str:
    """Say how to get the same images without tfds."""
    home = f" from {builder.info.homepage}" if builder is not None and builder.info.homepage else ""
    if builder is not None and builder.name == "celeb_a":
        flags = "--config.data.source=zip --config.data.path=img_align_celeba.zip"
        return f"download img_align_celeba.zip{home} yourself and give {flags}"
    flags = "--config.data.source=folder --config.data.path=DIR"
    return f"download the images{home} yourself, unpack those you want to a folder and give {flags}"


def _reason(error: Exception) -> str:
    """Say an error of tfds, whose own messages fill pages, in one short line."""
    cause = getattr(error.args[0] if error.args else None, "reason", None) or error  # of what requests wraps
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or [type(error).__name__]
    return shown(lines[0] if len(lines[0]) <= 300 else f"{lines[0][:300]}...").rstrip(".:")


def _examples(builder: Any) -> tuple[list[str], Callable[[str, str], Any]]:
    """Return the ids of all examples, and a function that reads one feature of one of them.

    The function may be called from any thread; it gives an image as the bytes of its file.

    Raises:
        UserError: the prepared data are damaged or of a format that cannot be read.
    """
    from tensorflow_datasets.core.decode import DeserializeMethod
    from tensorflow_datasets.proto import tf_example_pb2

    info, where = builder.info, shown(builder.data_dir)
    form = info.file_format.value if info.file_format else "nothing"
    if form not in ("array_record", "tfrecord"):
        raise UserError(f"{where} holds {form}, which cannot be read: give another data.path, to have it prepared anew")
    try:
        filled = [split for split in info.splits if info.splits[split].num_examples]
        if form == "tfrecord":
            splits = {split: _TFRecords(info.splits[split].file_instructions) for split in filled}
        else:
            raw = DeserializeMethod.RAW_BYTES
            splits = {split: builder.as_data_source(split, deserialize_method=raw) for split in filled}
    except Exception as error:
        raise UserError(f"{where} is damaged ({_reason(error)}): remove it, to have it prepared anew") from None

    def read(name: str, feature: str) -> Any:
        split, _, index = name.rpartition("/")
        try:
            example = tf_example_pb2.Example.FromString(splits[split][int(index)])
            found = example.features.feature[feature]
            return (found.bytes_list.value or found.int64_list.value)[0]
        except Exception as error:
            raise Unreadable(f"damaged as prepared: {_reason(error)}") from None

    return [f"{split}/{index:06d}" for split, examples in splits.items() for index in range(len(examples))], read


def _of_class(names: list[str], read: Callable[[str, str], Any], feature: str, label: int) -> list[str]:
    """Return the ids of the images of one class, and of the bad images, so that these do not pass unseen."""

    def wanted(name: str) -> bool:
        try:
            return read(name, feature) == label
        except Unreadable:
            return True

    found = in_parallel(wanted, names, "reading classes")
    return [name for name, kept in zip(names, found, strict=True) if kept]


class _TFRecords:
    """The examples in TFRecord files, by index.

    Each is stored as its length (8 bytes, little-endian), the length's checksum (4), its bytes, and their checksum (4).
    """

    def __init__(self, files: list[Any]) -> None:
        self._places = []
        for file in files:
            with open(file.filename, "rb") as stream:
                for _ in range(file.examples_in_shard):
                    (length,) = struct.unpack("<Q4x", stream.read(12))
                    self._places.append((file.filename, stream.tell(), length))
                    stream.seek(length + 4, os.SEEK_CUR)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> bytes:
        name, place, length = self._places[index]
        with open(name, "rb") as stream:
            stream.seek(place)
            return stream.read(length)


SOURCE = Source(opened=opened, path="optional", needs_dataset=True, downloads=True, is_ready=is_prepared)
