"""The SQL stays within what Spark understands: every model's Spark branch is compiled and parsed.

No Spark is needed: dbt compiles on DuckDB, but looks for `spark__` macros first.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import pairwise

import duckdb
import pytest
import sqlglot
from sqlglot import Token, TokenType

from cva_sql.cli.shop.package import project_dir

COMPILE = """
import sys
from dbt.cli.main import dbtRunner
from dbt.context.providers import BaseDatabaseWrapper

from dbt.adapters.duckdb.impl import DuckDBAdapter

# How wide vectors are is asked in Spark's SQL, which DuckDB cannot answer.
execute, width = DuckDBAdapter.execute, "select 2 as width, 1 as n"
DuckDBAdapter.execute = lambda self, sql, *rest, **named: execute(
    self, width if sql.strip().startswith("select size(vector) as width") else sql, *rest, **named
)
prefixes = BaseDatabaseWrapper._get_adapter_macro_prefixes
BaseDatabaseWrapper._get_adapter_macro_prefixes = lambda self: ["spark", *prefixes(self)]
result = dbtRunner().invoke(sys.argv[1:])
sys.exit(0 if result.success else f"dbt compile failed: {result.exception}")
"""

# Awkward types on purpose: each kind of canonical column is cast in its own way.
RAW = """
create schema raw;
create table raw.orders (order_id double, customer_id varchar, ordered_at varchar, amount double,
    status varchar, status_changed_at timestamptz, currency varchar);
create table raw.order_items (order_id double, product_id bigint, quantity integer);
create table raw.reviews (review_id bigint, customer_id varchar, reviewed_at timestamptz,
    rating integer, body varchar);
