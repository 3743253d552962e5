"""tfds' own builders on small archives of the official structure, and what is read from what they prepare."""

import base64
import contextlib
import http.server
import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_da_jax.data.sources import Location, folder, tfds
from gan_da_jax.data.sources.images import choose
from gan_da_jax.errors import UserError
from gan_da_jax.files import io as records
from gan_da_jax.main import main

sys.path.append(str(Path(__file__).parent))  # so that this process and the one that prepares import the same
from photos import Photos, picture  # noqa: E402


def resized(data, size=16):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((size, size), Image.Resampling.LANCZOS))


def load(path, dataset, **changes):
    arguments = {"count": 1, "image_size": 16, "resize": "stretch", "seed": 3, "skip_bad": False}
    with tfds.opened(Location(str(path), dataset)) as files:
        return choose(files, **{**arguments, **changes})


@pytest.fixture
def prepares(tmp_path, monkeypatch):
    """Lets the process that prepares know `photos`, and run some more code when it starts."""
    pytest.importorskip("tensorflow_datasets")
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("there is no TensorFlow")
    place = tmp_path / "site"
    place.mkdir()

    def first(code=""):
        """Python imports `sitecustomize` whenever it starts."""
        (place / "sitecustomize.py").write_text("import photos\n" + textwrap.dedent(code))

    first()
    monkeypatch.syspath_prepend(place)
    return first


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder with the prepared data set `photos`."""
    place = tmp_path_factory.mktemp("data")
    Photos(data_dir=place).download_and_prepare(file_format="array_record")
    return place


def test_all_splits_are_read_and_a_larger_count_appends(photos):
    few, all_ = load(photos, "photos", count=7), load(photos, "photos", count=30)
    assert all_.ids[:7] == few.ids and few.available == 30 and not few.skipped
    np.testing.assert_array_equal(all_.pixels[:7], few.pixels)
    assert sorted(all_.ids) == [f"test/{i:06d}" for i in range(10)] + [f"train/{i:06d}" for i in range(20)]
    official = {resized(data).tobytes(): number for number, data in Photos.FILES.items()}
    for name, image in zip(all_.ids, all_.pixels, strict=True):
        assert (int(official.pop(image.tobytes())) < 20) == name.startswith("train/")
    assert load(photos, "photos", count=7, seed=4).ids != few.ids


@pytest.mark.parametrize(("label", "odd"), [("odd one", 1), ("ODD-ONE", 1), ("Even_One", 0)])
def test_only_one_class(photos, label, odd):
    found = load(photos, f"photos:1.0.0#{label}", count=15)
    wanted = {resized(data).tobytes() for number, data in Photos.FILES.items() if int(number) % 2 == odd}
    assert {image.tobytes() for image in found.pixels} == wanted and found.available == 15


# Makes a process one on a machine without TensorFlow, whether there is one or not.
HIDE_TENSORFLOW = """if True:
    import sys

    class Without:
        def __init__(self, finder):
            self.finder = finder

        def __getattr__(self, name):
            return getattr(self.finder, name)

        def find_spec(self, name, *others):
            return None if name.partition(".")[0] == "tensorflow" else self.finder.find_spec(name, *others)

    sys.meta_path[:] = map(Without, sys.meta_path)
