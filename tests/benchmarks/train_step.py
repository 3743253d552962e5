"""Times training steps against PyTorch's stock DCGAN doing the same work: python tests/benchmarks/train_step.py.

Each framework lives in a process of its own, so that its peak memory is its own, and the two take turns, so that both
meet the same other load on the machine. Speeds are the median over the turns and the best of them.
"""

import argparse
import functools
import multiprocessing
import resource
import statistics
import time

import numpy as np

LATENT_DIM = 100
IMAGES = 1000


def jax_trainer(image_size, width, batch_size, steps, pixels, indices):
    import jax
    import jax.numpy as jnp

    from gan_da_jax import gan as gan_module

    gan = gan_module.create(image_size=image_size, latent_dim=LATENT_DIM, width=width)
    state = jax.jit(functools.partial(gan_module.init, gan))(jax.random.key(0))
    images = jnp.asarray(pixels)
    run = jax.jit(functools.partial(gan_module.run_steps, gan), donate_argnums=0)
    key = jax.random.key(1)
    start = time.perf_counter()
    compiled = run.lower(state, images, jnp.asarray(indices), steps, key).compile()
    yield {
        "name": f"gan_da_jax, jax {jax.__version__}",
        "device": jax.devices()[0].device_kind,
        "compile": time.perf_counter() - start,
    }
    while True:
        start = time.perf_counter()
        state, metrics = compiled(state, images, jnp.asarray(indices), steps, key)
        jax.block_until_ready((state, metrics))
        yield time.perf_counter() - start


def torch_trainer(image_size, width, batch_size, steps, pixels, indices):
    import torch
    from torch import nn

    torch.manual_seed(0)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    sizes = [4 << stage for stage in range(image_size.bit_length() - 3)]
    channels = [width * min(image_size // (2 * size), 16) for size in sizes]

    layers = [nn.ConvTranspose2d(LATENT_DIM, channels[0], 4, 1, 0, bias=False)]
    for before, after in zip(channels, [*channels[1:], 3], strict=True):
        layers += [nn.BatchNorm2d(before), nn.ReLU(True), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    generator = nn.Sequential(*layers, nn.Tanh())
    layers = [nn.Conv2d(3, channels[-1], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for after, before in reversed(list(zip(channels, channels[1:], strict=False))):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
    discriminator = nn.Sequential(*layers, nn.Conv2d(channels[0], 1, 4, 1, 0, bias=False), nn.Flatten(0))

    def init(module):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.02)

    generator, discriminator = generator.apply(init).to(device), discriminator.apply(init).to(device)
    adam = functools.partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    generator_optimizer, discriminator_optimizer = adam(generator.parameters()), adam(discriminator.parameters())
    loss = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(batch_size, device=device), torch.zeros(batch_size, device=device)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(device)
    indices = torch.from_numpy(indices).to(device).long()
    yield {
        "name": f"stock DCGAN, torch {torch.__version__}",
        "device": torch.cuda.get_device_name() if cuda else f"cpu, {torch.get_num_threads()} threads",
        "compile": 0.0,
    }
    while True:
        start = time.perf_counter()
        for chosen in indices[:steps]:
            real = images[chosen].float() / 127.5 - 1
            discriminator.zero_grad()
            loss(discriminator(real), ones).backward()
            fake = generator(torch.randn(batch_size, LATENT_DIM, 1, 1, device=device))
            loss(discriminator(fake.detach()), zeros).backward()
            discriminator_optimizer.step()
            generator.zero_grad()
            loss(discriminator(fake), ones).backward()
            generator_optimizer.step()
        if cuda:
            torch.cuda.synchronize()
        yield time.perf_counter() - start


def serve(connection, trainer, arguments):
    for result in trainer(*arguments):
        connection.send((result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
        if not connection.recv():
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image_size", type=int, default=64)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9, help="turns that are timed, after one that is not")
    parser.add_argument("--steps", type=int, default=3, help="training steps in a turn")
    flags = parser.parse_args()

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, flags.image_size, flags.image_size, 3), dtype=np.uint8)
    indices = rng.integers(0, IMAGES, (flags.steps, flags.batch_size), dtype=np.int32)
    arguments = (flags.image_size, flags.width, flags.batch_size, flags.steps, pixels, indices)

    context = multiprocessing.get_context("spawn")
    connections, about, seconds, memory = [], [], [[], []], [0, 0]
    for trainer in (jax_trainer, torch_trainer):
        connection, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, trainer, arguments), daemon=True).start()
        connections.append(connection)
        about.append(connection.recv()[0])
    for turn in range(flags.repeats + 1):
        for which, connection in enumerate(connections):
            connection.send(True)
            elapsed, memory[which] = connection.recv()
            if turn:
                seconds[which].append(elapsed)
    for connection in connections:
        connection.send(False)

    print(
        f"image_size {flags.image_size}, width {flags.width}, batch_size {flags.batch_size}, float32, "
        f"medians of {flags.repeats} turns of {flags.steps} steps"
    )
    print(f"{'':32} {'images/s':>9} {'best':>9} {'compile s':>10} {'peak GiB':>9}  device")
    for which, row in enumerate(about):
        median, best = (flags.batch_size * flags.steps / of(seconds[which]) for of in (statistics.median, min))
        print(
            f"{row['name']:32} {median:9.1f} {best:9.1f} {row['compile']:10.1f} {memory[which]:9.2f}  {row['device']}"
        )
    ratios = sorted(theirs / ours for ours, theirs in zip(*seconds, strict=True))
    print(
        f"ratio gan_da_jax / torch {statistics.median(seconds[1]) / statistics.median(seconds[0]):.2f}, "
        f"of the best {min(seconds[1]) / min(seconds[0]):.2f}, per turn {ratios[0]:.2f} to {ratios[-1]:.2f}"
    )


if __name__ == "__main__":
    main()
