"""Shops at the edge: nearly empty, dirty, oddly typed; and every misuse in one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.package import canonical_tables

SQL_TYPES = {
    "id": "varchar",
    "person": "varchar",
    "text": "varchar",
    "money": "decimal(18, 4)",
    "time": "timestamp",
    "number": "double",
    "integer": "bigint",
    "flag": "boolean",
    "vector": "double[]",
}
SOME_ORDERS = """create table raw.orders as
select 'o' || n as order_id, 'c' || lpad((n % 50)::varchar, 2, '0') as customer_id,
    timestamp '2024-01-01 09:00:00' + interval (n * 17 % 720) day as ordered_at,
    (10 + n % 23)::decimal(18, 4) as amount
from range(400) as numbers(n)"""


def empty_tables() -> str:
    return ";".join(
        f"create table raw.{table} ("
        + ", ".join(f"{name} {SQL_TYPES[kind]}" for name, (kind, _) in columns.items())
        + ")"
        for table, columns in canonical_tables().items()
    )


def null_rows() -> str:
    inserts = [
        f"insert into raw.{table} select {', '.join(['null'] * len(columns))} from range(3)"
        for table, columns in canonical_tables().items()
    ]
    some = SOME_ORDERS.replace("create table raw.orders as", "insert into raw.orders by name")
    return ";".join([empty_tables(), *inserts, some])


# An evening order in Berlin is the next day's in Tokyo; the shop's own zone is UTC.
ODD_TYPES = """set timezone = 'Asia/Tokyo';
create table raw.orders as
select n::double as order_id, (n % 50)::double as customer_id,
    timestamptz '2024-01-01 22:30:00+00' + interval (n * 17 % 720) day as ordered_at,
    (10 + n % 23)::varchar || '.50' as amount
from range(400) as numbers(n);
insert into raw.orders values (9001, 7, '2099-05-05 10:00:00+00', '12.50'),
    (9002, 8, '2025-01-05 10:00:00+00', 'a lot')"""
OVER_REFUNDED = f"""{SOME_ORDERS};
create table raw.returns as select 'r' || order_id as return_id, order_id, customer_id,
    ordered_at + interval 3 day as returned_at, amount * 5 as refund_amount
from raw.orders where hash(order_id) % 2 = 0"""
# Mistyped amounts, up to the largest that money can hold, and a quantity.
HUGE = f"""{SOME_ORDERS};
insert into raw.orders values ('h1', 'c01', '2025-12-19 10:00', 168469.60),
    ('h2', 'c02', '2025-12-18 10:00', 1e9), ('h3', 'c03', '2025-12-18 10:00', 1e12),
    ('h4', 'c03', '2025-12-18 10:00', 99999999999999.9999);
create table raw.order_items as select order_id, 'p' as product_id, amount as unit_price,
    case order_id when 'h1' then 1e300 else 1e9 end as quantity from raw.orders"""
# One order dated a year and a half ahead, and what comes in when nothing is sold.
MISTYPED = f"""{SOME_ORDERS.replace("2024-01-01", "2022-01-01")};
insert into raw.orders values ('typed', 'c01', '2025-06-05 10:00', 10);
create table raw.reviews as select 'c02' as customer_id, timestamp '2024-02-01' as reviewed_at,
    5 as rating;
