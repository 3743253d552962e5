"""report: the files of runs -> summary.json, summary.csv and one page, report/index.html, with every picture inside."""

from pathlib import Path

from gan_da_jax import records
from gan_da_jax.errors import UserError
from gan_da_jax.report import findings, page, plan, tables
from gan_da_jax.report.arms import compare, group
from gan_da_jax.report.runs import find, read


def main(workdir: Path, *, dry_run: bool = False) -> None:
    """Reports on a run, or on all runs in the subfolders of `workdir`, at any time and as often as wanted.

    Writes WORKDIR/summary.json, WORKDIR/summary.csv, WORKDIR/report/index.html and beside it the page's charts as PNG
    and SVG; charts of an earlier report that this one does not have are removed. Equal files of runs give equal bytes.

    Args:
        workdir: the folder of a run, or one with runs up to three levels below it.
        dry_run: only find and read the runs, and say what would be written.

    Raises:
        UserError: no run is found, a file of one cannot be understood, or `workdir` cannot be written to.
    """
    arms, left_out = group([read(folder, workdir) for folder in find(workdir)])
    boards = compare(arms)
    study = plan.read(workdir, arms)
    target = workdir / "report" / "index.html"
    for name, kept in left_out.items():
        print(f"{name} is left out: the same arm, settings and seed as {kept}")
    if dry_run:
        print(f"{sum(len(arm.runs) for arm in arms)} runs of {len(arms)} arms: would write {target}")
        return

    from gan_da_jax.report import charts  # matplotlib takes seconds to import: only a report waits for it

    drawn = charts.draw(arms, boards)
    files = {name: data for chart in drawn.values() for name, data in chart.files.items()}
    entries = tables.entries(boards)
    html = page.render(workdir.resolve().name, arms, boards, left_out, study, drawn)
    try:
        records.write_json(workdir / "summary.json", {"format": 1, "arms": entries, "boards": findings.entries(boards)})
        records.write_atomic(workdir / "summary.csv", tables.to_csv(entries).encode(errors="backslashreplace"))
        for name, data in files.items():
            records.write_atomic(target.parent / name, data)
        records.write_atomic(target, html.encode(errors="backslashreplace"))
        for path in target.parent.iterdir():
            if charts.FILE_NAME.fullmatch(path.name) and path.name not in files:
                path.unlink()
    except OSError as error:
        raise UserError(f"{workdir} cannot be written to ({error.strerror}): report on a copy of the runs") from None
    print(tables.to_text(arms, entries))
    print(target)
