"""What people read of a feature's value: the same words in customer_value and in `cva explain`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.explain.sentences import Sentences, read_sentences
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.resolver import open_shop

# feature, value, typical, sentence, the same in Chinese
SAID = [
    ("days_since_last_order", "12", "189",
     "last ordered 12 days ago (typical 189)", "12 天前最近一次下单（通常为 189）"),
    ("days_since_last_order", "1", "189",
     "last ordered 1 day ago (typical 189)", "1 天前最近一次下单（通常为 189）"),
    ("days_since_last_order", None, "189", "no order yet", "尚未下单"),
    ("t_days", "33", None, "first ordered 33 days ago (typical none)",
     "33 天前首次下单（通常为 无）"),
    ("decayed_spend", "1605.51234", "22.98",
     "spent 1,605.51 recently, weighted to the last 180 days (typical 22.98)",
     "近期消费 1,605.51，侧重最近 180 天（通常为 22.98）"),
    ("decayed_spend", "0", "22.98",
     "nothing spent recently (typical 22.98)", "近期没有消费（通常为 22.98）"),
    ("frequency", "27", "1",
     "ordered on 27 further days (typical 1)", "首单日之后又有 27 天下单（通常为 1）"),
    ("frequency", "1", "2",
     "ordered on 1 further day (typical 2)", "首单日之后又有 1 天下单（通常为 2）"),
    ("frequency", "0", "1",
     "ordered on no further day (typical 1)", "之后没有再下单（通常为 1）"),
    ("orders_count", "0", "2", "no order yet (typical 2)", "尚未下单（通常为 2）"),
    ("decayed_orders", "2.5678", "0.98765",
     "placed 2.6 orders recently, weighted to the last 180 days (typical 1)",
     "近期下单 2.6 次，侧重最近 180 天（通常为 1）"),
    ("decayed_orders", "0.98765", "2",
     "placed 1 order recently, weighted to the last 180 days (typical 2)",
     "近期下单 1 次，侧重最近 180 天（通常为 2）"),
    ("spend_horizon_1", "5", "0",
     "spent 5.00 in the last 90 days (typical 0.00)", "近 90 天消费 5.00（通常为 0.00）"),
    ("spend_horizon_2", "0", "5",
     "nothing spent 90 to 180 days ago (typical 5.00)", "90 至 180 天前没有消费（通常为 5.00）"),
    ("categories_count", "1", "3",
     "bought from 1 category (typical 3)", "买过 1 个品类（通常为 3）"),
    ("categories_count", "3", "1",
     "bought from 3 categories (typical 1)", "买过 3 个品类（通常为 1）"),
    ("weekend_orders_rate", "0.254", "0.5",
     "25% of orders at a weekend (typical 50%)", "25% 的订单在周末（通常为 50%）"),
    ("weekend_orders_rate", "1", "0.5",
     "always ordered at a weekend (typical 50%)", "总是在周末下单（通常为 50%）"),
    ("weekend_orders_rate", "0", "0.5",
     "never ordered at a weekend (typical 50%)", "从未在周末下单（通常为 50%）"),
    ("rating_mean", "4", "4.25", "rated 4 on average (typical 4.2)", "平均评分 4（通常为 4.2）"),
    ("rating_mean", None, "4.25", "no rating yet", "尚未评分"),
    ("sentiment_min", "-0.256", "0.1",
     "tone of the harshest review is -0.26, from -1 to 1 (typical 0.10)",
     "最差一条评价语气 -0.26，范围 -1 到 1（通常为 0.10）"),
    ("country", "DE", "UK", "country: DE (most often UK)", "国家：DE（多数为 UK）"),
    ("country", None, "UK", "country not known (most often UK)", "国家未知（多数为 UK）"),
    ("country", "{typical}", None,
     "country: (typical) (most often none)", "国家：(typical)（多数为 无）"),
    ("has_marketing_consent", "1", "0",
     "agreed to marketing (most often no)", "同意接收营销（多数为 否）"),
    ("has_marketing_consent", "0", "1",
     "did not agree to marketing (most often yes)", "不同意接收营销（多数为 是）"),
    ("has_marketing_consent", None, "1",
     "agreement to marketing not known (most often yes)", "是否同意营销未知（多数为 是）"),
    ("text_3", "0.5", "0.1", "what the reviews say, part 3", "评价内容（第3部分）"),
    ("my_own", "0.5", None, "my_own 0.5 (typical None)", "my_own 0.5 (typical None)"),
]  # fmt: skip
RULE = ("decayed_spend", "1605.51", "0",
        "spent 1,605.51 recently, weighted to the last 180 days (compared with 0.00)",
        "近期消费 1,605.51，侧重最近 180 天（对比值 0.00）")  # fmt: skip
VALUES = ("0", "1", "0.96", "2.345678", "1234.5678", "-3", None)
TYPICAL = "7.5"
MONEY = 10.0


def sentences_of(sample_shop: Any, language: str, *, is_baseline: bool = False) -> Sentences:
    shop = replace(open_shop(sample_shop.db), vars={"cva_language": language})
    with duckdb.connect(str(sample_shop.db), read_only=True) as con:
        return read_sentences(con, shop, is_baseline=is_baseline)


@pytest.mark.parametrize(("place", "language"), [(0, "en"), (1, "zh")])
def test_a_value_is_said_as_people_say_it(sample_shop: Any, place: int, language: str) -> None:
    sentences = sentences_of(sample_shop, language)
    said = {line[:3]: sentences.say(*line[:3]) for line in SAID}
    assert said == {line[:3]: line[3 + place] for line in SAID}
    rule = sentences_of(sample_shop, language, is_baseline=True)
    assert rule.say(*RULE[:3]) == RULE[3 + place]


def test_labels_are_in_the_language_of_the_shop(sample_shop: Any) -> None:
    said = [sentences_of(sample_shop, one).label("orders_count") for one in ("en", "zh")]
    assert said == ["orders", "订单数"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_dbt_and_python_say_every_feature_alike(
    sample_shop: Any, rows: Any, tmp_path: Path, language: str
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    run_dbt(
        open_shop(db),
        "run",
        select=["int_cva__customer_reasons"],
        variables={"cva_language": language},
    )
    customers = [name for (name,) in rows(db, "select customer_id from customer_value order by 1")]
    features = rows(
        db,
        "select feature, kind, direction from main_cva.cva_feature_catalog where is_reason "
        "order by feature",
    )
    cases = [
        (feature, value, direction)
        for feature, kind, direction in features
        for value in (VALUES if kind == "number" else ("DE", "{typical}", None))
        if value is not None or not direction  # NULL is neither more nor less
    ]
    with duckdb.connect(str(db)) as con:
        con.execute("create temp table likes as from main.customer_value_explain limit 0")
        con.execute("delete from main.customer_value_explain")
        con.executemany(
            "insert into main.customer_value_explain by name select ? as customer_id, "
            "date '2026-01-01' as as_of_date, 'f' as family, ? as feature, ? as value, "
            f"'{TYPICAL}' as reference_value, ? as attribution, ? as family_attribution, 1 as rank",
            [
                (customer, feature, value, money, money)
                for customer, (feature, value, direction) in zip(customers, cases, strict=False)
                for money in [
                    -MONEY if direction and (float(value) > float(TYPICAL)) != (direction > 0)
                    else MONEY
                ]
            ],
        )  # fmt: skip
        con.execute("update main_cva.int_cva__customer_scores set is_baseline = customer_id > 'C5'")
        told = con.execute(
            "select customer_id, is_baseline, reason_1 from main_cva.int_cva__customer_reasons "
            "join main_cva.int_cva__customer_scores using (customer_id) order by 1"
        ).fetchall()
    assert len(cases) <= len(customers)
    assert len(told) == len(cases)
    sentences = {
        is_baseline: sentences_of(sample_shop, language, is_baseline=is_baseline)
        for is_baseline in (False, True)
    }
    colon = sentences[False].words["colon"]
    for (_, is_baseline, reason), (feature, value, _) in zip(told, cases, strict=True):
        expected = sentences[is_baseline].say(feature, value, TYPICAL)
        assert reason.rpartition(colon)[0] == expected
