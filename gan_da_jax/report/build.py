"""A whole report: the files of runs -> what there is to say of them -> every file of the report, as bytes."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from gan_da_jax.report import board as findings
from gan_da_jax.report import study_file, tables
from gan_da_jax.report.arms import Arm, Board, compare, group
from gan_da_jax.report.page import render
from gan_da_jax.runs.read import find, read


class Matter(NamedTuple):
    """What a report is about: its arms and boards, the runs that it leaves out, and the plan of a study.

    `left_out` is as from `arms.group`, `study` as from `plan.read`.
    """

    arms: list[Arm]
    boards: list[Board]
    left_out: dict[str, str]
    study: study_file.Plan | None

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The arms' entries of summary.json."""
        return tables.entries(self.boards)


def gather(workdir: Path) -> Matter:
    """Reads the runs in a folder; a `UserError` if there is none, or a file cannot be understood."""
    arms, left_out = group([read(folder, workdir) for folder in find(workdir)])
    return Matter(arms, compare(arms), left_out, study_file.read(workdir, arms))


def summary(matter: Matter) -> dict[str, bytes]:
    """The files that hold the numbers, by their names within the folder."""
    entries = matter.entries
    whole = {"format": 1, "arms": entries, "boards": findings.entries(matter.boards)}
    return {
        "summary.json": (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode(),
        "summary.csv": tables.to_csv(entries).encode(errors="backslashreplace"),
    }


def pages(matter: Matter, title: str) -> dict[str, bytes]:
    """The page and its charts, likewise; equal files of runs give equal bytes.

    Raises:
        UserError: a picture or a file of probabilities of a run cannot be read.
    """
    from gan_da_jax.report.charts import choose  # matplotlib takes seconds to import: only a report waits for it

    drawn = choose.draw(matter.arms, matter.boards)
    files = {f"report/{name}": data for chart in drawn.values() for name, data in chart.files.items()}
    html = render.render(title, matter.arms, matter.boards, matter.left_out, matter.study, drawn)
    return files | {"report/index.html": html.encode(errors="backslashreplace")}


def stale(workdir: Path, files: dict[str, bytes]) -> list[Path]:
    """The charts in a folder that are none of the files of its report."""
    from gan_da_jax.report.charts import choose

    folder = workdir / "report"
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if choose.FILE_NAME.fullmatch(path.name) and f"report/{path.name}" not in files]
