"""A study's own file, study.json -> which of its runs failed and which are missing."""

from pathlib import Path
from typing import Any, NamedTuple

from gan_da_jax import records
from gan_da_jax.errors import UserError
from gan_da_jax.report.arms import Arm


class Plan(NamedTuple):
    """`failed`: name of a run -> the reason; `missing`: names of planned runs that there are no files of."""

    failed: dict[str, str]
    missing: list[str]


def read(workdir: Path, arms: list[Arm]) -> Plan | None:
    """Holds the arms that were found against the plan in `workdir`; None if there is no plan.

    The plan is {"format": 1, "arms": [...], "seeds": [...], "failed": [{"run", "reason"}, ...]}. A run is called
    ARM/seedK, or SOURCE/ARM/seedK: where the plan's arms name no source, each source is to have all of them.

    Raises:
        UserError: the file cannot be understood.
    """
    path = workdir / "study.json"
    if not path.is_file():
        return None
    plan: Any = records.read_json(path)
    try:
        failed = {one["run"]: one["reason"] for one in plan["failed"]}
        tails = [f"{arm}/seed{seed}" for arm in plan["arms"] for seed in plan["seeds"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} lacks {error}: was it written by another version? Remove it, or study again") from None
    found = {run.name for arm in arms for run in arm.runs}
    sources = {name.removesuffix(tail) for name in found for tail in tails if f"/{name}".endswith(f"/{tail}")}
    planned = [source + tail for source in sorted(sources) for tail in tails]
    return Plan(failed, [name for name in planned if name not in found | failed.keys()])
