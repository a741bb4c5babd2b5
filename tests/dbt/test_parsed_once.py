"""dbt takes up what it parsed: after training, and in a shop that was copied."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import TRAIN_SCHEMA


@pytest.fixture(scope="module")
def shop(sample_shop: Any, tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    """A copy, elsewhere, of a shop that was trained and run."""
    return open_shop(sample_shop.copy_to(tmp_path_factory.mktemp("parsed") / "shop"))


def parsed_anew(shop: ResolvedShop, **options: Any) -> bool:
    log = shop.work_dir / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    run_dbt(shop, "ls", select=["customer_value"], **options)
    said = log.read_text(encoding="utf-8")
    is_anew = "Unable to do partial parsing because" in said
    assert is_anew != ("Partial parsing enabled: 0 files deleted, 0 files added, 0 fi" in said)
    return is_anew


def test_each_use_finds_what_it_parsed_the_last_time(shop: ResolvedShop) -> None:
    assert not parsed_anew(shop)
    assert not parsed_anew(shop, schema=TRAIN_SCHEMA, variables={"cva_spine": "scoring"})


def test_a_profile_of_the_packaged_project_does_not_say_where_the_shop_is(
    shop: ResolvedShop,
) -> None:
    written = (shop.work_dir / "profiles.yml").read_text(encoding="utf-8")
    output = json.loads(written)["cva"]["outputs"]["run"]
    assert output["path"] == "../shop.duckdb"
    assert output["plugins"] == [{"module": "cva_sql.udfs.plugin", "config": {}}]


def test_uses_are_few_whatever_the_vars_are(shop: ResolvedShop) -> None:
    names = {path.name for path in shop.work_dir.glob("target*")}
    assert names == {
        "target",
        "target-scoring",
        f"target-{TRAIN_SCHEMA}-scoring",
        f"target-{TRAIN_SCHEMA}-training",
    }
