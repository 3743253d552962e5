"""Wrong, broken and hostile input through the command line: one line that says what to do, status 2, nothing written.

One table a kind of input; the test of all of them is below the tables.
"""

import contextlib
import errno
import io
import json
import os
import pickle
import pwd
import shutil
import struct
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from PIL import Image

from gan_da_jax import __main__
from gan_da_jax.data.sources import images
from gan_da_jax.devices import parallel
from gan_da_jax.files import checkpoint
from gan_da_jax.files import io as records
from gan_da_jax.main import main
from gan_da_jax.runs import networks, schedule
from helpers import CONFIG, SMALL, command, configured

BASE = [CONFIG, "--config.data.image_size=32"]


def jpeg(seed: int = 0, size: int = 40) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def folder(tmp_path: Path, **files: bytes) -> Path:
    place = tmp_path / "images"
    place.mkdir()
    for i in range(12):
        (place / f"{i:03d}.jpg").write_bytes(jpeg(i))
    for name, data in files.items():
        (place / name.replace("__", ".")).write_bytes(data)
    return place


def from_folder(place: Path, count: int = 12) -> list[str]:
    return ["--config.data.source=folder", f"--config.data.path={place}", f"--config.data.count={count}"]


def text_config(tmp_path: Path, text: str) -> str:
    (tmp_path / "mine.py").write_text(text)
    return f"--config={tmp_path}/mine.py"


