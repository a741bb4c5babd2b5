"""A score from facts given in the call is what a run after a load of them says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql import Shop, UsageError
from cva_sql.cli.shop.package import project_dir

COMPARED = (
    "as_of_date", "score", "predicted_value", "predicted_value_p10", "predicted_value_p50",
    "predicted_value_p90", "purchase_probability", "predicted_orders", "model_hash",
)  # fmt: skip


def stated(db: Path, customer: str) -> dict[str, Any]:
    """What the last run says of a customer."""
    with duckdb.connect(str(db), read_only=True) as con:
        rows = con.execute(
            f"select {', '.join(COMPARED)} from customer_value where customer_id = ?", [customer]
        ).fetchall()
    return dict(zip(COMPARED, rows[0], strict=True))


def chosen(score: Any) -> dict[str, Any]:
    found = asdict(score)
    return {name: found[name] for name in COMPARED}


def test_a_score_with_new_facts_is_that_of_a_run_with_them(
    cva: Callable[..., Any], sample_shop: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    cva("run", "--db", db)
    shop = Shop(db)
    with duckdb.connect(str(db), read_only=True) as con:
        ((day,),) = con.execute("select max(as_of_date)::varchar from customer_value").fetchall()
        old = [
            row[0]
            for row in con.execute(
                "select customer_id from customer_value order by md5(customer_id) limit 20"
            ).fetchall()
        ]
        ((product,),) = con.execute("select min(product_id) from raw.products").fetchall()
    with shop.scorer() as scorer:
        assert [chosen(scorer.score_rows(who)) for who in old] == [stated(db, who) for who in old]
        facts = {
            "orders": [
                {"order_id": "given-1", "ordered_at": f"{day} 10:00", "amount": 41.5,
                 "status": "paid"},
                {"order_id": "given-2", "ordered_at": f"{day} 11:00", "amount": 9,
                 "status": "cancelled"},
            ],
            "order_items": [
                {"order_id": "given-1", "product_id": product, "quantity": 2, "unit_price": 20.75}
            ],
            "reviews": [
                {"review_id": "given", "reviewed_at": f"{day} 12:00", "rating": 1,
                 "body": "Broke on the first day 🎉, never again."}
            ],
        }  # fmt: skip
        given = scorer.score_rows(old[0], facts)
        new = scorer.score_rows("somebody new", {"orders": facts["orders"][:1]})
        # A call leaves nothing behind.
        assert chosen(scorer.score_rows(old[0])) == stated(db, old[0])
        with pytest.raises(UsageError, match="nothing is known of nobody before"):
            scorer.score_rows("nobody")
        with pytest.raises(UsageError, match="orders has no column amout; there are: order_id"):
            scorer.score_rows(old[0], {"orders": [{"order_id": "x", "amout": 3}]})
        with pytest.raises(UsageError, match="products is no table of this shop with customers"):
            scorer.score_rows(old[0], {"products": [{}]})
        with pytest.raises(UsageError, match="invalid timestamp field format"):
            scorer.score_rows(old[0], {"orders": [{"order_id": "x", "ordered_at": "soon"}]})
    assert given.as_of_date > json_date(day)
    add(db, old[0], facts)
    add(db, "somebody new", {"orders": [{**facts["orders"][0], "order_id": "given-3"}]})
    cva("run", "--db", db)
    assert chosen(given) == stated(db, old[0])
    assert chosen(new) == stated(db, "somebody new")


def json_date(text: str) -> Any:
    from datetime import date

    return date.fromisoformat(json.loads(json.dumps(text)))


def add(db: Path, customer: str, facts: dict[str, list[dict[str, Any]]]) -> None:
    with duckdb.connect(str(db)) as con:
        for table, rows in facts.items():
            for row in rows:
                known = {**row}
                if table != "order_items":
                    known["customer_id"] = customer
                con.execute(
                    f"insert into raw.{table} ({', '.join(known)})"
                    f" values ({', '.join('?' for _ in known)})",
                    list(known.values()),
                )


def test_the_packaged_rule_scores_rows_as_well(cva: Callable[..., Any], tmp_path: Path) -> None:
    db = tmp_path / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create schema raw; create table raw.sales as select 'o' || i as ref, i % 40 as client,"
            " timestamp '2024-01-01' + to_days((i * 7 % 600)::int) as sold, 10 + i % 7 as total"
            " from range(900) as t(i)"
        )
    variables = {
        "cva_orders_identifier": "sales",
        "cva_orders_columns": {
            "order_id": "ref", "customer_id": "client", "ordered_at": "sold", "amount": "total",
        },
    }  # fmt: skip
    shop = Shop(db, vars=variables)
    shop.run()
    with shop.scorer() as scorer:
        for who in ("0", "7", "39"):
            # The rule has no score of its own: customer_value has the percentile in its place.
            assert chosen(scorer.score_rows(who)) == {**stated(db, who), "score": None}
        more = scorer.score_rows(
            "7", {"orders": [{"ref": "new", "client": 7, "sold": "2025-08-20", "total": 500}]}
        )
        assert more.predicted_value > scorer.score_rows("7").predicted_value
    assert shop.score_rows("7").predicted_value == stated(db, "7")["predicted_value"]


ALIASED = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from cva_sql import Shop

db, customer, order = sys.argv[1:]
shop = Shop(Path(db))
shop.run()
with shop.scorer() as scorer:
    scores = [scorer.score_rows(customer)]
    if order:
        scores.append(scorer.score_rows(customer, {"orders": [json.loads(order)]}))
print(json.dumps([asdict(score) for score in scores], default=str))
"""


