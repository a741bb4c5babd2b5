"""`cva report`: one file that opens offline, whatever is or is not in the tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.cli.report.catalog import Catalog, Feature, read_catalog
from cva_sql.cli.report.command import describe, report
from cva_sql.cli.report.page import Section
from cva_sql.cli.report.plots.frame import plot_area
from cva_sql.cli.report.plots.palette import VARIABLES
from cva_sql.cli.report.plots.svg import drawn
from cva_sql.cli.report.sections.attributions import attributions, ranked
from cva_sql.cli.report.sections.overview import Overview, read_overview
from cva_sql.cli.report.sections.quality import quality
from cva_sql.cli.report.sections.recommending import recommending
from cva_sql.cli.report.sections.rejects import rejects
from cva_sql.cli.report.sections.waterfalls import waterfalls
from cva_sql.cli.report.source import Source, opened
from cva_sql.cli.report.wording import amount, fitted, money, percent, plain, signed, tick_labels
from cva_sql.cli.report.writing import SectionState, Written, make_page, write_report
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.manifest import Manifest

HOSTILE = "<script>alert('x')</script>\"&\u202e\x07客户😀"
VALUE = """
create schema if not exists main_cva;
create or replace table customer_value as
select 'C' || lpad(i::varchar, 4, '0') as customer_id, date '2026-01-01' as as_of_date,
    90 as horizon_days, 100 * i / 40.0 as score, i / 40.0 as value_percentile,
    case when i > 32 then 'high' when i > 20 then 'medium' else 'low' end as value_tier,
    case when i <= 4 then 'cold_start' else 'ok' end as score_status,
    (case when i <= 4 then 0 else 10 * i end)::decimal(18, 4) as historic_value,
    case when i <= 6 then 0 else exp(i / 7.0) end as predicted_value,
    0.0::double as predicted_value_p10, 2 * exp(i / 7.0) as predicted_value_p90,
    i / 50.0 as purchase_probability, 'low' as churn_risk,
    '9 orders in 90 days, shop median 1: frequency +' || i as reason_1,
    null::varchar as reason_2, null::varchar as reason_3, 'model-1' as model_version
from range(1, 41) as t(i);
"""
EXPLAIN = """
create or replace table customer_value_explain as
select customer_id, as_of_date, family, feature,
    case when feature = 'country' then 'DE' when feature = 'spend_90d' and hash(customer_id) % 5 = 0
        then null else round(historic_value / (1 + place), 2)::varchar end as value,
    case when feature <> 'country' then '55' end as reference_value,
    (predicted_value - 8) * share as attribution, 0.1 as standard_error, 1 as rank,
    8.0::double as baseline_prediction_value, predicted_value
from customer_value, (values
    ('frequency', 'orders_count', 0, 0.5), ('frequency', 'orders_90d_count', 1, 0.125),
    ('spend', 'spend_90d', 2, 0.5), ('spend', 'historic_value', 3, 0.125),
    ('attributes', 'country', 4, -0.25)
) as f(family, feature, place, share);
create or replace table cva_feature_importance as
with sizes as (
    select 'family' as level, family, null as feature, 5.0 + length(family) as size
    from customer_value_explain group by family
    union all
    select 'feature', family, feature, 1.0 + length(feature) from customer_value_explain
    group by family, feature
)
select level, family, feature, size as mean_absolute_attribution,
    size - 1 as mean_absolute_attribution_lower, size + 1 as mean_absolute_attribution_upper,
    size / 2 as mean_attribution,
    row_number() over (partition by level order by size desc, feature) as rank
from sizes;
create or replace table main_cva.cva_feature_catalog as
select * from (values
    ('orders_count', 'number', 'count', 'orders'), ('spend_90d', 'number', 'money', 'spend'),
    ('country', 'category', 'text', 'country'), ('historic_value', 'number', 'money', 'so far')
) as c(feature, kind, unit, label);
"""
BACKTEST = """
create or replace table cva_model_deciles as
select as_of_date, 90 as horizon_days, 'cva' as model, d as decile, 4 as customers,
    exp(5 - d / 2.0) as predicted_value, exp(5 - d / 1.8) as actual_value, 4.0 / d as lift,
    1 - (1 - d / 10.0) ** 2 as capture, 0.9 / d as purchase_probability, 0.8 / d as buyers_rate
from range(1, 11) as t(d), (values (date '2025-10-03'), (null::date)) as dates(as_of_date);
create or replace table cva_model_metrics as
select null::date as as_of_date, 90 as horizon_days, 'cva' as model, metric, value,
    value - 0.02 as lower, value + 0.02 as upper
