"""Events, visits and purchases of two Google Analytics exports, through their presets and by hand.

    .venv/bin/python benchmarks/ga_exports.py DATA

DATA has `ga4_merch_sample/` and `ga360_merch_day/`. Exits 1 where a count differs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import duckdb

from cva_sql.cli.load.by_preset import Overrides, load_any
from cva_sql.cli.load.table import Into, Wanted
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

GA4 = (
    "select count(*), count(distinct (user_pseudo_id, {session})),"
    " count(*) filter (event_name = 'purchase') from '{file}'"
)
NESTED = (
    "list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value.int_value"  # of an event
)
GA360 = (
    "select count(*), count(distinct (fullVisitorId, visitId)), count(distinct (fullVisitorId,"
    " visitId, hit.transaction.transactionId)) filter (hit.transaction.transactionId is not null)"
    " from (select fullVisitorId, visitId, unnest(hits) as hit from '{file}')"
)
EXPORTS = {
    "ga4_merch_sample/ga4_events_flat.parquet": ("ga4", GA4.replace("{session}", "ga_session_id")),
    "ga4_merch_sample/ga4_events_sampled.parquet": ("ga4", GA4.replace("{session}", NESTED)),
    "ga360_merch_day/ga_sample.parquet": ("ga360", GA360),
}
TOTALS = "sum(events_count)::bigint, sum(sessions_count)::bigint, sum(purchases_count)::bigint"
DAYS = f"select {TOTALS} from main_cva.int_cva__browse_days"
REASONS = f"""select reject_reason, {TOTALS} from main_cva.int_cva__browse_days
where reject_reason is not null group by 1 order by 1"""


def count(file: Path, preset: str) -> tuple[tuple[int, ...], list[tuple[str, int, int, int]]]:
    """Events, visits and purchases of the days; by reason those of them that are not used."""
    with tempfile.TemporaryDirectory() as folder:
        shop = ResolvedShop(Path(folder) / "shop.duckdb", Path(folder) / "models")
        load_any(preset, [file], Overrides(Wanted({})), Into(), db=shop.db, query=None)
        run_dbt(shop, "run", select=["+int_cva__browse_days"])
        with duckdb.connect(str(shop.db), read_only=True) as con:
            return con.execute(DAYS).fetchall()[0], con.execute(REASONS).fetchall()


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    is_same = True
    for name, (preset, query) in EXPORTS.items():
        file = Path(sys.argv[1]) / name
        by_hand = duckdb.sql(query.replace("{file}", str(file))).fetchall()[0]
        counted, reasons = count(file, preset)
        is_same = is_same and counted == by_hand
        print(f"{name}, preset {preset}")
        for what, ours, theirs in zip(
            ("events", "visits", "purchases"), counted, by_hand, strict=True
        ):
            print(f"  {what:10} {ours:>7,} counted {theirs:>7,} by hand")
        for reason, events, visits, purchases in reasons:
            print(
                f"  not used: {events:,} events, {visits} visit, {purchases} purchases ({reason})"
            )
    if not is_same:
        sys.exit(1)


if __name__ == "__main__":
    main()
