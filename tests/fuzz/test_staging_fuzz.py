"""Whatever is in the raw tables, the SQL of the dbt project runs and counts each row once.

dbt compiles the models once for each way that a shop may type its columns; what it wrote is then
run on many generated tables, in this process.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cva_sql.cli.shop.package import canonical_tables, project_dir

MORE = 20 if os.environ.get("CVA_FUZZ") else 1  # `make fuzz`
Row = tuple[str | None, ...]

# Without merges: they replace ids, and what fuzzing asks of a row would not hold.
TABLES = {t: c for t, c in canonical_tables().items() if t != "customer_merges"}
# How a shop may type its columns: everything as text, as one would, ids and money as floats, and
# what is left.
TYPINGS: dict[str, dict[str, str]] = {
    "text": dict.fromkeys(
        ("id", "person", "money", "time", "number", "integer", "text", "flag", "vector"), "varchar"
    ),
    "natural": {
        "id": "bigint", "money": "decimal(18, 4)", "time": "timestamp", "number": "double",
        "integer": "bigint", "text": "varchar", "flag": "boolean", "vector": "float[]",
    },
    "double": {
        "id": "double", "money": "double", "time": "date", "number": "float", "integer": "double",
        "text": "double", "flag": "integer", "vector": "double[]",
    },
    "odd": {
        "id": "decimal(20, 2)", "money": "hugeint", "time": "timestamptz", "number": "varchar",
        "integer": "decimal(20, 2)", "text": "blob", "flag": "double", "vector": "varchar[]",
    },
}  # fmt: skip
for kinds in TYPINGS.values():
    kinds["person"] = kinds["id"]
# In "text" some columns are named so that they have to be mapped.
ODD_NAMES = {
    "order_id": "order",
    "channel": 'se"lect; drop table raw.orders; --',
    "body": "näme 🛒",
}
SETTINGS = {
    "cva_now": "2025-06-01 00:00:00",
    "cva_currency": "EUR",
    "cva_timezone": "Europe/Berlin",
}

SQL_TEXTS = [
    "'; drop table raw.orders; --", '"; drop table raw.orders; --', "$$", "{{ 1 }}", "%s", "\\'",
    "1); create table injected as select 1; --", "select", "null", "NULL", "/*", "-- ",
]  # fmt: skip
TEXTS = [
    "", " ", "\t\n", "\0", "a\0b", "ça", "🛒", "e\u0301", "\u202e", "\ufeff", "\u00a0",
    "x" * 100_000, "cancelled",
    "EUR", "USD", "true", "f", "nan", "c1", "c2", "o1", "o2", *SQL_TEXTS,
]  # fmt: skip
NUMBERS = [
    "0", "-0.0", "1", "2", "3", "-1", "0.1", "10.50", "1e9", "1e12", "1e18", "-1e18", "1e300",
    "-1e300", "5e-324", "nan", "inf", "-inf", "9007199254740993",
    "99999999999999.9999", "1e15", "13085.0",
    "170141183460469231731687303715884105727", "0x10", "1_000", "1,5", " 7 ",
]  # fmt: skip
TIMES = [
    "2025-05-31", "2025-05-30 23:30:00", "2024-01-01 10:00:00", "2024-01-01T10:00:00+02:00",
    "2023-06-01", "2025-06-01 00:00:01", "2099-01-01", "0001-01-01", "9999-12-31 23:59:59",
    "1969-12-31", "infinity", "-infinity", "0044-03-15 (BC)", "294246-12-31", "290309-12-22 (BC)",
    "2024-02-30",
    "24:00:00", "2024-01-01 10:00:00+99:99", "2024-01-01 25:00", "today", "epoch",
]  # fmt: skip
VECTORS = [
    "[]", "[0, 0]", "[0.1, nan]", "[1, null]", "(1.5 2)", "{1,2}", "[1e300, 1]", "[[1]]", "[1, 2",
    "[-inf, 2]", "[1, 2, 3]", "[3]", "None",
]  # fmt: skip
OF_KIND = {
    "vector": VECTORS,
    "time": TIMES,
    "money": NUMBERS,
    "number": NUMBERS,
    "integer": NUMBERS,
}


def values(kind: str) -> st.SearchStrategy[str | None]:
    """What may be in a column: mostly what belongs there, then anything."""
    usual = {
        "id": ["1", "2", "3", "4.0", "5.5"], "money": ["10.50", "20", "7"],
        "time": ["2024-01-01 10:00:00", "2025-05-31"], "number": ["1", "5"],
        "integer": ["1", "5"],
        "text": ["EUR", "web"], "flag": ["true", "0"], "vector": ["[1, 0]", "[0.6, -0.8]"],
    }["id" if kind == "person" else kind]  # fmt: skip
    of_kind, anything = [None, *OF_KIND.get(kind, TEXTS)], [*TEXTS, *NUMBERS, *TIMES]
    return st.one_of(
        st.sampled_from(usual),
        st.sampled_from(usual[::-1]),
        st.sampled_from([*usual * 5, *of_kind]),
        st.sampled_from([*usual * 20, *anything]),
        st.one_of(st.text(st.characters(codec="utf-8"), max_size=8), st.floats().map(repr)),
    )


def table_rows(table: str, max_size: int = 7) -> st.SearchStrategy[list[Row]]:
    row = st.tuples(*(values(kind) for kind, _ in TABLES[table].values()))
    return st.lists(row, min_size=1, max_size=max_size)


# One process parses the project once. Only staging depends on the types; an ephemeral model is put
# into those that read it in the first compilation alone.
COMPILE = """
import json, sys
from dbt.cli.main import dbtRunner
runs, options = json.load(sys.stdin), sys.argv[1:]
runner = dbtRunner(manifest=dbtRunner().invoke(["--quiet", "parse", *options]).result)
for folder, variables in runs:
    wanted = ["+cva_rejects", "+customer_features"] if folder == runs[0][0] else ["stg_cva__*"]
    done = runner.invoke(["--quiet", "compile", "--select", *wanted, *options,
        "--target-path", folder, "--vars", json.dumps(variables, ensure_ascii=False)])
    if not done.success:
        sys.exit(f"dbt compile failed: {done.exception}")
