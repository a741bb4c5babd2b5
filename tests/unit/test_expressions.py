"""One SQL expression over a row, and nothing else: what gets into `cva load` and the dbt vars."""

from __future__ import annotations

import re

import duckdb
import pytest

from cva_sql.cli.shop.expressions import check_expression, shortened
from cva_sql.cli.shop.package import macro_value
from cva_sql.udfs.errors import UsageError


def problem(expression: str) -> str | None:
    query = macro_value("checked_expression.sql", "expression_problem", expression)
    with duckdb.connect() as con:
        found: str | None = con.execute(query).fetchall()[0][0]
    return found


@pytest.mark.parametrize(
    "expression",
    [
        "amount; drop table raw.orders",
        "amount;",
        "amount, customer_id",
        "amount as x",
        "amount from other",
        "1) from other --",
        "1), (2",
        "1 limit 1",
        "1 union select 2",
        "distinct amount",
        "1 order by 1",
        "(select max(amount) from other)",
        "amount in (select 1)",
        "exists(from other)",
        "array(select 1)",
        "(table other)",
        "from other select 1",
        "sum((select 1)) over ()",
        "amount /* open",
        "*",
        "columns('a.*')",
        "#1",
        "?",
        "default",
        "sum(amount)",
        "count(*)",
        "grouping(amount)",
        "unnest([1, 2])",
        "read_csv('/etc/passwd')",
        "read_text('/etc/passwd')",
        "glob('*')",
        "query('select 1')",
        "getenv('HOME')",
        "GetEnv('HOME')",
        "\"getenv\"('HOME')",
        "system.main.getenv('HOME')",
        "current_setting('home_directory')",
        "nextval('s')",
        "no_such_function(1)",
        "",
        "--",
        "unnest([1])",
        "regexp_split_to_table(a, ',')",
        "pg_sleep(1)",
        "pg_get_viewdef(1)",
        "json_serialize_plan('from read_csv(''/etc/passwd'')')",
        "getvariable('x')",
        "cva_predict(a)",
        "json_group_array(a)",
        "main.upper(a)",
        "$1",
        "$name",
        "a\0",
        "a\0; drop table raw.orders",
        "a\ud800",
        "(" * 2000 + "a" + ")" * 2000,
    ],
)
def test_what_is_not_one_scalar_expression_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match="is not one expression") as caught:
        check_expression(expression, "--where")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "amount > 0 and note not like 'C;%' -- fine",
        "/* inside */ coalesce(a, b)",
        "case when a is null then 0 else a end",
        '"Customer ID"::bigint',
        "strptime(a, '%d/%m/%Y')",
        "a between 1 and 2 or a in (1, 2)",
        "lag(a) over (partition by b order by c)",
        "sum(a) over (order by b rows between 1 preceding and current row)",
        "list_transform([1], lambda x: x + 1)[1]",
        "extract(year from a) || trim(both ' ' from b) || nullif(c, '')",
        "a - interval 1 day < date '2024-01-01' at time zone 'UTC'",
        "payload ->> 'id'",
        "'/*'",
    ],
)
def test_ordinary_scalar_expressions_are_let_through(expression: str) -> None:
    check_expression(expression, "--where")


def test_the_message_names_the_option_the_text_and_what_is_wrong() -> None:
    with pytest.raises(UsageError) as caught:
        check_expression("(select count(*)\n from " + "x" * 100_000 + ")", "--column amount")
    message = str(caught.value)
    assert message.startswith(
        "--column amount is not one expression over the columns of a row: '(sel"
    )
    assert "it holds a subquery" in message
    assert len(message) < 250


def test_a_text_for_a_message_is_one_short_line() -> None:
    assert shortened(" a\n\u2028 b ") == "a b"
    assert len(shortened("x" * 100)) == 60


def test_no_function_of_duckdb_that_may_be_used_hides_what_may_not() -> None:
    """A macro may hold a subquery or an aggregate; a function of a later DuckDB may read a file."""
    with duckdb.connect() as con:
        macros = con.execute(
            "select function_name, macro_definition from duckdb_functions() "
            "where function_type = 'macro' and internal"
        ).fetchall()
        volatile = con.execute(
            "select distinct function_name from duckdb_functions() "
            "where function_type = 'scalar' and stability = 'VOLATILE' and function_name not in "
            "('error', 'gen_random_uuid', 'random', 'uuid', 'uuidv4', 'uuidv7', 'vector_type')"
        ).fetchall()
    query = macro_value("checked_expression.sql", "expression_problem", "a")
    denied = re.findall(r"function_name\) not in \('(.+?)'\)", query)[0].split("', '")
    bodies = [
        re.sub(r'("system"\.)?main\.', "", definition)
        for name, definition in macros
        if name not in denied
    ]
    assert problem(f"[{', '.join(bodies)}]") is None
    assert {name for (name,) in volatile} <= set(denied)
