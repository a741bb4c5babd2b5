"""What the warm server runs for tests prints, exits and fails as if it had been started cold."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

SERVER = Path(__file__).parents[1] / "warm" / "server.py"
CVA = ("python", "-m", "cva_sql.cli.app")
CALLS: dict[str, tuple[int, tuple[str, ...]]] = {
    "prints": (0, (*CVA, "sql", "--db", "shop.duckdb", "--json")),
    "fails": (1, (*CVA, "run", "--db", "shop.duckdb")),
    "is misused": (2, (*CVA, "run", "--no-such-option")),
    "is a script": (0, ("cva", "--help")),
    "is dbt": (2, ("python", "-W", "ignore", "-m", "dbt.cli.main", "parse", "--vars", "{")),
}
CLOCK = re.compile(r"\d\d:\d\d:\d\d")  # dbt says the time
SQL = "create or replace table t as select 'é' as a, current_setting('TimeZone') as zone; from t"


def call(arguments: tuple[str, ...], folder: Path, is_cold: str) -> tuple[int, str, str]:
    program, *others = arguments
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *others],
        input=SQL,
        cwd=folder,
        env={**os.environ, "TZ": "Asia/Tokyo", "CVA_TESTS_COLD": is_cold},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, CLOCK.sub("", done.stdout), done.stderr


@pytest.mark.parametrize("name", CALLS)
def test_a_warm_call_prints_and_exits_as_a_cold_one(name: str, tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    exit_code, arguments = CALLS[name]
    cold = call(arguments, tmp_path, "1")
    assert cold[0] == exit_code
    assert cold[1] or cold[2]
    assert call(arguments, tmp_path, "") == cold


def start_server() -> tuple[subprocess.Popen[str], Path]:
    server = subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    return server, Path(server.stdout.readline().strip())


def test_a_killed_call_and_whatever_is_left_at_the_end_are_gone(tmp_path: Path) -> None:
    """A call holds its end of a pipe as long as it lives."""
    server, folder = start_server()
    prompt = [str(folder / "cva"), "sql", "--db", str(tmp_path / "shop.duckdb"), "select 1"]
    duckdb.connect(str(tmp_path / "shop.duckdb")).close()
    subprocess.run(prompt, check=True)
    for is_client_killed in (True, False):
        ours, its = os.pipe()
        client = subprocess.Popen(prompt[:-1], stdin=subprocess.PIPE, stderr=its)
        os.close(its)
        assert not select.select([ours], [], [], 0.5)[0]
        if is_client_killed:
            client.kill()
        else:
            server.communicate()
        assert client.wait() == (-signal.SIGKILL if is_client_killed else 1)
        while os.read(ours, 100):
            pass
        os.close(ours)
    assert server.returncode == -signal.SIGKILL
    assert not folder.exists()
