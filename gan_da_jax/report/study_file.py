"""A study's own file, study.json -> which of its runs failed and which are missing."""

from pathlib import Path
from typing import NamedTuple

from gan_da_jax.files import io, schemas
from gan_da_jax.report.arms import Arm
from gan_da_jax.runs.read import printable


class Plan(NamedTuple):
    """`failed`: name of a run -> the reason; `missing`: names of planned runs that there are no files of."""

    failed: dict[str, str]
    missing: list[str]


def read(workdir: Path, arms: list[Arm]) -> Plan | None:
    """Holds the arms that were found against the plan in `workdir`; None if there is no plan.

    The plan is {"format": 1, "arms": ["SOURCE/ARM", ...], "seeds": [...], "failed": [{"run", "reason"}, ...]}. A run is
    called SOURCE/ARM/seedK.

    Raises:
        UserError: the file cannot be understood.
    """
    path = workdir / "study.json"
    if not path.is_file():
        return None
    plan = printable(io.read_json(path))
    schemas.require(plan, schemas.STUDY, str(path))
    failed = {one["run"]: one["reason"] for one in plan["failed"]}
    planned = [f"{arm}/seed{seed}" for arm in plan["arms"] for seed in plan["seeds"]]
    found = {run.name for arm in arms for run in arm.runs}
    return Plan(failed, [name for name in planned if name not in found | failed.keys()])
