"""Scores as of a past date are the same whatever happened from that date on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.shop.model_store import deploy

AS_OF = "2025-04-01"  # 21 of the sample shop's 30 months lie before it

# What the shop's tables held on that date: nothing that happened later, later changes of a status
# not yet made. Order items and products carry no date; an item goes with its order.
FORGET_WHAT_CAME_LATER = f"""
delete from raw.order_items where order_id in
    (select order_id from raw.orders where ordered_at >= '{AS_OF}');
delete from raw.orders where ordered_at >= '{AS_OF}';
update raw.orders set status = 'completed', status_changed_at = null
    where status_changed_at >= '{AS_OF}';
delete from raw.customers where signed_up_at >= '{AS_OF}' or valid_from >= '{AS_OF}';
delete from raw.returns where returned_at >= '{AS_OF}';
delete from raw.reviews where reviewed_at >= '{AS_OF}';
"""
CANCEL_LATER = f"""
update raw.orders set status = 'cancelled',
    status_changed_at = timestamp '{AS_OF}' + interval (hash(order_id) % 200) day
    where ordered_at < '{AS_OF}' and status = 'completed' and hash(order_id) % 3 = 0;
"""
CHANGES = {"whole": "", "forgotten": FORGET_WHAT_CAME_LATER, "cancelled later": CANCEL_LATER}
COPIES = [name for name in CHANGES if name != "whole"]
Tables = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Past:
    """What one copy of the shop says as of AS_OF, by the rule and by a model trained as of it."""

    untrained: Tables
    model_files: dict[str, bytes]
    trained: Tables


def look_back(cva: Any, scored: Callable[[Path], Tables], db: Path, sql: str) -> Past:
    with duckdb.connect(str(db)) as con:
        con.execute(sql)
    models = db.parent / "models"
    arguments = ("--db", db, "--as-of", AS_OF, "--models-dir", models)
    results = [cva("run", *arguments)]
    untrained = scored(db)
    results.append(cva("train", *arguments))
    versions = sorted(path.name for path in (models / "value").iterdir())
    deploy(models, versions[0])  # also where the rule did as well on the few customers of a sample
    results.append(cva("run", *arguments))
    assert [result.returncode for result in results] == [0, 0, 0], [r.stderr for r in results]
    files = {v: (models / "value" / v / "model.onnx").read_bytes() for v in versions}
    return Past(untrained, files, scored(db))


@pytest.fixture(scope="module")
def pasts(
    sample_shop: Any,
    cva: Any,
    scored: Any,
    together: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Past]:
    folder = tmp_path_factory.mktemp("past")

    def look(name: str) -> Past:
        return look_back(cva, scored, sample_shop.copy_to(folder / name), CHANGES[name])

    results = together([lambda name=name: look(name) for name in CHANGES])
    return dict(zip(CHANGES, results, strict=True))


def test_the_past_date_is_one_where_much_came_later(
    sample_shop: Any, rows: Any, pasts: dict[str, Past]
) -> None:
    later = f"select count(*) from raw.orders where ordered_at >= '{AS_OF}'"
    assert rows(sample_shop.db, later)[0][0] > 500
    customers = len(pasts["whole"].untrained["customer_value"])
    assert 300 < customers < sample_shop.run.customers


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("table", ["customer_features", "customer_value"])
def test_untrained_scores_do_not_see_the_future(
    pasts: dict[str, Past], copy: str, table: str
) -> None:
    assert pasts[copy].untrained[table] == pasts["whole"].untrained[table]


@pytest.mark.parametrize("copy", COPIES)
def test_training_does_not_see_the_future(pasts: dict[str, Past], copy: str) -> None:
    assert pasts[copy].model_files == pasts["whole"].model_files


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("table", ["customer_features", "customer_value"])
def test_scores_of_a_model_trained_then_do_not_see_the_future(
    pasts: dict[str, Past], copy: str, table: str
) -> None:
    whole = pasts["whole"].trained
    assert whole["customer_value"] != pasts["whole"].untrained["customer_value"]
    assert pasts[copy].trained[table] == whole[table]
