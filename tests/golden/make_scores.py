"""Makes the golden scores: python tests/golden/make_scores.py.

It needs torch and torch-fidelity, which the tests do without. `scores.json` holds what torch-fidelity says of folders
of the images of `pictures`, with the weights of `tensors`, and what these are made of.
"""

import json
import runpy
import tempfile
import types
from pathlib import Path

import numpy as np
from PIL import Image

from gan_da_jax.files import io

FOLDER = Path(__file__).parent
SETS = {"small": 50, "mixed": 30, "others": 50}  # images
KID_SUBSET_SIZE = {"small": 25, "mixed": 15}  # of those compared with the others: half of the smaller set, as here
make = types.SimpleNamespace(**runpy.run_path(str(FOLDER / "make_inception.py")))


def pictures(name):
    """The images of a set by file name, as Pillow's: in `small` and `others` of 64 pixels, in `mixed` of 32 to 299."""
    start = 1000 * list(SETS).index(name)
    pairs = [make.pictures((64, 1000 + start + i)) for i in range(SETS[name] // 2)]
    pixels = np.concatenate(pairs)[:, :, :64]
    if name == "others":
        pixels = pixels // 2 + np.array([0, 40, 90], np.uint8)
    images = [Image.fromarray(image) for image in pixels]
    if name == "mixed":
        sizes = np.random.Generator(np.random.PCG64(0)).integers(32, 299, (len(images), 2), endpoint=True)
        images = [image.resize(size, Image.Resampling.NEAREST) for image, size in zip(images, sizes, strict=True)]
        images[:4] = (image.convert(mode) for image, mode in zip(images, ("L", "P", "RGBA", "1"), strict=False))
    # Without leading zeros, and in capitals too: the files are in another order than the numbers.
    return {f"{'aB'[i % 2]}{i}.png": image for i, image in enumerate(images)}


def write(name, folder):
    """Writes the images of a set and returns the SHA-256 of what they show."""
    folder.mkdir()
    shown = b""
    for file, image in pictures(name).items():
        image.save(folder / file)
        shown += image.convert("RGB").tobytes()
    return io.sha256(shown)


def tensors(common, scale):
    """The weights, by the names of the PyTorch ports; `classifier` in make_inception.py says what the arguments are."""
    with np.load(FOLDER / "inception_v3_2015.npz") as golden:
        shapes = json.loads(str(golden["shapes"]))
    body = [key for key in shapes if not key.startswith("fc.")]
    weight, bias = make.classifier(np.array(common), scale, shapes["fc.bias"][0])
    return {key: make.tensor(key, shapes[key]) for key in body} | {"fc.weight": weight, "fc.bias": bias}


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
    from torch_fidelity import calculate_metrics
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        golden = {"pictures_sha256": {name: write(name, place / name) for name in SETS}}

        def save(common, scale):
            state = {key: torch.from_numpy(array) for key, array in tensors(common, scale).items()}
            torch.save(state, place / "weights.pth")

        def features(tap):
            network = FeatureExtractorInceptionV3("inception-v3-compat", [tap], str(place / "weights.pth"))
            images = [np.asarray(Image.open(file)) for file in sorted((place / "small").iterdir())]
            return network(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))[0].numpy().astype(np.float64)

        save(np.ones(2048), 1)
        golden["common"] = [float(f"{number:.4g}") for number in features("2048").mean(0)]
        save(golden["common"], 1)
        golden["scale"] = round(2 / float(np.std(features("logits_unbiased"))), 4)
        save(golden["common"], golden["scale"])

        golden["scores"] = {
            name: calculate_metrics(
                input1=str(place / name),
                input2=str(place / "others"),
                isc=True,
                fid=True,
                kid=True,
                kid_subset_size=size,
                feature_extractor="inception-v3-compat",
                feature_extractor_weights_path=str(place / "weights.pth"),
                batch_size=1,  # the images of a batch would have to be of one size
                cuda=False,
                cache=False,
                save_cpu_ram=True,
                verbose=False,
            )
            for name, size in KID_SUBSET_SIZE.items()
        }
    (FOLDER / "scores.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