from (values ('bias', 0.05), ('top_capture', 0.5), ('coverage_p90_positive', 0.89),
    ('coverage_p90_positive_high', 0.9), ('coverage_p50', 0.8), ('coverage_p50_low', 0.95)
) as m(metric, value);
"""
OTHERS = """
create or replace table customer_segments as
select customer_id, as_of_date, value_tier, historic_value, predicted_value, purchase_probability,
    case when score > 80 then 'active' when score > 50 then 'at_risk' else 'lost' end
        as lifecycle_stage from customer_value;
create or replace table segment_moves as
select customer_id, as_of_date, as_of_date - 31 as from_as_of_date,
    'active' as from_lifecycle_stage, lifecycle_stage as to_lifecycle_stage,
    2 * predicted_value as from_predicted_value, predicted_value as to_predicted_value,
    'recency' as reason_family from customer_segments;
create or replace table churn_alerts as
select customer_id, case when score > 90 then 'new' when score > 70 then 'open' else 'expired' end
        as state, as_of_date as raised_on, as_of_date - 60 as last_order_date,
    predicted_value / 3 as money_at_stake, predicted_value as usual_value, predicted_value,
    'last order 60 days ago' as reason, 'win_back_offer' as action, 'Ann' as owner,
    case when state = 'expired' then score > 30 end as has_bought,
    case when state = 'expired' then 12.5 end as spend_in_horizon from customer_value;
create or replace table cohort_retention as
select date '2025-01-01' + to_months(i::integer) as first_month, (age)::integer as age_month,
    i + age < 12 as is_complete, 20 as customers_count,
    case when age = 0 then 1 else (i + age) % 7 / 10.0 end as retention_rate
from range(12) as c(i), range(13) as a(age) where i + age <= 12;
create or replace table cohort_economics as
select first_month::date as first_month, (first_month + to_months(age_month + 1) - interval 1 day)
        ::date as until_date, age_month, null::integer as days_ahead, false as is_forecast,
    is_complete, customers_count, 300::decimal(18, 4) as acquisition_cost,
    (20 * (9 + 2 * age_month))::decimal(18, 4) as margin from cohort_retention
union all select first_month, date '2027-01-01', 12, 365, true, false, 20, 300, 1234.5
from cohort_retention where age_month = 0;
create or replace table main_cva.int_cva__review_scores as
select 'R' || i as review_id, (i % 5) + 1.0 as rating, (i % 21 - 10) / 10.0 as sentiment,
    '' as text_status from range(60) as t(i);
create or replace table main_cva.cva_text_statuses as
select * from (values ('', 60), ('empty', 3)) as s(status, review_count);
create or replace table aspect_trends as
select 'shop' as level, aspect, date '2025-01-01' + to_months(i::integer) as month_date,
    10 as reviews_count, mentions as mentions_count, tone - i / 100.0 as mean_sentiment,
    tone - 0.2 as mean_sentiment_p10, tone + 0.2 as mean_sentiment_p90
from range(12) as t(i),
    (values ('quality', 6, 0.5), ('delivery <b>', 3, -0.25), ('price', 0, null))
    as a(aspect, mentions, tone);
create or replace table product_issues as
select 1 as issue_rank, 'product' as level, 'shoes' as category, 'P9' as product_id,
    'delivery' as aspect, 0.5 as complaint_share, 0.1 as before_complaint_share,
    0.2 as change_p10, 0.6 as change_p90, i as sentence_rank, 'Weeks late <b>, no ' || i as sentence
from range(1, 3) as t(i);
create or replace table customer_value_text_reasons as
select customer_id, 'sentence' as level, 1 as reason_rank, as_of_date - 9 as review_date,
    'It broke at once.' as sentence, predicted_value, -score / 10 as value_change
from customer_value where score > 70;
create or replace table cva_drift as
select * from (values ('spend_90d', 'psi', 0.5, 0.1, 0.2, true, 0.25),
    ('spend_90d', 'jensen_shannon', 0.1, 0.05, 0.3, false, 0.25),
    ('country', 'l_infinity', 0.01, null, 0.3, false, 0.1)
) as d(input, metric, value, usual, threshold, is_anomaly, importance);
create or replace table cva_live_performance as
select date '2025-01-01' + i::integer as as_of_date, date '2025-04-01' + i::integer as ends_on,
    i < 4 as has_passed, 1000.0 as predicted_value, 800.0 as predicted_value_p05,
    1200.0 as predicted_value_p95, case when i < 4 then 900.0 + 200 * (i % 3) end as realised_value,
    case when i < 4 then i % 3 < 2 end as is_total_within, 0.85 as interval_coverage, 0.7 as ngini
