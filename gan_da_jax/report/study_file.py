"""A study's file, study.json -> which of its runs failed and which are missing."""

from pathlib import Path
from typing import NamedTuple

from gan_da_jax.files import io, schemas
from gan_da_jax.report.arms import ArmRuns
from gan_da_jax.runs.read import printable


class Plan(NamedTuple):
    """What became of the runs that a study planned.

    Attributes:
        failed: name of a run -> why it failed.
        missing: the names of planned runs that have left no files and have not failed.
    """

    failed: dict[str, str]
    missing: list[str]


def read(workdir: Path, arms: list[ArmRuns]) -> Plan | None:
    """Compare the runs that were found with the plan in `workdir`; None if there is no plan.

    The plan is {"format": 1, "arms": ["SOURCE/ARM", ...], "seeds": [...], "failed": [{"run", "reason"}, ...]}. The name
    of a run is SOURCE/ARM/seedK.

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
