import functools

import jax
import numpy as np
import pytest

from gan_da_jax import gan, pytorch
from gan_da_jax.errors import UserError
from gan_da_jax.files import torch_file
from gan_da_jax.pytorch import convert

LATENT_DIM = 24


@functools.cache
def lively(image_size, width=4):
    """Both networks and variables of theirs, each number another one."""
    network = gan.create(image_size=image_size, latent_dim=LATENT_DIM, width=width)
    shapes = jax.eval_shape(functools.partial(gan.init, network), jax.random.key(0))
    rng = np.random.default_rng(image_size)

    def fill(path, leaf):
        values = rng.standard_normal(leaf.shape, dtype=np.float32)
        return np.abs(values) + 0.5 if path[-1].key in ("var", "scale") else 0.2 * values

    variables = {
        kind: jax.tree_util.tree_map_with_path(fill, getattr(shapes, kind)) for kind in ("generator", "discriminator")
    }
    return network, variables


def same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def stock(torch, kind, image_size, width=4):
    """The network of PyTorch's own example, as its text has it, layer by layer for 64 pixels."""
    nn = torch.nn
    stages = {32: 2, 64: 3, 128: 4}[image_size]
    if kind == "generator":
        layers = [nn.ConvTranspose2d(LATENT_DIM, width * 2**stages, 4, 1, 0, bias=False)]
        for stage in range(stages, -1, -1):
            layers += [nn.BatchNorm2d(width * 2**stage), nn.ReLU(True)]
            after = width * 2 ** (stage - 1) if stage else 3
            layers += [nn.ConvTranspose2d(width * 2**stage, after, 4, 2, 1, bias=False)]
        layers += [nn.Tanh()]
    else:
        layers = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
        for stage in range(stages):
            layers += [nn.Conv2d(width * 2**stage, width * 2 ** (stage + 1), 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(width * 2 ** (stage + 1)), nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(width * 2**stages, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
    return torch.nn.ModuleDict({"main": nn.Sequential(*layers)})


def run(torch, network, kind, x):
    network.eval()
    with torch.no_grad():
        x = torch.tensor(x)[:, :, None, None] if kind == "generator" else torch.tensor(x).permute(0, 3, 1, 2)
        if kind == "generator":
            return network["main"](x).permute(0, 2, 3, 1).numpy()
        return network["main"][:-1](x).flatten().numpy()  # its logit, before the sigmoid


def inputs(kind, image_size):
    rng = np.random.default_rng(3)
    shape = (4, LATENT_DIM) if kind == "generator" else (4, image_size, image_size, 3)
    return rng.uniform(-0.2, 0.2, shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_both_ways_the_networks_give_what_those_of_torch_give(kind, image_size):
    torch = pytest.importorskip("torch")
    network, variables = lively(image_size)
    x, theirs = inputs(kind, image_size), stock(torch, kind, image_size)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in convert.to_torch(variables[kind]).items()})
    out = run(torch, theirs, kind, x)
    assert out.std() > 0.05  # else agreement would say little
    ours = getattr(network, kind).apply(variables[kind], x, train=False)
    np.testing.assert_allclose(ours, out, rtol=1e-4, atol=2e-5)

    state = {f"module.{name}": tensor.numpy() for name, tensor in theirs.state_dict().items()}
    back = convert.from_torch(state)
    assert back[:4] == (kind, image_size, 4, LATENT_DIM if kind == "generator" else 1)
    same(back.variables, variables[kind])


@pytest.mark.parametrize("kind", ["generator", "discriminator"])
@pytest.mark.parametrize("image_size", [32, 64, 128, 256])
def test_there_and_back_again_changes_no_bit(kind, image_size, tmp_path):
    variables = lively(image_size, width=2)[1][kind]
    tensors = convert.to_torch(variables)
    back = convert.from_torch(tensors)
    assert (back.kind, back.image_size, back.width) == (kind, image_size, 2)
    same(back.variables, variables)
    torch_file.write(tmp_path / "x.safetensors", tensors)
    same(convert.load(tmp_path / "x.safetensors").variables, variables)


def test_gradients_convert_as_weights_do():
    variables = lively(32)[1]["generator"]
    whole, params = convert.to_torch(variables), convert.to_torch({"params": variables["params"]})
    assert params.keys() == {name for name in whole if "running" not in name}
    same(params, {name: whole[name] for name in params})


def test_what_is_no_dcgan_of_ours_is_refused():
    params = lively(32)[1]["generator"]["params"]
    with pytest.raises(UserError, match="a network with the layers .*Dense_1.* is not a DCGAN"):
        convert.to_torch({"params": params | {"Dense_1": params["Dense_0"]}})
    with pytest.raises(UserError, match="is not a DCGAN"):
        convert.to_torch({"params": {name: params[name] for name in params if name != "ConvTranspose_0"}})


def test_only_the_dcgan_with_its_loss_has_a_twin_in_pytorch():
    pytorch.require_dcgan(name="dcgan")
    pytorch.require_dcgan(name="dcgan", loss="dcgan")
    with pytest.raises(UserError, match="^config.model.name is 'other'; it must be 'dcgan'"):
        pytorch.require_dcgan(name="other")
    with pytest.raises(UserError, match="^config.train.loss is 'hinge'; it must be 'dcgan'"):
        pytorch.require_dcgan(name="dcgan", loss="hinge")


def test_layers_are_known_by_their_shapes_whatever_they_are_called():
    variables = lively(64)[1]
    for kind in variables:
        tensors = convert.to_torch(variables[kind])
        layers = dict.fromkeys(name.rpartition(".")[0] for name in tensors)
        other = {layer: f"netX.block_{97 - i:02}" for i, layer in enumerate(layers)}  # backwards, too
        renamed = {f"{other[n.rpartition('.')[0]]}.{n.rpartition('.')[2]}": v for n, v in tensors.items()}
        assert convert.from_torch(renamed).kind == kind
        same(convert.from_torch(renamed).variables, variables[kind])


def test_at_256_pixels_names_part_layers_of_one_shape():
    variables = lively(256, width=2)[1]["generator"]  # both have 16 * 2 channels at the maps of 4 and 8 pixels
    tensors = convert.to_torch(variables)
    assert tensors["main.1.weight"].shape == tensors["main.4.weight"].shape
    same(convert.from_torch(dict(reversed(tensors.items()))).variables, variables)


def changed(**replaced):
    """A generator's tensors, some of them replaced, or left out where there is None; `__` stands for a dot."""
    replaced = {name.replace("__", "."): value for name, value in replaced.items()}
    tensors = convert.to_torch(lively(32)[1]["generator"]) | replaced
    return {name: value for name, value in tensors.items() if value is not None}


def zeros(*shape):
    return np.zeros(shape, np.float32)


DISCRIMINATOR = {"main__1__" + leaf: None for leaf in ("weight", "bias", "running_mean", "running_var")}
BAD = {
    "nothing": ({}, "0 BatchNorms for 0 convolutions"),
    "a bias": (changed(main__3__bias=zeros(8)), "main.3 has a bias"),
    "5x5": (changed(main__3__weight=zeros(16, 8, 5, 5)), r"main.3.weight has shape \(16, 8, 5, 5\) instead of"),
    "other channels": (
        changed(main__3__weight=zeros(16, 9, 4, 4)),
        "main.3.weight has shape .*, which it has in a DCGAN",
    ),
    "spectral norm": (changed(main__3__weight_orig=zeros(16, 8, 4, 4)), "spectral or weight normalisation, main.3"),
    "spectral norm anew": (changed(main__3__parametrizations__weight__original=zeros(2)), "spectral"),
    "no running statistics": (changed(main__1__running_mean=None), "main.1.weight of shape .* is neither"),
    "a dense layer": (changed(fc__weight=zeros(4, 4)), "fc.weight of shape .* is neither"),
    "an embedding alone": (changed(codes=zeros(4)), "codes"),
    "grey images": (
        changed(main__9__weight=zeros(4, 1, 4, 4)),
        "none of its 4 convolutions makes or takes images in RGB",
    ),
    "no norm": (changed(**DISCRIMINATOR, **{k.replace("1", "4"): None for k in DISCRIMINATOR}), "1 BatchNorms for 4"),
    "16 pixels": (
        {k: v for k, v in changed().items() if k[5] in "679"},
        "2 convolutions make images of 8 pixels",
    ),
    "a negative variance": (changed(main__1__running_var=-np.ones(16, np.float32)), "running_var is negative"),
    "a discriminator of classes": (changed(**DISCRIMINATOR), "24 outputs an image"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_dcgan_of_this_kind_is_refused_with_the_reason(case, tmp_path):
    tensors, reason = BAD[case]
    with pytest.raises(UserError, match=reason) as error:
        convert.from_torch(tensors)
    assert "\n" not in str(error.value)
    torch_file.write(tmp_path / "x.safetensors", tensors)
    with pytest.raises(UserError, match="x.safetensors does not hold a DCGAN of this kind: "):
        convert.load(tmp_path / "x.safetensors")