from range(6) as t(i);
create or replace table recommendations as
select customer_id, rank::integer as rank, 'P' || rank as product_id, as_of_date, 1 / rank as score,
    case rank when 1 then 'you buy this every 12 days' when 2 then 'often bought with a 100% teapot'
        else 'many customers buy this now' end as reason,
    case when score > 50 then 'personal' else 'popular' end as recommend_status,
    'lists-1' as model_version from customer_value, range(1, 5) as r(rank)
where score > 20 and (rank < 4 or score > 90);
create or replace table main_cva.stg_cva__products as
select 'P1' as product_id, 'Teapot <b>' as name, null::varchar as reject_reason;
create or replace table main_cva.int_cva__orders_valid as
select 'O' || i as order_id, null::varchar as store, date '2025-12-31' - i::integer as order_date,
    1 as orders_of_id, 1 as orders_of_store_id from range(200) as t(i);
create or replace table main_cva.stg_cva__order_items as
select 'O' || i as order_id, null::varchar as store, 'P' || (i % 4 + p) as product_id,
    null::varchar as reject_reason from range(200) as t(i), range(3) as u(p);
create or replace table main_cva.cva_rejects as
select * from (values ('orders', 'cancelled', 3, 400), ('returns', null, 0, 20)
) as r(table_name, reason, row_count, raw_row_count);
"""
SECTIONS = (
    "overview", "distribution", "customers", "segments", "alerts", "recommendations", "cohorts",
    "drivers", "attributions", "waterfalls", "quality", "watching", "reviews", "insights",
    "rejects", "reading",
)  # fmt: skip
UNASKED = {"insights"}  # where a shop has no such tables the page does not speak of them
USUAL = tuple(name for name in SECTIONS if name not in UNASKED)
SCORES = {
    "ensemble": {"ngini": 0.74, "d2_shape": 0.34, "mae": 36.4, "bias": 0.064},
    "baseline": {"ngini": 0.68, "d2_shape": 0.2, "mae": None, "bias": -0.12},
    "last_window": {"ngini": 0.6, "d2_shape": -1.33, "mae": 38.8, "bias": None},
    "unranked": {"ngini": None},
}
Build = Callable[..., ResolvedShop]


class Reader(HTMLParser):
    """The ids, tags and texts of a page; `open` is empty where every element was closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.references: set[str] = set()
        self.svg_values: list[str] = []
        self.sentences: dict[str, str] = {}
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags[tag] += 1
        if found.get("id"):
            self.ids[str(found["id"])] += 1
        self.references |= {str(v)[1:] for k, v in attrs if k == "href" and str(v)[:1] == "#"}
        self.references |= {
            name for _, v in attrs for name in re.findall(r"url\(#([^)]+)\)", str(v))
        }
        if any(name == "svg" for name, _ in self.open):
            self.svg_values += [str(v) for k, v in attrs if k in ("style", "fill", "stroke")]
        if tag not in ("meta", "br"):
            self.open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        sections = [str(found.get("id")) for name, found in self.open if name == "section"]
        is_sentence = self.open and self.open[-1][1].get("class") in ("sentence", "missing")
        if sections and is_sentence:
            self.sentences[sections[0]] = self.sentences.get(sections[0], "") + data


def table_rows(page: str) -> list[list[str]]:
    """The texts of the cells of each row of a page's tables."""
    rows = re.findall(r"(?s)<tr>(.*?)</tr>", page)
    return [
        [
            unescape(re.sub(r"<[^>]*>", "", cell)).strip()
            for cell in re.findall(r"(?s)<td.*?</td>", row)
        ]
        for row in rows
    ]


@pytest.fixture
def shop(tmp_path: Path) -> ResolvedShop:
    return ResolvedShop(tmp_path / "shop.duckdb", tmp_path / "cva_models")


