import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax.classifiers import extract, kept, registry
from gan_da_jax.files import io

RNG = np.random.default_rng(0)


def prepare(images):
    return jax.image.resize(images.astype(jnp.float32), (len(images), 4, 4, 3), "bilinear")


def forward(variables, x, taps):
    x = x.reshape(len(x), -1)
    found = {"12": jnp.tanh(x @ variables["first"]), "logits": x @ variables["last"]}
    return {tap: found[tap] for tap in taps}


@pytest.fixture
def classifier():
    rng = np.random.default_rng(1)
    variables = {name: rng.normal(0, 0.01, (48, n)).astype(np.float32) for name, n in (("first", 12), ("last", 5))}
    return registry.Classifier(
        name="tiny",
        prepare=jax.jit(prepare),
        forward=forward,
        variables=variables,
        taps=("12", "logits"),
        default_tap="12",
        classes=tuple("abcde"),
        weights_sha256="ab" * 32,
        accuracy=None,
    )


def pictures(*sizes):
    return [RNG.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


TAPS = ("12", "logits")


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_images_of_any_sizes_come_out_in_order_whatever_the_batch(classifier, batch_size, monkeypatch):
    images = pictures(*[(6, 5)] * 9, (4, 4), (9, 3), *[(8, 8)] * 8)
    monkeypatch.setattr(extract, "batch_size", lambda: batch_size)
    done = []
    found = extract.extractor(classifier, TAPS)(iter(images), done.append)
    assert sum(done) == len(images)
    for i, image in enumerate(images):
        alone = forward(classifier.variables, prepare(image[None]), TAPS)
        for tap in TAPS:
            assert found[tap].dtype == np.float32
            np.testing.assert_allclose(found[tap][i], alone[tap][0], rtol=1e-5, atol=1e-5)


def test_only_what_is_wanted_is_given(classifier):
    assert extract.extractor(classifier, ("logits",))(pictures((4, 4))).keys() == {"logits"}


@pytest.fixture
def calls(monkeypatch):
    """How many images each extraction was given, where none was read from the cache."""
    counts, own = [], extract.extractor

    def extractor(classifier, taps):
        def extract(images, advance):
            images = list(images)
            counts.append(len(images))
            return own(classifier, taps)(images, advance)

        return extract

    monkeypatch.setattr(extract, "extractor", extractor)
    return counts


def run(classifier, images, taps=TAPS):
    return extract.features_of(
        classifier, taps, extract.see(lambda: iter(images)), title="images", cache=io.cache_dir()
    )


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[tap], b[tap]) for tap in a)


def test_features_are_kept(classifier, own_cache, calls):
    images = pictures((6, 5), (4, 4))
    first = run(classifier, images)
    second = run(classifier, images)
    assert calls == [2] and same(first, second)
    assert [path.suffix for path in own_cache.iterdir()] == [".npz"]  # and no temporary file


def test_whatever_changes_features_changes_the_key(classifier, own_cache, calls, monkeypatch):
    images = pictures((6, 5), (6, 5), (4, 4))
    run(classifier, images)
    altered = [image.copy() for image in images]
    altered[1][2, 2, 2] ^= 1
    cases = [
        (classifier, altered, TAPS),
        (classifier, images[::-1], TAPS),  # another order
        (classifier, images[:2], TAPS),
        (classifier, [*images, images[0]], TAPS),
        (classifier, [images[0].reshape(5, 6, 3), *images[1:]], TAPS),  # the same bytes
        (replace(classifier, name="another"), images, TAPS),
        (replace(classifier, weights_sha256="cd" * 32), images, TAPS),
        (classifier, images, ("12",)),
    ]
    for number, (other, several, taps) in enumerate(cases):
        calls.clear()
        run(other, several, taps)
        assert calls == [len(several)] and len(list(own_cache.iterdir())) == number + 2
    for change in (
        lambda: monkeypatch.setattr(extract, "FORMAT", extract.FORMAT + 1),
        lambda: monkeypatch.setattr(jax, "__version__", "0.0"),
        lambda: monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true"),
        lambda: monkeypatch.setattr(kept, "processor", lambda: "another"),
    ):
        calls.clear()
        change()
        run(classifier, images)
        assert calls == [3]


def test_pixels_count_not_how_they_lie_in_memory(classifier, own_cache, calls):
    image = pictures((6, 5))[0]
    run(classifier, [image])
    calls.clear()
    run(classifier, [np.asfortranarray(image)])
    assert calls == []


