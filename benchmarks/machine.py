"""Where the figures come from: without this line they mean nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def description(directory: Path) -> str:
    """Machine, processor, disk of `directory`, Python and the versions that matter."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("flask", "werkzeug", "httptools", "granian", "msgspec"))
    return (
        f"{platform.system()} {platform.release()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, "
        f"{_file_system(directory)}; Python {platform.python_version()}, {packages}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _file_system(directory: Path) -> str:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "file system unknown"
    device = directory.stat().st_dev
    for line in reversed(mounts.read_text().splitlines()):
        point, kind = line.split()[1:3]
        if Path(point).exists() and Path(point).stat().st_dev == device:
            return kind
    return "file system unknown"
