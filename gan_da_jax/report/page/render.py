"""Arms, boards and charts -> one HTML page with every picture inside."""

import html
import json
import re
import statistics
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import jinja2

from gan_da_jax.metrics.columns import signed, written
from gan_da_jax.metrics.comparison import LEVEL
from gan_da_jax.report import controls, findings, pictures, usable
from gan_da_jax.report.arms import ArmRuns, Board, differing
from gan_da_jax.report.board import account_of
from gan_da_jax.report.explanation import drawn_by
from gan_da_jax.report.health import troubles
from gan_da_jax.report.page import leaks_and_copies, seen_classes
from gan_da_jax.report.study_file import Plan
from gan_da_jax.runs.config import flatten
from gan_da_jax.runs.folder import Folder
from gan_da_jax.runs.read import RecordedRun

if TYPE_CHECKING:
    from gan_da_jax.report.charts.choose import Chart  # which takes seconds to import


def render(
    title: str,
    arms: list[ArmRuns],
    boards: list[Board],
    left_out: Mapping[str, str],
    plan: Plan | None,
    charts: Mapping[tuple, "Chart"],
) -> str:
    """Write the page; it loads nothing from elsewhere, and links only to the folders of runs.

    Args:
        title: the name of the reported folder.
        arms: all arms.
        boards: the boards of these arms; [] if none is evaluated yet.
        left_out: name of a run -> name of the run that it repeats.
        plan: which runs of a study are missing; None if this is not a study.
        charts: as from `choose.draw`.

    Raises:
        UserError: a sample grid or preview of a run is not a readable picture.
    """
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
    )
    environment.filters |= {
        "written": written,
        "signed": signed,
        "size": controls.size,
        "ends": controls.ends,
        "link": _link,
        "prose": _prose,
    }
    environment.globals |= {"level": LEVEL, "diverged": usable.DIVERGED}
    sheets = {key: pictures.embed_png(chart.png) for key, chart in charts.items() if key[0] in ("preview", "samples")}
    uris = {key: pictures.uri("image/svg+xml", chart.svg) for key, chart in charts.items() if key not in sheets}
    sources = list(dict.fromkeys(arm.source for arm in arms))
    runs = [run for arm in arms for run in arm.runs]
    configs = [dict(flatten(run.config)) for run in runs]
    own = differing(configs)
    return environment.get_template("page.html").render(
        title=title,
        sources=sources,
        arms=[_training(arm, uris.get(("losses", number))) for number, arm in enumerate(arms)],
        drawn_by=drawn_by(arms),
        boards=[
            account_of(board)
            | {
                "charts": {kind: _of(uris, kind, number) for kind in ("bars", "counts", "classes", "curve", "ranking")},
                "sights": seen_classes.of_board(board),
                "leaks": (found := leaks_and_copies.leaks(board)) and found | {"charts": _of(uris, "leakage", number)},
                "copies": (found := leaks_and_copies.copies(board))
                and found | {"charts": _of(uris, "memorisation", number)},
            }
            for number, board in enumerate(boards)
        ],
        findings=[
            (by[0], findings.of_boards(alike))
            for by, alike in findings.by_judge(boards).items()
            if max(len(board.standings) for board in alike) > 1
        ],
        previews=[(sources[number], sheet) for (kind, number), sheet in sheets.items() if kind == "preview"],
        sheets=[(sources[number], sheet) for (kind, number), sheet in sheets.items() if kind == "samples"],
        runs=[_evidence(run, fields) for run, fields in zip(runs, own, strict=True)],
        config={field: found for field, found in configs[0].items() if field not in own[0]},
        machines=_machines(runs),
        left_out=left_out,
        plan=plan,
    )


def _link(run: RecordedRun) -> str:
    """Return the address of a run's folder, from the folder of the page."""
    return "../" if run.name == "." else f"../{quote(run.name, errors='surrogateescape')}/"


def _prose(text: str) -> str:
    """Write a sentence as safe HTML: what stands between backticks becomes code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _of(uris: Mapping[tuple, str], kind: str, number: int) -> dict[Any, str]:
    """Return the charts of one kind and board: what each is of -> its address."""
    return {key[2]: uri for key, uri in uris.items() if key[:2] == (kind, number)}


def _training(arm: ArmRuns, losses: str | None) -> dict[str, Any]:
    """Say what one arm was trained on and how far."""
    first, config = arm.runs[0], arm.runs[0].config
    ops = Counter(record["op"] for record in first.manifest["records"])
    speeds = [row["images_per_second"] for run in arm.runs for row in run.metrics if row.get("images_per_second")]
    return {
        "arm": arm,
        "originals": ops.pop("original", 0),
        "ops": dict(ops),
        "planned": None if config["train"].get("kimg") else config["train"].get("epochs"),
        "epochs": sorted({run.metrics[-1]["epoch"] for run in arm.runs if run.metrics}),
        "kimg": sorted({run.metrics[-1]["kimg"] for run in arm.runs if run.metrics}),
        "batch": config["train"]["batch_size"],
        "size": first.manifest["source"]["image_size"],
        "width": config["model"]["width"],
        "devices": sorted({f"{len(run.config_json['devices'])} × {run.config_json['backend']}" for run in arm.runs}),
        "speed": statistics.median(speeds) if speeds else None,
        "losses": losses,
        "troubles": [(run.seed, trouble) for run in arm.runs for trouble in troubles(run)],
        "frames": _frames(first),
    }


def _frames(run: RecordedRun) -> list[dict[str, Any]]:
    """Gather sample grids over the training, each with its epoch."""
    epochs = {row["step"]: row["epoch"] for row in run.metrics}
    return [
        {
            "when": f"epoch {round(epochs[step], 1):g}" if step in epochs else f"step {step:,}",
            "picture": pictures.embed(path),
        }
        for step, path in pictures.frames(Folder(run.folder).sample_grids()).items()
    ]


def _evidence(run: RecordedRun, own: dict[str, Any]) -> dict[str, Any]:
    """Gather the fields in which a run differs from others, and the hashes to check it by."""
    return {
        "run": run,
        "differing": {
            field: found for field, found in own.items() if not (field == "augment.count" and run.arm.baseline)
        },
        "weights": sorted({row["weights_sha256"] for row in run.scores}),
        "state": next((row["state_sha256"] for row in reversed(run.metrics) if row.get("state_sha256")), ""),
    }


def _machines(runs: list[RecordedRun]) -> list[dict[str, Any]]:
    """List the different environments that the runs were made in, each with its runs."""
    found: dict[str, dict] = {}
    for run in runs:
        machine = {key: run.config_json[key] for key in ("versions", "devices", "backend")}
        found.setdefault(json.dumps(machine, sort_keys=True), machine | {"runs": []})["runs"].append(run.name)
    return list(found.values())
