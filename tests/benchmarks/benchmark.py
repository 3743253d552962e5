"""What this package does in a second, as tables in Markdown: python tests/benchmarks/benchmark.py NAME [NAME ...].

    train    training steps of DCGANs beside PyTorch's, stock and expert, and their share of what the device can do
    score    scoring by the full Inception v3 of 2015 beside PyTorch's
    start    from the start of `gan-da train` to its first step at 128 px, without and with the compilation cache
    scale    training against image size, width, batch, virtual devices and data set size
    stream   training on a data set that is on the device, and on one that is streamed to it
    runs     several runs at once, as processes or as one vmapped program, against one after the other

Speeds are medians over turns, in images per second; what is compared takes turns, see `gan_da_jax.pytorch.race`.
Weights and images are random, which changes no speed.
"""

import argparse
import contextlib
import functools
import importlib.metadata
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gan_da_jax import gan
from gan_da_jax.data import order
from gan_da_jax.gan.dcgan import DTYPES, channels
from gan_da_jax.pytorch import contenders, race
from gan_da_jax.verbs import compare

LATENT_DIM = 100
SIZES = ((64, 64, 64), (128, 64, 32))  # image size, width, batch
SIZES_ON_GPU = ((64, 64, 64), (128, 64, 64), (128, 64, 256))
# Peak TFLOP/s of dense products: of bfloat16, and of float32, which JAX and PyTorch let a GPU's convolutions round to
# TensorFloat-32. From the makers' data sheets, by what the device's name contains.
PEAKS = {"H200": (989, 495), "H100": (989, 495), "A100": (312, 156), "L40S": (362, 183), "L4": (121, 60)}

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=BENCHMARKS, metavar="NAME")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of all that trains")
    parser.add_argument("--size", nargs=3, type=int, action="append", metavar=("PX", "WIDTH", "BATCH"))
    parser.add_argument("--images", type=int, default=1000, help="in the data set")
    parser.add_argument("--turns", type=int, default=compare.TURNS)
    parser.add_argument("--seconds", type=float, default=compare.SECONDS, help="that a turn takes, about")
    parser.add_argument("--peak_tflops", type=float, help="of the device; else known, or measured by a product")
    flags = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # several processes share a GPU's memory
    for name in flags.names:
        rows, note = BENCHMARKS[name](flags)
        print(f"\n### {name}\n\n{table(rows)}\n")
        print(f"{note}; {about()}; `{shlex.join(['python', *sys.argv])}`", flush=True)


def table(rows: list[Row]) -> str:
    """Rows of the same fields, in Markdown."""
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def about() -> str:
    """The versions, the processors, and how busy they are."""
    versions = []
    for package in ("jax", "flax", "torch"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{', '.join(versions)}, {platform.machine()} with {cores} CPU cores, load {os.getloadavg()[0]:.1f}"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def ask(code: str) -> str:
    """The last line that a Python program prints; this process leaves the devices to others."""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()[-1]


@functools.cache
def gpus() -> int:
    return int(ask("import jax; print(jax.device_count() if jax.default_backend() != 'cpu' else 0)"))


def sizes(flags: argparse.Namespace) -> list[tuple[int, int, int]]:
    return flags.size or (SIZES_ON_GPU if gpus() else SIZES)


def training(
    flags: argparse.Namespace, size: int, width: int, batch: int, *, images: int | None = None
) -> dict[str, Any]:
    """The arguments of a contender that trains."""
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (images or flags.images, size, size, 3), dtype=np.uint8),
        "batch_size": batch,
        "network": {"image_size": size, "latent_dim": LATENT_DIM, "width": width, "dtype": flags.dtype},
        "seconds": flags.seconds,
    }


def step_flops(size: int, width: int, batch: int) -> float:
    """The floating-point operations of a step's convolutions as they are defined; faster forms need fewer.

    A generator's layer runs forward once a step, a discriminator's three times. Gradients of kernels are taken once and
    twice, gradients of inputs once and three times, except what nobody needs: of the latents, and of the images in the
    discriminator's own step.
    """
    maps = channels(size, width)
    doubled = [2 * batch * 16 * LATENT_DIM * maps[0]]  # each multiplication and each addition counts
    pairs = zip(maps, [*maps[1:], 3], strict=True)
    doubled += [2 * batch * 16 * before * after * (4 << i) ** 2 for i, (before, after) in enumerate(pairs)]
    halved = [2 * batch * 16 * maps[0], *doubled[1:]]
    return 3 * sum(doubled) - doubled[0] + 8 * sum(halved) - 2 * halved[-1]


PRODUCT = """
import time, jax, jax.numpy as jnp
n = 2048 if jax.default_backend() == "cpu" else 8192
x = jnp.ones((n, n), "{dtype}")
product = jax.jit(lambda x: x @ x)
product(x).block_until_ready()
seconds = []
for _ in range(10):
    start = time.perf_counter()
    product(x).block_until_ready()
    seconds.append(time.perf_counter() - start)
print(2 * n**3 / min(seconds) / 1e12)
"""


