import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_da_jax.errors import UserError
from gan_da_jax.gan import dcgan

LATENT_DIM = 7


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def shapes(image_size, width):
    """Shapes of the variables of both networks, without computing them."""
    generator, discriminator = dcgan.Generator(image_size, width), dcgan.Discriminator(image_size, width)
    images = jax.ShapeDtypeStruct((2, image_size, image_size, 3), jnp.float32)
    latents = jax.ShapeDtypeStruct((2, LATENT_DIM), jnp.float32)
    key = jax.random.key(0)
    return (
        jax.eval_shape(lambda z: generator.init(key, z, train=False), latents),
        jax.eval_shape(lambda x: discriminator.init(key, x, train=False), images),
    )


@pytest.mark.parametrize(
    "image_size, width, maps",
    [
        (32, 8, [32, 16, 8]),
        (64, 64, [512, 256, 128, 64]),
        (128, 64, [1024, 512, 256, 128, 64]),
        (256, 4, [64, 64, 32, 16, 8, 4]),
    ],
)
def test_parameter_counts_follow_from_the_channels(image_size, width, maps):
    generator, discriminator = shapes(image_size, width)
    between = 16 * sum(a * b for a, b in zip(maps, maps[1:], strict=False))
    rgb = 16 * 3 * width
    assert count(generator["params"]) == LATENT_DIM * 16 * maps[0] + between + rgb + 2 * sum(maps)
    assert count(discriminator["params"]) == rgb + between + 16 * maps[0] + 2 * sum(maps[:-1])
    assert count(generator["batch_stats"]) == 2 * sum(maps)
    assert count(discriminator["batch_stats"]) == 2 * sum(maps[:-1])


def test_the_dcgan_of_the_tutorial_has_its_size():
    # 64 pixels, width 64, latent vectors of 100: the counts that the PyTorch tutorial's model has.
    generator, discriminator = shapes(64, 64)
    assert count(generator["params"]) + (100 - LATENT_DIM) * 16 * 512 == 3_576_704
    assert count(discriminator["params"]) == 2_765_568