def test_a_damaged_file_is_made_anew(classifier, own_cache, calls):
    images = pictures((6, 5), (4, 4))
    right = run(classifier, images)
    (path,) = own_cache.iterdir()
    whole = path.read_bytes()
    elsewhere = own_cache.parent / "other.npz"
    np.savez(elsewhere, other=np.zeros(3))
    zeros = whole.replace(right["12"].tobytes(), bytes(right["12"].nbytes))
    assert zeros != whole
    damaged = [b"", whole[:100], whole[:-30], b"404 not found", elsewhere.read_bytes(), zeros]
    for data in damaged:
        path.write_bytes(data)
        calls.clear()
        assert same(run(classifier, images), right) and calls == [2]
        assert same(run(classifier, images), right) and calls == [2]  # repaired


def test_any_flipped_byte_is_noticed_or_does_no_harm(classifier, own_cache):
    images = pictures((6, 5))
    right = run(classifier, images)
    (path,) = own_cache.iterdir()
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        assert same(run(classifier, images), right)


def test_a_failed_extraction_leaves_nothing(classifier, own_cache):
    def fail(variables, x, taps):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(replace(classifier, name="failing", forward=fail), pictures((4, 4)))
    assert not own_cache.exists()


def test_a_cache_that_cannot_be_written_costs_no_work(classifier, tmp_path, monkeypatch, capsys):
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("GAN_DA_CACHE", str(tmp_path / "cache"))
    assert run(classifier, pictures((6, 5)))["12"].shape == (1, 12)
    assert "not kept" in capsys.readouterr().out


def test_several_at_once_do_not_tear_the_file(classifier, own_cache):
    right = {"12": RNG.normal(size=(3, 12)), "logits": RNG.normal(size=(3, 5))}
    together = threading.Barrier(8)
    found = []

    def compute():
        together.wait()
        return right

    def work():
        found.append(kept.arrays("features", {"format": 1}, compute, names=TAPS, cache=own_cache.parent))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.append(kept.arrays("features", {"format": 1}, pytest.fail, names=TAPS, cache=own_cache.parent))
    assert len(found) == 9 and all(same(one, right) for one in found)
    assert len(list(own_cache.iterdir())) == 1


def test_images_are_read_once_and_held_as_far_as_they_fit(monkeypatch):
    images, reads = pictures((4, 4), (5, 6), (4, 4)), []

    def read():
        reads.append(1)
        return iter(images)

    seen = extract.see(read)
    for _ in range(2):
        np.testing.assert_equal(list(seen.read()), images)
    assert (len(reads), seen.count) == (1, 3)
    monkeypatch.setattr(extract, "HELD", sum(image.nbytes for image in images) - 1)
    again = extract.see(read)
    for _ in range(2):
        np.testing.assert_equal(list(again.read()), images)
    assert (len(reads), again.count, again.sha256) == (4, 3, seen.sha256)


_ON_ONE_AND_EIGHT = """
import sys
import jax, numpy as np
from gan_da_jax.classifiers import extract
from gan_da_jax.classifiers import registry
if len(sys.argv) > 3:
    classifier, tap = registry.load("inception_v3_2015", sys.argv[3], taps=("192",)), "192"
    extract.batch_size = lambda: 2
else:
    classifier, tap = registry.load("faces_attributes", ""), "logits"
    extract.batch_size = lambda: 5
assert jax.local_device_count() == int(sys.argv[1])
rng = np.random.default_rng(0)
images = [rng.integers(0, 256, (32 + i % 3, 40, 3), np.uint8) for i in range(19)]
found = extract.extractor(classifier, ("64", tap))(images)
np.savez(sys.argv[2], **found)
"""


@pytest.mark.parametrize("network", ["faces_attributes", "inception_v3_2015"])
def test_one_and_eight_devices_agree(network, tmp_path):
    shared = Path(os.environ.get("GAN_DA_SHARED", Path(__file__).parents[2] / "../shared"))
    trunk = shared / "weights" / "inception_2015_trunk.safetensors"
    if network == "inception_v3_2015" and not trunk.is_file():
        pytest.skip(f"no weights in {shared} (GAN_DA_SHARED)")
    weights = [str(trunk)] if network == "inception_v3_2015" else []
    if not weights:
        registry.load("faces_attributes", "")  # trained once, kept for both
    for devices in (1, 8):
        subprocess.run(
            [sys.executable, "-c", _ON_ONE_AND_EIGHT, str(devices), f"{tmp_path}/{devices}.npz", *weights],
            check=True,
            timeout=300,
            env=os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"},
        )
    one, eight = (np.load(tmp_path / f"{devices}.npz") for devices in (1, 8))
    for tap in one.files:
        assert one[tap].std() > 1e-3
        np.testing.assert_allclose(one[tap], eight[tap], rtol=1e-5, atol=1e-5)


def test_kept_features_are_read_without_pickles(classifier, own_cache):
    images = pictures((6, 5))
    right = run(classifier, images)
    (path,) = own_cache.iterdir()
    np.savez(path, **{tap: np.array([{}]) for tap in TAPS})
    assert same(run(classifier, images), right)
