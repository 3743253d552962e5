"""Whether ours and PyTorch's stock DCGAN are the same GAN: the same numbers from the same weights, images and latents.

Training is chaotic. Adam divides a gradient by its own size, so that a weight whose gradient is almost 0 moves by the
learning rate one way or the other, as rounding has it; and each step multiplies what the last one left. At 64 pixels,
width 64 and batch 64, after ten steps the losses of PyTorch in float32 are 2 to 7% away from its losses in
float64. So both are compared twice. In float64 rounding has no say, and what differs after ten steps would be another
algorithm. In float32, which is what trains, ours may differ from theirs by a fixed tolerance, or by ten times what
rounding does to theirs (its difference from theirs in float64) where that is more; the result states both.

Outputs and losses are compared by the largest difference over the largest value; gradients by the norm of a tensor's
difference over its norm; parameters and BatchNorm's running statistics by the norm of a tensor's difference over how
far it has moved, and of all tensors the worst counts. The running variance averages in flax the biased variances of the
batches, in PyTorch the unbiased ones: with n numbers a channel in a batch, its moves are n / (n - 1) times as
long. That factor is applied to ours before they are compared.
"""

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import torch

from gan_da_jax import gan, prng
from gan_da_jax.pytorch import convert, dcgan

STEPS = (0, 1, 10)  # of training, after which both are compared
PRECISIONS = ("float64", "float32")
EXACT = 1e-9  # the tolerance in float64
TOLERANCES = {  # in float32, for STEPS
    "outputs": (1e-5, 1e-5, 1e-3),
    "losses": (1e-5, 1e-5, 1e-3),
    "gradients": (1e-4, 1e-4, 1e-2),
    "parameters": (1e-2, 1e-2, 1e-1),  # one weight that moves the other way is more than 1e-3 of a small tensor
    "statistics": (1e-4, 1e-4, 1e-2),
}
ROUNDING = 10  # times what rounding does to PyTorch, where that is more

_KINDS = ("generator", "discriminator")
_PASSES = {"generator": 1, "discriminator": 3}  # batches that a network sees in a step
_KEPT = 0.9  # of its running statistics, by BatchNorm for each batch


class Check(NamedTuple):
    """One comparison.

    Attributes:
        what: outputs, losses, gradients, parameters or statistics.
        precision: float64 or float32.
        steps: of training done before.
        difference: between ours and theirs, relative; see the module.
        where: it is as large as that.
        tolerance: what it may be at the most.
        rounding: the difference of theirs from theirs in float64; None for float64 itself.
        passed: whether it is within the tolerance.
    """

    what: str
    precision: str
    steps: int
    difference: float
    where: str
    tolerance: float
    rounding: float | None
    passed: bool


class _Seen(NamedTuple):
    """What is compared, float arrays by name, in PyTorch's layouts."""

    outputs: dict[str, np.ndarray]
    losses: dict[str, np.ndarray]
    gradients: dict[str, np.ndarray]
    parameters: dict[str, np.ndarray]
    statistics: dict[str, np.ndarray]


def measure(
    *,
    image_size: int,
    latent_dim: int,
    width: int,
    learning_rate: float,
    beta1: float,
    images: np.ndarray,
    seed: int,
    told: Callable[[str], None] = lambda line: None,
) -> list[Check]:
    """Train both, in both precisions, from the same weights on the same inputs, and compare them on the way.

    Args:
        image_size: and the rest, up to `beta1`: as in `gan.create`.
        latent_dim: see there.
        width: see there.
        learning_rate: see there.
        beta1: see there.
        images: uint8 [10, b, S, S, 3], a batch for each step.
        seed: of the weights and the latents.
        told: is told what is being done, a line each time.
    """
    settings: dict[str, Any] = dict(
        image_size=image_size, latent_dim=latent_dim, width=width, learning_rate=learning_rate, beta1=beta1
    )
    network = gan.create(**settings)
    start = jax.device_get(jax.jit(functools.partial(gan.init, network))(prng.stream(seed, "parity")))
    shape = (len(images), images.shape[1], latent_dim)
    latents = np.asarray(jax.random.normal(prng.stream(seed, "parity", "latents"), shape))
    ours, theirs = {}, {}
    for precision in PRECISIONS:
        told(f"parity: {max(STEPS)} steps of both in {precision}")
        ours[precision] = _ours(settings, start, images, latents, precision)
        theirs[precision] = _theirs(settings, start, images, latents, precision)
    return [
        _check(what, precision, number, ours[precision], theirs)
        for number in range(len(STEPS))
        for what in _Seen._fields
        for precision in PRECISIONS
        if getattr(theirs[precision][number], what) and (STEPS[number] or what == "outputs")
    ]


