"""Ids that a key or a table of merges join are one person, in every table."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.explain.explanation import explain_customer
from cva_sql.cli.run.build import Run, run_shop
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.package import macro_value
from cva_sql.cli.shop.resolver import open_shop

KEY = "lower(trim(email))"
# One e-mail in two spellings joins 1 and 01; merges lead from x over y to z, and p, q in a circle.
# The last order of a@x.de has no customer, nor have those of g@x.de; nobody's key joins nobody.
SHOP = """
create schema raw;
create table raw.orders as select * from (values
    ('o1', '1', timestamp '2024-01-01', 10.0, ' A@x.de'),
    ('o2', '01', timestamp '2024-02-01', 20.0, 'a@x.de'),
    ('o3', null, timestamp '2024-03-01', 40.0, 'A@X.de '),
    ('o4', null, timestamp '2024-03-02', 80.0, 'g@x.de'),
    ('o5', 'NULL', timestamp '2024-03-03', 160.0, 'G@x.de'),
    ('o6', 'x', timestamp '2024-03-04', 320.0, null),
    ('o7', 'z', timestamp '2024-03-05', 640.0, ''),
    ('o8', 'p', timestamp '2024-03-06', 1280.0, 'n/a'),
    ('o9', 'q', timestamp '2024-03-06', 2560.0, 'N/A'),
    ('o10', null, timestamp '2024-03-07', 5120.0, null)
) as t (order_id, customer_id, ordered_at, amount, email);
create table raw.customers as
    select * from (values ('x', 'IT'), ('01', 'DE')) as t (customer_id, country);
create table raw.returns as select * from (values
    ('r1', '01', timestamp '2024-03-05', 5.0), ('r2', 'y', timestamp '2024-03-05', 7.0)
) as t (return_id, customer_id, returned_at, refund_amount);
create table raw.customer_merges as select * from (values
    ('x', 'y'), ('y', 'z'), ('p', 'q'), ('q', 'p'), (null, 'z')
) as t ("from", "to");
"""


def make_shop(folder: Path) -> Path:
    with duckdb.connect(str(folder / "shop.duckdb")) as con:
        con.execute(SHOP)
    return folder / "shop.duckdb"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    db = make_shop(tmp_path_factory.mktemp("identity"))
    return db, run_shop(open_shop(db, variables={"cva_customer_key": KEY}))


def test_a_person_has_the_orders_and_returns_of_all_ids(ran: Any, rows: Any) -> None:
    guest = rows(ran[0], "select 'key-' || md5('g@x.de')")[0][0]
    assert rows(
        ran[0],
        "select customer_id, features.historic_value, refund_amount, country from customer_value "
        "inner join customer_features as features using (customer_id) order by 2",
    ) == [
        ("1", 70.0, 5.0, "DE"),
        (guest, 240.0, 0.0, None),
        ("z", 960.0, 7.0, "IT"),
        ("p", 1280.0, 0.0, None),
        ("q", 2560.0, 0.0, None),
    ]


def test_each_raw_id_leads_to_its_person(ran: Any, rows: Any) -> None:
    found = rows(ran[0], "select raw_id, customer_id from customer_ids order by 1")
    told = {raw: person for raw, person in found if not raw.startswith("key-")}
    assert told == {"01": "1", "1": "1", "p": "p", "q": "q", "x": "z", "y": "z", "z": "z"}
    assert len(found) == 9  # a key for a@x.de's order without a customer, and g@x.de's
    published = ran[0].parent / "published" / "current" / "cva.duckdb"
    assert rows(published, "from customer_ids order by 1") == found


def test_what_cannot_be_used_is_counted_and_what_was_joined_is_said(ran: Any) -> None:
    rejects = {(r["table"], r["reason"]): r["rows"] for r in ran[1].rejects}
    assert rejects == {
        ("customer_merges", "leads_back_to_itself"): 2,
        ("customer_merges", "from_customer_id_missing"): 1,
        ("orders", "customer_unknown"): 1,
    }
    assert ran[1].notes == ("6 customer ids are 2 people, see customer_ids",)


def test_nothing_that_is_built_has_the_contact(ran: Any) -> None:
    with duckdb.connect(str(ran[0]), read_only=True) as con:
        names = con.execute(
            "select table_schema, column_name from information_schema.columns"
            " where lower(column_name) like '%email%'"
        ).fetchall()
    assert names == [("raw", "email")]


def test_a_customer_is_explained_by_any_of_the_ids(ran: Any) -> None:
    assert explain_customer(open_shop(ran[0]), "01", {}).customer_id == "1"


def test_who_is_one_person_is_no_leak(ran: Any) -> None:
    """The merged account came after the cutoff: the checker compares people, not accounts."""
    call = [sys.executable, "-m", "cva_sql.cli.app", "check-features", "--db", str(ran[0])]
    call += ["--as-of", "2024-02-01", "--vars", f"{{cva_customer_key: {KEY}}}"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_key_over_columns_of_no_table_is_refused(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "cva_sql.cli.app", "run", "--db", str(make_shop(tmp_path))]
    call += ["--vars", "{cva_customer_key: lower(mail)}"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "cva_customer_key is 'lower(mail)'; none of orders, customers, returns has mail; load it,"
        " e.g. cva load customers FILE --replace --column mail=…"
    ) in done.stderr


def test_a_key_stands_in_for_a_column_of_customers(tmp_path: Path, rows: Any) -> None:
    db = make_shop(tmp_path)
    with duckdb.connect(str(db)) as con:
        con.execute("alter table raw.orders drop column customer_id")
        con.execute("alter table raw.orders add column currency varchar default 'EUR'")
    shop = open_shop(db, variables={"cva_customer_key": KEY})
    run_dbt(shop, "run", select=["+stg_cva__orders"])
    found = "select count(distinct customer_id), count(customer_id) from main_cva.stg_cva__orders"
    assert rows(db, found) == [(2, 5)]


def test_labels_are_those_of_connected_ids() -> None:
    """Against the definition, on random graphs with long chains."""
    random.seed(7)
    sql = macro_value("engine.sql", "least_connected", "labels", "pairs")
    for size in (2, 30, 400):
        edges = [(f"{random.randrange(size)}", f"k{random.randrange(size)}") for _ in range(size)]
        edges += [(f"c{n}", f"c{n + 1}") for n in range(size)]
        groups = {node: {node} for edge in edges for node in edge}
        for a, b in edges:
            if groups[a] is not groups[b]:
                groups[a] |= groups[b]
                for node in groups[b]:
                    groups[node] = groups[a]
        both = ", ".join(f"('{a}', '{b}'), ('{b}', '{a}')" for a, b in edges)
        query = f"with recursive pairs (a, b) as (values {both}), {sql} from labels"
        labels = dict(duckdb.sql(query).fetchall())
        assert labels == {node: min(group) for node, group in groups.items()}
