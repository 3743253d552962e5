import pytest

from gan_da_jax.report.arms import compare, group
from gan_da_jax.runs.read import find, read


@pytest.fixture(scope="session")
def read_all():
    """A function that reads all runs below a folder."""
    return lambda root: [read(folder, root) for folder in find(root)]


@pytest.fixture(scope="session")
def study(tmp_path_factory, make_run):
    """Three arms with two seeds, a fourth with one and no score; every seed of an arm has its own value."""
    root = tmp_path_factory.mktemp("study")
    for policy, count in (("none", 0), ("hflip", 20), ("contrast+hflip", 20)):
        for seed in (0, 1):
            make_run(root / f"{policy}-{count}" / f"seed{seed}", policy=policy, count=count, seed=seed)
    make_run(root / "vflip", policy="vflip", count=20, evaluations=0)
    return root


@pytest.fixture
def make(tmp_path, make_run):
    """A function that writes runs of arms: policy -> settings of `make_run`, each with this number of seeds."""

    def make(seeds, **arms):
        for policy, changes in arms.items():
            for seed in range(seeds):
                settings = {"policy": policy, "count": 20, "seed": seed, "grids": 0, "evaluations": 1} | changes
                make_run(tmp_path / policy / str(seed), **settings)
        return tmp_path

    return make


@pytest.fixture
def board_of(read_all):
    """A function: the runs below a folder -> their one board."""

    def board_of(root):
        [board] = compare(group(read_all(root))[0])
        return board

    return board_of
