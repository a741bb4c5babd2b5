"""`cva sql`: what it prints, what it changes, and how it fails."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from cva_sql.cli.sql.command import sql
from cva_sql.cli.sql.printing import to_json
from cva_sql.udfs.errors import CvaError, UsageError


class Terminal(io.StringIO):
    """A stdin that somebody types into."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(
            "create table sales as select * from (values "
            "(1, 'Ann', 12.5::decimal(18, 4), timestamp '2025-03-01 10:00:00', date '2025-03-01'),"
            "(2, 'B \"x\", é', null, null, null)) as t(id, name, amount, ordered_at, day)"
        )
    return path


@pytest.fixture
def ask(db: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def call(statement: str | None = None, **options: bool) -> str:
        sql(statement, db=db, **options)  # type: ignore[arg-type]
        return capsys.readouterr().out

    return call


def piped(monkeypatch: pytest.MonkeyPatch, text: str, *, typed: bool = False) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(text) if typed else io.StringIO(text))


def test_the_default_is_duckdbs_box(ask: Callable[..., str]) -> None:
    said = ask("select id, name from sales order by id")
    assert said.startswith("┌")
    assert "Ann" in said
    assert said.endswith("┘\n")


def test_json_is_an_array_of_objects_with_iso_dates_and_plain_numbers(
    ask: Callable[..., str],
) -> None:
    rows = json.loads(ask("from sales order by id", as_json=True))
    assert rows == [
        {
            "id": 1,
            "name": "Ann",
            "amount": 12.5,
            "ordered_at": "2025-03-01T10:00:00",
            "day": "2025-03-01",
        },
        {"id": 2, "name": 'B "x", é', "amount": None, "ordered_at": None, "day": None},
    ]


def test_json_keeps_every_digit_of_a_decimal_and_shortens_single_precision(
    ask: Callable[..., str],
) -> None:
    said = ask("select 12345678901234.5678::decimal(18, 4) as d, 1.1::float as f", as_json=True)
    assert said == '[{"d": 12345678901234.5678, "f": 1.1}]\n'


def test_json_of_no_row_is_an_empty_array(ask: Callable[..., str]) -> None:
    assert ask("from sales where id > 9", as_json=True) == "[]\n"


def test_json_gives_each_of_two_equal_names_its_value(ask: Callable[..., str]) -> None:
    assert json.loads(ask("select 1 as a, 2 as a", as_json=True)) == [{"a": 1, "a_1": 2}]


def test_json_has_no_number_that_json_does_not_know(ask: Callable[..., str]) -> None:
    said = ask("select 'nan'::double as a, '-inf'::float as b", as_json=True)
    assert json.loads(said, parse_constant=pytest.fail) == [{"a": None, "b": None}]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{'a': 1, 'b': [true, null]}", {"a": 1, "b": [True, None]}),
        ("map {'k': 2.5}", {"k": 2.5}),
        ("'\\x01ab'::blob", "016162"),
        ("interval 1 day", "1 day, 0:00:00"),
        ("time '10:00:00'", "10:00:00"),
        ("170141183460469231731687303715884105727::hugeint", 2**127 - 1),
        ("'00000000-0000-0000-0000-000000000001'::uuid", "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_json_of_every_other_type(
    ask: Callable[..., str], expression: str, expected: object
) -> None:
    assert json.loads(ask(f"select {expression} as v", as_json=True)) == [{"v": expected}]


def test_csv_has_a_header_quotes_what_needs_it_and_leaves_null_empty(
    ask: Callable[..., str],
) -> None:
    rows = list(csv.reader(io.StringIO(ask("from sales order by id", as_csv=True))))
    assert rows[0] == ["id", "name", "amount", "ordered_at", "day"]
    assert rows[1] == ["1", "Ann", "12.5000", "2025-03-01T10:00:00", "2025-03-01"]
    assert rows[2] == ["2", 'B "x", é', "", "", ""]


def test_the_functions_are_registered_and_an_embedding_is_an_array(
    ask: Callable[..., str],
) -> None:
    query = "select cva_sentiment('I love it') as s, cva_embed('I love it') as v"
    (row,) = json.loads(ask(query, as_json=True))
    assert row["s"] > 0
    assert len(row["v"]) == 384
    assert sum(x * x for x in row["v"]) == pytest.approx(1, abs=1e-5)  # single precision


