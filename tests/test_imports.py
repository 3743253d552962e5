"""Imports point one way, and each library stays in the file that owns it."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gan_da_jax"
LAYERS = [
    {"errors", "prng", "progress"},
    {"augment", "gan", "metrics"},
    {"files", "devices"},
    {"data"},
    {"classifiers", "training"},
    {"configs"},
    {"runs", "pytorch"},
    {"evaluation", "report"},
    {"pipeline"},
    {"audit"},
    {"api", "verbs"},
    {"main"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(file: Path) -> list[str]:
    """The dotted names of all modules that a file imports, at any depth of its code."""
    return names_of(ast.parse(file.read_text()))


def names_of(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import of {node.module}"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def part(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file):
    here = part(file)
    for name in imported(file):
        parts = name.split(".")
        if parts[0] != "gan_da_jax" or here == "__init__" or len(parts) < 2 or parts[1] not in RANK:
            continue
        assert RANK[parts[1]] <= RANK[here], f"{here} imports {name}"


def module(file: Path) -> str:
    return ".".join(["gan_da_jax", *file.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """Some names that import each other in a circle; [] where there is none."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_neither_modules_nor_folders_import_each_other_in_circles():
    known = {module(file) for file in FILES}
    arrows = {}
    for file in FILES:
        names = {name if name in known else name.rpartition(".")[0] for name in imported(file)}
        arrows[module(file)] = names & known - {module(file), "gan_da_jax"}  # whose face offers what lies above
    assert circle(arrows) == []
    folders = {}
    for here, names in arrows.items():
        parts = {name.split(".")[1] for name in names if name.count(".")}
        folders.setdefault(here.split(".")[1] if here.count(".") else "", set()).update(parts)
    for here, names in folders.items():
        names.discard(here)
    assert circle(folders) == []


def test_a_circle_is_found():
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
    assert circle({"a": {"b", "c"}, "b": {"c"}}) == []


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        ("orbax", "files/checkpoint.py"),
        ("matplotlib", "report/charts/figures.py"),
        ("jinja2", "report/page/render.py"),
        ("h5py", "files/keras_h5.py"),
        (
            "torch",
            "files/torch_file.py pytorch/average.py pytorch/dcgan.py pytorch/inception.py pytorch/parity.py "
            "pytorch/states.py",
        ),
        ("safetensors", "files/torch_file.py"),
        ("tensorflow", "data/sources/tfds.py"),
        ("tensorflow_datasets", "data/sources/tfds.py"),
    ],
)
def test_a_library_stays_with_its_owner(library, owner):
    users = {str(f.relative_to(PACKAGE)) for f in FILES if any(n.split(".")[0] == library for n in imported(f))}
    assert users == {*owner.split()}


NEED_TORCH = tuple(f"gan_da_jax.pytorch.{name}" for name in ("dcgan", "inception", "parity", "states"))


def test_nothing_but_the_baseline_needs_torch_to_be_imported():
    for file in FILES:
        if part(file) != "pytorch":
            tree = ast.parse(file.read_text())
            tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
            at_once = [name for name in names_of(tree) if name.startswith(("torch", *NEED_TORCH))]
            assert not at_once, f"{file} imports {at_once}"


def test_only_parallel_says_pmap():
    assert [f.name for f in FILES if "jax.pmap(" in f.read_text()] == ["parallel.py"]


def test_pure_code_knows_no_config_path_or_flag():
    for file in FILES:
        if part(file) in ("augment", "gan", "metrics", "prng"):
            roots = {name.split(".")[0] for name in imported(file)}
            assert not roots & {"absl", "ml_collections", "pathlib", "os"}, file