def torch_networks(nn, latent_dim, maps):
    layers = [nn.ConvTranspose2d(latent_dim, maps[0], 4, 1, 0, bias=False)]
    for before, after in zip(maps, [*maps[1:], 3], strict=True):
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    generator = nn.Sequential(*layers, nn.Tanh())
    maps = maps[::-1]
    layers = [nn.Conv2d(3, maps[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for before, after in zip(maps, maps[1:], strict=False):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return generator, nn.Sequential(*layers, nn.Conv2d(maps[-1], 1, 4, 1, 0, bias=False), nn.Flatten(0))


def copy_to_torch(torch, params, network):
    """Sets the weights of a torch network from ours; both list their layers in the order in which they are applied."""

    def numbered(kind):
        return [params[f"{kind}_{number}"] for number in range(sum(name.startswith(f"{kind}_") for name in params))]

    def torch_weight(module, kernel):
        kernel = np.array(kernel)
        if kernel.ndim == 2:  # the dense layers: the generator's first and the discriminator's last
            kernel = kernel.reshape((-1, 4, 4, module.out_channels) if len(kernel) == LATENT_DIM else (1, 4, 4, -1))
        return torch.tensor(np.ascontiguousarray(kernel.transpose(0, 3, 1, 2)))

    convs = [layer["kernel"] for layer in numbered("Conv") + numbered("ConvTranspose")]
    dense = params["Dense_0"]["kernel"]
    theirs = [m for m in network if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    kernels = [dense, *convs] if "ConvTranspose_0" in params else [*convs, dense]
    norms = [m for m in network if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for module, kernel in zip(theirs, kernels, strict=True):
            module.weight.copy_(torch_weight(module, kernel))
        for module, layer in zip(norms, numbered("BatchNorm"), strict=True):
            module.weight.copy_(torch.tensor(np.array(layer["scale"])))
            module.bias.copy_(torch.tensor(np.array(layer["bias"])))


def test_the_networks_are_those_of_torch():
    torch = pytest.importorskip("torch")
    image_size, width, maps = 64, 4, [32, 16, 8, 4]
    ours = dcgan.Generator(image_size, width), dcgan.Discriminator(image_size, width)
    theirs = torch_networks(torch.nn, LATENT_DIM, maps)
    latents = jax.random.normal(jax.random.key(1), (4, LATENT_DIM))
    images = jax.random.uniform(jax.random.key(2), (4, image_size, image_size, 3), minval=-1)
    inputs = [(latents, np.array(latents)[:, :, None, None]), (images, np.array(images).transpose(0, 3, 1, 2))]
    for our_network, their_network, (our_input, their_input) in zip(ours, theirs, inputs, strict=True):

        @jax.jit
        def run(x, network=our_network):
            variables = network.init(jax.random.key(3), x, train=False)
            trained, changed = network.apply(variables, x, train=True, mutable=["batch_stats"])
            return variables, network.apply(variables, x, train=False), trained, changed["batch_stats"]

        variables, *our_outputs, our_stats = run(our_input)
        copy_to_torch(torch, variables["params"], their_network)
        assert count(variables["params"]) == sum(p.numel() for p in their_network.parameters())
        for our_output, train in zip(our_outputs, (False, True), strict=True):
            with torch.no_grad():
                their_output = their_network.train(train)(torch.tensor(their_input)).numpy()
            if their_output.ndim == 4:
                their_output = their_output.transpose(0, 2, 3, 1)
            assert our_output.dtype == jnp.float32
            # float32 sums in another order, through five layers and BatchNorm.
            np.testing.assert_allclose(our_output, their_output, rtol=1e-4, atol=2e-5)
        norms = [module for module in their_network if isinstance(module, torch.nn.BatchNorm2d)]
        for number, norm in enumerate(norms):
            np.testing.assert_allclose(our_stats[f"BatchNorm_{number}"]["mean"], norm.running_mean.numpy(), atol=1e-6)


def test_initial_values_have_the_distributions_of_the_paper():
    network = dcgan.Discriminator(64, 32)
    params = jax.jit(lambda key: network.init(key, jnp.zeros((1, 64, 64, 3)), train=False))(jax.random.key(0))["params"]
    kernel = np.asarray(params["Conv_3"]["kernel"])
    assert abs(kernel.mean()) < 1e-4 and abs(kernel.std() - 0.02) < 1e-4  # 524,288 numbers
    scales = np.concatenate([params[f"BatchNorm_{number}"]["scale"] for number in range(3)])
    assert abs(scales.mean() - 1) < 5e-3 and abs(scales.std() - 0.02) < 4e-3  # 448 numbers
    assert all(not np.any(params[f"BatchNorm_{number}"]["bias"]) for number in range(3))


@pytest.mark.parametrize("image_size", [0, 16, 48, 512])
def test_other_sizes_are_refused(image_size):
    with pytest.raises(UserError, match=f"image_size is {image_size}"):
        dcgan.channels(image_size, 64)


def test_bfloat16_is_for_computing_alone():
    torch = pytest.importorskip("torch")
    image_size, width, maps = 32, 4, [16, 8, 4]
    latents = jax.random.normal(jax.random.key(1), (8, LATENT_DIM))
    networks = [dcgan.Generator(image_size, width, dtype) for dtype in dcgan.DTYPES]
    variables = networks[0].init(jax.random.key(3), latents, train=False)
    variables["params"] = jax.tree.map(lambda leaf: 8 * leaf, variables["params"])  # else all is nearly grey
    (exact, exact_stats), (ours, stats) = (
        jax.jit(lambda x, network=network: network.apply(variables, x, train=True, mutable=["batch_stats"]))(latents)
        for network in networks
    )
    assert ours.dtype == jnp.float32 and {leaf.dtype for leaf in jax.tree.leaves(stats)} == {jnp.dtype("float32")}
    again = networks[1].init(jax.random.key(3), latents, train=False)
    assert {leaf.dtype for leaf in jax.tree.leaves(again)} == {jnp.dtype("float32")}
    for ours_now, exact_now in zip(jax.tree.leaves(stats), jax.tree.leaves(exact_stats), strict=True):
        np.testing.assert_allclose(ours_now, exact_now, atol=0.02 * np.abs(exact_now).max())
    # It rounds as much as torch does under autocast, and not less.
    theirs, _ = torch_networks(torch.nn, LATENT_DIM, maps)
    copy_to_torch(torch, variables["params"], theirs)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        theirs = theirs(torch.tensor(np.array(latents))[:, :, None, None]).float().numpy().transpose(0, 2, 3, 1)
    error, their_error = (np.sqrt(np.mean((images - exact) ** 2)) for images in (ours, theirs))
    assert their_error / 3 < error < 3 * their_error
