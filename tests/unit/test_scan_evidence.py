"""`cva init --scan`: what values say where names mislead, or say nothing."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.init.command import init
from cva_sql.cli.init.scan.match import Proposal
from cva_sql.cli.init.scan.proposal import scan_database
from cva_sql.cli.init.scan.report import describe, vars_yaml
from cva_sql.cli.shop.expressions import check_expression
from cva_sql.cli.shop.resolver import parse_vars

Make = Callable[..., Path]

# As Fivetran's connector writes it, without some of the columns that its preset goes by: of 400
# orders 40 are cancelled, 16 are trials, 10 are deleted.
SHOPIFY = (
    "create schema shopify",
    """create table shopify."order" as select 4000 + i as id, 7000 + i % 60 as customer_id,
    timestamp '2024-01-01' + interval (i * 7) hour as created_at, 20.5 + i % 30 as total_price,
    case when i % 10 = 0 then timestamp '2024-01-03' + interval (i * 7) hour end as cancelled_at,
    case when i % 10 = 0 then 'customer' end as cancel_reason, 'paid' as financial_status,
    'fulfilled' as fulfillment_status, i % 25 = 1 as test, i % 40 = 2 as _fivetran_deleted
    from range(400) as t(i)""",
    """create table shopify.order_line as select i * 2 + l as id, 4000 + i as order_id,
    500 + l as product_id, 1 as quantity, 10.0 as price, i % 40 = 2 as _fivetran_deleted
    from range(400) as t(i), range(2) as x(l)""",
)
OLIST = (
    """create table olist_orders_dataset as select 'o' || i as order_id, 'c' || i as customer_id,
    case when i % 20 = 0 then 'canceled' else 'delivered' end as order_status,
    timestamp '2017-01-01' + interval (i) hour as order_purchase_timestamp,
    timestamp '2017-01-20' as order_estimated_delivery_date from range(400) as t(i)""",
    """create table olist_customers_dataset as select 'c' || i as customer_id,
    'p' || i % 390 as customer_unique_id, '01037' as customer_zip_code_prefix
    from range(400) as t(i)""",
    """create table olist_order_payments_dataset as select 'o' || i as order_id,
    n as payment_sequential, 'boleto' as payment_type, 5.5 as payment_value
    from range(400) as t(i), range(1, 3) as p(n)""",
    """create table olist_order_reviews_dataset as select 'r' || i as review_id,
    'o' || i as order_id, 4 as review_score, timestamp '2017-02-01' as review_creation_date,
    timestamp '2017-02-02' as review_answer_timestamp from range(300) as t(i)""",
)
ORDERS = """create table orders as select 'O' || i as order_id, 'C' || i % 40 as customer_id,
timestamp '2024-01-01' + interval (i) day as ordered_at, (5 + i % 9)::decimal(18, 4) as amount
from range(300) as t(i)"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A database in which these statements were run."""

    def call(*statements: str) -> Path:
        db = tmp_path / "shop.duckdb"
        with duckdb.connect(str(db)) as con:
            for statement in statements:
                con.execute(statement)
        return db

    return call


def values(db: Path, query: str) -> tuple[Any, ...]:
    with duckdb.connect(str(db), read_only=True) as con:
        row = con.execute(query).fetchone()
    assert row is not None
    return row


def columns(proposal: Proposal, role: str = "orders") -> dict[str, str]:
    """The columns that are written for a role, each checked as dbt will."""
    found: dict[str, str] = parse_vars(vars_yaml(proposal)).get(f"cva_{role}_columns", {})
    for name, expression in found.items():
        check_expression(expression, name)
    return found


def test_cancelled_trial_and_deleted_orders_are_no_sales(make: Make) -> None:
    db = make(*SHOPIFY)
    proposal = scan_database(db)
    found = columns(proposal)
    assert found["status_changed_at"] == "cancelled_at"
    read = ", ".join(f"{found[name]} as {name}" for name in ("order_id", "status"))
    counted = values(
        db,
        "select count(*) filter (status = 'cancelled'), count(*) filter (order_id is null),"
        f" count(*) filter (status = 'paid') from (select {read} from shopify.\"order\")",
    )
    assert counted == (40, 26, 360)
    said = describe(proposal)
    assert "cancelled by cancelled_at, so no sales: 40 orders (10.0%)" in said
    assert "left out, trials by test: 16 rows" in said
    assert "left out, deleted at the source by _fivetran_deleted: 10 rows" in said
    items = columns(proposal, "order_items")["order_id"]
    assert values(db, f"select count({items}) from shopify.order_line") == (780,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_deleted", "i = 7"),
        ("is_deleted", "(i = 7)::int"),
        ("isDeleted", "case when i = 7 then 'Y' else 'N' end"),
        ("__deleted", "case when i = 7 then 'true' else 'false' end"),
        ("deleted_at", "case when i = 7 then now() end"),
        ("_sdc_deleted_at", "case when i = 7 then '2024-02-03 10:00:00' end"),
        ("gelöscht_am", "case when i = 7 then date '2024-02-03' end"),
        ("test", "i = 7"),
        ("is_test", "case when i = 7 then 'true' end"),
        ("test_order", "(i = 7)::int"),
    ],
)
def test_rows_that_a_column_marks_are_left_out(make: Make, name: str, value: str) -> None:
    make(ORDERS, "create table o as select *, substr(order_id, 2)::int as i from orders")
    db = make(
        "drop table orders",
        f'create table orders as select * exclude (i), {value} as "{name}" from o',
        "drop table o",
    )
    proposal = scan_database(db)
    assert values(db, f"select count({columns(proposal)['order_id']}) from orders") == (299,)
    assert f"by {name}: 1 row" in describe(proposal)


