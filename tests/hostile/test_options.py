"""No text of a command line executes, escapes or writes where it should not."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cva_sql.cli.shop.dbt_runner import _as_yaml, refuse_jinja
from cva_sql.cli.shop.resolver import open_shop, parse_vars
from cva_sql.cli.shop.sql_text import literal, quoted
from cva_sql.udfs.errors import CvaError, UsageError

ORDERS = "order_id,customer_id,ordered_at,amount,status\n1,a,2024-01-02,10.50,paid\n"
LOAD = ("load", "orders", "orders.csv", "--db=shop.duckdb", "--replace")
N = 6  # a test of one option tries every sixth text: all of them take a minute each
# What a command is called with, {} for the string; none of them names a file to write.
CALLS = {
    "column": (*LOAD, "--column=amount={}"),
    "column name": (*LOAD, "--column={}=amount"),
    "where": (*LOAD, "--where={}"),
    "encoding": (*LOAD, "--encoding={}"),
    "delimiter": (*LOAD, "--delimiter={}"),
    "sheet": (*LOAD, "--sheet={}"),
    "timezone": (*LOAD, "--timezone={}"),
    "amount per": (*LOAD, "--amount-per={}"),
    "status": (*LOAD, "--status-counts={}"),
    "source schema": (*LOAD, "--source-schema={}"),
    "table": ("load", "--db=shop.duckdb", "--replace", "--", "{}", "orders.csv"),
    "file": ("load", "--db=shop.duckdb", "--replace", "--", "orders", "{}"),
    "url": ("load", "orders", "--query=select 1", "--from={}", "--db=shop.duckdb"),
    "vars": ("doctor", "--db=none.duckdb", "--vars={}"),
    "as of": ("run", "--db=shop.duckdb", "--as-of={}"),
    "evaluated": ("evaluate", "--db=shop.duckdb", "--as-of={}"),
    "evaluated table": (
        "evaluate", "--db=shop.duckdb", "--table={}", "--predicted={}", "--actual={}",
    ),
    "customer": ("explain", "--db=shop.duckdb", "--", "{}"),
    "set": ("explain", "--db=shop.duckdb", "--set={}", "--", "a"),
    "version": ("models", "info", "--db=shop.duckdb", "--", "{}"),
    "deployed": ("models", "deploy", "--db=shop.duckdb", "--", "{}"),
    "kind": ("models", "rollback", "--db=shop.duckdb", "--", "{}"),
    "alert": ("alerts", "ack", "--db=shop.duckdb", "--note={}", "--", "{}"),
    "sent to": ("alerts", "send", "--db=shop.duckdb", "--to={}"),
    "published to": ("publish", "--db=shop.duckdb", "--to={}"),
    "exported": ("export-model", "--db=shop.duckdb", "--out=out", "--", "{}"),
    "project": ("doctor", "--project={}"),
}  # fmt: skip


def tree(folder: Path) -> set[str]:
    """Every file and folder, but those that DuckDB and a lock come with."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {name for name in names if ".cva" not in name and not name.endswith(".wal")}


def rows(db: str = "shop.duckdb") -> list[tuple[Any, ...]]:
    with duckdb.connect(db, read_only=True) as con:
        return con.execute("select order_id, amount from raw.orders").fetchall()


@pytest.mark.parametrize("name", CALLS)
def test_an_option_is_a_text_and_nothing_else(
    name: str, attempt: Any, hostile: list[str], tmp_path: Path
) -> None:
    """Each text in some option, and with CVA_FUZZ=1 in each."""
    Path("orders.csv").write_text(ORDERS, encoding="utf-8")
    attempt(*LOAD)
    before = tree(tmp_path)
    for text in (
        hostile if os.environ.get("CVA_FUZZ") else hostile[list(CALLS).index(name) % N :: N]
    ):
        attempt(*(part.replace("{}", text) for part in CALLS[name]))
        assert tree(tmp_path) == before, text
    assert len(rows()) == 1


