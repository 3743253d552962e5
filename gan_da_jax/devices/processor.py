"""The processor of this machine."""

import os
import platform
from pathlib import Path


def processor() -> str:
    """Name the model of the processor and the number of cores that this process may use: `AMD EPYC 7763 x 2`."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{models[0] if models else platform.processor() or platform.machine()} x {cores}"