@pytest.mark.parametrize("name", ["deleted_by", "latest", "test_group", "deleted_count"])
def test_what_only_sounds_like_a_mark_is_none(make: Make, name: str) -> None:
    db = make(ORDERS, f"alter table orders add column {name} integer default 1")
    assert columns(scan_database(db))["order_id"] == "order_id"


def test_a_mark_on_most_rows_is_asked_about(make: Make) -> None:
    db = make(ORDERS, "alter table orders add column deleted boolean default true")
    proposal = scan_database(db)
    assert not proposal.tables["orders"].is_sure
    assert "deleted marks 100.0% of the rows" in describe(proposal)
    assert proposal.to_settle == ["cva_orders_identifier"]


@pytest.mark.parametrize(
    "marked", ["is_cancelled boolean", "storniert_am timestamp", "cancelledAt varchar"]
)
def test_any_word_for_cancelled_is_read(make: Make, marked: str) -> None:
    name, kind = marked.split()
    value = {"boolean": "true", "timestamp": "'2024-03-01'", "varchar": "'2024-03-01 10:00:00'"}
    db = make(
        ORDERS,
        f'alter table orders add column "{name}" {kind}',
        f"update orders set \"{name}\" = {value[kind]} where order_id = 'O7'",
    )
    status = columns(scan_database(db))["status"]
    assert values(db, f"select count({status}), min({status}) from orders") == (1, "cancelled")


def test_a_reason_alone_is_asked_about(make: Make) -> None:
    db = make(
        ORDERS,
        "alter table orders add column cancel_reason varchar",
        "update orders set cancel_reason = 'late' where order_id = 'O7'",
    )
    proposal = scan_database(db)
    assert "cancel_reason is filled in 1 row (0.3%): cancelled orders?" in describe(proposal)
    assert "# status:" in vars_yaml(proposal)


def test_a_number_is_no_name(make: Make) -> None:
    db = make(
        ORDERS,
        "create table products as select 'P' || i as product_id, (40 + i)::varchar as "
        "product_name_lenght, 'toys' as product_category_name from range(40) as t(i)",
    )
    assert columns(scan_database(db), "products") == {
        "product_id": "product_id",
        "category": "product_category_name",
    }


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("customer_unique_id", "customer_unique_id"),
        ("customer_email", "lower(trim(customer_email))"),
    ],
)
def test_the_person_is_the_id_that_repeats(make: Make, name: str, person: str) -> None:
    db = make(
        "create table orders as select 'O' || i as order_id, 'c' || i as customer_id, "
        f"'A@' || i % 250 as {name}, timestamp '2024-01-01' + interval (i) hour as ordered_at, "
        "5.5 as amount from range(300) as t(i)"
    )
    proposal = scan_database(db)
    assert columns(proposal)["customer_id"] == person
    assert "as customer_id is another one for each order" in describe(proposal)


def test_two_that_may_be_the_person_are_asked_about(make: Make) -> None:
    db = make(
        "create table orders as select 'O' || i as order_id, 'c' || i as customer_id, "
        "'u' || i % 250 as user_id, 'm' || i % 99 as member_id, now() as ordered_at, "
        "5.5 as amount from range(300) as t(i)"
    )
    proposal = scan_database(db)
    assert not proposal.tables["orders"].is_sure
    assert "is the person user_id or member_id?" in describe(proposal)
    assert proposal.to_settle == ["cva_orders_columns (customer_id)"]


def test_the_person_of_lines_is_written_into_their_load(make: Make) -> None:
    db = make(
        "create table sales_lines as select 'o' || i // 2 as order_id,"
        " 'c' || i // 2 as customer_id,"
        " timestamp '2024-01-01' + interval (i // 2) hour as order_date, 'x' || i as product_id,"
        " 2 as quantity, 2.5 as unit_price from range(600) as t(i)",
        "create table customers as select 'c' || i as customer_id,"
        " 'p' || i % 290 as customer_unique_id from range(300) as t(i)",
    )
    proposal = scan_database(db)
    assert "the person is main.customers.customer_unique_id" in describe(proposal)
    assert proposal.to_settle == ["in the cva load above customer_id"]


