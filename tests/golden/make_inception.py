"""Makes the golden outputs of Inception v3: python tests/golden/make_inception.py.

It needs torch, and the reference networks, which the tests do without: torch-fidelity's for `inception_v3_2015.npz` and
torchvision's for `inception_v3_torchvision.npz`. Either file holds the names and shapes of its network's tensors, what
the last layer is made of (`classifier`), and the answers, with weights from `tensor`, to `pictures` of all SIZES.
"""

import json
import zlib
from pathlib import Path
from unittest import mock

import numpy as np

FOLDER = Path(__file__).parent
SIZES = ((32, 32), (109, 89), (299, 299), (310, 400))


def _generator(name):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def pictures(size):
    """Two pictures uint8 [2, *size, 3] of random coarse and fine squares and noise; no two sizes show the same."""
    rng = _generator(f"pictures {size}")
    squares = sum(
        np.kron(rng.uniform(-1, 1, (2, cells, cells, 3)), np.ones((1, 400 // cells, 400 // cells, 1)))
        for cells in (2, 5, 20)
    )[:, : size[0], : size[1]]
    return np.clip(128 + 60 * squares + rng.normal(0, 10, squares.shape), 0, 255).astype(np.uint8)


def tensor(name, shape):
    """A weight as the PyTorch ports name it, float32, that lets signals through at their size; the same anywhere."""
    rng = _generator(name)
    match name.rpartition(".")[2], len(shape):
        case "weight", 4:
            kernel = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
            array = kernel - kernel.mean((1, 2, 3), keepdims=True)  # blind to what all channels have in common
        case "weight" | "running_var", 1:
            array = rng.uniform(0.7, 1.4, shape)
        case "bias" | "running_mean", 1:
            array = rng.normal(0, 0.1, shape)
    return array.astype(np.float32)


def classifier(common, scale, classes):
    """A last layer that ignores what all pictures have in common: weight float32 [classes, 2048], bias [classes].

    Args:
        common: the mean of features [2048] over pictures.
        scale: what stretches the rest to logits about 1 apart.
        classes: their number.
    """
    rng = _generator("fc.weight")
    weight = rng.standard_normal((classes, len(common)))
    weight -= np.outer(weight @ common, common) / (common @ common)
    return (scale * weight).astype(np.float32), rng.normal(0, 1, classes).astype(np.float32)


def _make(name, network, outputs):
    """Fills `network` and saves its answers; `outputs` gives {tap: [2, features]} of pictures."""
    import torch

    shapes = {key: list(old.shape) for key, old in network.state_dict().items() if "num_batches" not in key}
    body = [key for key in shapes if not key.startswith(("fc.", "AuxLogits."))]
    network.load_state_dict({key: torch.from_numpy(tensor(key, shapes[key])) for key in body}, strict=False)
    features = np.concatenate([outputs(pictures(size))["2048"] for size in SIZES]).astype(np.float64)
    common = features.mean(0)
    classes = len(network.fc.bias)
    weight, _ = classifier(common, 1, classes)
    scale = 1.5 / np.std(features @ weight.T)
    weight, bias = classifier(common, scale, classes)
    network.load_state_dict({"fc.weight": torch.from_numpy(weight), "fc.bias": torch.from_numpy(bias)}, strict=False)
    answers = {"shapes": json.dumps(shapes), "common": common, "scale": scale}
    for size in SIZES:
        for tap, array in outputs(pictures(size)).items():
            answers[f"{tap} {size[0]}x{size[1]}"] = array
    np.savez_compressed(FOLDER / f"{name}.npz", **answers)


def main():
    import torch

    register = torch.library.register_fake

    def tolerant(operator, *args, **kwargs):
        def decorate(function):
            try:
                return register(operator, *args, **kwargs)(function)
            except RuntimeError:  # torchvision's compiled operators, which no network here uses, may be missing
                return function

        return decorate

    torch.library.register_fake = tolerant
    import torchvision
    from torch_fidelity import feature_extractor_inceptionv3

    torch.set_grad_enabled(False)
    extractor = feature_extractor_inceptionv3.FeatureExtractorInceptionV3
    taps = ["64", "192", "768", "2048", "logits_unbiased"]
    with (
        mock.patch.object(feature_extractor_inceptionv3, "load_state_dict_from_url"),
        mock.patch.object(extractor, "load_state_dict"),
    ):
        fidelity = extractor("inception-v3-compat", taps)

    def original(images):
        found = fidelity(torch.from_numpy(images).permute(0, 3, 1, 2))
        return dict(zip([*taps[:-1], "logits"], (array.numpy() for array in found), strict=True))

    _make("inception_v3_2015", fidelity, original)

    network = torchvision.models.inception_v3(weights=None, init_weights=False, transform_input=True).eval()
    pooled = {}
    network.avgpool.register_forward_hook(lambda *call: pooled.update({"2048": call[-1].flatten(1).numpy()}))
    normalise = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

    def published(images):
        resized = torchvision.transforms.functional.resize(
            torch.from_numpy(images).permute(0, 3, 1, 2) / 255, [299, 299], antialias=True
        )
        logits = network(normalise(resized))
        return pooled | {"logits": logits.numpy()}

    _make("inception_v3_torchvision", network, published)


if __name__ == "__main__":
    main()