def test_an_error_of_duckdb_is_its_first_line(ask: Callable[..., str]) -> None:
    with pytest.raises(CvaError, match=r"^Parser Error: syntax error at or near \"selec\"$") as no:
        ask("selec 1")
    assert no.value.exit_code == 1
    with pytest.raises(CvaError, match=r"^Catalog Error: .* statement does not exist!$"):
        ask("from statement")  # the name of a variable of ours


def test_an_error_of_a_model_is_ours(ask: Callable[..., str]) -> None:
    with pytest.raises(CvaError, match=r"^feature `\w+` is missing; .*cva train$"):
        ask("select cva_predict({'a': 1})")


def test_misuse_is_said_with_what_to_do(ask: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        ask("select 1", as_json=True, as_csv=True)
    with pytest.raises(UsageError, match="no statement; give one"):
        ask("  -- nothing")
    with pytest.raises(UsageError, match="does not exist; load orders into it with: cva load"):
        sql("select 1", db=tmp_path / "none.duckdb")
    assert not (tmp_path / "none.duckdb").exists()


@pytest.mark.parametrize(
    "statement", ["from sales", "explain from sales", "show tables", "pragma version"]
)
def test_reading_leaves_the_file_and_the_folder_as_they_were(
    ask: Callable[..., str], db: Path, statement: str
) -> None:
    digest = hashlib.sha256(db.read_bytes()).digest()
    assert ask(statement)
    assert hashlib.sha256(db.read_bytes()).digest() == digest
    assert [path.name for path in db.parent.iterdir()] == [db.name]


def test_reading_does_not_mind_another_reader(ask: Callable[..., str], db: Path) -> None:
    with duckdb.connect(str(db), read_only=True):
        assert json.loads(ask("select count(*) as n from sales", as_json=True)) == [{"n": 2}]


def test_a_statement_that_writes_does_so_once(db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql("insert into sales (id) values (7), (8)", db=db)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "2 rows\n")
    sql("create sequence s; select nextval('s')", db=db, as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"nextval('s')": 1}]
    sql("select nextval('s') as n", db=db, as_csv=True)
    assert capsys.readouterr().out == "n\n2\n"
    with duckdb.connect(str(db), read_only=True) as con:
        assert con.execute("select count(*) from sales").fetchall() == [(4,)]


def test_read_only_refuses_to_write(ask: Callable[..., str]) -> None:
    with pytest.raises(CvaError, match="read-only mode"):
        ask("drop table sales", read_only=True)
    assert "sales" in ask("show tables")


def test_a_pipe_brings_several_statements(
    ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "create temp table t as select ';' as a;\nselect a from t; -- done\n")
    assert ask(as_csv=True) == "a\n;\n"


def test_a_pipe_that_cannot_be_parsed_runs_nothing(
    ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "drop table sales; selec 1")
    with pytest.raises(CvaError, match="Parser Error"):
        ask()
    assert "sales" in ask("show tables")


def test_the_prompt_takes_lines_until_a_semicolon_and_survives_errors(
    db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = "\nselect id\nfrom sales where name <> 'x;\n' order by id;\nselec;\nselect 5 as five;\n"
    piped(monkeypatch, f"{typed}.quit\nselect 6 as six;\n", typed=True)
    sql(db=db, as_csv=True)
    said = capsys.readouterr()
    assert said.out == "id\n1\n2\nfive\n5\n"
    assert "cva: Parser Error" in said.err
    assert ".quit" in said.err


def test_the_prompt_ends_with_its_input(
    db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    piped(monkeypatch, "select 1 as one", typed=True)
    sql(db=db, as_csv=True)
    assert capsys.readouterr().out == "one\n1\n"


def test_a_plan_is_shown_as_it_is_drawn(ask: Callable[..., str]) -> None:
    assert "\\n" not in ask("explain from sales")


def test_what_is_appended_to_keeps_what_it_had(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("before\n")
    command = [sys.executable, "-m", "cva_sql.cli.app", "sql", "select 1 as a; select 2 as b"]
    with file.open("a") as out:
        subprocess.run([*command, "--db", str(db), "--csv"], stdout=out, check=True)
    assert file.read_text() == "before\na\n1\nb\n2\n"


def test_json_of_a_bare_value() -> None:
    assert to_json(None) == "null"
    assert to_json(False) == "false"


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_a_reader_that_goes_away_is_no_error(db: Path, form: list[str]) -> None:
    query = "select i, repeat('x', 100) as x from range(200000) as t(i)"
    command = [sys.executable, "-m", "cva_sql.cli.app", "sql", query, "--db", str(db), *form]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