def test_the_person_and_the_amount_are_joined_from_other_tables(make: Make, cva: Any) -> None:
    db = make(
        "create schema erp",
        "create table erp.sales_orders as select 'o' || i as order_id, 'c' || i as customer_id, "
        "timestamp '2024-01-01' + interval (i) hour as ordered_at from range(300) as t(i)",
        "create table erp.customers as select 'c' || i as customer_id, "
        "'p' || i % 290 as customer_unique_id from range(300) as t(i)",
        "create table erp.order_items as select 'o' || i as order_id, 'x' || l as product_id, "
        "2.5 as price from range(300) as t(i), range(2) as l(l)",
    )
    proposal = scan_database(db)
    (command,) = proposal.loads
    done = cva(*shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr
    counted = "select count(*), count(distinct customer_id), sum(amount)::int from erp.orders"
    assert values(db, counted) == (300, 290, 1500)
    assert columns(proposal, "customers") == {"customer_id": "customer_unique_id"}


def test_tables_of_a_known_vendor_are_loaded_by_its_preset(
    make: Make, tmp_path: Path, cva: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    db = make(*OLIST)
    init(tmp_path / "project", scan=db)
    said = capsys.readouterr().out
    assert "recognised by the columns: olist (Olist)" in said
    assert "cancelled, so no sales: order_status in ('canceled', 'unavailable')" in said
    (command,) = scan_database(db).loads
    assert command in said
    assert said.splitlines()[-1].startswith("next: the cva load above, then cd ")
    done = cva(*shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr
    assert values(
        db,
        "select count(*), count(distinct customer_id), sum(amount)::int, "
        "count(*) filter (status = 'cancelled') from raw.orders",
    ) == (400, 390, 4400, 20)
    assert values(db, "select count(customer_id) from raw.reviews") == (300,)
    again = scan_database(db)
    assert again.vendor is None
    assert (again.schema, again.tables["orders"].is_sure) == ("raw", True)


def test_values_alone_make_a_proposal_that_is_not_sure(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = make(
        "create table t1 as select 'A' || i as c1, 'K' || i * 7 % 50 as c2, "
        "timestamp '2024-01-01' + interval (i) hour as c3, 5 + i % 37 * 1.5 as c4, "
        "'web' as c5 from range(500) as t(i)"
    )
    proposal = scan_database(db)
    found = proposal.tables["orders"].columns
    assert {name: one.source for name, one in found.items()} == {
        "order_id": "c1",
        "customer_id": "c2",
        "ordered_at": "c3",
        "amount": "c4",
    }
    assert not any(one.is_sure for one in found.values())
    assert parse_vars(vars_yaml(proposal)) == {"cva_raw_schema": "main"}
    init(tmp_path / "project", scan=db)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"next: settle what is open, in {tmp_path}/project/dbt_project.yml")
    assert "cva_orders_columns (order_id, customer_id, ordered_at, amount)" in last
    assert last.endswith(f"see whether it fits: cd {tmp_path}/project && dbt deps && cva doctor")
    assert "dbt run" not in last


def test_texts_of_a_log_without_ids_are_numbered_and_asked_about(make: Make) -> None:
    db = make(
        "create table visits_log as select strftime(timestamp '2024-01-01' + interval (i // 2) day,"
        " '%d.%m.%Y') as c1, (i * 7 % 150)::varchar as c2,"
        " replace((5 + i // 2 * 1.5)::decimal(10, 2)::varchar, '.', ',') as c3"
        " from range(300) as t(i)"
    )
    proposal = scan_database(db)
    found = proposal.tables["orders"].columns
    assert [found[name].source for name in ("customer_id", "ordered_at", "amount")] == [
        "c2",
        "c1",
        "c3",
    ]
    assert found["order_id"].expression == "row_number() over (order by c1, c2, c3)"
    assert "no column has each value once: is each row an order?" in describe(proposal)
    assert not any(one.is_sure for one in found.values())


def test_a_required_column_without_a_name_is_looked_for_by_its_values(make: Make) -> None:
    db = make(ORDERS, "alter table orders rename amount to xyz")
    proposal = scan_database(db)
    assert proposal.tables["orders"].columns["amount"].source == "xyz"
    assert proposal.to_settle == ["cva_orders_columns (amount)"]


def test_a_status_that_is_asked_about_is_settled_before_a_run(make: Make) -> None:
    db = make(ORDERS, "alter table orders add column status varchar default 'on-hold'")
    assert scan_database(db).to_settle == ["cva_status_cancelled or cva_status_counts"]


@pytest.mark.parametrize(
    ("customer", "said"),
    [
        ("'C' || i", "customer_id: each has one order; is it an id of the order?"),
        ("case when i < 600 then 'shop' else 'C' || i end", "so much of all orders has shop 30.0%"),
        ("case when i = 1 then 'c2' else 'C' || i % 40 end", "2 ids differ in case or blanks"),
    ],
)
def test_ids_that_may_not_be_people_are_said(make: Make, customer: str, said: str) -> None:
    db = make(
        f"create table orders as select 'O' || i as order_id, {customer} as customer_id, "
        "timestamp '2024-01-01' + interval (i) hour as ordered_at, 5.5 as amount "
        "from range(2000) as t(i)"
    )
    proposal = scan_database(db)
    assert said in " ".join(proposal.questions)
    assert proposal.tables["orders"].is_sure
