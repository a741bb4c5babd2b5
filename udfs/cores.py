"""How many cores this process may use: those it was given, not those the machine has."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

THREADS_VARIABLE = "CVA_THREADS"
GROUPS_FILE = Path("/proc/self/cgroup")
GROUPS_ROOT = Path("/sys/fs/cgroup")


@cache
def cores() -> int:
    """What CVA_THREADS says, else what affinity and the container's quota leave; 1 or more."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    if wanted.isascii() and wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    quota = cpu_quota(GROUPS_FILE, GROUPS_ROOT)
    known = _allowed()
    return max(1, min(known, math.ceil(quota)) if quota else known)


def _allowed() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on macOS and Windows
        return os.cpu_count() or 1


def cpu_quota(groups: Path, root: Path) -> float | None:
    """The least number of cores that this process's control group, or one above it, allows.

    Of both versions of control groups; None without a limit, or where there are no groups.
    """
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found: list[float] = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / controllers if controllers else root
        own = mount / path.strip("/")
        for folder in (own, *own.parents):
            if folder == root.parent:
                break
            limit = _limit_of(folder)
            if limit is not None:
                found.append(limit)
    return min(found, default=None)


def _limit_of(folder: Path) -> float | None:
    """Quota by period of one group; None where it has none."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()[:2]
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="utf-8").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="utf-8").strip()
        except OSError:
            return None
    try:
        cores = int(quota) / int(period)  # `max`, and -1 of the older version, are no limit
    except (ValueError, ZeroDivisionError):
        return None
    return cores if cores > 0 else None