create table raw.customers (customer_id varchar, signed_up_at date, marketing_consent integer);
create table raw.products (
    product_id bigint, unit_cost double, currency varchar, category varchar, image_vector varchar,
    text_vector double[]
);
create table raw.acquisition_costs (day date, channel varchar, cost double);
create table raw.returns (order_id double, returned_at date, refund_amount double);
create table raw.exchange_rates (currency varchar, date date, rate double);
-- What is in another currency makes the package write how it is converted.
insert into raw.orders (order_id, currency) values (1, 'USD');
insert into raw.products values (1, 2, 'USD', 'tea', '[1, 2]', [1, 2]);
"""

RUNS = {
    "scoring": {
        "cva_semantic_models": True,
        "cva_review_insights": True,
        "cva_text_reasons": True,
    },
    "training": {
        "cva_spine": "training",
        "cva_training_dates": [["2024-01-01", 90], ["2024-06-01", 30]],
        "cva_value": "net",
        "cva_reviews_identifier": "absent",
    },
}
# Of other targets, what is written in another way.
RUNS |= {
    target: {**RUNS["training"], "cva_target": target} for target in ("margin", "orders", "labels")
}
RUNS["scoring_margin"] = {"cva_target": "margin"}

# A parser takes any name before a bracket for a function, so these were looked up: all of them are
# in Spark 3.5 (the session registers those with cva_). A new one belongs here once it is, too.
SPARK_FUNCTIONS = {
    "abs", "aggregate", "array", "array_compact", "array_distinct", "array_max", "array_min",
    "array_sort", "avg", "bool_or", "cast", "ceil", "chr", "coalesce", "collect_list", "concat",
    "concat_ws", "conv", "count", "cume_dist", "current_timestamp", "current_timezone",
    "cva_distributions", "cva_encoder_key", "cva_explain", "cva_predict", "cva_project",
    "cva_project_words", "cva_rate", "cva_read_text", "cva_value_growth", "date_add", "date_trunc",
    "datediff", "dense_rank", "exp", "explode", "first_value", "floor", "format_number",
    "from_json", "from_utc_timestamp", "get", "greatest", "instr", "lag", "lead", "least", "length",
    "ln", "lower", "max", "max_by", "md5", "min", "min_by", "mod", "month", "named_struct",
    "ntile", "nullif", "percent_rank", "percentile", "position", "power", "rank", "regexp_replace",
    "replace", "round", "row_number", "sequence", "sha2", "size", "slice", "sort_array", "split",
    "sqrt", "substr", "substring", "sum", "to_utc_timestamp", "transform", "trim", "try_cast",
    "upper", "weekday", "xxhash64", "year", "zip_with",
}  # fmt: skip
KEYWORDS_BEFORE_BRACKET = {
    "all", "and", "as", "by", "case", "decimal", "else", "exists", "from", "in", "join", "not",
    "on", "or", "over", "select", "then", "union", "when", "where", "with",
}  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """<run>/<model or test> -> its SQL in the Spark branch."""
    folder = tmp_path_factory.mktemp("spark")
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(RAW)
    found: dict[str, str] = {}
    for run, variables in RUNS.items():
        target = folder / run
        # A known currency, or the macro would ask DuckDB for it in Spark's SQL.
        arguments = [
            "--quiet", "compile", "--project-dir", str(project_dir()),
            "--profiles-dir", str(project_dir()), "--target-path", str(target),
            "--log-path", str(folder / "logs"),
            "--vars", json.dumps({"cva_currency": "EUR", **variables}),
        ]  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", COMPILE, *arguments],
            env={**os.environ, "CVA_DB": str(folder / "shop.duckdb")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for path in sorted((target / "compiled" / "cva").rglob("*.sql")):
            sql = path.read_text(encoding="utf-8")
            if sql.strip():  # a hook that only checks comes out as nothing
                found[f"{run}/{path.stem}"] = sql
    return found


def tokens_of(sql: str) -> list[Token]:
    return list(sqlglot.tokenize(sql, read="spark"))


def called(sql: str) -> set[str]:
    """The names of the functions that `sql` calls, common table expressions left out."""
    tokens = tokens_of(sql)
    names = {
        name.text.lower()
        for name, bracket in pairwise(tokens)
        if bracket.token_type == TokenType.L_PAREN and re.fullmatch(r"\w+", name.text)
    }
    return {name for name in names - KEYWORDS_BEFORE_BRACKET if not name.isdigit()}


def trailing_commas(sql: str) -> list[int]:
    """The lines with a comma before `from`, which the parser forgives and Spark does not."""
    tokens = tokens_of(sql)
    return [
        comma.line
        for comma, after in pairwise(tokens)
        if comma.token_type == TokenType.COMMA and after.token_type == TokenType.FROM
    ]


def unsized_varchars(sql: str) -> list[int]:
    """The lines with a `varchar` without a length, which Spark refuses (it says `string`)."""
    tokens = [*tokens_of(sql), Token(TokenType.SEMICOLON, ";")]
    return [
        token.line
        for token, after in pairwise(tokens)
        if token.token_type == TokenType.VARCHAR and after.token_type != TokenType.L_PAREN
    ]


def test_every_model_is_compiled(compiled: dict[str, str]) -> None:
    models = {path.stem for path in (project_dir() / "models").rglob("*.sql")}
    assert {name.split("/")[1] for name in compiled} >= models


def test_the_spark_macros_are_the_ones_compiled(compiled: dict[str, str]) -> None:
    assert "datediff(" in compiled["scoring/feat_cva__attributes"]
    assert "conv(substr(md5(" in compiled["training/int_cva__spine"]


def test_every_model_parses_as_spark_sql(compiled: dict[str, str]) -> None:
    for name, sql in compiled.items():
        try:
            sqlglot.parse_one(sql, read="spark")
        except sqlglot.ParseError as error:
            pytest.fail(f"{name}: {error}")


def test_only_functions_that_spark_has_are_called(compiled: dict[str, str]) -> None:
    unknown = {name: called(sql) - SPARK_FUNCTIONS for name, sql in compiled.items()}
    assert {name: calls for name, calls in unknown.items() if calls} == {}


def test_no_comma_before_from(compiled: dict[str, str]) -> None:
    lines = {name: trailing_commas(sql) for name, sql in compiled.items()}
    assert {name: found for name, found in lines.items() if found} == {}


def test_no_varchar_without_a_length(compiled: dict[str, str]) -> None:
    lines = {name: unsized_varchars(sql) for name, sql in compiled.items()}
    assert {name: found for name, found in lines.items() if found} == {}


def test_the_checks_see_what_the_parser_forgives() -> None:
    assert called("select isodow(d), sum(x) from t where x in (1)") == {"isodow", "sum"}
    assert trailing_commas("select a,\nb,\nfrom t") == [2]
    assert unsized_varchars("select cast(a as varchar), cast(b as varchar(3))") == [1]