def peak_tflops(flags: argparse.Namespace, device: str) -> tuple[float, str]:
    """What the device can do, and how that is known."""
    if flags.peak_tflops:
        return flags.peak_tflops, "as given"
    for name, (bfloat16, float32) in PEAKS.items():
        if name in device:
            return bfloat16 if flags.dtype == "bfloat16" else float32, "by the chip's data sheet"
    return float(ask(PRODUCT.format(dtype=flags.dtype))), "as a product of large matrices reaches"


def train(flags: argparse.Namespace) -> tuple[list[Row], str]:
    rows = []
    for size, width, batch in sizes(flags):
        entries = contenders.training(**training(flags, size, width, batch))
        found = race.run(entries, turns=flags.turns, told=say)
        device = found["jax"].about["device"]
        peak, how = peak_tflops(flags, device)
        reached = found["jax"].median * step_flops(size, width, batch) / batch / 1e12
        rows.append(
            {"step": f"{size} px, width {width}, batch {batch}"}
            | beside(found)
            | {
                "TFLOP/s": f"{reached:.3g}, {100 * reached / peak:.0f}% of {peak:.3g}",
                "peak GiB": " / ".join(f"{one.peak_gib:.2f}" for one in found.values()),
            }
        )
    stock = "float32, with a DataLoader" if gpus() else "float32"
    return rows, f"{flags.dtype}, stock is {stock}; peak {how}; {devices(found)}"


def beside(found: dict[str, race.Result]) -> Row:
    """Ours, stock and expert, with their ratios: of the medians, and in the worst and the best turn."""
    row = {"gan_da_jax": f"{found['jax'].median:.4g}"}
    for name in ("stock", "expert"):
        theirs = found[f"torch_{name}"]
        row |= {
            f"PyTorch, {name}": f"{theirs.median:.4g}",
            f"ratio to {name}": written(race.ratio(found["jax"], theirs)),
        }
    return row | {"expert is": found["torch_expert"].about["variant"]}


def written(ratio: race.Ratio) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def devices(found: dict[str, race.Result]) -> str:
    return ", ".join(dict.fromkeys(one.about["device"] for one in found.values()))


def score(flags: argparse.Namespace) -> tuple[list[Row], str]:
    images = np.random.default_rng(0).integers(0, 256, (200, 128, 128, 3), dtype=np.uint8)
    found = race.run(contenders.scoring(images=images, seconds=flags.seconds), turns=flags.turns, told=say)
    batches = " and ".join(str(found[name].about["batch_size"]) for name in ("jax", "torch_stock"))
    return [{"images": "128 px"} | beside(found)], f"float32, batches of {batches}; {devices(found)}"


def start(flags: argparse.Namespace) -> tuple[list[Row], str]:
    with tempfile.TemporaryDirectory() as place:
        cold, *cached = (first_step(flags, Path(place)) for _ in range(1 + flags.turns))
    rows = [
        {"compilation cache": name, "first step begins after": f"{begins:.1f} s", "ends after": f"{ends:.1f} s"}
        for name, (begins, ends) in (("empty", cold), ("filled", np.median(cached, axis=0)))
    ]
    what = f"128 px, width 64, batch 32, {flags.dtype}, 32 procedural faces, which it makes first"
    return rows, f"{what}; with a filled cache the median of {flags.turns}"


def first_step(flags: argparse.Namespace, place: Path) -> tuple[float, float]:
    """The seconds after which `train` of a new run begins its first step and has done it; its caches are in `place`."""
    workdir = Path(tempfile.mkdtemp(dir=place)) / "run"
    fields = {"data.count": 32, "data.image_size": 128, "train.batch_size": 32, "model.dtype": flags.dtype}
    fields |= {"train.epochs": 1000, "train.checkpoint_every": 1000}  # an epoch is a step, and the first is not saved
    command = [sys.executable, "-u", "-m", "gan_da_jax", "train", "--config=configs/default.py", f"--workdir={workdir}"]
    command += [f"--config.{name}={value}" for name, value in fields.items()]
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"GAN_DA_CACHE": str(place / "cache")}
    begun = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            if not any("compiled in" in line for line in process.stdout):
                raise SystemExit(f"{shlex.join(command)} has ended with status {process.wait()}")
            begins = time.perf_counter() - begun
            while not (workdir / "metrics.jsonl").exists() and process.poll() is None:  # its first line is the step's
                time.sleep(0.01)
            ends = time.perf_counter() - begun
        finally:
            process.kill()
    say(f"start: {begins:.1f} s to the first step, {ends:.1f} s to its end")
    return begins, ends