def test_a_var_with_a_template_is_refused_and_another_stays_the_text_it_is(
    hostile: list[str],
) -> None:
    for text in hostile:
        given = {"cva_currency": text}
        if any(mark in text for mark in ("{{", "{%", "{#")):
            with pytest.raises(UsageError):
                refuse_jinja(given)
        else:
            refuse_jinja(given)
        assert parse_vars(json.dumps(given)) == given
        assert yaml.safe_load(_as_yaml(given)) == given  # as dbt reads it


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"cva_currency": "\\ud83d"}', "cva_currency holds characters that are no text"),
        ('{"cva_currency": "a\\u0000b"}', "cva_currency holds characters that are no text"),
        ("[" * 50_000, "it is nested too deep"),
        ("{a: " * 50_000, "it is nested too deep"),
    ],
    ids=["half a character", "NUL", "JSON too deep", "YAML too deep"],
)
def test_a_var_that_no_process_can_be_given_is_refused(given: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        refuse_jinja(parse_vars(given))


def test_a_text_in_sql_is_that_text(hostile: list[str]) -> None:
    with duckdb.connect() as con:
        for text in hostile:
            assert con.execute(f"select {literal(text)}").fetchall() == [(text,)]
            row = con.execute(f"select 1 as {quoted(text)}")
            assert row.description[0][0] == text


def test_a_database_that_load_takes_is_taken_by_what_comes_after(
    attempt: Any, hostile: list[str], tmp_path: Path
) -> None:
    """Else it is refused with nothing left behind."""
    Path("orders.csv").write_text(ORDERS, encoding="utf-8")
    for text in hostile[::N]:
        name = f"{text.replace('/', '_')[:100]}.duckdb"
        before = tree(tmp_path)
        done = attempt("load", "orders", "orders.csv", f"--db={name}")
        left = tree(tmp_path) - before
        if done.code:
            assert left == set(), name
            continue
        assert left == {f"outside/inner/{name}"}
        open_shop(Path(name))


def test_a_file_of_any_name_is_read_as_it_is(
    attempt: Any, hostile: list[str], tmp_path: Path
) -> None:
    for text in hostile[1::N]:
        name = f"{text.replace('/', '_')[:100]}.csv"
        Path(name).write_text(ORDERS, encoding="utf-8")
        before = tree(tmp_path) | {"outside/inner/shop.duckdb"}
        attempt("load", "--db=shop.duckdb", "--replace", "--", "orders", name)
        assert tree(tmp_path) | {"outside/inner/shop.duckdb"} == before, name
        Path(name).unlink()
        assert len(rows()) == 1


def test_columns_of_any_name_and_cells_of_any_text_are_data(
    attempt: Any, hostile: list[str], tmp_path: Path
) -> None:
    """A name that cannot be one column's is refused in one line."""
    for text in hostile[2::N]:
        with Path("x.csv").open("w", encoding="utf-8", newline="") as file:
            rows_ = csv.writer(file, quoting=csv.QUOTE_ALL)
            rows_.writerow(["order_id", "customer_id", "ordered_at", "amount", text])
            rows_.writerow(["1", text or "a", "2024-01-02", "10.5", text])
        before = tree(tmp_path) | {"outside/inner/shop.duckdb"}
        attempt("load", "orders", "x.csv", "--db=shop.duckdb", "--replace")
        assert tree(tmp_path) | {"outside/inner/shop.duckdb"} == before, text


def test_a_project_of_any_name_stays_in_its_folder(
    attempt: Any, hostile: list[str], tmp_path: Path
) -> None:
    for text in hostile[3::N]:
        folder = Path(f"{text.replace('/', '_')[:100].strip('.') or 'x'}")
        before = tree(tmp_path)
        attempt("init", "--", str(folder))
        inside = f"outside/inner/{folder.as_posix()}"
        for path in tree(tmp_path) - before:
            assert path == inside or path.startswith(f"{inside}/"), text


# What is called with the place to write, {} for it; all that is new lies there, or it is refused.
PLACES = {
    "demo": ("demo", "--customers=200", "--", "{}"),
    "start": ("start", "orders.csv", "--yes", "--no-open", "--folder={}"),
    "published": ("run", "--db=shop.duckdb", "--published={}"),
    "work": ("run", "--db=shop.duckdb", "--work-dir={}"),
    "models": ("run", "--db=shop.duckdb", "--models-dir={}"),
    "report": ("report", "--db=shop.duckdb", "--out={}"),
    "sent to": ("alerts", "send", "--db=shop.duckdb", "--to={}"),
    "exported": ("export-model", "rule", "--db=shop.duckdb", "--out={}"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_place_to_write_is_the_only_one(
    name: str,
    attempt: Any,
    hostile: list[str],
    tmp_path: Path,
    sample_shop: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a shop that was run. dbt is not started: what needs what it builds stops there."""

    def no_dbt(*_: object) -> tuple[str, ...]:
        if name in ("demo", "start", "work"):
            raise CvaError("dbt is not started")
        return ()

    monkeypatch.setattr("cva_sql.cli.shop.dbt_runner._execute", no_dbt)
    texts = [text for text in hostile if not Path(text).is_absolute()]
    sample_shop.copy_to(Path())
    Path("orders.csv").write_text(ORDERS, encoding="utf-8")
    attempt("report", "--db=shop.duckdb")
    step = 1 if os.environ.get("CVA_FUZZ") else 10 * N
    for text in texts[list(PLACES).index(name) :: step]:
        before = tree(tmp_path)
        done = attempt(*(part.replace("{}", text) for part in PLACES[name]))
        named = Path(text).absolute()
        place = Path(os.path.normpath(named))
        for path in sorted(tree(tmp_path) - before):
            new = tmp_path / path
            assert place in (new, *new.parents) or new in named.parents, (text, done)
        if not place.is_relative_to(Path.cwd()) or place == Path.cwd():
            continue
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)


@pytest.mark.parametrize("text", ["it's {{ x }} <b>", 'a"b;--', "\u202eü\n#"])
def test_a_run_into_folders_of_odd_names(
    text: str, attempt: Any, tmp_path: Path, sample_shop: Any
) -> None:
    db = sample_shop.copy_to(Path())
    places = [f"--{option}={text} {option}" for option in ("published", "work-dir", "models-dir")]
    done = attempt("run", f"--db={db}", *places)
    assert done.code == 2 or Path(f"{text} published/current/cva.duckdb").exists(), done
