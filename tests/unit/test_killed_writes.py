"""What a process that was killed left of a file goes when that file is written again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cva_sql.cli.shop.files import unfinished, write_atomic
from cva_sql.cli.shop.model_store import store_model
from cva_sql.udfs.manifest import Manifest
from tests.faults.shop import left_behind

KILLED = """
import os, signal, sys
from pathlib import Path
from cva_sql.cli.shop.files import write_atomic
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_atomic(Path(sys.argv[1]), b"half")
"""


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("name", ["report.html", ".gitignore", "a[b]*.html"])
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / name)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(left_behind(tmp_path)) == 1
    write_atomic(tmp_path / name, b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"whole"}


def test_nothing_goes_that_may_be_of_a_live_process_or_of_somebody_else(tmp_path: Path) -> None:
    dead = dead_process()
    kept = [
        f".file.cva-{os.getppid()}",
        ".file.20240101",
        f".file.cva-{dead}.txt",
        f".file.cva-0{dead}",
        f".other.cva-{dead}",
        f"file.cva-{dead}",
    ]
    for name in kept:
        (tmp_path / name).write_text("kept")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "mine").write_text("mine")
    (tmp_path / f".file.cva-{dead}").symlink_to(tmp_path / "precious")
    write_atomic(tmp_path / "file", b"new")
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "file", "precious"}
    assert (tmp_path / "precious" / "mine").read_text() == "mine"


def test_a_model_that_was_half_stored_goes_when_it_is_stored(tmp_path: Path) -> None:
    manifest = Manifest("toy", "v1", "0" * 64, (), 90, False, 17, {}, {})
    half = unfinished(tmp_path / "toy" / "v1")
    half = half.with_name(half.name.replace(str(os.getpid()), str(dead_process())))
    half.mkdir(parents=True)
    (half / "model.onnx").write_text("half")
    store_model(tmp_path, b"model", manifest)
    assert [path.name for path in (tmp_path / "toy").iterdir()] == ["v1"]
