"""The stock DCGAN in PyTorch, as its users write it, and what experts switch on to make it faster.

Layers, names, initial weights, Adam and the order of a step are as in PyTorch's own example and tutorial. One thing
differs: the discriminator ends in a logit, and its loss is `BCEWithLogitsLoss`, where those have a sigmoid and
`BCELoss`; it is the same function, and cannot overflow.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from gan_da_jax.gan.dcgan import channels


@dataclasses.dataclass(frozen=True)
class Options:
    """What an expert switches on; by default nothing is.

    Attributes:
        channels_last: keep images and kernels in memory as NHWC.
        autocast: compute in bfloat16 where that is safe; parameters stay in float32.
        compile: both networks by `torch.compile`, which needs a C++ compiler on a CPU.
        freeze: compute no gradients of the discriminator's weights in the generator's step, which nobody uses.
    """

    channels_last: bool = False
    autocast: bool = False
    compile: bool = False
    freeze: bool = False


class Generator(nn.Module):
    """Latents [b, latent_dim, 1, 1] to images [b, 3, image_size, image_size] in [-1, 1]."""

    def __init__(self, *, image_size: int, latent_dim: int, width: int):
        super().__init__()
        first, *others = channels(image_size, width)
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, first, 4, 1, 0, bias=False)]
        before = first
        for after in [*others, 3]:
            layers += [nn.BatchNorm2d(before), nn.ReLU(True), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
            before = after
        self.main = nn.Sequential(*layers, nn.Tanh())
        self.apply(_init)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Make one image of each latent vector."""
        return self.main(latents)


class Discriminator(nn.Module):
    """Images [b, 3, image_size, image_size] in [-1, 1] to the logits [b] of their being real."""

    def __init__(self, *, image_size: int, width: int):
        super().__init__()
        before, *others = reversed(channels(image_size, width))
        layers: list[nn.Module] = [nn.Conv2d(3, before, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
        for after in others:
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
            before = after
        self.main = nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 0, bias=False))
        self.apply(_init)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Judge images."""
        return self.main(images).view(-1)


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)
        nn.init.zeros_(module.bias)


def usual_device() -> torch.device:
    """Return the GPU, if PyTorch has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def move(network: nn.Module, device: torch.device, layout: torch.memory_format) -> None:
    """Move a network to a device, and its kernels into a layout."""
    network.to(device, memory_format=layout)  # type: ignore[call-overload]  # which PyTorch's types leave out


def wait(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def describe() -> dict[str, str]:
    """Return PyTorch's name and version, and the device that it uses."""
    cuda = usual_device().type == "cuda"
    device = torch.cuda.get_device_name() if cuda else f"cpu, {torch.get_num_threads()} threads"
    return {"name": f"torch {torch.__version__}", "device": device}


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Keep GPUs from rounding float32 to TensorFloat-32 inside the block, as PyTorch's convolutions do by default."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


class Trainer:
    """Both networks with their optimizers, on a device.

    Attributes:
        networks: `generator` and `discriminator`.
        optimizers: likewise.
        device: where they are.
    """

    def __init__(
        self,
        *,
        image_size: int,
        latent_dim: int = 100,
        width: int = 64,
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        options: Options = Options(),
        device: torch.device | None = None,
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        torch.backends.cudnn.benchmark = True  # as the example has it
        self.latent_dim, self.options, self.device = latent_dim, options, device or usual_device()
        self.layout = torch.channels_last if options.channels_last else torch.contiguous_format
        self.networks: dict[str, nn.Module] = {
            "generator": Generator(image_size=image_size, latent_dim=latent_dim, width=width),
            "discriminator": Discriminator(image_size=image_size, width=width),
        }
        for network in self.networks.values():
            move(network, self.device, self.layout)
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(beta1, 0.999))
            for name, network in self.networks.items()
        }
        self._loss = nn.BCEWithLogitsLoss()
        compiled = torch.compile if options.compile else lambda network: network
        self._generate, self._judge = (compiled(network) for network in self.networks.values())

    def update(self, real: torch.Tensor, latents: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take one step of the discriminator, then one of the generator on the same fakes, as `gan.train_step`.

        Args:
            real: float32 [b, 3, S, S] in [-1, 1], on the device.
            latents: float32 [b, latent_dim, 1, 1], on the device.

        Returns:
            Both losses, scalars on the device.
        """
        discriminator = self.networks["discriminator"]
        ones = torch.ones(len(real), dtype=real.dtype, device=self.device)
        zeros = torch.zeros_like(ones)

        discriminator.zero_grad()
        with self._precision():
            loss_real = self._loss(self._judge(real), ones)
        loss_real.backward()
        with self._precision():
            fake = self._generate(latents)
            loss_fake = self._loss(self._judge(fake.detach()), zeros)
        loss_fake.backward()
        self.optimizers["discriminator"].step()

        self.networks["generator"].zero_grad()
        discriminator.requires_grad_(not self.options.freeze)
        with self._precision():
            loss_generator = self._loss(self._judge(fake), ones)
        loss_generator.backward()
        discriminator.requires_grad_(True)
        self.optimizers["generator"].step()
        return {
            "generator_loss": loss_generator.detach(),
            "discriminator_loss": (loss_real + loss_fake).detach(),
        }

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.autocast)

    def place(self, images: np.ndarray) -> torch.Tensor:
        """Put all images, uint8 [N, S, S, 3], on the device, as [N, 3, S, S]."""
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2)

    def real(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what `update` takes of pixels uint8 [b, 3, S, S] on the device."""
        return (pixels.float() / 127.5 - 1).contiguous(memory_format=self.layout)

    def latents(self, count: int, seed: int | None = None) -> torch.Tensor:
        """Draw latents for `update` on the device, by the seed or else from PyTorch's common stream."""
        stream = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        return torch.randn(count, self.latent_dim, 1, 1, device=self.device, generator=stream)

    def drawn(self, images: np.ndarray, *, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield what `update` takes, for ever: batches drawn from images, uint8 [N, S, S, 3], all on the device."""
        pixels = self.place(images)
        while True:
            yield self.real(pixels[torch.randint(len(pixels), (batch_size,), device=self.device)])

    def loaded(self, images: np.ndarray, *, batch_size: int, workers: int = 2) -> Iterator[torch.Tensor]:
        """Yield what `update` takes, for ever: batches of images, uint8 [N, S, S, 3], by a shuffling `DataLoader`."""
        loader = torch.utils.data.DataLoader(
            _Images(images),
            batch_size=batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
        )
        while True:
            for batch in loader:
                yield batch.to(self.device, non_blocking=True, memory_format=self.layout)

    def load(self, **tensors: Mapping[str, np.ndarray]) -> None:
        """Take over weights: `generator` and `discriminator`, arrays by name as `convert.to_torch` gives."""
        for name, arrays in tensors.items():
            self.networks[name].load_state_dict({key: torch.tensor(array) for key, array in arrays.items()})

    def tensors(self) -> dict[str, dict[str, np.ndarray]]:
        """Copy the state dicts, without counts of batches, as arrays."""
        return {
            network: {
                name: tensor.detach().cpu().contiguous().numpy().copy()
                for name, tensor in module.state_dict().items()
                if not name.endswith("num_batches_tracked")
            }
            for network, module in self.networks.items()
        }


class _Images(torch.utils.data.Dataset):
    """Images as what `ToTensor` and `Normalize(0.5, 0.5)` make of them."""

    def __init__(self, images: np.ndarray):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 127.5 - 1
