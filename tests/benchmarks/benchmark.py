"""Times this package, beside PyTorch or by itself: python tests/benchmarks/benchmark.py train|score|scale|start.

train   a training step beside stock and expert PyTorch, at 64 px and at 128 px; --dtype=bfloat16 for a GPU
score   the whole Inception v3 of 2015 beside PyTorch, plain and channels_last
scale   a training step against image size, width, batch size and size of the data set
start   seconds from the start of `train` to the end of its first step at 128 px, without and with a compilation cache

Prints a table in Markdown: medians of turns, which those that are compared take side by side, and the slowest and the
fastest turn.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from gan_da_jax import contenders, race
from gan_da_jax.stages import compare

SIZES = ((64, 64, 64), (128, 64, 32))  # image size, width, batch size
SCALE = (
    *((size, 32, 32, 1000) for size in (32, 64, 128)),
    *((64, width, 32, 1000) for width in (16, 64)),
    *((64, 32, batch, 1000) for batch in (8, 128)),
    (64, 32, 32, 10_000),
)


def pixels(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def training(size: int, width: int, batch: int, flags: argparse.Namespace, images: int = 1000) -> dict:
    network = dict(image_size=size, latent_dim=100, width=width, dtype=flags.dtype)
    return dict(images=pixels(images, size), batch_size=batch, network=network, seconds=compare.SECONDS)


def beside_torch(entries: dict[str, race.Contender], what: str, turns: int) -> str:
    found = race.run(entries, turns=turns, told=lambda line: print(f"{what}: {line}", file=sys.stderr, flush=True))
    row = f"| {what} | {found['jax'].median:.4g} |"
    for name in ("torch_stock", "torch_expert"):
        ratio = race.ratio(found["jax"], found[name])
        row += f" {found[name].median:.4g} ({found[name].about['variant']}) |"
        row += f" {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}) |"
    return row


def train(flags: argparse.Namespace) -> Iterator[str]:
    yield from ("| training step | images/s | stock PyTorch | ratio | expert PyTorch | ratio |", "| --- " * 6 + "|")
    expert = {
        name: options | {"freeze": True, "autocast": flags.dtype == "bfloat16"}
        for name, options in compare.EXPERT.items()
    }
    for size, width, batch in SIZES:
        work = training(size, width, batch, flags)
        entries = {
            "jax": race.Contender(contenders.train, work),
            "torch_stock": race.Contender(contenders.train_torch, work | {"variants": compare.STOCK}),
            "torch_expert": race.Contender(contenders.train_torch, work | {"variants": expert}),
        }
        yield beside_torch(entries, f"{size} px, width {width}, batch {batch}, {flags.dtype}", flags.turns)


def score(flags: argparse.Namespace) -> Iterator[str]:
    yield from ("| scoring | images/s | stock PyTorch | ratio | expert PyTorch | ratio |", "| --- " * 6 + "|")
    work = dict(images=pixels(200, 128), seconds=compare.SECONDS)
    entries = {
        "jax": race.Contender(contenders.score, work),
        "torch_stock": race.Contender(contenders.score_torch, work | {"variants": compare.STOCK}),
        "torch_expert": race.Contender(contenders.score_torch, work | {"variants": compare.EXPERT_SCORING}),
    }
    yield beside_torch(entries, "Inception v3 of 2015, images of 128 px", flags.turns)


def scale(flags: argparse.Namespace) -> Iterator[str]:
    yield from ("| px | width | batch | images | images/s | ms a step | peak GiB |", "| --- " * 7 + "|")
    for size, width, batch, images in SCALE:
        work = training(size, width, batch, flags, images)
        (one,) = race.run({"jax": race.Contender(contenders.train, work)}, turns=flags.turns).values()
        yield (
            f"| {size} | {width} | {batch} | {images} | {one.median:.4g} | {1000 * batch / one.median:.4g} "
            f"| {one.peak_gib:.2f} |"
        )


def start(flags: argparse.Namespace) -> Iterator[str]:
    yield from ("| start to first step, 128 px, width 64, batch 32 | seconds |", "| --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for number, what in enumerate(("without a compilation cache", "with one", "with one, again")):
            command = [sys.executable, "-m", "gan_da_jax", "train", "--config=configs/default.py"]
            command += [f"--workdir={folder}/{number}", "--config.train.batch_size=32", "--config.data.count=32"]
            environment = {**os.environ, "GAN_DA_CACHE": f"{folder}/cache"}
            begin, elapsed = time.monotonic(), None
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
                # One step is an epoch here, and its line in metrics.jsonl comes right after it.
                while process.poll() is None and elapsed is None:
                    time.sleep(0.02)
                    if os.path.exists(f"{folder}/{number}/metrics.jsonl"):
                        elapsed = time.monotonic() - begin
                process.kill()
            yield f"| {what} | {'failed' if elapsed is None else f'{elapsed:.1f}'} |"


BENCHMARKS = {function.__name__: function for function in (train, score, scale, start)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=BENCHMARKS)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    flags = parser.parse_args()
    versions = ", ".join(f"{package} {version(package)}" for package in ("jax", "flax", "torch"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {versions}; {' '.join(sys.argv)}\n")
    for line in BENCHMARKS[flags.benchmark](flags):
        print(line, flush=True)


if __name__ == "__main__":
    main()