def _check(what: str, precision: str, number: int, ours: list[_Seen], theirs: dict[str, list[_Seen]]) -> Check:
    def apart(a: list[_Seen], b: list[_Seen]) -> tuple[float, str]:
        origin = getattr(b[0], what) if what in ("parameters", "statistics") else {}
        size = (lambda x: np.abs(x).max()) if what in ("outputs", "losses") else np.linalg.norm
        a_values, b_values = getattr(a[number], what), getattr(b[number], what)
        return max(
            (float(size(a_values[name] - value) / max(size(value - origin.get(name, 0)), 1e-30)), name)
            for name, value in b_values.items()
        )

    difference, where = apart(ours, theirs[precision])
    tolerance, rounding = EXACT, None
    if precision == "float32":
        rounding, _ = apart(theirs[precision], theirs["float64"])
        tolerance = max(TOLERANCES[what][number], ROUNDING * rounding)
    return Check(what, precision, STEPS[number], difference, where, tolerance, rounding, bool(difference <= tolerance))


def _named(by_kind: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    named = {f"{kind} {name}": array for kind, arrays in by_kind.items() for name, array in arrays.items()}
    return _in_float64(named)


def _in_float64(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, np.float64) for name, array in arrays.items()}


def _split(by_kind: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Tell parameters and running statistics apart."""
    everything = _named(by_kind)
    statistics = {name for name in everything if "running" in name}
    return {
        "parameters": {name: value for name, value in everything.items() if name not in statistics},
        "statistics": {name: everything[name] for name in sorted(statistics)},
    }


def _ours(settings: dict, start: gan.State, images: np.ndarray, latents: np.ndarray, precision: str) -> list[_Seen]:
    with jax.enable_x64(precision == "float64"), jax.default_matmul_precision("highest"):
        network = gan.create(**settings, dtype=precision)
        network = dataclasses.replace(network, optimizer=_recording(network.optimizer))
        first = jax.tree.map(lambda leaf: leaf.astype(precision) if leaf.dtype == np.float32 else leaf, start)
        state = first.replace(
            generator_optimizer=network.optimizer.init(first.generator["params"]),
            discriminator_optimizer=network.optimizer.init(first.discriminator["params"]),
        )
        latents = latents.astype(precision)
        update = jax.jit(functools.partial(gan.train_step, network))

        @functools.partial(jax.jit, static_argnames="train")
        def generate(variables, latents, train):
            out = network.generator.apply(variables, latents, train=train, mutable=["batch_stats"])[0]
            return out.transpose(0, 3, 1, 2)

        @jax.jit
        def judge(variables, images):
            real = gan.normalize(images)
            return network.discriminator.apply(variables, real, train=True, mutable=["batch_stats"])[0]

        def look(steps, losses):
            of_kind = {kind: jax.device_get(getattr(state, kind)) for kind in _KINDS}
            gradients = {kind: jax.device_get(getattr(state, f"{kind}_optimizer")[1]) for kind in _KINDS}
            for kind in _KINDS:
                size = images.shape[1], settings["image_size"]
                begun = getattr(first, kind)["batch_stats"]
                of_kind[kind] = of_kind[kind] | {
                    "batch_stats": _unbiased(kind, of_kind[kind]["batch_stats"], begun, steps, *size)
                }
            outputs = {
                "images": generate(state.generator, latents[0], True),
                "logits of real images": judge(state.discriminator, images[0]),
            }
            if not steps:  # later, the biased statistics matter
                outputs["samples"] = generate(state.generator, latents[0], False)
            return _Seen(
                outputs=_in_float64(outputs),
                losses=_in_float64({name: value for name, value in losses.items() if name.endswith("_loss")}),
                gradients=_named({kind: convert.to_torch({"params": gradients[kind]}) for kind in _KINDS}),
                **_split({kind: convert.to_torch(of_kind[kind]) for kind in _KINDS}),
            )

        seen: list[_Seen] = []
        losses: dict[str, jax.Array] = {}
        for step in range(max(STEPS) + 1):
            if step in STEPS:
                seen.append(look(step, losses))
            if step < max(STEPS):
                state, losses = update(state, images[step], latents[step])
        return seen


def _recording(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Make the same optimizer with a pair as its state: its own, and the gradients that it was given last."""

    def update(gradients, state, params):
        updates, inner = optimizer.update(gradients, state[0], params)
        return updates, (inner, gradients)

    return optax.GradientTransformation(lambda params: (optimizer.init(params), params), update)


def _unbiased(kind: str, stats: dict, begun: dict, steps: int, batch: int, image_size: int) -> dict:
    """Return the running statistics as they would be if BatchNorm averaged the unbiased variances of its batches."""
    kept = _KEPT ** (_PASSES[kind] * steps)
    fair = {}
    for layer, arrays in stats.items():
        number = int(layer.rpartition("_")[2])
        side = 4 << number if kind == "generator" else image_size >> (number + 2)
        n = batch * side**2
        old = kept * begun[layer]["var"]
        fair[layer] = {"mean": arrays["mean"], "var": old + (arrays["var"] - old) * n / (n - 1)}
    return fair


def _theirs(settings: dict, start: gan.State, images: np.ndarray, latents: np.ndarray, precision: str) -> list[_Seen]:
    trainer = dcgan.Trainer(**settings)
    trainer.load(**{kind: convert.to_torch(getattr(start, kind)) for kind in _KINDS})
    dtype = getattr(torch, precision)
    gradients = {}

    def note(kind, *_):
        found = ((name, weight.grad) for name, weight in trainer.networks[kind].named_parameters())
        gradients[kind] = {name: grad.detach().clone().cpu().numpy() for name, grad in found if grad is not None}

    for kind, network in trainer.networks.items():
        network.to(dtype)
        trainer.optimizers[kind].register_step_pre_hook(functools.partial(note, kind))
    z = [torch.tensor(batch, dtype=dtype, device=trainer.device)[:, :, None, None] for batch in latents]
    real = [trainer.place(batch).to(dtype) / 127.5 - 1 for batch in images]

    @torch.no_grad()
    def look(steps, losses):
        generator, discriminator = (copy.deepcopy(network) for network in trainer.networks.values())
        outputs = {"images": generator(z[0]), "logits of real images": discriminator(real[0])}
        if not steps:
            generator = copy.deepcopy(trainer.networks["generator"]).eval()
            outputs["samples"] = generator(z[0])
        return _Seen(
            outputs=_in_float64({name: value.cpu() for name, value in outputs.items()}),
            losses=_in_float64({name: value.cpu() for name, value in losses.items()}),
            gradients=_named(gradients),
            **_split(trainer.tensors()),
        )

    seen: list[_Seen] = []
    losses: dict[str, torch.Tensor] = {}
    with dcgan.full_precision():
        for step in range(max(STEPS) + 1):
            if step in STEPS:
                seen.append(look(step, losses))
            if step < max(STEPS):
                losses = trainer.update(real[step], z[step])
    return seen