def copy_package(folder: Path) -> None:
    """The package with an alias for the customer of an order, for `folder` first on the path."""
    root = folder / "cva_sql"
    root.mkdir(parents=True)
    for part in ("cli", "udfs", "models_onnx"):
        (root / part).symlink_to(str(files(f"cva_sql.{part}")))
    for file in (root / "cli" / "public").glob("*.py"):
        (root / file.name).symlink_to(file)
    shutil.copytree(project_dir(), root / "dbt_project")
    registry = root / "dbt_project" / "macros" / "raw_tables.sql"
    text, line = registry.read_text(encoding="utf-8"), '        "moves_as_of": true,\n'
    assert text.index(line) < text.index('"order_items"')  # the first is of orders
    aliased = line + '        "aliases": {"customer_id": "client"},\n'
    registry.write_text(text.replace(line, aliased, 1), encoding="utf-8")


def test_a_customer_column_that_goes_by_an_alias_is_known(sample_shop: Any, tmp_path: Path) -> None:
    package, db = tmp_path / "package", sample_shop.copy_to(tmp_path / "shop")
    copy_package(package)

    def scored(who: str, order: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """What a run and `score_rows` with and without the order say of a customer."""
        given = json.dumps(order) if order else ""
        done = subprocess.run(
            [sys.executable, "-c", ALIASED, db, who, given],
            env={**os.environ, "PYTHONPATH": str(package)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.returncode, done.stdout + done.stderr
        said = [stated(db, who), *json.loads(done.stdout)]
        return [{name: str(one[name]) for name in COMPARED} for one in said]

    with duckdb.connect(str(db)) as con:
        con.execute("alter table raw.orders rename column customer_id to Client")
        ((who, day),) = con.execute(
            "select max(customer_id), max(as_of_date)::varchar from customer_value"
        ).fetchall()
    order = {"order_id": "given", "ordered_at": f"{day} 10:00", "amount": 500, "status": "paid"}
    run, stored, given = scored(who, order)
    assert run == stored != given
    with duckdb.connect(str(db)) as con:
        con.execute(
            "insert into raw.orders (order_id, Client, ordered_at, amount, status)"
            " values ('given', ?, ?, 500, 'paid')",
            [who, order["ordered_at"]],
        )
    assert scored(who) == [given, given]
