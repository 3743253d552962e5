"""What `race` is run between: training and scoring, by this package as its verbs do them, and by PyTorch.

Each function does one of these for ever, as a `race.Contender`'s does, and its rate is in images per second. Turns take
about as long for all, so that each does in one as many steps as it manages.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from gan_da_jax import gan, prng
from gan_da_jax.classifiers import extract
from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.classifiers.registry import Classifier
from gan_da_jax.devices import parallel
from gan_da_jax.errors import reason
from gan_da_jax.pytorch import race
from gan_da_jax.training.loop import Loop

_LAYOUTS: dict[str, dict[str, bool]] = {"plain": {}, "channels_last": {"channels_last": True}}
_COMPILED = {f"{name}, compiled": options | {"compile": True} for name, options in _LAYOUTS.items()}
_STOCK: dict[str, dict[str, bool]] = {"stock": {}}

_ENDLESS = 2**31 - 1
_TORCH_SCORED = 50  # images that PyTorch's scorers commonly take at once


def training(
    *, images: np.ndarray, batch_size: int, network: Mapping[str, Any], seconds: float
) -> dict[str, race.Contender]:
    """List who trains: `jax`, `torch_stock`, and `torch_expert`, the fastest of what experts switch on.

    Args:
        images: as in `train`.
        batch_size: as in `train`.
        network: as in `train`.
        seconds: as in `train`.
    """
    from gan_da_jax.pytorch import dcgan

    work = dict(images=images, batch_size=batch_size, network=network, seconds=seconds)
    always = {"freeze": True, "autocast": network["dtype"] == "bfloat16"}
    expert = {name: options | always for name, options in (_LAYOUTS | _COMPILED).items()}
    on_gpu = dcgan.usual_device().type == "cuda"  # where its users load images by a DataLoader
    return {
        "jax": race.Contender(train, work, _kept()),
        "torch_stock": race.Contender(train_torch, work | {"variants": _STOCK, "loader": on_gpu}),
        "torch_expert": race.Contender(train_torch, work | {"variants": expert}),
    }


def scoring(*, images: np.ndarray, seconds: float) -> dict[str, race.Contender]:
    """List who scores, likewise; PyTorch's Inception is not compiled, which takes minutes on a CPU.

    Args:
        images: as in `score`.
        seconds: as in `score`.
    """
    work = dict(images=images, seconds=seconds)
    return {
        "jax": race.Contender(score, work, _kept()),
        "torch_stock": race.Contender(score_torch, work | {"variants": _STOCK}),
        "torch_expert": race.Contender(score_torch, work | {"variants": _LAYOUTS}),
    }


def _kept() -> dict[str, str]:
    """Let a process of ours find what this one's compilation cache keeps."""
    return {"JAX_COMPILATION_CACHE_DIR": jax.config.values["jax_compilation_cache_dir"] or ""}


def train(
    *,
    images: np.ndarray,
    batch_size: int,
    network: Mapping[str, Any],
    seconds: float,
    limit: float | None = None,
) -> Iterator[Any]:
    """Train as the verb `train` does: the same compiled chunks of steps, the same order of images, the metrics fetched.

    Args:
        images: uint8 [N, S, S, 3], the data set.
        batch_size: images a step, over all devices.
        network: what `gan.create` takes.
        seconds: that a turn takes, about.
        limit: bytes of images that a device may hold; a larger data set is streamed. None for no limit.
    """
    created = gan.create(**network)
    state = parallel.replicate(jax.jit(lambda key: gan.init(created, key))(prng.stream(0, "init")))
    loop = Loop(created, images, seed=0, batch_size=batch_size, until=_ENDLESS, limit=limit)
    start = time.perf_counter()
    state = loop.compile(state)
    about = {"compiled_seconds": round(time.perf_counter() - start, 2), "dtype": str(network.get("dtype", "float32"))}
    about |= {"streamed": bool(loop.streamed)}

    def work(steps: int) -> None:
        nonlocal state
        for chunk in loop.run(state, to=int(state.step) + steps):
            state = chunk.state

    yield from turns(work, batch_size, _jax() | about, seconds)


def score(*, images: np.ndarray, seconds: float) -> Iterator[Any]:
    """Score as the verb `score` does, by the whole Inception v3 of 2015 with random weights.

    Args:
        images: uint8 [n, H, W, 3], taken round and round.
        seconds: that a turn takes, about.
    """
    network = inception_v3.ORIGINAL
    variables = jax.jit(network.init)(jax.random.key(0), np.zeros((1, inception_v3.SIZE, inception_v3.SIZE, 3)))

    classifier = Classifier(
        name="inception_v3_2015",
        prepare=inception_v3.prepare_2015,
        forward=network.apply,
        variables=variables,
        taps=network.taps,
        default_tap="2048",
        classes=(),
        weights_sha256="",
        accuracy=None,
    )
    features_of = extract.extractor(classifier, ("2048", "logits"))
    size, endless = extract.batch_size() * parallel.local_devices(), itertools.cycle(images)

    def work(batches: int) -> None:
        features_of(itertools.islice(endless, batches * size))

    start = time.perf_counter()
    work(1)
    about = {"compiled_seconds": round(time.perf_counter() - start, 2), "batch_size": size}
    yield from turns(work, size, _jax() | about, seconds)


