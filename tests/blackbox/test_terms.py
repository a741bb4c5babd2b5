"""What a shop asks of its models arrives in the one that is trained, and in the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.report import describe
from cva_sql.cli.train.training import train_shop
from cva_sql.udfs.errors import UsageError

ASKED = {
    "cva_monotone": {"rating_mean": 1, "days_since_last_order": -1},
    "cva_features_off": ["country", "returns"],
}
OFF = ["country", "days_since_last_return", "refund_amount", "returns_count"]


def test_what_is_asked_is_held_said_and_recorded(
    sample_shop: Any, rows: Any, tmp_path: Path
) -> None:
    shop = open_shop(sample_shop.copy_to(tmp_path), variables=ASKED)
    trained = train_shop(shop)
    said = describe(trained, shop).splitlines()
    assert f"not learned from (cva_features_off): {', '.join(OFF)}" in said
    assert any(line.startswith("predicted value, all else equal (cva_monotone): ") for line in said)
    folder = shop.models_dir / "value" / str(trained.version)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["training"]["monotone"] == ASKED["cva_monotone"]
    assert manifest["training"]["features_off"] == OFF
    names = {feature["name"] for feature in manifest["features"]}
    assert not names & set(OFF)
    recorded = rows(
        shop.db,
        "select name, text, value from cva_training_runs "
        f"where name in ('monotone', 'feature_off') and model_version = '{trained.version}' "
        "order by name desc, text",
    )
    assert recorded == [
        ("monotone", "days_since_last_order", -1.0),
        ("monotone", "rating_mean", 1.0),
        *(("feature_off", name, None) for name in OFF),
    ]
    published = Path(run_shop(shop).published)
    (kept,) = rows(published, "select count(country) > 0 from customer_features")
    assert kept == (True,)  # for people; the model does not read it


def test_who_is_beyond_what_was_learned_from_is_few_in_an_ordinary_shop(
    sample_shop: Any, rows: Any
) -> None:
    (found,) = rows(
        sample_shop.run.published,
        "select count(is_extrapolated) = count(*), "
        "avg(is_extrapolated::integer) between 0.0001 and 0.04 from customer_value",
    )
    assert found == (True, True)
    # Most have been customers for longer than anybody had on the newest date learned from.
    version = sample_shop.trained.version
    manifest = json.loads((sample_shop.model_folder / "manifest.json").read_text())
    (high,) = (f["high"] for f in manifest["features"] if f["name"] == "t_days")
    (older,) = rows(
        sample_shop.run.published,
        "select count(*) filter (t_days > ?), count(*) filter (t_days > ? and is_extrapolated) "
        "from customer_value join customer_features using (customer_id) ".replace("?", str(high)),
    )
    assert version
    assert older[0] > 10
    assert older[1] < older[0] / 4


def test_what_cannot_be_kept_changes_nothing(sample_shop: Any) -> None:
    before = (sample_shop.models_dir / "deployed.json").read_bytes()
    with pytest.raises(UsageError, match="which is no feature; nearest: rating_mean"):
        train_shop(open_shop(sample_shop.db, variables={"cva_monotone": {"rating_meen": 1}}))
    assert (sample_shop.models_dir / "deployed.json").read_bytes() == before
