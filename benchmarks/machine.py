"""Describes the machine of a benchmark, and the memory of a process."""

import importlib.metadata
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any


def describe_machine(*packages: str) -> dict[str, Any]:
    """Describe processor, system and versions, without host name or paths."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def instruction_set() -> str:
    """Return the instructions that the compiled Hamming kernels use here: those of Numba's target.

    With ``NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+ssse3,+popcnt,+avx2`` (and, for FAISS,
    ``FAISS_OPT_LEVEL=avx2``) a newer processor shows the speed of one with AVX2.
    """
    from numba.core.registry import cpu_target

    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    names = {
        "+avx512vpopcntdq": "AVX-512 VPOPCNTDQ",
        "+avx512bw": "AVX-512",
        "+avx2": "AVX2",
        "+neon": "NEON",
    }
    given = features.split(",")
    return next((name for feature, name in names.items() if feature in given), "others")


def named_by_instructions(path: Path) -> Path:
    """Return the name of a result of the Hamming kernels: such as ``search_avx2.json`` of AVX2.

    That of a processor with AVX-512 VPOPCNTDQ has no addition.
    """
    name = instruction_set()
    if name == "AVX-512 VPOPCNTDQ":
        return path
    return path.with_stem(f"{path.stem}_{name.lower().replace('-', '')}")


def peak_megabytes() -> float:
    """Return the peak memory of this process in megabytes."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    # On other systems. On Linux this would include the memory of the parent process.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _lines(name: str) -> list[str]:
    """Return the lines of a file, or none if it does not exist."""
    path = Path(name)
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
