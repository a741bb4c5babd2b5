"""A typing error, a whale, copies and disorder leave everybody else's value as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from cva_sql.models_onnx.value.judging.metrics import spearman

TYPO, WHALE = "C000152", "C000002"


def spoil(db: Path) -> None:
    """One order typed as 1e9, a customer of 110 orders of 5,000, 5 % copies, all shuffled."""
    with duckdb.connect(str(db)) as con:
        con.execute(
            "update raw.orders set amount = 1e9 where order_id = (select min(order_id) "
            "from raw.orders where customer_id = ? and amount > 0 and status <> 'cancelled')",
            [TYPO],
        )
        con.execute(
            "insert into raw.orders by name select 'W' || n as order_id, ? as customer_id, "
            "timestamp '2024-06-01' + n * interval 5 day as ordered_at, 5000 as amount, "
            "'completed' as status, 'EUR' as currency from range(110) as t (n)",
            [WHALE],
        )
        con.execute(
            "create table raw.spoilt as from (from raw.orders union all "
            "(from raw.orders using sample reservoir(5 %) repeatable (7))) "
            "order by md5(order_id)"
        )
        con.execute("drop table raw.orders")
        con.execute("alter table raw.spoilt rename to orders")


def test_a_spoilt_shop_keeps_the_ranking_and_total_of_all_others(
    sample_shop: Any, cva: Any, rows: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    spoil(db)
    trained = cva("train", "--db", db, "--as-of", "2026-01-01")
    assert trained.returncode == 0, trained.stderr
    assert "left out of learning" in trained.stdout
    assert cva("run", "--db", db, "--as-of", "2026-01-01").returncode == 0

    query = "select customer_id, predicted_value from customer_value order by customer_id"
    clean, spoilt = dict(rows(sample_shop.db, query)), dict(rows(db, query))
    others = [customer for customer in clean if customer not in (TYPO, WHALE)]
    before = np.array([clean[customer] for customer in others])
    after = np.array([spoilt[customer] for customer in others])
    assert spearman(before, after) >= 0.99
    assert abs(after.sum() / before.sum() - 1) <= 0.02
    assert np.isfinite(list(spoilt.values())).all()

    version = json.loads((db.parent / "cva_models" / "deployed.json").read_text())["value"]
    text = (db.parent / "cva_models/value" / version / "manifest.json").read_text()
    assert json.loads(text)["training"]["outliers"]["count"] == 2
    assert TYPO not in text
    assert WHALE not in text
    named = rows(db, "select text from cva_training_runs where name = 'outlier' order by text")
    assert [name for (name,) in named] == sorted([TYPO, WHALE])
