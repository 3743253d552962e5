"""A bundle: one zip file with what another laboratory needs to repeat an audit."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from gan_da_jax.files import io

SUMS = "SHA256SUMS"  # as sha256sum writes it; without audit.json, which every audit writes anew


def write(path: Path, workdir: Path, *, needed: Mapping[Path, set[int]], added: Mapping[str, bytes]) -> None:
    """Zip a run or study without the checkpoints that its audit can do without, whole or not at all.

    Args:
        path: the zip file; it unzips to a folder of the workdir's name.
        workdir: the folder of the run or study.
        needed: the folders of runs, and the steps of the checkpoints that are needed of each; of other runs none are.
        added: files that the folder has not, by their names in it.
    """
    root = workdir.resolve().name
    with io.atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as bundle:
        sums = {name: io.sha256(data) for name, data in added.items()}
        for name, data in added.items():
            bundle.writestr(f"{root}/{name}", data)
        for file in _files(workdir, needed):
            name = file.relative_to(workdir).as_posix()
            if name not in (SUMS, *added):
                bundle.write(file, f"{root}/{name}")
                sums[name] = io.file_sha256(file)
        lines = [f"{sha256}  {name}\n" for name, sha256 in sums.items() if name != "audit.json"]
        bundle.writestr(f"{root}/{SUMS}", "".join(lines))


def differing(workdir: Path) -> tuple[int, list[str]]:
    """Hold an unzipped bundle against its list of hashes; return how many files it names, and which of them differ."""
    lines = [line.partition("  ") for line in (workdir / SUMS).read_text().splitlines()]
    files = {name: (workdir / name, sha256) for sha256, _, name in lines}
    same = {name for name, (path, sha256) in files.items() if path.is_file() and io.file_sha256(path) == sha256}
    return len(files), [name for name in files if name not in same]


def _files(folder: Path, needed: Mapping[Path, set[int]]) -> Iterator[Path]:
    """Yield the files of a folder that a bundle needs: no locks or temporary files, no checkpoints but needed ones."""
    for path in sorted(folder.iterdir()):
        unneeded = folder.name == "checkpoints" and path.name not in map(str, needed.get(folder.parent, ()))
        if path.is_dir() and not unneeded:
            yield from _files(path, needed)
        elif path.is_file() and not path.name.startswith("."):
            yield path
