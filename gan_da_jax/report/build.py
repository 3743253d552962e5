"""The files of runs -> arms and boards -> every file of a report, as bytes."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from gan_da_jax.report import board, study_file, tables
from gan_da_jax.report.arms import ArmRuns, Board, compare, group
from gan_da_jax.report.page import render
from gan_da_jax.runs.read import find, read


class Results(NamedTuple):
    """What a report is about.

    Attributes:
        arms: all arms with their runs.
        boards: the boards of these arms.
        left_out: the runs left out, as from `arms.group`.
        study: the plan of a study, as from `study_file.read`.
    """

    arms: list[ArmRuns]
    boards: list[Board]
    left_out: dict[str, str]
    study: study_file.Plan | None

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries of the arms in summary.json."""
        return tables.entries(self.boards)


def gather(workdir: Path) -> Results:
    """Read the runs in a folder; a `UserError` if there is none, or a file cannot be understood."""
    arms, left_out = group([read(folder, workdir) for folder in find(workdir)])
    return Results(arms, compare(arms), left_out, study_file.read(workdir, arms))


def summary(results: Results) -> dict[str, bytes]:
    """Make the files that hold the numbers: their names within the folder -> their bytes."""
    entries = results.entries
    whole = {"format": 1, "arms": entries, "boards": board.entries(results.boards)}
    return {
        "summary.json": (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode(),
        "summary.csv": tables.to_csv(entries).encode(errors="backslashreplace"),
    }


def pages(results: Results, title: str) -> dict[str, bytes]:
    """Make the page and its charts, likewise; equal files of runs give equal bytes.

    Raises:
        UserError: a picture or a file of probabilities of a run cannot be read.
    """
    from gan_da_jax.report.charts import choose  # matplotlib takes seconds to import: only a report waits for it

    drawn = choose.draw(results.arms, results.boards)
    files = {f"report/{name}": data for chart in drawn.values() for name, data in chart.files.items()}
    html = render.render(title, results.arms, results.boards, results.left_out, results.study, drawn)
    return files | {"report/index.html": html.encode(errors="backslashreplace")}


def stale(workdir: Path, files: dict[str, bytes]) -> list[Path]:
    """Find the charts in a folder that an earlier report drew and this one, with these files, did not."""
    from gan_da_jax.report.charts import choose

    folder = workdir / "report"
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if choose.FILE_NAME.fullmatch(path.name) and f"report/{path.name}" not in files]
