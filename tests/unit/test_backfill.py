"""`cva backfill`: dates of before, by models of then; what a run said of a date stays."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql import Shop
from cva_sql.cli.backfill.filling import Backfilled, _later
from cva_sql.cli.check_features.check import copied
from cva_sql.cli.shop.resolver import Need, open_shop

HISTORY = "main_cva.int_cva__value_history"


@pytest.mark.parametrize(
    ("first", "step", "n", "day"),
    [
        (date(2024, 1, 31), "month", 1, date(2024, 2, 29)),
        (date(2024, 1, 31), "month", 2, date(2024, 3, 31)),
        (date(2024, 11, 15), "quarter", 1, date(2025, 2, 15)),
        (date(2024, 12, 1), "month", 1, date(2025, 1, 1)),
        (date(2024, 12, 30), "week", 1, date(2025, 1, 6)),
    ],
)
def test_dates_are_a_step_apart(first: date, step: str, n: int, day: date) -> None:
    assert _later(first, step, n) == day


def test_a_backfill_fills_dates_by_models_of_then(
    sample_shop: Any, cva: Any, rows: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    run = rows(db, f"from {HISTORY} order by all")
    models = sorted(path.name for path in (db.parent / "cva_models" / "value").iterdir())
    done = cva("backfill", "--from", "2025-11-01", "--step", "quarter", "--db", db, "--json")
    assert done.returncode == 0, done.stderr
    (filled,) = json.loads(done.stdout)["dates"]
    assert filled["as_of"] == "2025-11-01"
    assert 0 < filled["customers"] < sample_shop.run.customers
    assert rows(
        db,
        "select as_of_date::varchar, count(*), min(trained_until)::varchar, min(model_version)"
        f" from {HISTORY} where ends_with(run_id, '-backfill') group by all",
    ) == [("2025-11-01", filled["customers"], "2025-11-01", filled["model_version"])]
    assert rows(db, f"from {HISTORY} where not ends_with(run_id, '-backfill') order by all") == run
    # The shop's own models, tables and date are as they were, and nothing is left of the copy.
    assert sorted(p.name for p in (db.parent / "cva_models" / "value").iterdir()) == models
    assert not (db.parent / ".cva" / "check").exists()
    assert rows(db, "select count(*) from raw.orders") == rows(
        sample_shop.db, "select count(*) from raw.orders"
    )
    assert rows(db, "select command, outcome from cva_runs order by started_at desc limit 1") == [
        ("backfill", "ok")
    ]
    again = cva("backfill", "--from", "2025-11-01", "--step", "quarter", "--db", db)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "left as they are: 2025-11-01\nnothing to fill\n"
    assert Shop(db).backfill("2025-11-01", step="quarter") == Backfilled((), ("2025-11-01",))


@pytest.mark.parametrize("work", [None, "work"])
def test_a_copy_is_where_rows_may_be_cut_and_goes(tmp_path: Path, work: str | None) -> None:
    db = tmp_path / "shop.duckdb"
    duckdb.connect(str(db)).close()
    place = None if work is None else tmp_path / work
    shop = open_shop(db, work_dir=place, need=Need.NOTHING)
    with copied(shop) as copy:
        assert "/.cva/check/" in copy.db.as_posix()
        assert copy.db.is_file()
    assert list(shop.work_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("2031-01-01", "expected a date after the first order"),
        ("1999-01-01", "expected a date after the first order"),
        ("2023-12-01", "the history keeps 730 days; take a later date, or keep more with: --vars"),
    ],
)
def test_a_wrong_date_is_one_line(
    sample_shop: Any, cva: Any, tmp_path: Path, first: str, said: str
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    done = cva("backfill", "--from", first, "--db", db)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"cva: --from is {first}")
    assert said in line
