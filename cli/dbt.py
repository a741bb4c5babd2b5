"""Runs the packaged dbt project on a user's database, from a folder that may be read-only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cva_sql.cli.progress import say
from cva_sql.cli.project import project_dir
from cva_sql.udfs.errors import CvaError

QUIET_SECONDS = 2.0  # a line of progress at most this often
OUR_PROGRESS = "cva: "  # what a SQL function that takes long writes to stderr starts with this


@dataclass(frozen=True)
class Shop:
    """A database and what belongs beside it. `schema` is the target schema of the marts."""

    db: Path
    models_dir: Path
    vars: Mapping[str, Any] = field(default_factory=dict)
    schema: str = "main"

    @property
    def work_dir(self) -> Path:
        """dbt's own files: profile, target, logs."""
        return self.db.resolve().parent / ".cva"

    @property
    def published(self) -> Path:
        """The folder that readers open."""
        return self.db.parent / "published"


@contextmanager
def exclusive(shop: Shop) -> Iterator[None]:
    """Keeps other `cva` commands that write off the shop, also between dbt's turns.

    The system lets go of it when the process ends, however it ends. Raises CvaError where another
    process has it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows: DuckDB's own lock has to do
        yield
        return
    shop.work_dir.mkdir(parents=True, exist_ok=True)
    with (shop.work_dir / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CvaError(
                f"{shop.db} is in use by another process; wait for it, or read published/current"
            ) from None
        yield


def run_dbt(
    shop: Shop,
    command: str,
    *,
    select: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    schema: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """`dbt <command>` on the shop, progress on stderr; a CvaError with dbt's reason if it fails.

    `environment` is added to the process's own.
    """
    work = shop.work_dir
    work.mkdir(parents=True, exist_ok=True)
    _write_profile(shop, schema or shop.schema)
    arguments = [
        sys.executable, "-m", "dbt.cli.main", "--log-format", "json", "--no-use-colors", command,
        "--project-dir", str(project_dir()), "--profiles-dir", str(work),
        "--vars", json.dumps({**shop.vars, **(variables or {})}),
    ]  # fmt: skip
    if command == "build":
        # The unit tests prove the package, not the shop's data: they run in its own test suite.
        arguments += ["--exclude-resource-type", "unit_test"]
    if select:
        arguments += ["--select", *select]
    settings = {
        **os.environ,
        **(environment or {}),
        "DBT_TARGET_PATH": str(work / "target"),
        "DBT_LOG_PATH": str(work / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=settings,
        cwd=work,
        preexec_fn=_die_with_parent(),
    )
    errors = _follow(process)
    if process.wait() != 0:
        raise CvaError(_reason(errors) + f" (dbt's log: {work / 'logs' / 'dbt.log'})")


def _write_profile(shop: Shop, schema: str) -> None:
    """The profile that points at the shop; JSON is YAML."""
    plugin = {
        "module": "cva_sql.udfs.plugin",
        "config": {"models_dir": str(shop.models_dir.resolve())},
    }
    output = {
        "type": "duckdb",
        "path": str(shop.db.resolve()),
        "schema": schema,
        "threads": max(1, os.cpu_count() or 1),
        "plugins": [plugin],
    }
    profile = {"cva": {"target": "run", "outputs": {"run": output}}}
    (shop.work_dir / "profiles.yml").write_text(json.dumps(profile, indent=2), encoding="utf-8")


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux a killed `cva` takes its dbt along, which would else hold the database's lock."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None, use_errno=True).prctl
    pr_set_pdeathsig, sigkill = 1, 9
    return lambda: prctl(pr_set_pdeathsig, sigkill)


def _follow(process: subprocess.Popen[str]) -> list[str]:
    """Reports finished models as they come; returns the error texts."""
    errors: list[str] = []
    last = time.monotonic()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(OUR_PROGRESS):
            say(f"  {line.removeprefix(OUR_PROGRESS).rstrip()}")
            continue
        try:
            event = json.loads(line)
            info, data = event["info"], event.get("data", {})
        except (ValueError, KeyError, TypeError):
            errors.append(line.strip())
            continue
        if info.get("level") == "error":
            errors.append(str(info.get("msg", "")))
        if info.get("name") == "JinjaLogInfo":  # a model has something to say
            say(f"  {data.get('msg', '')}")
        if info.get("name") in {"LogModelResult", "LogTestResult"}:
            now = time.monotonic()
            if now - last >= QUIET_SECONDS:
                last = now
                name = data.get("node_info", {}).get("node_name", "")
                total = data.get("total") or data.get("num_models")
                say(f"  dbt {data.get('index')}/{total} {name}")
    return errors


NOISE = re.compile(
    r"^(Completed with|Done\.|Finished running|compiled code at|Encountered an error|Traceback|"
    r"\[?\d\d:\d\d:\d\d|> (in macro|called by) |"
    r"Failure in (model|test|unit_test)|\d+ of \d+ (ERROR|FAIL)|$)"
)


def _reason(errors: Sequence[str]) -> str:
    """dbt's errors in one line: our own message where there is one, else the first with a why."""
    text = "\n".join(errors)
    ours = re.search(r"(?:ModelError|CvaError|ValueError): (.+)", text)
    if ours:
        return ours.group(1).strip()
    lines = [line.strip() for line in text.splitlines()]
    failed = [line for line in lines if "Failure in test" in line]
    if failed:
        return "; ".join(failed)
    lines = [line for line in lines if not NOISE.match(line)]
    starts = [i for i, line in enumerate(lines) if "Error" in line]
    start = starts[0] if starts else 0
    return " ".join(lines[start : start + 4]) or "dbt failed without saying why"