def zipped(tmp_path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(tmp_path / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return tmp_path / "images.zip"


def png(width: int, height: int, data: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def edited(path: Path, name: str, at: int, data: bytes) -> Path:
    """Writes into the record of an entry in the central directory of a zip file."""
    whole = bytearray(path.read_bytes())
    start = whole.rindex(b"PK\x01\x02", 0, whole.rindex(name.encode())) + at
    whole[start : start + len(data)] = data
    path.write_bytes(whole)
    return path


class Loud:
    """Were it unpickled, there would be a file more."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def loud(tmp_path: Path, name: str) -> Path:
    """A file that would run code in the hands of a careless reader."""
    path, payload = tmp_path / name, Loud(tmp_path / "it ran")
    if path.suffix in (".npy", ".npz"):
        with open(path, "wb") as file:
            (np.save if path.suffix == ".npy" else np.savez)(file, np.array([payload], dtype=object))
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            code = {"class_name": "Lambda", "config": {"function": f"open({str(tmp_path / 'it ran')!r}, 'w')"}}
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [code]}})
            file.attrs["layer_names"] = [b"lambda"]
            file.create_group("lambda").attrs["payload"] = np.void(pickle.dumps(payload))
    else:
        path.write_bytes(pickle.dumps(payload))
    return path


# What is given, and what the one line must say. Each is a function of the test's folder.
BAD = {
    "no verb": (lambda t: [], ["no verb", "prepare, train"]),
    "unknown verb": (lambda t: ["trian", *BASE], ["'trian'", "did you mean train"]),
    "no config": (lambda t: ["train", f"--workdir={t}/run"], ["needs --config"]),
    "no workdir": (lambda t: ["train", *BASE], ["needs --workdir"]),
    "absent config": (
        lambda t: ["train", "--config=configs/absent.py"],
        ["configs/absent.py", "configs/quickstart.py"],
    ),
    "unknown flag": (lambda t: ["train", *BASE, "--fast"], ["fast"]),
    "a flag of another verb": (
        lambda t: ["train", *BASE, f"--workdir={t}/run", "--export=x"],
        ["--export", "of train"],
    ),
    "stray word": (lambda t: ["train", *BASE, "quickly"], ["'quickly'"]),
    "field before config": (lambda t: ["train", "--config.seed=1", *BASE], ["--config.seed=1", "before"]),
    "config with an error": (lambda t: ["train", text_config(t, "1/0"), f"--workdir={t}/run"], ["division by zero"]),
    "config with a typo": (
        lambda t: ["train", text_config(t, "def get_config(: pass")],
        ["invalid syntax, line 1", "mine.py"],
    ),
    "config without get_config": (lambda t: ["train", text_config(t, "x = 1")], ["get_config"]),
    "config of another type": (lambda t: ["train", text_config(t, "get_config = dict")], ["ConfigDict"]),
    "workdir is a file": (lambda t: ["train", *BASE, f"--workdir={(t / 'f').write_text('') or t}/f"], ["not a folder"]),
    "absent folder": (lambda t: ["prepare", *BASE, *from_folder(t / "no"), f"--workdir={t}/run"], ["/no", "not"]),
    "a zip as folder": (
        lambda t: ["prepare", *BASE, *from_folder(zipped(t, a__jpg=jpeg(1))), f"--workdir={t}/run"],
        ["images.zip", "data.source=zip"],
    ),
    "too few images": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t), count=50), f"--workdir={t}/run"],
        ["12", "50", "images"],
    ),
    "too few for more": (
        lambda t: [
            *["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/run"],
            *["--config.augment.policy=more", "--config.augment.count=5"],
        ],
        ["12 images", "17 are asked for"],
    ),
    "export into a full folder": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/run", f"--export={t}/images"],
        ["--export", "not an empty folder"],
    ),
    "evaluate before train": (
        lambda t: ["evaluate", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=faces_attributes"],
        ["no checkpoint", "train"],
    ),
    "a tap that is not there": (
        lambda t: [
            *["evaluate", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=faces_attributes", "--dry_run"],
            "--config.evaluate.tap=2048",
        ],
        ["faces_attributes", "no tap '2048'", "64, logits"],
    ),
    "a class that is not there": (
        lambda t: [
            *["evaluate", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=resnet50", "--dry_run"],
            "--config.evaluate.classes=pomeranien",
        ],
        ["no class 'pomeranien'", "did you mean pomeranian"],
    ),
    "absent weights": (
        lambda t: ["evaluate", *BASE, f"--workdir={t}/run", f"--config.evaluate.weights={t}/no.h5"],
        ["no.h5"],
    ),
    "a run inside the images": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/images/run"],
        ["images/run", "inside the folder of images"],
    ),
    "fewer images than ops": (
        lambda t: [
            *["prepare", *BASE, f"--workdir={t}/run", "--config.augment.policy=hflip+generated"],
            "--config.augment.count=1",
        ],
        ["augment.count is 1; it must be at least 2"],
    ),
    "too few for more, before a GAN is trained": (
        lambda t: [
            *["train", *BASE, *from_folder(folder(t)), f"--workdir={t}/run"],
            *["--config.augment.policy=generated+more", "--config.augment.count=4"],
        ],
        ["12 images", "14 are asked for"],
    ),
    "config that needs a file": (
        lambda t: ["train", text_config(t, "def get_config(): open('/no/list')"), f"--workdir={t}/run"],
        ["/no/list"],
    ),
    "config that exits": (lambda t: ["train", text_config(t, "import sys; sys.exit(3)"), f"--workdir={t}/run"], ["3"]),
    "another folder called configs": (
        lambda t: ["train", f"--config={t}/configs/quickstart.py", f"--workdir={t}/run"],
        ["configs/quickstart.py is not a file"],
    ),
    "export below a file": (
        lambda t: ["prepare", *BASE, *from_folder(folder(t)), f"--workdir={t}/w/run", f"--export={t}/images/000.jpg/x"],
        ["000.jpg"],
    ),
    "no place for the cache": (
        lambda t: ["weights", "fetch", f"{(t / 'file').write_text('') or 'inception'}"],
        ["inception", "there are"],
    ),
    "score without images": (lambda t: ["score"], ["needs --images"]),
    "score nothing": (lambda t: ["score", f"--images={t}/no"], ["/no"]),
    "weights of nothing": (lambda t: ["weights", "show"], ["weights show", "weights list"]),
    "nothing to report": (lambda t: ["report", f"--workdir={t}/run"], ["run"]),
    "a study without its source": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", f"--config.study.sources=('folder:{t}/no',)"],
        ["/no does not exist"],
    ),
    "a study of seeds that are none": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--config.study.seeds=('a',)"],
        ["study.seeds names 'a'"],
    ),
    "a study of an arm that is none": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--config.study.arms=('none','hflip')"],
        ["'hflip' is not an arm", "hflip@1000"],
    ),
    "an arm that the study has not": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--only=spin@3"],
        ["--only=spin@3", "vflip@1000"],
    ),
    "an index beyond the study": (
        lambda t: ["study", *BASE, f"--workdir={t}/run", "--index=12"],
        ["--index is 12", "0 to 11"],
    ),
    "a study that asks for a class that is not there": (
        lambda t: [
            *["study", *BASE, f"--workdir={t}/run", "--config.evaluate.classifier=resnet50"],
            "--config.evaluate.classes=pomeranien",
        ],
        ["did you mean pomeranian"],
    ),
    "generator is the workdir": (
        lambda t: [
            *["train", *BASE, f"--workdir={t}/run", "--config.augment.policy=generated"],
            f"--config.augment.generator={t}/run",
        ],
        ["augment.generator"],
    ),
}


FEW = {"train.epochs": 3, "evaluate.classifier": "faces_attributes", "evaluate.samples": 16, "evaluate.splits": 2}


def small(verb: str, workdir: Path | str, *flags: str) -> list[str]:
    return command(verb, workdir, *flags, **FEW)


# What is set, beside the smallest config, and what the one line must say.
FIELDS = {
    "trian.epochs=3": ["config.trian.epochs is not a field", "did you mean train.epochs?"],
    "train.epoch=3": ["config.train.epoch is not a field", "did you mean train.epochs?"],
    "train=5": ["config.train is not a field"],
    "data.count=many": ["data.count", "many"],
    "data.skip_bad=maybe": ["data.skip_bad", "maybe"],
    "seed=1.5": ["seed", "1.5"],
    "seed=-1": ["config.seed is -1", "must be at least 0"],
    "seed=4294967296": ["must be at most 4,294,967,295"],
    "data.source=fodler": ["did you mean folder?", "faces, folder, zip, tfds"],
    "data.source=folder": ["data.path is ''", "name the images"],
    "data.source=tfds": ["--config.data.dataset=celeb_a"],
    "data.path=somewhere": ["data.path is 'somewhere'", "leave it empty"],
    "data.dataset=celeb_a": ["data.dataset", "leave it empty"],
    "data.count=0": ["data.count is 0; it must be at least 1"],
    "data.count=99999999999999999999": ["data.count", "must be at most 100,000,000"],
    "data.image_size=100": ["image_size is 100", "32, 64, 128, 256"],
    "model.name=dcgam": ["model.name is 'dcgam'", "did you mean dcgan?"],
    "train.loss=wasserstein": ["train.loss is 'wasserstein'", "one of dcgan"],
    "data.image_size=0": ["image_size is 0", "32, 64, 128, 256"],
    "data.resize=strech": ["did you mean stretch?", "stretch, center_crop"],
    "augment.count=0": ["augment.count is 0; it must be at least 1, or set config.augment.policy to 'none'"],
    "augment.count=99999999999999": ["augment.count", "at most"],
    "augment.policy=hfilp": ["hfilp is not an op", "did you mean hflip?", "contrast(factor)"],
    "augment.policy=hflip+hflip": ["hflip is named twice"],
    "augment.policy=hflip+": ["cannot be read"],
    "augment.policy=contrast(fator=2)": ["no argument fator", "did you mean factor?"],
    "augment.policy=contrast(factor=-1)": ["at least 0"],
    "augment.policy=contrast(factor=1e999)": ["finite number", "inf"],
    "augment.policy=contrast(factor=nan)": ["factor of contrast must be a number"],
    "augment.policy=contrast(factor=open('it ran','w'))": ["factor of contrast must be a number"],
    "augment.policy=" + "(" * 10_000: ["((( ... (((", "cannot be read", "hflip"],
    "model.latent_dim=0": ["latent_dim is 0", "at least 1"],
    "model.latent_dim=1000000000000": ["latent_dim", "at most 65,536"],
    "model.width=0": ["width is 0; it must be at least 1"],
    "model.width=1000000000": ["width", "at most 4,096"],
    "train.batch_size=1": ["at least 2, since BatchNorm needs two images"],
    "train.batch_size=99999999999": ["batch_size", "at most 65,536"],
    "train.epochs=0": ["epochs is 0; it must be at least 1"],
    "train.epochs=99999999999999999999": ["epochs", "the maximum is 1,000,000 epochs"],
    "train.kimg=-1": ["train.kimg is -1.0; it must be in [0, inf)"],
    "train.ema_kimg=-1": ["train.ema_kimg is -1.0; it must be in [0, inf)"],
    "train.ema_kimg=inf": ["ema_kimg is inf", "finite"],
    "train.kimg=inf": ["kimg is inf", "finite"],
    "train.kimg=1e300": ["kimg is 1e+300", "epochs"],
    "train.checkpoint_every=0": ["checkpoint_every is 0; it must be at least 1"],
    "train.learning_rate=0": ["learning_rate is 0.0; it must be in (0, 1]"],
    "train.learning_rate=nan": ["learning_rate is nan", "finite"],
    "train.learning_rate=1e300": ["must be in (0, 1]"],
    "train.beta1=1": ["beta1 is 1.0; it must be in [0, 1)"],
    "evaluate.samples=1": ["evaluate.splits is 2", "at most config.evaluate.samples"],
    "evaluate.repeats=99999999999": ["repeats", "at most 10,000"],
    "evaluate.splits=0": ["splits is 0", "at least 1"],
    "evaluate.splits=1001": ["a split needs an image"],
    "evaluate.classifier=resnet": ["did you mean resnet50?", "faces_attributes"],
    "evaluate.classes=12 hats": ["no class '12 hats'"],
    "evaluate.reference=": ["evaluate.reference is empty; it must be originals, heldout"],
    "evaluate.reference=heldout(2)": ["evaluate.reference is 'heldout(2)'", "must be in (0, 1)"],
    "evaluate.reference=heldout(0.01)": ["images (config.data.count) aside; it must set aside at least 100"],
    "study.seeds=('0',)": ["study.seeds names '0'", "type int"],
    "study.arms=(1,)": ["study.arms names 1", "type str"],
}


# Images that are none, by the name of the file, and what is said of each.
IMAGES = {
    "empty.png": (b"", "empty file"),
    "text.jpg": (b"this is a text", "not a JPEG, PNG or WebP image"),
    "page.webp": (b"GIF89a" + bytes(20), "not a JPEG, PNG or WebP image"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a JPEG, PNG or WebP image"),
    "printed.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a JPEG, PNG or WebP image"),
    "cut.jpg": (jpeg(50)[:300], "cannot be decoded"),
    "vast.png": (png(2**31 - 1, 2**31 - 1, b""), "more than 64 million pixels"),
    "flat.png": (png(10_000, 10_000, zlib.compress(bytes(9))), "more than 64 million"),
    "short.png": (png(7_999, 8_000, zlib.compress(bytes(9))), "truncated"),
    "swollen.png": (
        png(4, 4, zlib.compress(bytes(52)), chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**24)))),
        "too large",
    ),
    "no area.png": (png(0, 4, b""), "not a JPEG, PNG or WebP image"),
    "twin.jpg": (jpeg(3), "the same bytes as 003.jpg"),
    "new\nline.jpg": (b"", r"new\nline.jpg (empty file)"),
    "\udcff\x1b[31m.jpg": (b"", r"\udcff\x1b[31m.jpg (empty file)"),
}


def _image(name: str):
    def make(t: Path) -> list[str]:
        place = folder(t)
        Path(place, name).write_bytes(IMAGES[name][0])
        return ["prepare", *BASE, *from_folder(place), f"--workdir={t}/run"]

    return make


# Zip files: what makes one in a folder, and what is said of it.
ZIPS = {
    "an image that is a text": (
        lambda t: zipped(t, a__jpg=jpeg(1), b__jpg=b"a text"),
        ["1 of 2 images", "b.jpg (not a JPEG", "data.skip_bad=true"],
    ),
    "encrypted": (
        lambda t: edited(zipped(t, a__jpg=jpeg(1), b__jpg=jpeg(2)), "b.jpg", 8, b"\1"),
        ["b.jpg (encrypted)"],
    ),
    "nested": (lambda t: zipped(t, a__zip=b"PK"), ["other zip files: unpack those"]),
    "too large": (
        lambda t: edited(zipped(t, a__jpg=jpeg(1), b__jpg=jpeg(2)), "b.jpg", 24, struct.pack("<I", 2**30)),
        ["b.jpg (1024 MiB, more than 256 MiB)"],
    ),
    "larger than it says": (
        lambda t: edited(zipped(t, a__jpg=jpeg(1), b__jpg=bytes(2**24)), "b.jpg", 24, struct.pack("<I", 1000)),
        ["b.jpg (corrupt in the zip file: Bad CRC-32"],
    ),
    "a hundred thousand entries": (lambda t: many(t, 100_000), ["1000 of 1000 images", "and 990 more"]),
    "packed with bzip2": (
        lambda t: edited(zipped(t, a__jpg=jpeg(1), b__jpg=jpeg(2)), "b.jpg", 10, b"\x0c"),
        ["b.jpg (packed with bzip2"],
    ),
    "cut off": (
        lambda t: (path := zipped(t, a__jpg=jpeg(1))).write_bytes(path.read_bytes()[:-30]) and path,
        ["not a whole zip file", "download it again"],
    ),
    "overlapping": (
        lambda t: edited(zipped(t, a__jpg=jpeg(1), b__jpg=jpeg(2)), "b.jpg", 42, struct.pack("<I", 0)),
        ["b.jpg (corrupt in the zip file"],
    ),
}


def many(tmp_path: Path, count: int) -> Path:
    """A zip file of `count` entries, all of which lie at the same place."""
    one = zipped(tmp_path, image__jpg=b"").read_bytes()
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    rows = b"".join(one[start : end - 9] + b"%05d.jpg" % number for number in range(count))
    last = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(rows), start)
    last += struct.pack("<IIQI", 0x07064B50, 0, start + len(rows), 1)
    last += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "images.zip").write_bytes(one[:start] + rows + last)
    return tmp_path / "images.zip"


def _zip(make):
    return lambda t: [
        *["prepare", *BASE, f"--workdir={t}/run", "--config.data.source=zip", f"--config.data.path={make(t)}"],
        *["--config.data.count=1", "--config.evaluate.splits=1"],
    ]


# Files that would run code: the words before the file's name, the name, and what is said of it.
CODE = {
    "npy": (["score", "--images="], "images.npy", ["cannot be read as an array", "allow_pickle"]),
    "npz": (["score", "--images="], "images.npz", ["cannot be read as an array", "allow_pickle"]),
    "pickle": (["score", "--images="], "images.pkl", ["not a whole zip file"]),
    "pth": (["weights", "check", ""], "weights.pth", ["nothing in it was run"]),
    "h5": (["weights", "check", ""], "weights.h5", ["fits no network"]),
    "safetensors": (["weights", "check", ""], "weights.safetensors", ["not a .safetensors file"]),
}


def _code(before: list[str], name: str):
    return lambda t: [*before[:-1], f"{before[-1]}{loud(t, name)}"]


def _edit(name: str, change):
    """Changes what a JSON file says, or the last line of a JSON-lines file."""

    def edit(folder: Path) -> None:
        path = folder / name
        *before, text = path.read_text().splitlines(keepends=True) if name.endswith("l") else [path.read_text()]
        value = json.loads(text)
        change(value)
        path.write_text("".join(before) + json.dumps(value) + "\n")

    return edit


def _swap_originals(folder: Path) -> None:
    originals = np.load(folder / "dataset/originals.npy")
    np.save(folder / "dataset/originals.npy", originals[::-1])


def _cut_originals(folder: Path) -> None:
    path = folder / "dataset/originals.npy"
    path.write_bytes(path.read_bytes()[:-100])


def _replace(name: str, data: bytes):
    return lambda folder: (folder / name).write_bytes(data)


MANIFEST, DIFFERENT = "dataset/manifest.json", ["does not hold the images its manifest.json describes"]
# A run that was trained to step 4, what is done to its files, by which verb that is noticed, and what it says.
RUNS = {
    "manifest that is a text": ("train", _replace(MANIFEST, b"hello"), [MANIFEST, "not valid JSON"]),
    "manifest without end": ("train", _replace(MANIFEST, b"[" * 10**5), [MANIFEST, "not valid JSON"]),
    "manifest of a number without end": ("train", _replace(MANIFEST, b"1" * 10**4), [MANIFEST, "not valid JSON"]),
    "manifest of another format": (
        "train",
        _edit(MANIFEST, lambda m: m.update(format=2)),
        [MANIFEST, "not a manifest of format 1"],
    ),
    "manifest with another policy": ("train", _edit(MANIFEST, lambda m: m.update(policy="invert")), DIFFERENT),
    "manifest with another count": ("train", _edit(MANIFEST, lambda m: m.update(count=5)), DIFFERENT),
    "manifest without a source": (
        "prepare",
        _edit(MANIFEST, lambda m: m.update(source=None)),
        [MANIFEST, "source is None, but a run writes an object there"],
    ),
    "manifest with another draw": (
        "train",
        _edit(MANIFEST, lambda m: m["records"][25].update(source_index=3)),
        DIFFERENT,
    ),
    "manifest with an index below 0": (
        "train",
        _edit(MANIFEST, lambda m: m["records"][25].update(source_index=-1)),
        [MANIFEST, "records[25]: source_index is -1"],
    ),
    "manifest with another hash of one image": (
        "train",
        _edit(MANIFEST, lambda m: m["records"][7].update(sha256="0" * 64)),
        DIFFERENT,
    ),
    "manifest without a record": ("prepare", _edit(MANIFEST, lambda m: m["records"].pop()), DIFFERENT),
    "originals in another order": ("evaluate", _swap_originals, DIFFERENT),
    "originals cut off": ("evaluate", _cut_originals, ["originals.npy", "not a readable .npy file"]),
    "originals that are gone": (
        "train",
        lambda folder: (folder / "dataset/originals.npy").unlink(),
        ["originals.npy does not exist"],
    ),
    "originals that are code": (
        "train",
        lambda folder: shutil.copy(loud(folder, "x.npy"), folder / "dataset/originals.npy"),
        ["originals.npy", "not a readable .npy file"],
    ),
    "metrics of no step": (
        "train",
        _edit("metrics.jsonl", lambda row: row.pop("step")),
        ["metrics.jsonl, object 1 lacks 'step'"],
    ),
    "scores that are texts": (
        "evaluate",
        _replace("scores.jsonl", b'{"step": "last"}\n'),
        ["scores.jsonl, object 1: step is 'last', but a run writes a whole number"],
    ),
    "config.json that is code": (
        "train",
        _replace("config.json", b"open('it ran', 'w')"),
        ["config.json is not valid JSON"],
    ),
    "config.json of another kind": ("evaluate", _replace("config.json", b"[]"), ["config.json is []", "an object"]),
    "config.json with another field": (
        "train",
        _edit("config.json", lambda c: c["config"]["train"].update(batch_size=4)),
        ["train.batch_size (4, now 8)", "choose another --workdir"],
    ),
}

# A run with scores; what is done to its files, which its report is to notice.
SCORES = {
    "scores of no classifier": (
        _edit("scores.jsonl", lambda row: row.pop("classifier")),
        ["scores.jsonl, object 2 lacks 'classifier'"],
    ),
    "a score that is a text": (
        _edit("scores.jsonl", lambda row: row.update(fid="low")),
        ["scores.jsonl, object 2: fid is 'low', but a run writes a finite number there"],
    ),
    "a score that is not finite": (_edit("scores.jsonl", lambda row: row.update(fid=float("nan"))), ["fid is nan"]),
    "a share of nothing": (
        _edit("scores.jsonl", lambda row: row["classes"].pop("most_frequent")),
        ["classes lacks 'most_frequent'"],
    ),
    "scores of another seed": (
        _edit("scores.jsonl", lambda row: row.update(seed=7)),
        ["scores of a seed that is not the one in config.json"],
    ),
    "a loss that is a list": (
        _edit("metrics.jsonl", lambda row: row.update(generator_loss=[1])),
        ["metrics.jsonl, object 4: generator_loss is [1]"],
    ),
    "a manifest of another policy": (
        _edit(MANIFEST, lambda m: m.update(policy="invert")),
        ["manifest.json and config.json differ in policy or seed"],
    ),
    "a manifest that is a list": (_replace(MANIFEST, b"[]"), [MANIFEST, "not a manifest of format 1"]),
    "config.json without a seed": (
        _edit("config.json", lambda c: c["config"].pop("seed")),
        ["config.json: config lacks 'seed'"],
    ),
    "no devices": (_edit("config.json", lambda c: c.update(devices=None)), ["config.json: devices is None", "a list"]),
    "study.json of another kind": (_replace("study.json", b"[]"), ["study.json is []", "an object"]),
    "study.json with half a failure": (
        _replace("study.json", b'{"failed": [{"run": "a"}], "arms": [], "seeds": []}'),
        ["study.json: failed[0] lacks 'reason'"],
    ),
}

CASES = {
    **BAD,
    **{
        f"config.{field}"[:60]: (lambda t, field=field: small("train", t / "run", f"--config.{field}"), says)
        for field, says in FIELDS.items()
    },
    **{f"image {name!r}": (_image(name), [reason, "data.skip_bad=true"]) for name, (_, reason) in IMAGES.items()},
    **{f"zip {name}": (_zip(make), says) for name, (make, says) in ZIPS.items()},
    **{f"code {name}": (_code(before, file), says) for name, (before, file, says) in CODE.items()},
}


def contents(place: Path) -> dict[str, bytes | None]:
    """Every file below a folder; a lock, which a process in a run leaves behind, does not count."""
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in place.rglob("*")
        if path.name != ".lock" and not path.is_fifo()
    }


def refused(arguments: list[str], says: list[str], place: Path, capsys) -> None:
    """Runs a command that must be refused, with one line that has these words, and without anything written."""
    sys.modules.pop("config_config", None)  # where ml_collections keeps the config file loaded last
    before = contents(place)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert "Traceback" not in error
    last = error.splitlines()[-1]
    assert last.startswith("error: ") and last.isprintable() and len(last) < 3100
    for words in says:
        assert words in last
    assert contents(place) == before


@pytest.mark.parametrize("case", CASES)
def test_bad_input_gets_one_line_and_leaves_nothing(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, says = CASES[case]
    refused(arguments(tmp_path), says, tmp_path, capsys)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run at step 4 of 11: its first checkpoint, of a state that no step has changed yet."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert main(small("prepare", workdir)) == 0
    config = configured(**SMALL | FEW)
    state = networks.initial_state(config)
    row = schedule.of(config).position(4) | {"state_sha256": checkpoint.digest(parallel.host(state))}
    records.append_jsonl(workdir / "metrics.jsonl", row)
    checkpoint.save(workdir / "checkpoints", 4, state)
    return workdir


@pytest.mark.parametrize("case", RUNS)
def test_edited_files_of_a_run_are_noticed(case, trained, tmp_path, capsys):
    verb, damage, says = RUNS[case]
    shutil.copytree(trained, tmp_path / "run")
    damage(tmp_path / "run")
    refused(small(verb, tmp_path / "run"), says, tmp_path, capsys)


@pytest.mark.parametrize("case", SCORES)
def test_edited_files_of_a_run_are_noticed_by_its_report(case, make_run, tmp_path, capsys):
    damage, says = SCORES[case]
    make_run(tmp_path / "run", grids=0)
    damage(tmp_path / "run")
    refused(["report", f"--workdir={tmp_path}/run"], says, tmp_path, capsys)


def test_bad_files_can_be_left_out(tmp_path, capsys):
    place = folder(tmp_path, cut__jpg=jpeg(50)[:300], twin__jpg=jpeg(3))
    arguments = ["prepare", *BASE, *from_folder(place), f"--workdir={tmp_path}/run", "--config.data.skip_bad=true"]
    assert main(arguments) == 0
    assert "2 bad files left out" in capsys.readouterr().out


def test_images_of_any_kind_and_name_are_used_and_named_in_the_manifest(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.full((5, 4), 40_000, np.uint16)).save(buffer, "PNG")
    odd = {
        "one pixel.png": png(1, 1, zlib.compress(b"\0\1\2\3")),
        "16 bits.png": buffer.getvalue(),
        "more than its size.png": png(4, 4, zlib.compress(bytes(2**24))),
        'new\nline " quote.jpg': jpeg(20),
        "\udcff\udcfe.jpg": jpeg(21),
    }
    place = folder(tmp_path)
    for name, data in odd.items():
        Path(place, name).write_bytes(data)
    (place / "loop").symlink_to(place, target_is_directory=True)
    assert main(["prepare", *BASE, *from_folder(place, 12 + len(odd)), f"--workdir={tmp_path}/run"]) == 0
    made = json.loads((tmp_path / "run/dataset/manifest.json").read_bytes())
    named = {row["source_id"]: row["index"] for row in made["records"]}
    assert odd.keys() < named.keys()
    pixels = np.load(tmp_path / "run/dataset/originals.npy")
    for name, index in named.items():  # the name leads back to the file
        image = images.decode(Path(place, name).read_bytes())
        np.testing.assert_array_equal(pixels[index], images.fit(image, image_size=32, resize="stretch"))


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_bomb_is_not_unpacked_beyond_the_size_that_it_states(packing, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "images.zip", "w", packing) as archive:
        archive.writestr("a.jpg", jpeg(1))
        archive.writestr("b.jpg", bytes(100 * 2**20))
    edited(tmp_path / "images.zip", "b.jpg", 24, struct.pack("<I", 1000))
    tracemalloc.start()
    try:
        refused(_zip(lambda t: t / "images.zip")(tmp_path), ["b.jpg (corrupt in the zip file"], tmp_path, capsys)
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()


def test_a_batch_is_a_multiple_of_the_devices(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    refused(
        small("train", tmp_path / "run"),
        ["train.batch_size is 8", "multiple of the number of devices (3)"],
        tmp_path,
        capsys,
    )


@pytest.mark.parametrize("verb", ["train", "score"])
@pytest.mark.parametrize(
    "error",
    [jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes."), MemoryError("99 bytes")],
    ids=["device", "host"],
)
def test_memory_that_is_used_up_says_what_to_lower(verb, error, tmp_path, capsys, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(parallel, "replicate", fail)
    monkeypatch.setattr("gan_da_jax.classifiers.registry.load", fail)
    score = ["score", f"--images={folder(tmp_path)}"]
    assert main(score if verb == "score" else small("train", tmp_path / "run")) == 2
    line = capsys.readouterr().err.strip()
    assert line.count("\n") == 0 and line.startswith("error: Out of memory (") and "99 bytes" in line
    assert all(
        field in line
        for field in ("train.batch_size", "model.width", "data.image_size", "data.resident_mb", "smaller images")
    )


def test_a_full_disk_and_a_folder_that_may_not_be_written_to(tmp_path, capsys, monkeypatch):
    def fail(number: int):
        def save(*_, **__):
            raise OSError(number, os.strerror(number))

        return save

    for number, says in ((errno.ENOSPC, "make room"), (errno.EACCES, "check that path"), (errno.EROFS, "another")):
        with monkeypatch.context() as patch:
            patch.setattr(records.np, "save", fail(number))
            assert main(small("prepare", tmp_path / "run")) == 2
        line = capsys.readouterr().err.strip()
        assert line.startswith("error: ") and os.strerror(number) in line and says in line and line.count("\n") == 0
        assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert main(small("prepare", tmp_path / "run")) == 0


def test_without_a_home_the_error_says_what_to_set(tmp_path, capsys, monkeypatch):
    def nobody(number: int):
        raise KeyError(number)

    for name in ("HOME", "GAN_DA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    refused(["weights", "list"], ["no home folder for the cache", "set GAN_DA_CACHE"], tmp_path, capsys)
    refused(small("prepare", "~/run"), ["--workdir=~/run", "no such home folder"], tmp_path, capsys)


def as_a_command(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gan-da", *arguments])
    monkeypatch.setattr(__main__.signal, "signal", lambda *_: None)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        __main__.run()
    return ended.value.code


def test_output_that_nobody_takes_is_told_without_a_traceback(tmp_path, monkeypatch, capsys):
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(open("/dev/full", "w"))
        monkeypatch.setattr(sys, "stdout", full)
        assert as_a_command(monkeypatch, "--help") == 2
    assert capsys.readouterr().err == "error: the output cannot be written: No space left on device\n"


def test_names_that_are_no_text_can_be_shown(tmp_path, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert as_a_command(monkeypatch, *small("prepare", f"{tmp_path}/\udcff\u00e9")) == 0
    assert rb"\udcff\xe9" in shown.buffer.getvalue()
