"""What scores where a rule wins, or a candidate is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.deployment import Wish
from cva_sql.cli.train.training import train_shop
from cva_sql.udfs.errors import UsageError


def test_a_rule_that_is_asked_for_scores_like_any_model(
    sample_shop: Any, rows: Any, tmp_path: Path
) -> None:
    shop = open_shop(sample_shop.copy_to(tmp_path))
    trained = train_shop(shop, Wish(candidate="past_spend"))
    assert trained.version is not None
    assert "-past_spend-" in trained.version
    assert trained.is_deployed
    assert trained.reason.startswith("past_spend, as asked; ensemble explains more deviance")
    recorded = rows(shop.db, "select distinct is_deployed, reason from cva_training_runs")
    assert (True, trained.reason) in recorded

    published = Path(run_shop(shop).published)
    (found,) = rows(
        published,
        "select count(*) filter (where score_status in ('ok', 'cold_start')) = count(*), "
        "min(score) < 10, max(score) = 100, bool_and(predicted_value_p10 <= predicted_value_p90), "
        "count(distinct round(predicted_value_p90, 2)) > 100, count(reason_1) > 100 "
        "from customer_value",
    )
    assert found == (True,) * 6  # and that reasons add up is a data test of the run


def test_what_is_no_candidate_is_refused_with_those_that_are(sample_shop: Any) -> None:
    shop = open_shop(sample_shop.db)
    with pytest.raises(UsageError, match=r"--deploy glmm: expected one of .*ensemble.*past_spend"):
        train_shop(shop, Wish(candidate="glmm"))
    with pytest.raises(UsageError, match="--deploy and --no-deploy exclude each other"):
        Wish(deploy=False, candidate="glm")