"""


# What only the SQL functions can fill: here no text was read.
WITHOUT_UDFS = {"int_cva__text_vectors", "int_cva__text_components"}
TEXTS_READ = f"""
create table main_cva.int_cva__text_vectors (text_hash varchar, encoder_key varchar,
    embedding float[384], sentiment double, status varchar, token_count integer);
create table main_cva.int_cva__text_components (text_hash varchar,
    {", ".join(f"text_{k} double" for k in range(1, 17))},
    {", ".join(f"word_{k} double" for k in range(1, 9))},
    {", ".join(f"rating_{k} double" for k in range(1, 6))})
"""


def name_in(typing: str, column: str) -> str:
    name = ODD_NAMES.get(column, column) if typing == "text" else column
    return '"' + name.replace('"', '""') + '"'


def create_raw(typing: str) -> str:
    statements = [f"create schema raw_{typing}"]
    for table, columns in TABLES.items():
        kinds = {name: TYPINGS[typing][kind] for name, (kind, _) in columns.items()}
        body = ", ".join(f"{name_in(typing, name)} {kinds[name]}" for name in columns)
        statements.append(f"create table raw_{typing}.{table} ({body}, fuzz_row integer)")
    return ";".join(statements)


@dataclass(frozen=True)
class Shop:
    """A database in memory with raw tables of one typing, and the models' SQL over them."""

    con: duckdb.DuckDBPyConnection
    typing: str
    models: dict[str, str]

    def fill(self, table: str, rows: Sequence[Row]) -> None:
        """Makes `rows` the raw table; a value that its type cannot hold becomes NULL."""
        self.con.execute(f"delete from raw_{self.typing}.{table}")
        columns = TABLES[table]
        given = pa.table(  # noqa: F841 - the query below reads it by name
            {
                **{
                    name: pa.array([row[i] for row in rows], pa.string())
                    for i, name in enumerate(columns)
                },
                "fuzz_row": pa.array(range(len(rows)), pa.int32()),
            }
        )
        casts = []
        for name, (kind, _) in columns.items():
            sql_type = TYPINGS[self.typing][kind]
            cast = f"encode({name})" if sql_type == "blob" else f"try_cast({name} as {sql_type})"
            casts.append(f"{cast} as {name_in(self.typing, name)}")
        self.con.execute(
            f"insert into raw_{self.typing}.{table} by name "
            f"select {', '.join(casts)}, fuzz_row from given"
        )

    def staged(self, table: str) -> dict[int, tuple[Any, ...]]:
        """Number of a raw row -> what staging makes of it, the reject reason last."""
        found = self.con.execute(f"execute staged_{table}").fetchall()
        staged = {row[0]: row[1:] for row in found}
        assert len(staged) == len(found)
        return staged

    def build(self) -> None:
        """Makes every model anew, each after those that it reads."""
        for name, sql in self.models.items():
            self.con.execute(f"create or replace table {relation(name)} as {sql}")

    def tables(self) -> set[str]:
        found = self.con.execute("select table_name from duckdb_tables()")
        return {name for (name,) in found.fetchall()}

    def remove(self, table: str, numbers: Sequence[int]) -> None:
        self.con.execute(
            f"delete from raw_{self.typing}.{table} where list_contains(?, fuzz_row)",
            [list(numbers)],
        )


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shop]:
    folder: Path = tmp_path_factory.mktemp("compiled")
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        for typing in TYPINGS:
            con.execute(create_raw(typing))
    runs = []
    for typing in TYPINGS:
        mapped = {
            f"cva_{table}_columns": {
                name: name_in("text", name) for name in columns if name in ODD_NAMES
            }
            for table, columns in TABLES.items()
        }
        variables = {
            **SETTINGS,
            "cva_raw_schema": f"raw_{typing}",
            **(mapped if typing == "text" else {}),
        }
        runs.append((str(folder / typing), variables))
    options = ["--project-dir", str(project_dir()), "--profiles-dir", str(project_dir())]
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, *options, "--log-path", str(folder / "logs")],
        input=json.dumps(runs),
        env={**os.environ, "CVA_DB": str(folder / "shop.duckdb"), "DBT_TARGET_PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first = next(iter(TYPINGS))
    return {
        typing: make_shop(typing, {**models_in(folder / first), **models_in(folder / typing)})
        for typing in TYPINGS
    }


def models_in(target: Path) -> dict[str, str]:
    files = sorted((target / "compiled").rglob("models/**/*.sql"))
    return {file.stem: file.read_text(encoding="utf-8") for file in files}


def make_shop(typing: str, sql: dict[str, str]) -> Shop:
    models = in_order(sql)
    con = duckdb.connect(config={"threads": "1"})
    con.execute("set timezone = 'UTC'; attach ':memory:' as shop; use shop; create schema main_cva")
    con.execute(create_raw(typing))
    con.execute(TEXTS_READ)
    for table in TABLES:
        con.execute(f"prepare staged_{table} as {numbered(models[f'stg_cva__{table}'], table)}")
    return Shop(con, typing, models)


def in_order(models: dict[str, str]) -> dict[str, str]:
    """The models that a run makes, each after those that it reads."""
    reads = {
        name: set(re.findall(r'"main(?:_cva)?"[.]"(\w+)"', sql)) - WITHOUT_UDFS
        for name, sql in models.items()
    }
    wanted = set().union(*reads.values(), {"cva_rejects", "customer_features"})
    order = TopologicalSorter({name: reads[name] for name in wanted}).static_order()
    return {name: models[name] for name in order}


def relation(model: str) -> str:
    return f"{'main' if model == 'customer_features' else 'main_cva'}.{model}"


def numbered(sql: str, table: str) -> str:
    """The SQL of a staging model with the number of the raw row first, the reject reason last."""
    assert sql.count(f"'{table}' as table_name") == sql.count("end as reject_reason") == 1
    sql = sql.replace(f"'{table}' as table_name", "fuzz_row as table_name")
    sql = sql.replace("end as reject_reason", "end as reject_reason, table_name as fuzz_row")
    # Where the staged rows are worked on further, the number goes with them.
    sql = re.sub(r"reject_reason(\s+from (?:staged|banded)\b)", r"reject_reason, fuzz_row\1", sql)
    others = "columns(* exclude (fuzz_row, reject_reason))::varchar"
    return f"select fuzz_row, {others}, reject_reason from ({sql})"


@pytest.mark.parametrize("typing", TYPINGS)
@pytest.mark.parametrize("table", TABLES)
def test_each_row_is_staged_once_and_those_not_used_change_no_other(
    shops: dict[str, Shop], typing: str, table: str
) -> None:
    shop = shops[typing]

    @settings(max_examples=60 * MORE)
    @given(table_rows(table))
    def check(rows: list[Row]) -> None:
        shop.fill(table, rows)
        staged = shop.staged(table)
        assert staged.keys() == set(range(len(rows)))
        reasons = {number: str(row[-1] or "") for number, row in staged.items()}
        unusable = [n for n, reason in reasons.items() if reason and "duplicate" not in reason]
        shop.remove(table, unusable)
        assert shop.staged(table) == {n: row for n, row in staged.items() if n not in unusable}

    check()


@pytest.mark.parametrize("typing", TYPINGS)
def test_every_raw_row_is_counted_and_features_are_numbers(
    shops: dict[str, Shop], typing: str
) -> None:
    """The models in dbt's order, up to the features, over all tables at once."""
    shop = shops[typing]

    @settings(max_examples=10 * MORE)
    @given(st.fixed_dictionaries({table: table_rows(table, 12) for table in TABLES}))
    def check(tables: dict[str, list[Row]]) -> None:
        for table, rows in tables.items():
            shop.fill(table, rows)
        shop.build()
        counts = shop.con.execute(
            "select table_name, raw_row_count, valid_row_count, sum(row_count)::bigint "
            "from main_cva.cva_rejects where table_name <> 'customer_merges' group by all"
        ).fetchall()
        assert {name: raw for name, raw, *_ in counts} == {t: len(r) for t, r in tables.items()}
        assert all(valid >= 0 and raw == valid + rejected for _, raw, valid, rejected in counts)
        features = shop.con.execute("from main.customer_features").fetchall()
        numbers = [value for row in features for value in row if isinstance(value, float)]
        assert all(math.isfinite(value) for value in numbers)
        assert shop.tables() == {*TABLES, *shop.models, *WITHOUT_UDFS}

    check()


CASES: dict[str, tuple[str, str, list[Row], dict[int, str | None]]] = {
    "an id of white space other than spaces is missing": (
        "text",
        "order_items",
        [
            ("\t", "1", "1", "1", None, None, None),
            ("1", " \r\n", "1", "1", None, None, None),
            ("\t1 ", "1", "1", "1", None, None, None),
        ],
        {0: "order_id_missing", 1: "product_id_missing", 2: None},
    ),
    "a return that cannot be used does not push out its usable copy": (
        "natural",
        "returns",
        [
            ("1", "1", "1", "2024-01-01", None, None, None, None),
            ("1", "1", "1", "2024-01-02", "5", None, None, None),
        ],
        {0: "refund_amount_missing", 1: None},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_cases_that_were_found(shops: dict[str, Shop], case: str) -> None:
    typing, table, rows, reasons = CASES[case]
    shop = shops[typing]
    shop.fill(table, rows)
    assert {number: row[-1] for number, row in shop.staged(table).items()} == reasons