create table raw.customers as select 'new' as customer_id, date '2024-03-01' as signed_up_at"""
SETTINGS = {
    "cva_tier_shares": [0.1, 0.2, 0.7],
    "cva_eligible_customers": "orders_count >= 8",
    "cva_horizon_days": 30,
}
SHOPS: dict[str, tuple[str, list[str]]] = {
    "orders only": (SOME_ORDERS, []),
    "empty": (empty_tables(), ["--allow-empty"]),
    "one customer": (
        "create table raw.orders as select 1 as order_id, 'a' as customer_id, "
        "timestamp '2025-03-01 10:00:00' as ordered_at, 20.5 as amount",
        [],
    ),
    "null rows": (null_rows(), []),
    "odd types": (ODD_TYPES, []),
    "net": (OVER_REFUNDED, ["--vars", '{"cva_value": "net"}']),
    "huge": (HUGE, []),
    "mistyped": (MISTYPED, []),
    "settings": (SOME_ORDERS, ["--vars", json.dumps(SETTINGS)]),
}
Ran = dict[str, tuple[Path, subprocess.CompletedProcess[str]]]


def make_shop(folder: Path, sql: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    db = folder / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute("create schema raw")
        con.execute(sql)
    return db


@pytest.fixture(scope="module")
def ran(cva: Any, together: Any, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("edge")

    def run(name: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        sql, options = SHOPS[name]
        db = make_shop(folder / name.replace(" ", "_"), sql)
        return db, cva("run", "--db", db, *options)

    return dict(zip(SHOPS, together([lambda n=name: run(n) for name in SHOPS]), strict=True))


Query = Callable[[str, str], list[tuple[Any, ...]]]


@pytest.fixture
def published(ran: Ran, rows: Any) -> Query:
    """The rows of a query on what the run of a shop published."""

    def query(name: str, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = rows(
            ran[name][0].parent / "published" / "current" / "cva.duckdb", sql
        )
        return found

    return query


@pytest.mark.parametrize("name", SHOPS)
def test_the_run_succeeds(ran: Ran, name: str) -> None:
    assert ran[name][1].returncode == 0, ran[name][1].stderr
    assert "Traceback" not in ran[name][1].stderr


@pytest.mark.parametrize("name", SHOPS)
def test_no_value_is_negative_or_not_a_number(published: Query, name: str) -> None:
    bad = published(
        name,
        "select * from customer_value where not (predicted_value >= 0 and historic_value >= 0 "
        "and total_value >= 0 and clv >= 0 and predicted_value_p10 >= 0 "
        "and isfinite(predicted_value) and isfinite(clv) and purchase_probability between 0 and 1 "
        "and predicted_value_p10 <= predicted_value_p50 "
        "and predicted_value_p50 <= predicted_value_p90)",
    )
    assert bad == []


@pytest.mark.parametrize(
    ("name", "customers"),
    [
        ("orders only", 50),
        ("empty", 0),
        ("one customer", 1),
        ("null rows", 50),
        ("odd types", 50),
        ("net", 50),
        ("huge", 50),
        ("mistyped", 50),
        ("settings", 50),
    ],
)
def test_every_customer_has_one_row(published: Query, name: str, customers: int) -> None:
    query = "select count(*), count(distinct customer_id) from customer_value"
    assert published(name, query) == [(customers, customers)]


def test_training_an_empty_shop_says_why_and_succeeds(ran: Ran, cva: Any) -> None:
    trained = cva("train", "--db", ran["empty"][0])
    assert trained.returncode == 0, trained.stderr
    assert "not deployed, the packaged rule scores" in trained.stdout
    assert "too short to learn from" in trained.stdout


def test_one_order_is_a_customer_who_is_scored_by_the_rule(published: Query) -> None:
    query = "select customer_id, score_status, historic_value::double, value_tier, score"
    assert published("one customer", f"{query} from customer_value") == [
        ("a", "untrained", 20.5, "high", 100.0)
    ]


def test_rows_of_nulls_are_counted_and_not_used(published: Query) -> None:
    found = published(
        "null rows",
        "select table_name, sum(row_count), max(raw_row_count) from cva_rejects "
        "where reason is not null group by 1 order by 1",
    )
    assert found == [
        ("acquisition_costs", 3, 3),
        ("calendar", 3, 3),
        ("campaigns", 3, 3),
        ("customer_merges", 3, 3),
        ("customers", 3, 3),
        ("events", 3, 3),
        ("exchange_rates", 3, 3),
        ("labels", 3, 3),
        ("marketing_touches", 3, 3),
        ("order_items", 3, 3),
        ("orders", 3, 403),
        ("products", 3, 3),
        ("returns", 3, 3),
        ("reviews", 3, 3),
        ("score_overrides", 3, 3),
        ("stock", 3, 3),
        ("tickets", 3, 3),
    ]


def test_an_order_in_the_future_is_counted_and_does_not_move_the_date(published: Query) -> None:
    rejects = "select reason, row_count from cva_rejects where table_name = 'orders' order by 1"
    assert published("odd types", rejects) == [("amount_unreadable", 1), ("in_the_future", 1)]
    (as_of,) = published("odd types", "select max(as_of_date)::varchar from customer_value")[0]
    assert as_of == "2025-12-21"  # the day after the 719th day, in UTC


def test_a_lone_order_far_ahead_a_review_and_a_sign_up_do_not_move_the_date(
    ran: Ran, published: Query, cva: Any
) -> None:
    db, done = ran["mistyped"]
    said = (
        "as of 2023-12-22, not 2025-06-06: 1 order lies 532 days after all others (2025-06-05); "
        "if that is right, --as-of 2025-06-06 (in dbt, the var cva_as_of)"
    )
    assert "customer_value as of 2023-12-22: 50 customers" in done.stdout
    assert said in done.stdout
    assert f"  {said}\n" in done.stderr  # as dbt's log has it
    rejects = published(
        "mistyped", "select table_name, reason, row_count from cva_rejects order by 1"
    )
    assert [row for row in rejects if row[1]] == [
        (table, "on_or_after_as_of", 1) for table in ("customers", "orders", "reviews")
    ]
    trained = cva("train", "--db", db)
    assert trained.returncode == 0, trained.stderr
    assert said in trained.stdout
    taken = cva("run", "--db", db, "--as-of", "2025-06-06")
    assert "customer_value as of 2025-06-06: 51 customers" in taken.stdout
    assert "days after all others" not in taken.stdout + taken.stderr


def test_huge_numbers_are_counted_where_no_shop_can_mean_them(published: Query) -> None:
    rejects = "select table_name, reason, row_count from cva_rejects where reason like '%large'"
    assert published("huge", f"{rejects} order by 1") == [
        ("order_items", "quantity_too_large", 1),
        ("orders", "amount_too_large", 1),
    ]


def test_whole_doubles_are_ids_and_text_is_money(published: Query) -> None:
    ids = published("odd types", "select customer_id from customer_value order by 1 limit 3")
    assert ids == [("0",), ("1",), ("10",)]
    (spend,) = published("odd types", "select sum(historic_value)::double from customer_value")[0]
    assert spend == sum(10 + n % 23 + 0.5 for n in range(400))


def test_times_are_the_shops_whatever_zone_the_session_had(published: Query) -> None:
    """22:30 in UTC is another day in Tokyo; weekdays and ages are those of UTC."""
    ages = published("odd types", "select min(days_since_last_order) from customer_features")
    assert ages == [(1.0,)]


def test_refunds_above_the_spend_leave_zero_and_not_less(published: Query) -> None:
    found = published(
        "net",
        "select count(*) filter (where v.historic_value = 0) > 0, min(v.historic_value) = 0, "
        "min(f.spend_365d) = 0 "
        "from customer_value v join customer_features f using (customer_id)",
    )
    assert found == [(True, True, True)]


def test_horizon_tiers_and_eligibility_follow_their_settings(published: Query) -> None:
    assert published("settings", "select distinct horizon_days from customer_value") == [(30,)]
    tiers = published("settings", "select value_tier, count(*) from customer_value group by 1")
    assert dict(tiers) == {"high": 5, "medium": 10, "low": 35}
    statuses = published(
        "settings",
        "select score_status, bool_and(score is null), bool_and(orders_count < 8), count(*) > 0 "
        "from customer_value join customer_features using (customer_id) group by 1 order by 1",
    )
    assert ("untrained", False, False, True) in statuses or len(statuses) == 1
    for status, has_no_score, is_below, _ in statuses:
        assert has_no_score == is_below == (status == "not_eligible")


def test_evaluate_measures_a_table_that_is_there(cva: Any, tmp_path: Path) -> None:
    db = make_shop(
        tmp_path, "create table guesses as select n::double as p, n * 2.0 as y from range(100) t(n)"
    )
    options = ("--table", "guesses", "--predicted", "p", "--actual", "y", "--replicates", 20)
    found = cva("evaluate", "--db", db, *options, "--json")
    assert found.returncode == 0, found.stderr
    metrics = {metric["name"]: metric["value"] for metric in json.loads(found.stdout)}
    assert metrics["spearman"] == pytest.approx(1)
    assert metrics["ngini"] == pytest.approx(1)
    assert metrics["mae"] == pytest.approx(49.5)


NO_ORDERS = "create table raw.products as select 'p' as product_id"
NO_AMOUNT = "create table raw.orders as select 1 as order_id, 2 as customer_id, now() as ordered_at"
MISUSES: dict[str, tuple[str | None, list[str], int, str]] = {
    "no database": (None, ["run"], 2, "does not exist; load orders into it with: cva load"),
    "no database to train on": (None, ["train"], 2, "does not exist"),
    "no orders": (NO_ORDERS, ["run"], 1, "has no table raw.orders; load it with: cva load"),
    "no orders to train on": (NO_ORDERS, ["train"], 1, "has no table raw.orders"),
    "no amount": (NO_AMOUNT, ["run"], 1, "has no column `amount`"),
    "date": (SOME_ORDERS, ["run", "--as-of", "31.12.2025"], 2, "expected a date like 2025-12-31"),
    "vars": (SOME_ORDERS, ["run", "--vars", "{cva_value: ["], 2, "--vars cannot be read"),
    "vars that are no names": (SOME_ORDERS, ["run", "--vars", "net"], 2, "expected names and"),
    "horizon": (SOME_ORDERS, ["run", "--horizon-days", "0"], 2, "expected a whole number from 1"),
    "half a table": (SOME_ORDERS, ["evaluate", "--table", "t"], 2, "--predicted and --actual"),
    "no such table": (
        SOME_ORDERS,
        ["evaluate", "--table", "t", "--predicted", "p", "--actual", "y"],
        2,
        "t cannot be evaluated",
    ),
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_misuse_is_one_line_and_its_exit_code(cva: Any, tmp_path: Path, name: str) -> None:
    sql, arguments, exit_code, text = MISUSES[name]
    db = tmp_path / "shop.duckdb" if sql is None else make_shop(tmp_path, sql)
    failed = cva(*arguments, "--db", db)
    assert failed.returncode == exit_code, failed.stderr
    progress = ("building", "looking", "  dbt ")
    lines = [line for line in failed.stderr.splitlines() if not line.startswith(progress)]
    assert len(lines) == 1, failed.stderr
    assert lines[0].startswith("cva: ")
    assert text in lines[0]
    assert "Traceback" not in failed.stderr + failed.stdout
    assert "in macro" not in lines[0]