def scale(flags: argparse.Namespace) -> tuple[list[Row], str]:
    usual = {"px": 64, "width": 32, "batch": 32, "devices": 1, "images": flags.images}
    varied = {
        "px": (32, 128, 256),
        "width": (8, 16, 64),
        "batch": (8, 16, 64, 128),
        # A CPU's further devices are virtual: they show what it costs to split a step, not what it gains.
        "devices": [number for number in (2, 4, 8) if number <= (gpus() or 8)],
        "images": (flags.images // 10, 10 * flags.images),
    }
    rows = []
    for case in (usual, *(usual | {name: value} for name, values in varied.items() for value in values)):
        chosen = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(case["devices"])))}
        if not gpus():
            chosen = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={case['devices']}"}
        arguments = training(flags, case["px"], case["width"], case["batch"], images=case["images"])
        contender = race.Contender(contenders.train, arguments, chosen)
        found = race.run({f"scale: {case}": contender}, turns=flags.turns, told=say).popitem()[1]
        flops = found.median * step_flops(case["px"], case["width"], case["batch"]) / case["batch"]
        rows.append(
            case
            | {"images/s": f"{found.median:.4g}", "ms a step": f"{1e3 * case['batch'] / found.median:.3g}"}
            | {"GFLOP/s": f"{flops / 1e9:.3g}", "peak GiB": f"{found.peak_gib:.2f}"}
            | {"compiled in": f"{found.about['compiled_seconds']:.1f} s"}
        )
    virtual = "" if gpus() else "; devices beyond the first are virtual"
    return rows, f"{flags.dtype}, without a compilation cache, {found.about['device'].partition(' x ')[2]}{virtual}"


def stream(flags: argparse.Namespace) -> tuple[list[Row], str]:
    rows = []
    for size, width, batch in sizes(flags):
        arguments = training(flags, size, width, batch)
        limit = arguments["images"].nbytes / 10
        found = race.run(
            {
                "resident": race.Contender(contenders.train, arguments),
                "streamed": race.Contender(contenders.train, arguments | {"limit": limit}),
            },
            turns=flags.turns,
            told=say,
        )
        rows.append(
            {"step": f"{size} px, width {width}, batch {batch}"}
            | {name: f"{one.median:.4g}" for name, one in found.items()}
            | {"ratio": written(race.ratio(found["streamed"], found["resident"]))}
        )
    what = f"{flags.images} images, of which a device may hold a tenth where they are streamed"
    return rows, f"{flags.dtype}, {what}; {devices(found)}"


def vmapped(*, images: np.ndarray, batch_size: int, network: dict, seconds: float, runs: int) -> Iterator[Any]:
    """A contender: trains several GANs with different seeds as one program; a step is one of each."""
    trained, keys = gan.create(**network), jax.random.split(jax.random.key(0), runs)
    states = jax.jit(jax.vmap(functools.partial(gan.init, trained)))(keys)
    advance = jax.jit(
        jax.vmap(functools.partial(gan.run_steps, trained), in_axes=(0, None, 0, None, 0)), donate_argnums=0
    )
    pixels, size, done = jax.device_put(images), -(-len(images) // batch_size), 0

    def work(steps: int) -> None:
        nonlocal states, done
        for first in range(0, steps, size):
            count = min(size, steps - first)
            drawn = functools.partial(order.batches, images=len(images), batch_size=batch_size, first=done, steps=size)
            chosen = np.stack([drawn(seed=seed) for seed in range(runs)])
            states, metrics = advance(states, pixels, chosen, np.int32(count), keys)
            jax.device_get(metrics)
            done += count

    yield from contenders.turns(work, runs * batch_size, {}, seconds)


def runs(flags: argparse.Namespace) -> tuple[list[Row], str]:
    size, width, batch = sizes(flags)[0]
    arguments = training(flags, size, width, batch)
    with contextlib.ExitStack() as stack:

        def ready(name: str, contender: race.Contender) -> race.Racer:
            say(f"runs: {name}: getting ready")
            racer = stack.enter_context(race.started(name, contender))
            racer.result()
            return racer

        alike = [ready(f"process {number}", race.Contender(contenders.train, arguments)) for number in range(4)]
        groups = {"one after the other": alike[:1], "2 processes": alike[:2], "4 processes": alike}
        for number in (2, 4):
            name = f"{number} vmapped"
            groups[name] = [ready(name, race.Contender(vmapped, arguments | {"runs": number}))]
        rates: dict[str, list[float]] = {name: [] for name in groups}
        for _ in range(flags.turns + 1):
            for name, group in groups.items():
                for racer in group:
                    racer.start()
                rates[name].append(sum(racer.result() for racer in group))
    speeds = {name: statistics.median(found[1:]) for name, found in rates.items()}
    rows = [
        {"runs": name, "images/s of all": f"{speed:.4g}", "ratio": f"{speed / speeds['one after the other']:.2f}"}
        for name, speed in speeds.items()
    ]
    return rows, f"{size} px, width {width}, batch {batch}, {flags.dtype}"


BENCHMARKS: dict[str, Callable[[argparse.Namespace], tuple[list[Row], str]]] = {
    "train": train,
    "score": score,
    "start": start,
    "scale": scale,
    "stream": stream,
    "runs": runs,
}

if __name__ == "__main__":
    main()
