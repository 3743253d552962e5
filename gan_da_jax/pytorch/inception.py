"""The Inception v3 of 2015 in PyTorch, for speed: the layers of `inception_v3.ORIGINAL`, random weights."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from gan_da_jax.classifiers.networks import inception_v3
from gan_da_jax.pytorch import dcgan


class Branches(nn.Module):
    """Branches side by side, concatenated along the channels."""

    def __init__(self, branches: list[nn.Module]):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run each branch on the same input."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Inception(nn.Module):
    """Prepared images [b, 3, 299, 299] in -1..1 to features [b, 2048], the last layer but one, and logits."""

    def __init__(self):
        super().__init__()
        steps = [step for _, stage in inception_v3.ORIGINAL.stages for step in stage]
        layers, channels = _build(steps, 3)
        self.body = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, inception_v3.ORIGINAL.classes, bias=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the network on prepared images."""
        features = self.body(x).mean((2, 3))
        return features, self.fc(features)


def scorer(*, channels_last: bool = False) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """Make a function of images, uint8 [b, H, W, 3], to features and logits on the host, as `Inception` gives them.

    It runs on the GPU where there is one, without gradients; `channels_last` is as in `dcgan.Options`.
    """
    device, layout = dcgan.usual_device(), torch.channels_last if channels_last else torch.contiguous_format
    torch.backends.cudnn.benchmark = True
    network = Inception().eval()
    dcgan.move(network, device, layout)

    @torch.no_grad()
    def classify(images: np.ndarray) -> tuple[np.ndarray, ...]:
        prepared = prepare(torch.from_numpy(images).to(device).permute(0, 3, 1, 2))
        return tuple(output.cpu().numpy() for output in network(prepared.contiguous(memory_format=layout)))

    return classify


def prepare(images: torch.Tensor) -> torch.Tensor:
    """Resize uint8 [b, 3, H, W] as pytorch-fid does, with PyTorch's own bilinear interpolation, to -1..1."""
    images = nn.functional.interpolate(images.float(), (299, 299), mode="bilinear", align_corners=False)
    return (images - 128) / 128


def _build(steps: list, channels: int) -> tuple[list[nn.Module], int]:
    layers: list[nn.Module] = []
    for step in steps:
        match step:
            case inception_v3.Conv(features=features, kernel=kernel, stride=stride, padding=padding):
                border = (kernel[0] // 2, kernel[1] // 2) if padding == "SAME" else 0
                layers += [nn.Conv2d(channels, features, kernel, stride, border, bias=False)]
                layers += [nn.BatchNorm2d(features, eps=inception_v3.EPSILON), nn.ReLU(True)]
                channels = features
            case inception_v3.Pool(kind="max", stride=stride):
                layers += [nn.MaxPool2d(3, stride, 1 if stride == 1 else 0)]
            case inception_v3.Pool():
                layers += [nn.AvgPool2d(3, 1, 1, count_include_pad=False)]
            case inception_v3.Parallel(branches=branches):
                built = [_build(branch, channels) for branch in branches]
                layers += [Branches([nn.Sequential(*branch) for branch, _ in built])]
                channels = sum(out for _, out in built)
    return layers, channels
