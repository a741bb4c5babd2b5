"""No text of users reaches a terminal as something that it would obey."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cva_sql.cli.shop import terminal
from cva_sql.cli.shop.progress import say
from cva_sql.cli.shop.terminal import Shown, for_programs, json_text, visible, visible_line

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\x08\r\x7f\u202eevil\u2069\u2028\udcff\x85"
SPELT = r"\x1b]0;owned\x07\x1b[2J\x9b31m\x08\x0d\x7f\u202eevil\u2069\u2028\udcff\x85"


def test_what_a_terminal_obeys_is_spelt() -> None:
    assert visible(HOSTILE) == SPELT
    assert visible("Łódź\t訂單\nÜ é ½ 👩‍👧 میرے") == "Łódź\t訂單\nÜ é ½ 👩‍👧 میرے"
    assert visible_line("a\ncva: all is well\n") == r"a\ncva: all is well"


def test_json_keeps_what_it_says() -> None:
    text = json_text({HOSTILE: [HOSTILE, "Łódź"]})
    assert visible(text) == text
    assert json.loads(text) == {HOSTILE: [HOSTILE, "Łódź"]}
    assert "Łódź" in text


def test_progress_is_one_line_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a\n{HOSTILE}")
    assert capsys.readouterr().err == f"a\\n{SPELT}\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_data_for_programs_is_left_alone_and_a_terminal_is_not_a_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for stream, expected in ((io.StringIO(), "\x1b"), (Terminal(), r"\x1b")):
        shown: Any = Shown(stream)
        monkeypatch.setattr(terminal.sys, "stdout", shown)
        for_programs().write("\x1b")
        assert stream.getvalue() == expected


def cva(*args: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, "-m", "cva_sql.cli.app", *args]
    return subprocess.run(call, capture_output=True, check=False, cwd=folder)


ESCAPES = "\x1b[31m\u202e\x9b"


@pytest.mark.parametrize(
    "args",
    [
        (ESCAPES,),
        (f"--{ESCAPES}",),
        ("run", "--db", f"{ESCAPES}.duckdb"),
        ("run", "--as-of", ESCAPES),
        ("run", "--vars", f"{{{ESCAPES}: 1}}"),
        ("models", "info", f"{ESCAPES}\nall is well"),
        ("export-model", ESCAPES, "--out", "out"),
        ("sql", f"select 1 as \"{ESCAPES}\", '{ESCAPES}'"),
        ("sql", f"select no_column_{ESCAPES}"),
        ("sql", "--json", f"select 1 as \"{ESCAPES}\", '{ESCAPES}'"),
        ("load", "orders", "orders.csv", "--db", "other.duckdb"),
        ("load", "orders", f"{ESCAPES}.csv"),
        ("explain", ESCAPES),
        ("report", "--out", f"{ESCAPES}/x.html"),
        ("doctor",),
    ],
    ids=lambda args: ascii(" ".join(args))[:50],
)
def test_no_command_passes_an_escape_on(args: tuple[str, ...], folder: Path) -> None:
    done = cva(*args, folder=folder)
    for written in (done.stdout, done.stderr):
        text = written.decode()
        assert visible(text) == text
        assert "Traceback" not in text
    if "--json" in args:
        assert json.loads(done.stdout) == [{ESCAPES: 1, f"'{ESCAPES}'": ESCAPES}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose columns, ids and statuses have escapes in them."""
    import duckdb

    here = tmp_path_factory.mktemp("terminal")
    rows = "".join(f"{n},c{ESCAPES}{n},2025-01-0{n},{n},{ESCAPES}\n" for n in range(1, 6))
    text = f"order_id,customer_id,ordered_at,am{ESCAPES}ount,status\n{rows}"
    (here / "orders.csv").write_text(text, encoding="utf-8")
    with duckdb.connect(str(here / "shop.duckdb")) as con:
        con.execute("create schema raw")
        con.execute(
            "create table raw.orders as select order_id::varchar as order_id, customer_id, "
            "ordered_at, 1.0 as amount, status as status "
            f"from read_csv('{here / 'orders.csv'}')"
        )
    return here


def test_csv_keeps_the_bytes_of_the_data(folder: Path) -> None:
    done = cva("sql", "--csv", f"select '{ESCAPES}' as a", folder=folder)
    assert done.stdout.decode() == f"a\n{ESCAPES}\n"
