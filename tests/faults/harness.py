"""Harms a shop in every way that can be thought of, and counts what was lost: make faults.

python tests/faults/harness.py [--short] [--kills 200] [--seed 1] [--only kills ...]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import combinations_with_replacement
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from shop import (
    COMMANDS,
    CUSTOMERS,
    DB,
    SLOW,
    Before,
    Counts,
    Reader,
    build,
    copied,
    digest,
    finish,
    killed_at,
    left_behind,
    published_problems,
    rerun,
    said_well,
    start,
)

SHORT_KILLS = 10  # one of each command
SHORT_DISKS = ("load", "deploy", "publish", "report")
RERUN_EVERY = 5  # kills of what takes long; of all else each one
HARMED = (
    "published/current", "published/current/cva.duckdb", "cva_models/deployed.json",
    "cva_models/value/*/manifest.json", "cva_models/value/*/model.onnx", ".cva/profiles.yml",
    f".cva/{DB}.lock", ".cva/target/partial_parse.msgpack", DB,
)  # fmt: skip
HARMS = ("truncated", "flipped", "swapped", "folder", "link")
FOLDERS = (".", "published", ".cva", "cva_models")


class Harness:
    """One shop, and the faults that are tried on copies of it."""

    def __init__(self, root: Path, *, short: bool, kills: int, seed: int) -> None:
        self.root, self.short, self.counts = root, short, Counts()
        self.number = SHORT_KILLS if short else kills
        self.random = random.Random(seed)
        self.shop = root / "shop"
        self.shop.mkdir()
        build(self.shop, trained=not short)
        self.before = Before.of(self.shop)

    def copy(self) -> Path:
        return copied(self.shop, self.root / "copy")

    def kills(self) -> None:
        """SIGKILL at random points of each command, with a reader open throughout."""
        each = max(1, self.number // len(COMMANDS))
        for name, command in COMMANDS.items():
            folder = self.copy()
            seconds = self._seconds(name, folder)
            with Reader(folder) as reader:
                for n in range(1, each + 1):
                    at = self.random.uniform(0.05, seconds)
                    problems = killed_at(folder, command, at) + self.before.problems(folder)
                    if self._is_rerun(name, n, each):
                        problems += rerun(folder, command) + self.before.problems(folder)
                        problems += left_behind(folder)
                    self.counts.add("killed", f"{name} after {at:.2f} s", problems)
            self.counts.add("a reader open", f"{name}, {reader.reads} reads", reader.failed)

    def _seconds(self, name: str, folder: Path) -> float:
        """How long a command takes; in the short form a guess, for training takes the longest."""
        if self.short and name in SLOW:
            return 8.0
        started = time.monotonic()
        self.counts.add("undisturbed", name, rerun(folder, COMMANDS[name]))
        return time.monotonic() - started

    def _is_rerun(self, name: str, n: int, each: int) -> bool:
        if name not in SLOW:
            return True
        is_last = n == each
        return is_last and name == "run" if self.short else is_last or n % RERUN_EVERY == 0

    def disks(self) -> None:
        """No room for the next write: what fails says so, and leaves what was."""
        for name, command in COMMANDS.items():
            if self.short and name not in SHORT_DISKS:
                continue
            for free in (0,) if self.short else (0, 65_536, 1_000_000, 4_000_000):
                with Disk(self.root / "disk", self.shop, free) as disk:
                    problems = said_well(disk.folder, command, **disk.options)
                    problems += self.before.problems(disk.folder)
                    disk.empty()
                    problems += rerun(disk.folder, command) + left_behind(disk.folder)
                self.counts.add(disk.fault, f"{name} with {free:,} bytes", problems)

    def pairs(self) -> None:
        """Two commands at once: both are done, or one says that the shop is in use."""
        pairs = list(combinations_with_replacement(COMMANDS, 2))
        if self.short:
            pairs = [("load", "load"), ("append", "publish"), ("deploy", "report")]
        for one, other in pairs:
            folder = self.copy()
            both = [start(folder, COMMANDS[name]) for name in (one, other)]
            problems = [problem for process in both if (problem := finish(process)[1])]
            problems += self.before.problems(folder) + left_behind(folder)
            self.counts.add("two at once", f"{one} and {other}", problems)

    def folders(self) -> None:
        """Folders that may not be written to, not even by root."""
        options: dict[str, object] = {"preexec_fn": obey_modes} if os.getuid() == 0 else {}
        for name, command in COMMANDS.items():
            if self.short and name not in ("load", "publish", "report"):
                continue
            for part in FOLDERS[:1] if self.short else FOLDERS:
                folder = self.copy()
                (folder / part).chmod(0o555)
                problems = said_well(folder, command, **options)
                (folder / part).chmod(0o755)
                problems += self.before.problems(folder)
                self.counts.add("read-only folder", f"{name}, {part}", problems)

    def artefacts(self) -> None:
        """Each file of ours cut, changed, swapped, or replaced by a folder or a link."""
        names = ("publish",) if self.short else ("publish", "explain", "report", "run")
        outside = self.root / "outside"
        for number, pattern in enumerate(HARMED):
            for harm in (HARMS[number % len(HARMS)],) if self.short else HARMS:
                folder = self.copy()
                found = sorted(folder.glob(pattern))
                if not found:
                    continue
                outside.write_bytes(b"of somebody else")
                untouched = digest(outside)
                harmed(found[0], harm, outside)
                problems = [p for name in names for p in said_well(folder, COMMANDS[name])]
                if pattern == "published/current/cva.duckdb":
                    problems += published_problems(folder)  # the run after the harm replaced it
                if digest(outside) != untouched:
                    problems.append("a link was followed out of the shop")
                if pattern != DB and not pattern.startswith("published"):
                    problems += self.before.problems(folder)
                self.counts.add(f"a file {harm}", pattern, problems)


def obey_modes() -> None:
    """Root gives up the right to pass over the modes of files, for this process."""
    set_off, over_modes = 24, (1, 2)  # PR_CAPBSET_DROP; CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    for right in over_modes:
        ctypes.CDLL(None, use_errno=True).prctl(set_off, right, 0, 0, 0)


def harmed(path: Path, harm: str, outside: Path) -> None:
    """Does the harm to the file."""
    data = path.read_bytes() if path.is_file() else b""
    if path.is_symlink() or path.is_file():
        path.unlink()
    if harm == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "flipped":
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes(255 - b for b in data[middle : middle + 64]))
    elif harm == "swapped":
        path.write_bytes(b'{"a": "file of another kind"}')
    elif harm == "folder":
        path.mkdir()
    else:
        path.symlink_to(outside)


class Disk:
    """A copy of the shop with so much room left: on a tmpfs, else by the highest size of a file."""

    def __init__(self, folder: Path, shop: Path, free: int) -> None:
        self.folder, self.options = folder, dict[str, object]()
        folder.mkdir(exist_ok=True)
        size = sum(file.stat().st_size for file in shop.rglob("*") if file.is_file())
        mount = ["mount", "-t", "tmpfs", "-o", f"size={3 * size + 50_000_000}", "cva", str(folder)]
        self.is_mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self.fault = "disk full" if self.is_mounted else "files of a highest size"
        shutil.copytree(shop, folder, symlinks=True, dirs_exist_ok=True)
        if self.is_mounted:
            left = os.statvfs(folder)
            with (folder / "ballast").open("wb") as file:
                file.write(bytes(max(0, left.f_bavail * left.f_frsize - free)))
        else:
            most = free or 1

            def limit() -> None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

            self.options["preexec_fn"] = limit

    def empty(self) -> None:
        (self.folder / "ballast").unlink(missing_ok=True)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)
        else:
            shutil.rmtree(self.folder)


FAULTS = ("kills", "disks", "pairs", "folders", "artefacts")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few of each, in two minutes")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=FAULTS, default=FAULTS)
    given = parser.parse_args()
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    with tempfile.TemporaryDirectory(prefix="cva-faults-") as name:
        Path(name).chmod(0o755)
        harness = Harness(Path(name), short=given.short, kills=given.kills, seed=given.seed)
        for fault in given.only:
            started = time.monotonic()
            getattr(harness, fault)()
            print(f"{fault}: {time.monotonic() - started:.0f} s", flush=True)
    for fault, times in harness.counts.tried.items():
        print(f"{fault:28} {times:5}")
    print(f"{CUSTOMERS} customers, seed {given.seed}: {len(harness.counts.lost)} lost")
    return 1 if harness.counts.lost else 0


if __name__ == "__main__":
    sys.exit(main())
