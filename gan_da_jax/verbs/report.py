"""report: the files of runs -> summary.json, summary.csv and one page, report/index.html, with every picture inside."""

import json
from pathlib import Path

from ml_collections import ConfigDict

from gan_da_jax.errors import UserError
from gan_da_jax.files import io
from gan_da_jax.report import build, tables
from gan_da_jax.verbs.verb import CONFIG, WORKDIR, Verb


def main(workdir: Path, *, config: ConfigDict | None = None, dry_run: bool = False) -> None:
    """Report on a run, or on all runs in the subfolders of `workdir`, at any time and as often as wanted.

    Writes WORKDIR/summary.json, WORKDIR/summary.csv, WORKDIR/report/index.html and beside it the page's charts as PNG
    and SVG; charts of an earlier report that this one does not have are removed. Equal files of runs give equal bytes.

    Args:
        workdir: the folder of a run, or one with runs up to three levels below it.
        config: all verbs on a workdir may be given one; it decides nothing here.
        dry_run: only find and read the runs, and say what would be written.

    Raises:
        UserError: no run is found, a file of one cannot be understood, or `workdir` cannot be written to.
    """
    matter = build.gather(workdir)
    target = workdir / "report" / "index.html"
    for name, kept in matter.left_out.items():
        print(f"{name} is left out: the same arm, settings and seed as {kept}")
    if dry_run:
        print(f"{sum(len(arm.runs) for arm in matter.arms)} runs of {len(matter.arms)} arms: would write {target}")
        return

    files, summary = build.pages(matter, workdir.resolve().name), build.summary(matter)
    try:
        io.sweep(workdir, target.parent)
        for name, data in (summary | files).items():
            io.write_atomic(workdir / name, data)
        for path in build.stale(workdir, files):
            path.unlink()
    except OSError as error:
        raise UserError(f"{workdir} cannot be written to ({error.strerror}): report on a copy of the runs") from None
    print(tables.to_text(matter.arms, matter.entries))
    for entry in json.loads(summary["summary.json"])["boards"]:  # which took its tests once
        print(f"\n{entry['source']}, by {entry['classifier']}, tap {entry['tap']}:")
        print(*entry["verdict"], sep="\n")
    print(f"\n{target}")


VERB = Verb(
    "the scores of a run, or of a folder of runs -> report/index.html, summary.json",
    main,
    needs=(WORKDIR,),
    takes=(CONFIG,),
)
