"""Ten kinds of bad rows at once, through the whole line: counted, and nobody else's score moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy.stats import spearmanr

from cva_sql.cli.demo.sample_shop import TABLES

# Each leaves the customers alone whose rows it does not touch. The amounts go through a DOUBLE, the
# returns' are text, as in a table that was loaded by hand; the key is named as no key should be.
BAD_ROWS = """
alter table raw.orders alter amount type double;
alter table raw.returns alter refund_amount type varchar;
alter table raw.orders rename order_id to "order";
create temp table copied as select * from raw.orders order by md5("order"::varchar)
    limit (select count(*) // 20 from raw.orders);
create temp table one as select * from copied limit 1;
insert into raw.orders by name select * replace (amount + 1 as amount) from copied;
insert into raw.orders by name
    select 'huge' as "order", customer_id, ordered_at, 1e9 as amount, currency from one;
insert into raw.orders by name
    select 'euro' as "order", customer_id, ordered_at, 10 as amount, 'XXX' as currency from one;
insert into raw.orders by name select 'amount' || i as "order", customer_id, ordered_at, currency,
    ['nan'::double, 'inf'::double, '-inf'::double, 1e300, -1e18, -0.0][i] as amount
    from one, range(1, 7) as t(i);
insert into raw.orders by name select 'late' || i as "order", customer_id, 10 as amount, currency,
    [timestamp '2999-01-01', '9999-12-31', 'infinity', '0001-01-01', '1969-07-20', '-infinity'][i]
    as ordered_at from one, range(1, 7) as t(i);
insert into raw.orders by name select 'who' || i as "order", ordered_at, 10 as amount, currency,
    ['', ' ', e'\\t', null][i] as customer_id from one, range(1, 5) as t(i);
insert into raw.orders by name select null as "order" from range(7);
insert into raw.order_items by name select null as order_id from range(7);
insert into raw.products by name select null as product_id from range(7);
insert into raw.customers by name select null as customer_id from range(7);
insert into raw.reviews by name select null as review_id from range(7);
insert into raw.returns by name select null as return_id from range(7);
insert into raw.order_items by name select 'nowhere' as order_id, product_id, 1e300 as quantity
    from raw.order_items limit 20;
insert into raw.returns by name select 'r' || i as return_id, 'nowhere' as order_id,
    timestamp '2025-01-01' as returned_at, ['10', 'nan', '1e300', ''''][i] as refund_amount
    from range(1, 5) as t(i);
insert into raw.reviews by name select 'long' as review_id, customer_id,
    (select min(reviewed_at) from raw.reviews) as reviewed_at, repeat('so good ', 12500) as body
    from one;
insert into raw.reviews by name select 'sql' as review_id, customer_id,
    (select min(reviewed_at) from raw.reviews) as reviewed_at,
    '''; drop table raw.orders; --' as body from one;
create table raw.touched as select distinct customer_id from copied;
"""
MAPPED = {"cva_orders_columns": {"order_id": '"order"'}}


@dataclass(frozen=True)
class Lines:
    """A shop with bad rows that was run: its database, the clean one, what `cva run` said."""

    db: Path
    clean: Path
    returncode: int
    stderr: str
    result: dict[str, Any]


@pytest.fixture(scope="module")
def lines(sample_shop: Any, cva: Any, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    db = sample_shop.copy_to(tmp_path_factory.mktemp("bad") / "shop")
    with duckdb.connect(str(db)) as con:
        con.execute(BAD_ROWS)
    as_of = sample_shop.run.as_of
    done = cva("run", "--db", db, "--as-of", as_of, "--vars", json.dumps(MAPPED), "--json")
    result = json.loads(done.stdout) if done.returncode == 0 else {}
    return Lines(db, sample_shop.db, done.returncode, done.stderr, result)


Query = Callable[[Path, str], list[tuple[Any, ...]]]


def test_the_run_succeeds(lines: Lines) -> None:
    assert lines.returncode == 0, lines.stderr
    assert "Traceback" not in lines.stderr


def test_every_raw_row_is_valid_or_rejected(lines: Lines, rows: Query) -> None:
    counts = rows(
        lines.db,
        "select table_name, raw_row_count, valid_row_count, sum(row_count)::bigint "
        "from main_cva.cva_rejects group by all",
    )
    for table, raw, valid, rejected in counts:
        is_there = table in TABLES
        assert not is_there or rows(lines.db, f"select count(*) from raw.{table}") == [(raw,)]
        assert is_there or raw == 0
        assert raw == valid + rejected
    assert {table for table, *_ in counts} >= set(TABLES)


def test_each_kind_of_bad_row_is_counted_by_its_reason(lines: Lines, rows: Query) -> None:
    copies = rows(lines.clean, "select count(*) // 20 from raw.orders")[0][0]
    found = {
        (table, reason): count
        for table, reason, count in rows(
            lines.db, "select table_name, reason, row_count from main_cva.cva_rejects"
        )
    }
    clean = {
        (table, reason): count
        for table, reason, count in rows(
            lines.clean, "select table_name, reason, row_count from main_cva.cva_rejects"
        )
    }
    added = {key: count - clean.get(key, 0) for key, count in found.items() if key[1]}
    assert added["orders", "other_currency"] == 1
    assert added["orders", "order_id_missing"] == 7
    assert added["orders", "ordered_at_before_1970"] == 3
    assert added["orders", "in_the_future"] == 3
    assert added["orders", "customer_unknown"] == 4
    assert 0.8 * copies <= added["orders", "duplicate_order_id"] <= copies
    assert added["order_items", "quantity_too_large"] == 20
    assert added["returns", "customer_unknown"] == 1
    assert added["returns", "refund_amount_unreadable"] == 3
    assert added["reviews", "reviewed_at_missing"] == 7


def test_untouched_customers_keep_their_order_and_their_total(lines: Lines, rows: Query) -> None:
    query = "select customer_id, predicted_value, historic_value from main.customer_value"
    clean = {row[0]: row[1:] for row in rows(lines.clean, query)}
    dirty = {row[0]: row[1:] for row in rows(lines.db, query)}
    touched = {row[0] for row in rows(lines.db, "from raw.touched")}
    others = sorted(clean.keys() & dirty.keys() - touched)
    assert len(others) > 500
    before, after = (np.array([values[c] for c in others], float) for values in (clean, dirty))
    assert spearmanr(before[:, 0], after[:, 0]).statistic >= 0.99
    assert after[:, 0].sum() == pytest.approx(before[:, 0].sum(), rel=0.02)
    assert (before[:, 1] == after[:, 1]).all()


def test_a_text_of_100_kb_and_one_of_sql_are_read_as_texts(lines: Lines, rows: Query) -> None:
    found = rows(
        lines.db,
        "select review_id, text_status from main_cva.int_cva__review_scores "
        "where review_id in ('long', 'sql') order by 1",
    )
    assert [review for review, _ in found] == ["long", "sql"]
    assert found[0][1] == "truncated"
    assert rows(lines.db, "select count(*) > 0 from raw.orders") == [(True,)]


def test_doctor_names_the_outlier(lines: Lines, cva: Any) -> None:
    done = cva("doctor", "--db", lines.db, "--vars", json.dumps(MAPPED))
    assert "order_id huge" in done.stdout, done.stdout + done.stderr
    assert "1,000,000,000" in done.stdout
