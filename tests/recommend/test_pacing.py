"""A watch makes lists for a tenth of its time at most, and late rather than never."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.run import build
from cva_sql.cli.run.recommendations import TABLES
from cva_sql.cli.watch.pacing import ListsPace

from .built import built


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("cva_sql.cli.shop.model_store.deployed_version", lambda *_: "v1")
    return now


def test_after_lists_none_are_made_for_nine_times_as_long_and_then_those_owed(
    clock: list[float], tmp_path: Path
) -> None:
    shop: Any = built(tmp_path / "shop.duckdb", [("in", "1", "a")])
    first, second = object(), object()
    pace = ListsPace()
    assert pace.are_due()
    pace.note(shop, first, 10.0, has_lists=True)  # type: ignore[arg-type]
    clock[0] += 89
    assert not pace.are_due()
    pace.note(shop, second, 3.0, has_lists=False)  # type: ignore[arg-type]
    assert pace.late() is None
    clock[0] += 1
    assert pace.late() is second
    pace.note(shop, second, 10.0, has_lists=True)  # type: ignore[arg-type]
    clock[0] += 1000
    assert pace.late() is None


def test_with_once_lists_are_made_in_each_turn(clock: list[float], tmp_path: Path) -> None:
    shop: Any = built(tmp_path / "shop.duckdb", [("in", "1", "a")])
    pace = ListsPace(0.0)
    pace.note(shop, object(), 10.0, has_lists=True)  # type: ignore[arg-type]
    assert pace.are_due()


@pytest.mark.usefixtures("clock")
def test_a_turn_without_lists_takes_out_who_may_have_none(tmp_path: Path) -> None:
    shop = built(
        tmp_path / "shop.duckdb",
        [("in", "1", "a"), ("out", "2", "a")],
        "update customer_value set score_status = 'not_eligible' where customer_id = 'out'",
    )
    with duckdb.connect(str(shop.db)) as con:
        for name, (_, columns) in TABLES.items():
            told = ", ".join(f"{column} {kind}" for column, (kind, _) in columns.items())
            con.execute(f"create table {name} ({told})")
        for who in ("in", "out", "gone"):
            con.execute("insert into recommendations by name select ? as customer_id", [who])
    assert build._recommend(shop, with_lists=False) == ()
    with duckdb.connect(str(shop.db)) as con:
        assert con.execute("select customer_id from recommendations").fetchall() == [("in",)]
