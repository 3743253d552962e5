"""audit: verify a finished run, or a study and its report, from the files; write the findings to audit.json."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax

from gan_da_jax.audit import bundle as bundles
from gan_da_jax.audit import checks
from gan_da_jax.audit.finding import DIFFERS, UNCHECKED, Finding
from gan_da_jax.audit.recomputed import Recomputed, carried_classifier
from gan_da_jax.audit.recorded import Recorded
from gan_da_jax.classifiers import registry
from gan_da_jax.errors import Failure, UserError
from gan_da_jax.files import io
from gan_da_jax.pipeline import pools
from gan_da_jax.runs import environment
from gan_da_jax.runs.folder import Folder, is_run
from gan_da_jax.runs.read import find
from gan_da_jax.verbs.verb import WORKDIR, Flag, Verb


def main(workdir: Path, *, step: int | None = None, bundle: Path | None = None, dry_run: bool = False) -> None:
    """Audit the run in `workdir`, or all runs in its subfolders, and what is said of them.

    Everything is computed anew: nothing that commands keep for each other is used, but weights, whose hash the scores
    tell. Only audit.json is written.

    Args:
        workdir: the folder of a run or study.
        step: the checkpoint from which training is done again to the next one, 0 for the start; else one by chance.
        bundle: a zip file to be written once all is well, with what another laboratory needs to do the same.
        dry_run: only say what would be done.

    Raises:
        UserError: there is no run, no such step, or no place for the bundle.
        Failure: something differs from what was recorded.
    """
    if bundle is not None and (not bundle.absolute().parent.is_dir() or bundle.is_dir()):
        raise UserError(f"--bundle={bundle} cannot be a file: name one in a folder that is there")
    if bundle is not None and bundle.resolve().is_relative_to(workdir.resolve()):
        raise UserError(f"--bundle={bundle} would be inside of what it holds; choose a place outside of {workdir}")
    folders = _runs(workdir)
    with _anew() as cache:
        runs = [Recorded(folder) for folder in folders]
        for by in (row["trained_by"] for one in runs for row in one.metrics if "trained_by" in row):
            raise UserError(
                f"{workdir} holds a run that was trained by {by}: an audit can only repeat training by this package"
            )
        stretches = {one.workdir: one.stretch(step) for one in runs}
        for folder, (start, end) in stretches.items():
            chosen = "by chance" if step is None else "as asked"
            print(f"{folder}: trains from step {start} to {end} again, {chosen}; --step={start} does the same")
        if dry_run:
            return
        found = {}
        for one in runs:
            with one.folder.alone():
                findings = checks.of_run(one, Recomputed(one, cache=cache), *stretches[one.workdir])
                found[_name(one.workdir, workdir)] = _print_all(findings, one.workdir)
        found["report" if runs[0].workdir == workdir else "study"] = _print_all(
            checks.of_folder(workdir, runs), workdir
        )
    _end(workdir, found, {_name(folder, workdir): step for folder, (step, _) in stretches.items()})
    if bundle is not None:
        _bundle(bundle, workdir, runs, stretches)


@contextlib.contextmanager
def _anew() -> Iterator[Path]:
    """Make a cache for this audit alone; the cache of compiled programs is not used."""
    kept = jax.config.values["jax_enable_compilation_cache"]
    pools.read.cache_clear()
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        jax.config.update("jax_enable_compilation_cache", kept)


def _runs(workdir: Path) -> list[Path]:
    """Find the folders of the runs, without the runs that a study has noted as failed."""
    if is_run(workdir):
        return [workdir]
    failed = checks.failed(workdir)
    for name in failed:
        print(f"{workdir / name} is left out: study.json says that it failed")
    folders = [folder for folder in find(workdir) if _name(folder, workdir) not in failed]
    if not folders:
        raise UserError(f"{workdir} holds failed runs only: give the study command again, then audit")
    return folders


def _name(folder: Path, workdir: Path) -> str:
    return folder.relative_to(workdir).as_posix()


def _print_all(findings: Iterator[Finding], where: Path) -> list[Finding]:
    """Do all checks, and print a table of them."""
    found = list(findings)
    rows = [f"  {finding.check:18} {finding.result:12} {finding.detail}" for finding in found]
    print("\n".join([f"{where}:", *rows]), flush=True)
    return found


def _end(workdir: Path, found: dict[str, list[Finding]], steps: dict[str, int]) -> None:
    """Write audit.json, and say how it ended; a `Failure` if anything differs."""
    every = [(name, finding) for name, findings in found.items() for finding in findings]
    differing = [(name, finding) for name, finding in every if finding.result == DIFFERS]
    io.write_json(
        workdir / "audit.json",
        {
            "format": 1,
            "passed": not differing,
            "steps": steps,
            "checks": {name: [finding._asdict() for finding in findings] for name, findings in found.items()},
            "environment": environment.current(),
        },
    )
    left = sum(finding.result == UNCHECKED for _, finding in every)
    if differing:
        name, finding = differing[0]
        raise Failure(
            f"{workdir}: audit failed, {len(differing)} of {len(every)} checks; the first: "
            f"{'' if name == '.' else f'{name}: '}{finding.check}: {finding.detail}"
        )
    rest = f", {left} could not be done here" if left else ""
    print(f"{workdir}: audit passed, {len(every) - left} checks{rest}: {workdir / 'audit.json'}")


def _bundle(path: Path, workdir: Path, runs: list[Recorded], stretches: dict[Path, tuple[int, int]]) -> None:
    needed = {one.workdir: {*stretches[one.workdir], *one.saved[-1:]} for one in runs}
    added = {}
    for one in runs:
        own = one.folder.generator
        if is_run(own):
            needed[own] = set(Folder(own).saved()[-1:])
        for name in {row["classifier"] for row in one.scores}:
            kept, carried = registry.trained_here(name), carried_classifier(one.workdir, name)
            if kept is not None and carried is not None and not carried.exists():
                added[carried.relative_to(workdir).as_posix()] = kept.read_bytes()
    added["AUDIT.txt"] = _instructions(workdir, runs, stretches).encode()
    bundles.write(path, workdir, needed=needed, added=added)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB; it holds the images that the runs were trained on")


def _instructions(workdir: Path, runs: list[Recorded], stretches: dict[Path, tuple[int, int]]) -> str:
    """Write what a person who unzips a bundle needs to know."""
    then = runs[0].config_json
    versions = "".join(f"  {name} {version}\n" for name, version in then["versions"].items())
    flags = "".join(f"  {name}={value}\n" for name, value in then["flags"].items())
    steps = "".join(f"  {_name(folder, workdir)}: {step}\n" for folder, (step, _) in stretches.items())
    first = {step for step, _ in stretches.values()}
    asked = f" --step={first.pop()}" if len(first) == 1 else ""
    name = workdir.resolve().name
    return f"""This folder holds what proves {name}: configs, data sets, checkpoints, scores, and the hashes of all.
The images that it was trained on are included, in dataset/originals.npy of every run.

Check the files:   sha256sum -c {bundles.SUMS}      (in this folder)
Repeat the audit:  gan-da audit --workdir={name}{asked}      (in the folder above)

It was made on {len(then["devices"])} x {then["backend"]} ({then["kind"]}), with
{versions}{flags}
and comes out the same bit for bit where all of this is the same; elsewhere within tolerances that the audit states.

Checkpoints were kept for training again from
{steps}"""


VERB = Verb(
    "verifies that a run's scores, or a study's report, come from its files; --bundle=FILE.zip for others",
    main,
    needs=(WORKDIR,),
    takes=(
        Flag("step", "The checkpoint to train from again; 0: the start.", "number"),
        Flag("bundle", "A .zip file for others to repeat the audit with.", "path"),
    ),
)