@pytest.fixture
def build(shop: ResolvedShop) -> Build:
    """Makes a shop with these tables and statements, by default with all tables."""

    def call(*statements: str, tables: str = VALUE + EXPLAIN + BACKTEST + OTHERS) -> ResolvedShop:
        with duckdb.connect(str(shop.db)) as con:
            for statement in (tables, *statements):
                con.execute(statement)
        return shop

    return call


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a shop with all tables."""
    db = tmp_path_factory.mktemp("whole") / "shop.duckdb"
    with duckdb.connect(str(db)) as con:
        con.execute(VALUE + EXPLAIN + BACKTEST + OTHERS)
    return make_page(ResolvedShop(db, db.parent / "cva_models"))[0]


def section(shop: ResolvedShop, make: Callable[[Source, Overview, Catalog], Section]) -> Section:
    with opened(shop) as source:
        return make(source, read_overview(source), read_catalog(source))


def test_page_opens_offline_without_script(page: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|<link|<img|<iframe", page)
    read = Reader(page)
    assert read.tags["script"] == 0
    assert not read.open
    assert '<meta name="viewport"' in page
    assert "@media print" in page
    assert "prefers-color-scheme: dark" in page


def test_every_section_is_there_with_a_sentence_of_its_own(page: str) -> None:
    read = Reader(page)
    assert tuple(read.sentences) == SECTIONS
    assert len(set(read.sentences.values())) == len(SECTIONS)
    assert not any("cva " in sentence for sentence in read.sentences.values())


def test_same_tables_in_another_row_order_give_the_same_bytes(page: str, build: Build) -> None:
    shop = build(
        "create or replace table customer_value as "
        "select * from customer_value order by hash(customer_id)",
        "create or replace table customer_value_explain as "
        "select * from customer_value_explain order by hash(feature || customer_id)",
    )
    assert make_page(shop)[0] == page


def test_ids_are_unique_and_every_reference_has_one(page: str) -> None:
    read = Reader(page)
    assert [name for name, count in read.ids.items() if count > 1] == []
    assert read.references <= set(read.ids)


def test_figures_take_all_colours_from_the_page(page: str) -> None:
    values = Reader(page).svg_values
    assert any("var(--accent)" in value for value in values)
    assert not [v for v in values if re.search(r"#[0-9a-fA-F]{3,8}\b|rgb|black|white", v)]


def test_every_colour_of_a_plot_is_in_both_style_sheets() -> None:
    template = (files("cva_sql.cli.report") / "template.html").read_text(encoding="utf-8")
    light, dark = template.split("prefers-color-scheme: dark")
    for name in VARIABLES.values():
        assert f"{name}: #" in light
        assert f"{name}: #" in dark


def test_figures_have_alternative_texts_and_texts_as_text(page: str) -> None:
    figures = re.findall(r"<svg[^>]*>", page)
    assert len(figures) == Reader(page).tags["figure"] >= 10
    assert all('role="img"' in svg and re.search(r'aria-label="[^"]{20,}', svg) for svg in figures)
    assert "Predicted value in 90 days (shop currency)</text>" in page


def test_hostile_texts_are_escaped_and_long_ones_cut(build: Build) -> None:
    text = "'" + HOSTILE.replace("'", "''") + "'"
    long = "repeat('x', 100000)"
    shop = build(
        f"update customer_value set customer_id = {text} || customer_id || {long}, "
        f"reason_1 = {text} || {long}, model_version = {text}",
        f"update customer_value_explain set customer_id = {text} || customer_id || {long}, "
        f"family = {text} || ' #0a0001 $x^2$' || family, feature = {text} || feature",
        f"update cva_feature_importance set family = {text} || family, "
        f"feature = {text} || feature || {long}",
        f"update churn_alerts set customer_id = {text} || {long}, reason = {text} || {long}, "
        f"action = {text} || {long}, owner = {text} || {long}",
        f"update recommendations set customer_id = {text} || customer_id || {long}, "
        f"product_id = {text} || product_id || {long}, reason = {text} || {long}, "
        f"recommend_status = {text} || {long}",
        f"update main_cva.stg_cva__products set name = {text} || {long}",
        f"update cva_drift set input = {text} || {long}, metric = {text} || {long}",
        f"update main_cva.cva_rejects set reason = {text} || {long}, table_name = {text}",
        f"update main_cva.cva_text_statuses set status = {text} || {long}",
    )
    page = make_page(shop)[0]
    read = Reader(page)
    assert read.tags["script"] == 0
    assert not read.open
    assert not re.search("[\u202e\x07]", page)
    assert "客户😀" in page
    assert "#0a0001 $x^2$" in page  # neither a colour of ours nor a formula
    assert "x" * 200 not in page


@pytest.mark.parametrize("action", ["drop table", "delete from"])
def test_missing_or_empty_table_says_what_to_run(build: Build, action: str) -> None:
    shop = build(
        *(
            f"{action} {table}"
            for table in (
                "customer_value_explain", "cva_feature_importance", "cva_model_deciles",
                "customer_segments", "main_cva.cva_rejects", "main_cva.int_cva__review_scores",
                "main_cva.cva_text_statuses", "cva_drift", "cva_live_performance", "aspect_trends",
            )
        )
    )  # fmt: skip
    page, sections = make_page(shop)
    left_out = {s.name: s.left_out for s in sections if s.left_out}
    assert {name: re.findall(r"cva [a-z]+", what) for name, what in left_out.items()} == {
        "segments": ["cva run"], "drivers": ["cva run"], "attributions": ["cva run"],
        "waterfalls": ["cva run"],
        "quality": ["cva evaluate"], "watching": ["cva train", "cva run"], "reviews": ["cva load"],
        "rejects": ["cva run"],
    }  # fmt: skip
    assert all(f"--db {shop.db}" in what for what in left_out.values())
    assert page.count("<svg") == 4  # no empty plot: predictions and cohorts alone


@pytest.mark.parametrize("name", ["alerts", "cohorts"])
def test_a_shop_without_alerts_or_cohorts_says_so(build: Build, name: str) -> None:
    table = {"alerts": "churn_alerts", "cohorts": "cohort_retention"}[name]
    found = {}
    for action in ("delete from", "drop table"):
        sections = {s.name: s for s in make_page(build(f"{action} {table}"))[1]}
        assert not sections[name].blocks
        found[action] = sections[name].left_out
    assert found["delete from"] is None  # nothing is amiss
    assert "cva run" in str(found["drop table"])


def test_drift_and_what_came_are_told(page: str) -> None:
    assert Reader(page).sentences["watching"] == (
        "Of the last 4 horizons that passed, 3 of 4 totals came out within their 90 % interval; "
        "1 input is further from the training than usual."
    )
    assert "0.500" in page
    assert "800.00 – 1,200.00" in page


def test_alerts_and_cohorts_are_told_in_money(page: str) -> None:
    read = Reader(page).sentences
    assert "12 customers wait for somebody to act: 622 that they usually" in read["alerts"]
    assert "30\u00a0% of new customers as a rule order again" in read["cohorts"]
    assert ">cost of winning one 15<" in page
    # 9 and 2 a month later each; 300 of 20 customers are paid back once margin is 15 each.
    assert all(f"<bdi>{text}</bdi>" in page for text in ("month 3", "not yet", "31.00", "61.73"))


def test_offers_are_told_by_product_status_and_reason(page: str) -> None:
    assert Reader(page).sentences["recommendations"] == (
        "32 customers have a list of up to 4 products, as of 2026-01-01. 4 products are in one or "
        "more, and 32\u00a0% of all places are for what the customer has bought before."
    )
    rows = table_rows(page)
    # P1 is in every list, and in 46 of the 91 orders of the last 91 days, P4 in 45.
    assert ["Teapot <b>P1", "100\u00a0%", "51\u00a0%"] in rows
    assert ["P4", "12\u00a0%", "49\u00a0%"] in rows
    assert ["personalby what they ordered", "20", "50\u00a0%"] in rows
    assert ["no list", "8", "20\u00a0%"] in rows
    assert ["often bought with …", "32", "32\u00a0%"] in rows
    best = next(row for row in rows if row[:1] == ["C0040personal"])
    assert best[1].startswith(
        "Teapot <b>: you buy this every 12 daysP2: often bought with a 100% teapot"
    )


def test_what_reviews_speak_of_is_told_by_aspect_issue_and_sentence(page: str) -> None:
    assert Reader(page).sentences["insights"] == (
        "Of 30 reviews of the last 3 months, 60\u00a0% speak of quality. Their tone is lowest "
        "where they speak of delivery <b>: −0.35."
    )
    rows = table_rows(page)
    assert ["quality", "60\u00a0%", "60\u00a0%", "+0.40", "+0.46"] in rows
    assert ["price", "0\u00a0%", "0\u00a0%", "–", "–"] in rows
    issue = next(row for row in rows if row[:1] == ["P9delivery"])
    assert re.fullmatch(r"Weeks late <b>, no 1\s*Weeks late <b>, no 2", issue[1])
    assert issue[2:] == ["50\u00a0%", "10\u00a0%", "+20 to +60"]
    moved = [row for row in rows if row[1:2] == ["It broke at once."]]
    assert len(moved) == 10
    assert moved[0][0] == "C0040review of 2025-12-23"
    assert moved[0][3] == "−10.00"


def test_what_nobody_asked_to_read_has_no_section(build: Build) -> None:
    emptied = ("aspect_trends", "product_issues", "customer_value_text_reasons")
    shop = build(f"drop table {emptied[0]}", *(f"delete from {one}" for one in emptied[1:]))
    assert 'id="insights"' not in make_page(shop)[0]


def deploy_lists(shop: ResolvedShop, version: str = "lists-1", **evaluation: Any) -> None:
    """Lets a recommender without a file make lists, whose manifest has this evaluation."""
    manifest = Manifest(
        "recommendations", version, "0" * 64, (), 28, False, 17, {"kind": "ranker"}, evaluation
    )
    folder = shop.models_dir / "recommendations" / version
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    (folder / "model.onnx").write_bytes(b"")
    (shop.models_dir / "deployed.json").write_text(json.dumps({"recommendations": version}))


JUDGED = {
    "validation_dates": ["2025-12-04"],
    "customers": 77,
    "scores": {
        "popularity": {"recall": 0.1, "ndcg": 0.2},
        "ranker": {"recall": 0.31, "ndcg": 0.42},
        "ease": {"recall": 0.2, "ndcg": float("nan")},
    },
    "intervals": {"ranker": {"recall": [0.3, 0.32], "ndcg": [0.4, 0.44]}},
    "verdict": "ranker recommends: ndcg@10 0.420",
}


def test_lists_are_as_good_as_their_manifest_says(build: Build) -> None:
    shop = build()
    deploy_lists(shop, **JUDGED)
    page = make_page(shop)[0]
    assert "what 77 customers bought in 28 days from 2025-12-04" in page
    assert "Why these lists: ranker recommends: ndcg@10 0.420." in page
    rows = table_rows(page)
    assert ["rankermakes the lists", "0.3100.300 to 0.320", "0.4200.400 to 0.440"] in rows
    assert ["popularity", "0.100", "0.200"] in rows
    assert not [row for row in rows if row[:1] == ["ease"]]


def test_lists_that_nothing_judged_or_another_recommender_made_say_so(build: Build) -> None:
    shop = build()
    deploy_lists(shop, "lists-2", verdict="own_most_bought recommends, then popularity: too few")
    with opened(shop) as source:
        found = recommending(source)
    assert "(lists-2); make its lists: cva run" in found.note
    assert "Nothing could be judged yet. Why these lists: own_most_bought" in make_page(shop)[0]


@pytest.mark.parametrize(
    ("action", "said"), [("drop table", "cva recommend"), ("delete from", "Nobody has a list")]
)
def test_without_lists_the_section_is_a_sentence(build: Build, action: str, said: str) -> None:
    with opened(build(f"{action} recommendations")) as source:
        found = recommending(source)
    assert said in found.sentence
    assert not found.blocks
    assert (found.left_out is None) is (action == "delete from")


def test_a_published_file_offers_by_id_without_orders_beside(build: Build) -> None:
    shop = build(
        *(f"drop table main_cva.{name}" for name in ("stg_cva__products", "int_cva__orders_valid"))
    )
    assert ["P1", "100\u00a0%"] in table_rows(make_page(shop)[0])


def test_deciles_alone_tell_how_good_it_is(build: Build) -> None:
    shop = build("drop table cva_model_metrics")
    with opened(shop) as source:
        assert "best tenth was predicted" in quality(source).sentence


def deploy(shop: ResolvedShop, **evaluation: Any) -> None:
    """Lets a model without a file score, whose manifest has this evaluation."""
    manifest = Manifest(
        "value", "model-1", "0" * 64, (), 90, False, 17, {"kind": "ensemble"}, evaluation
    )
    folder = shop.models_dir / "value" / manifest.version
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    pointer = json.dumps({"value": manifest.version})
    (shop.models_dir / "deployed.json").write_text(pointer, encoding="utf-8")


def test_without_a_back_test_trainings_own_validation_is_shown(build: Build) -> None:
    shop = build(tables=VALUE + EXPLAIN + OTHERS)
    deploy(
        shop, scores=SCORES, validation_dates=["2025-10-03", "2025-09-03"],
        verdict=f"better than <b>{HOSTILE}",
    )  # fmt: skip
    page, sections = make_page(shop)
    found = next(s for s in sections if s.name == "quality")
    assert found.left_out is None
    assert "Training's own validation on 2 dates (2025-10-03, 2025-09-03)" in found.sentence
    assert "at 0.740, the best rule (packaged rule) at 0.680" in found.sentence
    assert "6\u00a0% too high" in found.sentence
    assert "Why it was deployed: better than <b>" in found.note
    assert found.note.endswith(f"cva evaluate --db {shop.db}")
    assert "−1.330" in page
    assert "unranked" not in page
    read = Reader(page)
    assert (read.tags["script"], read.tags["figure"]) == (0, page.count("<svg"))
    assert not read.open
    assert not re.search("[\u202e\x07]", page)


def test_a_back_test_takes_the_place_of_trainings_validation(build: Build) -> None:
    shop = build()
    deploy(shop, scores=SCORES, validation_dates=["2025-10-03"])
    with opened(shop) as source:
        assert "own validation" not in quality(source).sentence


@pytest.mark.parametrize("evaluation", [{}, {"scores": {}, "validation_dates": ["2025-10-03"]}])
def test_model_without_scores_says_what_to_run(build: Build, evaluation: dict[str, Any]) -> None:
    shop = build(tables=VALUE)
    deploy(shop, **evaluation)
    with opened(shop) as source:
        assert "cva evaluate" in str(quality(source).left_out)


def test_training_that_deployed_nothing_says_why(build: Build) -> None:
    shop = build(
        "create table cva_training_runs as select now()::timestamp as run_at, "
        "date '2026-01-01' as as_of_date, false as is_deployed, 'no better than a rule' as reason",
        tables=VALUE,
    )
    with opened(shop) as source:
        sentence = quality(source).sentence
    assert sentence.startswith("The training of 2026-01-01 deployed no model: no better than a rul")
    assert "cva evaluate" in sentence


def test_another_deployed_model_is_told(build: Build) -> None:
    shop = build("update customer_value set model_version = 'older'", tables=VALUE)
    deploy(shop)
    assert "Another model is deployed by now (model-1)" in make_page(shop)[0]


@pytest.mark.parametrize(
    ("template", "compared", "alone"),
    [
        ("ordered {value} days ago (typical {typical})",
         "ordered 12 or more days ago (typical 189)", "ordered 12 or more days ago"),
        ("days since the last order {value}, shop median {typical}",
         "days since the last order 12 or more, shop median 189",
         "days since the last order 12 or more"),
        ("{typical} against {value}", "189 against 12 or more", "idle days 12 or more"),
        ("", "idle days 12 or more", "idle days 12 or more"),
    ],
)  # fmt: skip
def test_features_are_told_in_the_words_of_the_reasons(
    template: str, compared: str, alone: str
) -> None:
    feature = Feature("idle days", "days", template=template)
    assert feature.phrase(12, " or more", 189) == compared
    assert feature.phrase(12, " or more") == alone
    assert feature.phrase(12, " or more", float("nan")) == alone


def test_curves_use_the_catalogues_reason_templates(build: Build) -> None:
    shop = build(
        "alter table main_cva.cva_feature_catalog add column reason_template varchar",
        "update main_cva.cva_feature_catalog set reason_template = "
        "'bought {value} times (typical {typical})' where feature = 'orders_count'",
    )
    page = make_page(shop)[0]
    assert re.search(r"“bought \d+ or more times \(typical 55\)” moves the prediction by \+", page)


@pytest.mark.parametrize(
    ("statement", "name", "sentence"),
    [
        ("delete from customer_value", "overview", "no customer yet"),
        ("delete from customer_value where customer_id <> 'C0040'", "overview", "1 customer is"),
        ("update customer_value set predicted_value = 0", "distribution", "predicted to spend 0"),
        ("update customer_value set predicted_value = 7.5", "distribution", "is predicted 7.50"),
        ("update customer_value set score_status = 'cold_start', historic_value = 0, score = null, "
         "reason_1 = null", "customers", "No reasons are known"),
        ("update customer_value set score_status = 'not_eligible', score = null", "customers",
         "No customer is eligible"),
        ("update customer_value set score_status = 'not_eligible', score = null", "waterfalls",
         "nobody is shown"),
        ("update customer_value set score_status = 'untrained'; drop table cva_feature_importance",
         "drivers", "cva run"),
    ],
)  # fmt: skip
def test_odd_shops_have_a_sound_page(
    build: Build, statement: str, name: str, sentence: str
) -> None:
    # The attributions are made anew from what is left, as a run would.
    shop = build(f"{statement.split(';')[0]}; {EXPLAIN}", statement, tables=VALUE)
    page = make_page(shop)[0]
    read = Reader(page)
    assert tuple(read.sentences) == USUAL
    assert sentence in read.sentences[name]
    assert not read.open
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"(?s)<style>.*?</style>", "", page))


def test_old_attributions_are_not_shown(build: Build) -> None:
    shop = build("update customer_value_explain set as_of_date = date '2025-01-01'")
    found = section(shop, lambda source, overview, _: waterfalls(source, overview))
    assert "not explained yet" in found.sentence


def test_values_that_are_not_finite_are_left_out(build: Build) -> None:
    shop = build(
        "update customer_value_explain set attribution = 'nan' where customer_id = 'C0040'",
        "update customer_value_explain set value = 'inf' where customer_id = 'C0039'",
    )
    found = section(shop, attributions)
    assert "one of 39 explained customers" in found.sentence


def test_sample_says_how_many_of_how_many(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cva_sql.cli.report.sections.attributions.SAMPLE", 10)
    assert "10 of 40 customers" in section(build(), attributions).sentence


def test_waterfall_ends_at_the_prediction(page: str) -> None:
    steps = re.search(r"From 8 to (\S+); most by", page)
    assert steps is not None
    assert steps[1] == amount(float(np.exp(40 / 7)))


def test_no_customer_value_says_what_to_run(shop: ResolvedShop) -> None:
    duckdb.connect(str(shop.db)).close()
    with pytest.raises(CvaError, match=r"no table main\.customer_value; make it with: cva run"):
        make_page(shop)


def test_database_that_is_written_to_says_so(
    shop: ResolvedShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: Could not set lock on file: Conflicting lock is held")

    monkeypatch.setattr(duckdb, "connect", refuse)
    with pytest.raises(CvaError, match="in use by another process"):
        make_page(shop)


def test_file_is_written_whole_and_described(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = build(tables=VALUE)
    out = tmp_path / "new" / "report.html"
    report(db=shop.db, out=out, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert out.read_text(encoding="utf-8").endswith("</html>\n")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    assert (found["path"], found["bytes"]) == (str(out), out.stat().st_size)
    assert [s["name"] for s in found["sections"]] == list(USUAL)
    assert "cva evaluate" in next(
        s["left_out"] for s in found["sections"] if s["name"] == "quality"
    )


def test_result_is_one_line_with_what_was_left_out() -> None:
    reasons = {"overview": None, "drivers": "cva run", "waterfalls": "cva run", "quality": "no"}
    states = tuple(SectionState(name, "", reason) for name, reason in reasons.items())
    line = describe(Written("report.html", 345_678, states))
    assert line == "report.html: 346 kB; left out: drivers, waterfalls (cva run); quality (no)"


def test_published_file_has_its_rejects(build: Build) -> None:
    shop = build(
        "create table main.cva_rejects as select * from main_cva.cva_rejects",
        "drop table main_cva.cva_rejects",
    )
    with opened(shop) as source:
        assert rejects(source).left_out is None


def test_a_page_that_was_changed_is_kept(build: Build, tmp_path: Path) -> None:
    shop, out = build(), tmp_path / "report.html"
    write_report(shop, out)
    first = out.read_text(encoding="utf-8")
    write_report(shop, out)
    assert out.read_text(encoding="utf-8") == first
    mine = first.replace("</main>", "<p>Mine</p></main>")
    assert mine != first
    out.write_text(mine, encoding="utf-8")
    with pytest.raises(UsageError, match=r"was changed since cva wrote it; .*: --out"):
        write_report(shop, out)
    assert out.read_text(encoding="utf-8") == mine


def test_folder_as_out_is_refused(shop: ResolvedShop, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write_report(shop, tmp_path)


def test_numbers_read_as_a_person_writes_them() -> None:
    assert [amount(x) for x in (0, 0.0123, 9.453, 74916.5, 186.4e6, -3.21)] == [
        "0", "0.012", "9.45", "74,916", "186M", "−3.21",
    ]  # fmt: skip
    assert [amount(x) for x in (999_999.7, 1e20, float("nan"))] == ["1.00M", "1.00e+20", "–"]
    assert [signed(x) for x in (3.25, -3.25, 0)] == ["+3.25", "−3.25", "0"]
    assert [money(x) for x in (3, -0.001, 1234.5)] == ["3.00", "0.00", "1,234.50"]
    assert [percent(x).replace("\u00a0", " ") for x in (0.514, 0.004, 1e-5, 0.99999, 1)] == [
        "51 %", "0.4 %", "<0.1 %", ">99.9 %", "100 %",
    ]  # fmt: skip
    assert tick_labels([0, 2.5, 5]) == ["0", "2.5", "5.0"]


def test_texts_are_cut_to_what_fits() -> None:
    assert plain("a\n b\x07c", 10) == "a b c"
    assert plain("x" * 100, 10) == "x" * 9 + "…"
    assert fitted("short", 300) == "short"
    assert len(fitted("客" * 100, 120)) <= 11  # a CJK letter is as wide as it is tall


def test_equal_values_share_the_lowest_rank() -> None:
    ranks = ranked(np.array([0.0, 0.0, 5.0, np.nan, 9.0]))
    np.testing.assert_allclose(ranks, [0, 0, 2 / 3, np.nan, 1], atol=1e-12)


def test_text_of_a_figure_is_not_taken_for_markup() -> None:
    label = 'a id="x" #0a0001 <b> url(#y) --> $z$'
    svg = drawn("n", "an alternative", 100, lambda figure: plot_area(figure).set_title(label))
    assert 'a id="x" #0a0001 &lt;b&gt; url(#y) --&gt; $z$' in svg
