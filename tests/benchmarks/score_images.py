"""Times the full Inception v3 of 2015 against the same network in PyTorch: python tests/benchmarks/score_images.py.

Each framework lives in a process of its own, and the two take turns, so that both meet the same other load on the
machine. PyTorch runs without gradients, with channels last, and resizes with its own bilinear interpolation, as
pytorch-fid does. Weights are random; speeds are medians over the turns.
"""

import argparse
import multiprocessing
import os
import statistics
import time

import numpy as np


def jax_classifier(pixels, batch_size):
    import jax

    from gan_da_jax import features, parallel
    from gan_da_jax.models import inception_v3

    network = inception_v3.ORIGINAL
    variables = jax.jit(network.init)(jax.random.key(0), np.zeros((1, 299, 299, 3), np.float32))
    classify = parallel.batches(
        lambda variables, images: network.apply(variables, inception_v3.prepare_2015(images), ("2048", "logits")),
        batch_size=batch_size or features.batch_size(),
    )
    start = time.perf_counter()
    classify(variables, pixels)
    yield {
        "name": f"gan_da_jax, jax {jax.__version__}",
        "device": f"{jax.local_device_count()} x {jax.devices()[0].device_kind}",
        "first": time.perf_counter() - start,
    }
    while True:
        start = time.perf_counter()
        classify(variables, pixels)
        yield time.perf_counter() - start


def torch_classifier(pixels, batch_size):
    import torch
    from torch import nn

    from gan_da_jax.models import inception_v3

    class Branches(nn.Module):
        def __init__(self, branches):
            super().__init__()
            self.branches = nn.ModuleList(branches)

        def forward(self, x):
            return torch.cat([branch(x) for branch in self.branches], 1)

    def build(steps, channels):
        layers = []
        for step in steps:
            match step:
                case inception_v3.Conv(features=features, kernel=kernel, stride=stride, padding=padding):
                    border = tuple(side // 2 for side in kernel) if padding == "SAME" else 0
                    layers += [nn.Conv2d(channels, features, kernel, stride, border, bias=False)]
                    layers += [nn.BatchNorm2d(features, eps=1e-3), nn.ReLU(True)]
                    channels = features
                case inception_v3.Pool(kind="max", stride=stride):
                    layers += [nn.MaxPool2d(3, stride, 1 if stride == 1 else 0)]
                case inception_v3.Pool():
                    layers += [nn.AvgPool2d(3, 1, 1, count_include_pad=False)]
                case inception_v3.Parallel(branches=branches):
                    built = [build(branch, channels) for branch in branches]
                    layers += [Branches([branch for branch, _ in built])]
                    channels = sum(out for _, out in built)
        return nn.Sequential(*layers), channels

    torch.manual_seed(0)
    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    steps = [step for _, stage in inception_v3.ORIGINAL.stages for step in stage]
    body, channels = build(steps, 3)
    body = body.eval().to(device, memory_format=torch.channels_last)
    last = nn.Linear(channels, 1008, bias=False).to(device)

    @torch.no_grad()
    def classify():
        logits = []
        for start in range(0, len(pixels), batch_size):
            images = torch.from_numpy(pixels[start : start + batch_size]).to(device).permute(0, 3, 1, 2).float()
            images = nn.functional.interpolate(images, (299, 299), mode="bilinear", align_corners=False)
            prepared = ((images - 128) / 128).contiguous(memory_format=torch.channels_last)
            logits.append(last(body(prepared).mean((2, 3))).cpu())
        return torch.cat(logits)

    start = time.perf_counter()
    classify()
    yield {
        "name": f"torch {torch.__version__}",
        "device": torch.cuda.get_device_name() if cuda else f"cpu, {torch.get_num_threads()} threads",
        "first": time.perf_counter() - start,
    }
    while True:
        start = time.perf_counter()
        classify()
        yield time.perf_counter() - start


def serve(connection, classifier, arguments):
    for result in classifier(*arguments):
        connection.send(result)
        if not connection.recv():
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100, help="in a turn")
    parser.add_argument("--image_size", type=int, default=128)
    parser.add_argument("--batch_size", type=int, help="of gan_da_jax; its own choice if not given")
    parser.add_argument("--torch_batch_size", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7, help="turns that are timed, after one that is not")
    flags = parser.parse_args()

    shape = (flags.images, flags.image_size, flags.image_size, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    context = multiprocessing.get_context("spawn")
    connections, about, seconds = [], [], [[], []]
    for classifier, batch_size in ((jax_classifier, flags.batch_size), (torch_classifier, flags.torch_batch_size)):
        connection, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, classifier, (pixels, batch_size)), daemon=True).start()
        connections.append(connection)
        about.append(connection.recv())
    for turn in range(flags.repeats + 1):
        for which, connection in enumerate(connections):
            connection.send(True)
            elapsed = connection.recv()
            if turn:
                seconds[which].append(elapsed)
    for connection in connections:
        connection.send(False)

    print(
        f"{flags.images} images of {flags.image_size} px, float32, batches of {flags.batch_size or 'its choice'} and "
        f"{flags.torch_batch_size}, medians of "
        f"{flags.repeats} turns; load of the machine {os.getloadavg()[0]:.1f}"
    )
    print(f"{'':32} {'images/s':>9} {'ms/image':>9} {'first s':>9}  device")
    for which, row in enumerate(about):
        median = statistics.median(seconds[which]) / flags.images
        print(f"{row['name']:32} {1 / median:9.1f} {1e3 * median:9.1f} {row['first']:9.1f}  {row['device']}")
    ratios = sorted(theirs / ours for ours, theirs in zip(*seconds, strict=True))
    print(
        f"ratio gan_da_jax / torch {statistics.median(seconds[1]) / statistics.median(seconds[0]):.2f}, "
        f"per turn {ratios[0]:.2f} to {ratios[-1]:.2f}"
    )


if __name__ == "__main__":
    main()
