"""What runs said is kept: once a date, of published runs, with who moved and why."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.history import RUN_VARIABLE
from cva_sql.cli.shop.resolver import open_shop

HISTORY = "main_cva.int_cva__value_history"
LATER = "2026-02-01"  # a month after the date that the sample shop is looked at from
SAID = "* exclude (run_id)"


@dataclass(frozen=True)
class Twice:
    """A shop that was run on two dates: its database and what was published of it."""

    db: Path
    published: Path


@pytest.fixture(scope="module")
def twice(sample_shop: Any, cva: Any, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    db = sample_shop.copy_to(tmp_path_factory.mktemp("twice") / "shop")
    done = cva("run", "--db", db, "--as-of", LATER)
    assert done.returncode == 0, done.stderr
    return Twice(db, db.parent / "published" / "current" / "cva.duckdb")


def keep(db: Path, run_id: str) -> None:
    """Builds the history alone once more."""
    run_dbt(
        open_shop(db, as_of=LATER),
        "run",
        select=["int_cva__value_history"],
        environment={RUN_VARIABLE: run_id},
    )


def test_one_date_is_history_without_moves(sample_shop: Any, rows: Any) -> None:
    published = Path(sample_shop.run.published)
    tables = {row[0] for row in rows(published, "select table_name from duckdb_tables()")}
    assert {"customer_segments", "customer_value_history"} <= tables
    assert not {"segment_moves", "segment_flows"} & tables
    assert rows(
        published,
        "select count(*), count(distinct run_id) from customer_value_history as h"
        " inner join customer_value as v using (customer_id, as_of_date, predicted_value)"
        " inner join customer_segments using (customer_id, lifecycle_stage)"
        " where h.trained_until = v.as_of_date",
    ) == [(sample_shop.run.customers, 1)]
    assert rows(published, "select distinct run_id from customer_value_history") == [
        (published.parent.resolve().name,)
    ]


def test_each_customer_has_an_action_and_marketing_takes_consent(
    sample_shop: Any, rows: Any
) -> None:
    published = Path(sample_shop.run.published)
    ((customers, actions, bold),) = rows(
        published,
        "select count(*), count(distinct action), count(*) filter (is_allowed and is_marketing"
        " and has_marketing_consent is distinct from true) from next_actions inner join"
        " customer_segments using (customer_id, lifecycle_stage, value_tier)",
    )
    assert (customers, bold) == (sample_shop.run.customers, 0)
    assert actions > 6
    assert rows(
        published,
        "select count(*) > 0, bool_and(is_allowed) from next_actions where action = 'thank'",
    ) == [(True, True)]


def test_moves_say_who_went_where_and_why(twice: Twice, rows: Any) -> None:
    expected = rows(
        twice.published,
        "select now.customer_id, old.lifecycle_stage, now.lifecycle_stage, old.value_tier,"
        " now.value_tier from customer_value_history as now"
        " inner join customer_value_history as old"
        f" using (customer_id) where now.as_of_date = date '{LATER}'"
        " and old.as_of_date < now.as_of_date and (old.lifecycle_stage, old.value_tier)"
        " <> (now.lifecycle_stage, now.value_tier) order by 1",
    )
    found = rows(
        twice.published,
        "select customer_id, from_lifecycle_stage, to_lifecycle_stage, from_value_tier,"
        " to_value_tier from segment_moves order by 1",
    )
    assert found == expected != []
    ((without, families),) = rows(
        twice.published,
        "select count(*) filter (reason_family is null), list(distinct reason_family)"
        " from segment_moves",
    )
    assert without == 0
    assert "recency" in families  # a month in which nobody bought


def test_flows_are_the_customers_of_both_dates(twice: Twice, rows: Any) -> None:
    assert rows(
        twice.published,
        "select month::varchar, as_of_date::varchar, sum(customers_count) = (select count(*) from"
        " customer_value), round(sum(to_predicted_value)) = (select round(sum(predicted_value))"
        " from customer_value) from segment_flows group by all",
    ) == [(LATER, LATER, True, True)]


def test_a_run_again_takes_the_place_of_the_former(twice: Twice, rows: Any, tmp_path: Path) -> None:
    db = Path(shutil.copytree(twice.db.parent, tmp_path / "shop", symlinks=True)) / twice.db.name
    before = rows(db, f"select {SAID} from main.customer_value_history order by all")
    keep(db, "99990101T000000000000")
    assert rows(db, f"select count(distinct run_id) from {HISTORY}") == [(3,)]
    assert rows(db, f"select {SAID} from main.customer_value_history order by all") == before
    # That run published nothing: the next one takes its rows away. One of plain dbt counts at once.
    keep(db, "99990102T000000000000-dbt")
    ids = {row[0] for row in rows(db, f"select distinct run_id from {HISTORY}")}
    assert "99990101T000000000000" not in ids
    assert len(ids) == 3
    keep(db, "99990103T000000000000-dbt")
    ids = {row[0] for row in rows(db, f"select distinct run_id from {HISTORY}")}
    assert ids >= {"99990102T000000000000-dbt", "99990103T000000000000-dbt"}
    assert len(ids) == 3  # of this date the published run gave way
    assert rows(db, f"select {SAID} from main.customer_value_history order by all") == before


def test_what_is_older_than_is_kept_goes(twice: Twice, rows: Any, tmp_path: Path) -> None:
    db = Path(shutil.copytree(twice.db.parent, tmp_path / "shop", symlinks=True)) / twice.db.name
    with duckdb.connect(str(db)) as con:
        for days, run_id in ((729, "a-dbt"), (731, "b-dbt")):
            con.execute(
                f"insert into {HISTORY} by name select * replace ("
                f"as_of_date - {days} as as_of_date, '{run_id}' as run_id) from {HISTORY}"
                f" where as_of_date = date '{LATER}' limit 1"
            ).fetchall()
    keep(db, "99990101T000000000000-dbt")
    ids = {row[0] for row in rows(db, f"select distinct run_id from {HISTORY}")}
    assert "a-dbt" in ids
    assert "b-dbt" not in ids
