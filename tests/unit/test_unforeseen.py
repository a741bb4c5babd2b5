"""An error that nobody foresaw is one line, and its traceback is in a file that the line names."""

from __future__ import annotations

import errno
import re
import stat
import tempfile
from pathlib import Path

import pytest

from cva_sql.cli import app
from cva_sql.cli.shop.unforeseen import unforeseen

ROOT = Path(__file__).parents[2]
CATCHES_ALL = re.compile(r"except( Exception| BaseException|\s*:)")
# Where an error of any kind is told in one line with its log; elsewhere it is raised again.
SAY_IT = {"cli/app.py", "cli/train/kinds.py"}


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("size"), "KeyError: 'size'"),
        (RuntimeError("first\nsecond\n" * 50), "RuntimeError: first"),
        (RuntimeError(), "RuntimeError"),
        (MemoryError(), "the memory does not suffice"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("x" * 5000), f"ValueError: {'x' * 59}…"),
    ],
)
def test_an_unforeseen_error_is_one_line_with_its_log(
    error: Exception,
    said: str,
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as done:
        app.main()
    (log,) = logs.iterdir()
    assert done.value.code == 1
    assert capsys.readouterr().err == f"cva: {said} (the whole of it: {log})\n"
    assert "Traceback" in log.read_text(encoding="utf-8")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_where_no_log_can_be_written_the_line_is_said_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    assert unforeseen(KeyError("size")) == (
        "KeyError: 'size' (a log could not be written: No space left on device)"
    )


def test_nothing_catches_every_error_and_hides_it() -> None:
    """Either the block raises it again, or it is one of the places that say it with its log."""
    for folder in ("cli", "udfs", "models_onnx", "dbt_project"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = path.read_text(encoding="utf-8").splitlines()
            for at, line in enumerate(lines):
                if not CATCHES_ALL.match(line.strip()):
                    continue
                name = path.relative_to(ROOT).as_posix()
                block = "\n".join(lines[at : at + 8])
                assert ("unforeseen(" in block) if name in SAY_IT else ("raise" in block), name


@pytest.mark.parametrize(
    "call", [("load", "orders", "{}"), ("doctor", "--project={}"), ("doctor", "--db={}")]
)
def test_a_name_too_long_for_a_file_is_misuse(
    call: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cva", *(part.replace("{}", "x" * 500) for part in call)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert "give a shorter one" in capfd.readouterr().err