def train_torch(
    *,
    images: np.ndarray,
    batch_size: int,
    network: Mapping[str, Any],
    seconds: float,
    variants: Mapping[str, Mapping[str, bool]],
    loader: bool = False,
) -> Iterator[Any]:
    """Train PyTorch's stock DCGAN; of several variants, the one that is fastest here.

    Args:
        images: as in `train`.
        batch_size: as in `train`.
        network: as in `train`; PyTorch's precision is the variants' own.
        seconds: as in `train`.
        variants: `dcgan.Options` by name, as mappings.
        loader: whether batches come from the host's memory by a `DataLoader`; else all images are on the device.
    """
    from gan_da_jax.pytorch import dcgan

    settings = {name: value for name, value in network.items() if name != "dtype"}

    def build(options: Mapping[str, bool]) -> Callable[[int], None]:
        trainer = dcgan.Trainer(**settings, options=dcgan.Options(**options))
        batches = (trainer.loaded if loader else trainer.drawn)(images, batch_size=batch_size)

        def work(steps: int) -> None:
            for _ in range(steps):
                trainer.update(next(batches), trainer.latents(batch_size))
            dcgan.wait(trainer.device)

        return work

    work, about = _fastest(build, variants)
    yield from turns(work, batch_size, _torch() | about | {"loader": loader}, seconds)


def score_torch(*, images: np.ndarray, seconds: float, variants: Mapping[str, Mapping[str, bool]]) -> Iterator[Any]:
    """Score by the same network in PyTorch, without gradients; of several variants, by the fastest.

    Args:
        images: as in `score`.
        seconds: as in `score`.
        variants: by name, whether to use `channels_last`.
    """
    from gan_da_jax.pytorch import inception

    block = images[np.arange(_TORCH_SCORED) % len(images)]

    def build(options: Mapping[str, bool]) -> Callable[[int], None]:
        classify = inception.scorer(**options)

        def work(batches: int) -> None:
            for _ in range(batches):
                classify(block)

        return work

    work, about = _fastest(build, variants)
    yield from turns(work, _TORCH_SCORED, _torch() | about | {"batch_size": _TORCH_SCORED}, seconds)


def turns(work: Callable[[int], None], unit: int, about: dict, seconds: float) -> Iterator[Any]:
    """Yield `about`, then the rate of each turn of about `seconds`; `work(n)` does n steps of `unit` images."""
    work(1)
    elapsed = _seconds(work, 1)
    steps = max(1, round(seconds / elapsed))
    yield about | {"steps_a_turn": steps}
    while True:
        yield steps * unit / _seconds(work, steps)


def _fastest(
    build: Callable[[Mapping[str, bool]], Callable[[int], None]], variants: Mapping[str, Mapping[str, bool]]
) -> tuple[Callable[[int], None], dict]:
    """Build and time each variant; return the fastest, and what there is to say of it and of the others.

    A variant that does not run here is left out, with the reason; if that is all of them, the last one's error is
    raised.
    """
    tried: dict[str, str] = {}
    best: list[tuple[float, str, Callable[[int], None]]] = []  # at most one: the others leave the device's memory
    for name, options in variants.items():
        try:
            work = build(options)
            for _ in range(2):
                work(1)
            spent = min(_seconds(work, 1) for _ in range(3 if len(variants) > 1 else 1))
        except Exception as error:  # torch.compile fails in many ways: no compiler, no headers, a layer it cannot do
            if name == [*variants][-1] and not best:
                raise
            tried[name] = f"does not run here: {reason(error)}"
            continue
        tried[name] = f"{1e3 * spent:.3g} ms a step"
        if not best or spent < best[0][0]:
            best = [(spent, name, work)]
    [(_, name, work)] = best
    return work, {"variant": name, "options": dict(variants[name]), "tried": tried}


def _seconds(work: Callable[[int], None], steps: int) -> float:
    start = time.perf_counter()
    work(steps)
    return time.perf_counter() - start


def _jax() -> dict:
    device = jax.local_devices()[0].device_kind
    return {"name": f"jax {jax.__version__}", "device": f"{jax.local_device_count()} x {device}"}


def _torch() -> dict:
    from gan_da_jax.pytorch import dcgan

    return dcgan.describe()