"""


def without_tensorflow(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", HIDE_TENSORFLOW + code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_prepared_data_are_read_without_tensorflow(photos):
    code = """
    import json
    from gan_da_jax.data.sources import Location, tfds
    from gan_da_jax.data.sources.images import choose
    with tfds.opened(Location("", "photos#odd one")) as files:
        found = choose(files, count=9, image_size=16, resize="stretch", seed=3, skip_bad=False)
    assert "tensorflow" not in sys.modules
    print(json.dumps([found.ids, found.pixels.tolist()]))
    """
    ran = without_tensorflow(code, TFDS_DATA_DIR=str(photos))
    assert ran.returncode == 0, ran.stderr
    ids, pixels = json.loads(ran.stdout.splitlines()[-1])
    expected = load(photos, "photos#odd one", count=9)
    assert ids == expected.ids
    np.testing.assert_array_equal(pixels, expected.pixels)


def command(workdir, path, dataset, *extra):
    """Prepares 3 images of 32 pixels."""
    fields = {"source": "tfds", "path": path, "dataset": dataset, "count": 3, "image_size": 32}
    values = [f"--config.data.{name}={value}" for name, value in fields.items()]
    common = ["--config=configs/default.py", f"--workdir={workdir}", "--config.evaluate.splits=1"]
    return ["prepare", *common, *values, *extra]


def test_without_tensorflow_nothing_is_downloaded(tmp_path):
    """Preparing needs it: the error says so in the dry run already, and how to do without."""
    code = """
    from gan_da_jax.main import main
    sys.exit(main(sys.argv[1:]))
    """
    ran = without_tensorflow(code, *command(tmp_path / "run", tmp_path / "data", "celeb_a", "--dry_run"))
    last = ran.stderr.splitlines()[-1]
    assert ran.returncode == 2 and last.startswith("error: celeb_a/2.1.0 is not prepared in") and "[tfds]" in last
    assert "--config.data.source=zip --config.data.path=img_align_celeba.zip" in last
    assert "Traceback" not in ran.stderr and not list(tmp_path.iterdir())


def test_importing_the_package_imports_neither():
    code = "import sys, gan_da_jax.main; assert not {'tensorflow', 'tensorflow_datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_prepares_a_data_set(photos, tmp_path, capsys):
    assert main(command(tmp_path / "run", photos, "photos#even_one", "--dry_run")) == 0
    assert "would hold 3 originals" in capsys.readouterr().out and not list(tmp_path.iterdir())
    assert main(command(tmp_path / "run", photos, "photos#even_one")) == 0
    made = records.read_json(tmp_path / "run/dataset/manifest.json")
    source = made["source"]
    assert source["kind"] == "tfds" and source["name"] == source["dataset"] == "photos#even_one"
    assert source["path"] == str(photos) and source["available"] == 15
    found = load(photos, "photos#even_one", count=3, image_size=32, seed=0)
    assert [row["source_id"] for row in made["records"]] == found.ids
    assert [row["sha256"] for row in made["records"]] == [records.sha256(image) for image in found.pixels]


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("celeba", "tfds knows no data set celeba: did you mean celeb_a"),
        ("xyzzyxyzzy", "no data set xyzzyxyzzy: see the catalogue"),
        ("celeb_a:9.9.9", "cannot be used: .*9.9.9.*2.1.0"),
        ("celeb_a/large", "cannot be used: .*large"),
        ("celeb_a#smiling", "has no classes: leave the # out"),
        ("celeb_a#", "is no name of a tfds data set"),
        ("", "is no name of a tfds data set"),
        ("huggingface:mnist", "is no name of a tfds data set"),
        ("../celeb_a", "is no name of a tfds data set"),
        ("imdb_reviews", "without an image"),
        ("oxford_iiit_pet#pomeranien", "has no class pomeranien: did you mean pomeranian"),
        ("oxford_iiit_pet#\n", r"has no class \\n: it has Abyssinian, .* and 27 more"),
    ],
)
def test_what_cannot_be_is_refused_before_any_download(tmp_path, dataset, words):
    for refused in (tfds.is_prepared, lambda location: tfds.opened(location).__enter__()):
        with pytest.raises(UserError, match=words) as caught:
            refused(Location(str(tmp_path / "data"), dataset))
        assert str(caught.value).isprintable() and not list(tmp_path.iterdir())


@pytest.mark.parametrize("dataset", ["celeb_a", "CelebA", "oxford_iiit_pet#German Shorthaired", "cifar10:3.*.*#dog"])
def test_what_may_be_downloaded(tmp_path, monkeypatch, capsys, dataset):
    """The classes of cifar10 have no names before the download."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert not tfds.is_prepared(Location(str(tmp_path / "data"), dataset))
    assert main(command(tmp_path / "run", tmp_path / "data", dataset, "--dry_run")) == 0
    assert f"{dataset} would be downloaded and prepared first" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_damaged_data_are_refused(photos, tmp_path):
    """As files are: bad images are named, or left out and recorded."""
    place = tmp_path / "photos/1.0.0"
    shutil.copytree(photos / "photos", tmp_path / "photos")
    file = next(place.glob("*train*"))
    whole = file.read_bytes()
    at = whole.index(b"JFIF") + 30
    file.write_bytes(whole[:at] + bytes(200) + whole[at + 200 :])
    with pytest.raises(UserError, match="the tfds data set photos: .* of 30 images cannot be used: train/0000"):
        load(tmp_path, "photos")
    found = load(tmp_path, "photos#even one", count=10, skip_bad=True)
    assert len(found.skipped) + found.available == 15 and found.skipped
    for data in (whole[: len(whole) // 2], b"", None):  # None: no file
        file.unlink() if data is None else file.write_bytes(data)
        with pytest.raises(UserError, match="damaged|cannot be used"):
            load(tmp_path, "photos")
    (place / "features.json").write_text("{")
    with pytest.raises(UserError, match="cannot be used"):
        load(tmp_path, "photos")
    (place / "dataset_info.json").unlink()
    with pytest.raises(UserError, match="photos/1.0.0 is not a whole data set: remove it"):
        tfds.is_prepared(Location(str(tmp_path), "photos"))


def test_a_path_of_another_source_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("file", "img_align_celeba.zip"):
        with pytest.raises(UserError, match="is a file: for data.source=tfds it must be a folder, or empty"):
            tfds.is_prepared(Location(str(tmp_path / name), "celeb_a"))


def celeba(folder):
    """The five official files: 8 images of the first split, 2 of each other."""
    from tensorflow_datasets.datasets.celeb_a import celeb_a_dataset_builder as official

    files = [f"{number:06d}.jpg" for number in range(1, 13)]
    images = {name: picture(number, (178, 218)) for number, name in enumerate(files)}
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as packed:
        for name, data in images.items():
            packed.writestr(f"img_align_celeba/{name}", data)
    for file, headings in (
        ("list_attr_celeba.txt", official.ATTR_HEADINGS),
        ("list_landmarks_align_celeba.txt", official.LANDMARK_HEADINGS),
    ):
        rows = [" ".join([name] + ["1"] * len(headings)) for name in files]
        (folder / file).write_text("\n".join([str(len(files)), " ".join(headings), *rows, ""]))
    splits = zip(files, [0] * 8 + [1] * 2 + [2] * 2, strict=True)
    (folder / "list_eval_partition.txt").write_text("".join(f"{name} {split}\n" for name, split in splits))
    (folder / "identity_CelebA.txt").write_text("".join(f"{name} 7\n" for name in files))
    return images


def pets(folder):
    """The two official archives: of each breed 5 images to train with and 3 to test."""
    breeds = {"pomeranian": 25, "german_shorthaired": 15, "Abyssinian": 1}  # their numbers in the official lists
    names = [f"{breed}_{number}" for breed in breeds for number in range(1, 9)]
    images = {name: picture(50 + place) for place, name in enumerate(names)}  # Abyssinian_5 is one tfds encodes anew
    mask = picture(0, form="PNG")

    def line(name):
        breed = name.rpartition("_")[0]
        return f"{name} {breeds[breed]} {1 if breed[0].isupper() else 2} 1\n"

    lists = {
        "annotations/trainval.txt": "".join(line(name) for name in names if name[-1] < "6").encode(),
        "annotations/test.txt": "".join(line(name) for name in names if name[-1] > "5").encode(),
    }
    for archive, files in {
        "images.tar.gz": {f"images/{name}.jpg": data for name, data in images.items()},
        "annotations.tar.gz": lists | {f"annotations/trimaps/{name}.png": mask for name in names},
    }.items():
        with tarfile.open(folder / archive, "w:gz") as packed:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                packed.addfile(entry, io.BytesIO(data))
    return images


@pytest.fixture
def official(tmp_path, prepares):
    """Puts small archives where tfds looks for those downloaded by hand; it takes them for the published ones."""
    place = tmp_path / "data"
    by_hand = place / "downloads/manual"
    by_hand.mkdir(parents=True)
    prepares(f"""
        import pathlib, tensorflow_datasets
        from tensorflow_datasets.core.download import checksums

        for name in ("celeb_a", "oxford_iiit_pet"):
            builder, by_hand = tensorflow_datasets.builder_cls(name), pathlib.Path({str(by_hand)!r})
            found = {{url: by_hand / info.filename for url, info in builder.url_infos.items()}}
            builder.url_infos = {{url: checksums.compute_url_info(file) for url, file in found.items()}}
    """)
    return place, {"celeb_a": celeba(by_hand), "oxford_iiit_pet": pets(by_hand)}


def test_celeba_from_its_official_archives(official):
    place, images = official
    found = load(place, "celeb_a", count=12)
    names = [f"train/{i:06d}" for i in range(8)] + [
        f"{split}/{i:06d}" for split in ("validation", "test") for i in (0, 1)
    ]
    assert set(found.ids) == set(names) and found.available == 12
    expected = {resized(data).tobytes(): name for name, data in images["celeb_a"].items()}
    for name, image in zip(found.ids, found.pixels, strict=True):
        number = int(expected.pop(image.tobytes())[:6])
        assert name.partition("/")[0] == ("train" if number < 9 else "validation" if number < 11 else "test")
    assert (place / "celeb_a/2.1.0/celeb_a-train.array_record-00000-of-00001").exists()
    assert tfds.is_prepared(Location(str(place), "celeb_a"))
    shutil.rmtree(place / "downloads")
    again = load(place, "celeb_a", count=5)
    assert again.ids == found.ids[:5]


def test_pomeranians_of_oxford_equal_the_folder_of_them(official, tmp_path):
    place, images = official
    found = load(place, "oxford_iiit_pet#Pomeranian", count=8)
    (tmp_path / "unpacked").mkdir()
    for name, data in images["oxford_iiit_pet"].items():
        if name.startswith("pomeranian"):
            (tmp_path / "unpacked" / f"{name}.jpg").write_bytes(data)
    with folder.opened(str(tmp_path / "unpacked")) as files:
        expected = choose(files, count=8, image_size=16, resize="stretch", seed=3, skip_bad=False)
    assert {image.tobytes() for image in found.pixels} == {image.tobytes() for image in expected.pixels}
    assert sorted(name.partition("/")[0] for name in found.ids) == ["test"] * 3 + ["train"] * 5
    assert load(place, "oxford_iiit_pet", count=24).available == 24
    assert load(place, "oxford_iiit_pet#abyssinian", count=8).available == 8


# Prepares `photos` as TFRecords in a folder, and prints the images of each split as TensorFlow reads them.
WITNESS = """if True:
    import base64, json, sys
    import tensorflow_datasets as tfds
    from photos import Photos

    builder = Photos(data_dir=sys.argv[1])
    shards = tfds.download.DownloadConfig(num_shards=3)
    builder.download_and_prepare(file_format="tfrecord", download_config=shards)
    in_order, raw = tfds.ReadConfig(interleave_cycle_length=1), {"picture": tfds.decode.SkipDecoding()}
    splits = builder.as_dataset(read_config=in_order, decoders=raw)
    read = {split: [one["picture"].numpy() for one in examples] for split, examples in splits.items()}
    print(json.dumps({split: [base64.b64encode(data).decode() for data in datas] for split, datas in read.items()}))
"""


def test_tfrecords_hold_the_same_images_in_the_same_order(photos, tmp_path, prepares):
    """Data that someone has prepared in tfds' own default format; TensorFlow writes and, as a witness, reads them."""
    ran = subprocess.run(
        [sys.executable, "-c", WITNESS, tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert len(list((tmp_path / "photos/1.0.0").glob("*train.tfrecord*"))) == 3
    found, other = load(tmp_path, "photos#odd one", count=15), load(photos, "photos#odd one", count=15)
    assert found.ids == other.ids
    np.testing.assert_array_equal(found.pixels, other.pixels)
    official = {
        f"{split}/{index:06d}": resized(base64.b64decode(data))
        for split, images in json.loads(ran.stdout.splitlines()[-1]).items()
        for index, data in enumerate(images)
    }
    assert len(official) == 30
    np.testing.assert_array_equal(found.pixels, [official[name] for name in found.ids])
    for file in (tmp_path / "photos/1.0.0").glob("*test.tfrecord*"):
        file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(UserError, match="is damaged|cannot be used"):
        load(tmp_path, "photos")


def last_line(capsys):
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.splitlines()[-1]


CELEBA_OTHERWISE = "yourself and give --config.data.source=zip --config.data.path=img_align_celeba.zip"


def test_another_file_than_the_published_one(tmp_path, capsys, prepares):
    (tmp_path / "data/downloads/manual").mkdir(parents=True)
    celeba(tmp_path / "data/downloads/manual")
    assert main(command(tmp_path / "run", tmp_path / "data", "celeb_a")) == 2
    last = last_line(capsys)
    assert last.startswith("error: celeb_a/2.1.0: what was downloaded is not the published file, by its checksum")
    assert last.endswith(CELEBA_OTHERWISE) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("dataset", "otherwise"),
    [("celeb_a", CELEBA_OTHERWISE), ("oxford_iiit_pet#pug", "--config.data.source=folder --config.data.path=DIR")],
)
def test_no_network(tmp_path, capsys, monkeypatch, prepares, dataset, otherwise):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    assert main(command(tmp_path / "run", tmp_path / "data", dataset)) == 2
    last = last_line(capsys)
    assert last.startswith(f"error: {dataset.partition('#')[0]}/") and last.endswith(otherwise)
    assert "could not be downloaded and prepared (" in last and "refused" in last
    assert not (tmp_path / "run").exists() and not list((tmp_path / "data").glob(f"{dataset.partition('#')[0]}/*"))


def test_google_s_page_instead_of_celeba(tmp_path, capsys, prepares):
    """Google Drive answers with a page once too many have asked for a file on one day."""
    pytest.importorskip("bs4")
    prepares("""
        import io, requests

        def send(adapter, request, **options):
            answer = requests.Response()
            answer.status_code, answer.url, answer.request = 200, request.url, request
            answer.raw = io.BytesIO(b"<html><title>Google Drive - Quota exceeded</title><body>Too many</body></html>")
            return answer

        requests.adapters.HTTPAdapter.send = send
    """)
    assert main(command(tmp_path / "run", tmp_path / "data", "celeb_a")) == 2
    last = last_line(capsys)
    assert "Failed to obtain confirmation link for GDrive" in last and last.endswith(CELEBA_OTHERWISE)


@pytest.fixture
def server(monkeypatch, prepares):
    """Yields a function that has `photos` download files, and events: /endless has begun, nobody listens to it now.

    /absent is not there, once /endless has begun; /silent never answers.
    """
    begun, left, over = threading.Event(), threading.Event(), threading.Event()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            if self.path == "/silent":
                over.wait(60)
            elif self.path == "/absent":
                begun.wait(60)
                self.send_error(404)
            else:
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    while not over.is_set():
                        self.wfile.write(bytes(10000))
                        begun.set()
                left.set()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as running:
        address = f"http://127.0.0.1:{running.server_port}/"

        def downloads(*files):
            monkeypatch.setenv("PHOTOS_FROM", json.dumps([address + name for name in files]))

        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield downloads, begun, left
        over.set()
        running.shutdown()
        thread.join()


def test_a_failed_download_ends_the_others(server, tmp_path):
    """They would go on for ever, and keep the process."""
    downloads, _, left = server
    downloads("absent", "endless")
    with pytest.raises(UserError, match="photos/1.0.0 could not be downloaded.*HTTP code: 404"):
        load(tmp_path, "photos")
    assert left.wait(30)


def test_a_silent_server_is_not_waited_for(server, prepares, tmp_path):
    server[0]("silent")
    prepares("from gan_da_jax.data.sources import tfds; tfds._TIMEOUT = (1, 1)")
    with pytest.raises(UserError, match="photos/1.0.0 could not be downloaded.*timed out"):
        load(tmp_path, "photos")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_command_ends_its_downloads(server, tmp_path, number):
    downloads, begun, left = server
    downloads("endless")
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_da_jax", *command(tmp_path / "run", tmp_path / "data", "photos")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # which a background job ignores
    )
    began = begun.wait(120)
    process.send_signal(number if began else signal.SIGKILL)
    assert began and left.wait(60)
    error = process.stderr.read()  # ends with the last process that writes there
    assert "Traceback" not in error and not list((tmp_path / "data/photos").glob("*"))
    if number == signal.SIGKILL:
        assert process.wait(60) == -number
    else:
        assert process.wait(60) == 1 and error.splitlines()[-1] == "Interrupted. Run the same command again to resume."


def test_a_process_that_is_killed_is_told_of(prepares, tmp_path, capfd):
    prepares("import os; photos.Photos._split_generators = lambda *given: os.kill(os.getpid(), 9)")
    assert main(command(tmp_path / "run", tmp_path / "data", "photos")) == 1
    assert last_line(capfd).endswith("is there enough memory?")


def test_two_at_once_prepare_once(prepares, tmp_path):
    prepares(f"""
        import time

        splits = photos.Photos._split_generators

        def slow(*given):
            with open({str(tmp_path / "times")!r}, "a") as file:
                print("once", file=file)
            time.sleep(0.5)
            return splits(*given)

        photos.Photos._split_generators = slow
    """)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda label: load(tmp_path, f"photos#{label}", count=15), ("odd one", "even one"))
    assert (tmp_path / "times").read_text() == "once\n" and not set(first.ids) & set(second.ids)


def test_tensorflow_sees_no_gpu_when_it_prepares(prepares, tmp_path):
    prepares(f"""
        import tensorflow

        def note(*given):
            with open({str(tmp_path / "seen")!r}, "a") as file:
                print(*given, file=file)

        splits = photos.Photos._split_generators
        tensorflow.config.set_visible_devices = note
        photos.Photos._split_generators = lambda *given: note("prepares") or splits(*given)
    """)
    load(tmp_path, "photos")
    assert (tmp_path / "seen").read_text() == "[] GPU\nprepares\n"
    assert "tensorflow" not in sys.modules


def test_what_takes_tensorflow_to_be_described_is_refused(tmp_path, capfd):
    with pytest.raises(
        UserError, match="coco/2017: tfds cannot describe it without TensorFlow: .*`tfds build coco/2017`"
    ):
        tfds.is_prepared(Location(str(tmp_path), "coco/2017"))
    assert capfd.readouterr() == ("", "") and "tensorflow" not in sys.modules
