"""Presets of browse events: look-alikes of what trackers export, counted as a person would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from cva_sql.cli.app import app
from cva_sql.cli.presets.preset import presets
from cva_sql.cli.presets.recognition import recognise
from cva_sql.cli.shop.package import macro_value

DAY = 1_709_287_200_000_000  # 2024-03-01 10:00 UTC, in microseconds


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def load(db: Path, *arguments: object) -> str:
    result = CliRunner().invoke(app, ["load", *map(str, arguments), "--db", str(db)])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(db: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return con.execute(query).fetchall()


def write(file: Path, query: str, kind: str = "parquet") -> Path:
    with duckdb.connect() as con:
        con.execute(f"copy ({query}) to '{file}' (format {kind})")
    return file


def json_lines(file: Path, *lines: object) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def param(key: str, *, text: str | None = None, number: int | None = None) -> str:
    shown = "null" if text is None else f"'{text}'"
    return (
        f"{{'key': '{key}', 'value': {{'string_value': {shown}::varchar,"
        f" 'int_value': {number if number is not None else 'null'}::bigint,"
        " 'float_value': null::double, 'double_value': null::double}}"
    )


def ga4_event(at: int, name: str, user: str | None, *params: str, item: str = "") -> str:
    shown = "null" if user is None else f"'{user}'"
    items = f"[{{'item_id': '{item}', 'item_name': 'x'}}]" if item else "[]"
    return (
        f"select {DAY + at * 1_000_000}::bigint as event_timestamp, '{name}' as event_name,"
        f" [{', '.join(params)}] as event_params, {shown}::varchar as user_id,"
        f" '461.79' as user_pseudo_id, 9.5::double as event_value_in_usd,"
        f" {items}::struct(item_id varchar, item_name varchar)[] as items"
    )


GA4 = [
    ga4_event(
        0, "page_view", None, param("page_location", text="https://shop/"),
        param("ga_session_id", number=52), param("engagement_time_msec", number=1500),
    ),
    ga4_event(60, "view_item", None, param("ga_session_id", number=52), item="P1"),
    ga4_event(90, "view_search_results", None, param("search_term", text="tea cup"),
              param("ga_session_id", number=52)),
    ga4_event(120, "purchase", "u7", param("ga_session_id", number=52), item="P1"),
    ga4_event(90_000, "scroll", None, param("ga_session_id", number=53), item="(not set)"),
]  # fmt: skip
EXPECTED = [
    ("2024-03-01 10:00:00", None, "52", "page_view", None, "https://shop/", None, 1.5),
    ("2024-03-01 10:01:00", None, "52", "view_item", "P1", None, None, None),
    ("2024-03-01 10:01:30", None, "52", "view_search_results", None, None, "tea cup", None),
    ("2024-03-01 10:02:00", "u7", "52", "purchase", "P1", None, None, None),
    ("2024-03-02 11:00:00", None, "53", "scroll", None, None, None, None),
]
COLUMNS = (
    "occurred_at::varchar, customer_id, session_id, event_type, product_id, page, search_query,"
    " duration_seconds"
)


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_ga4_as_it_is_exported(db: Path, tmp_path: Path, kind: str) -> None:
    file = write(tmp_path / f"events.{kind}", " union all ".join(GA4), kind)
    said = load(db, "ga4", file)
    assert "raw.events: 5 events (1 customer, 2024-03-01 .. 2024-03-02)" in said
    assert rows(db, f"select {COLUMNS} from raw.events order by 1") == EXPECTED
    assert rows(db, "select distinct visitor_id from raw.events") == [("461.79",)]


def test_ga4_flat_is_recognised(db: Path, tmp_path: Path) -> None:
    flat = (
        f"select {DAY}::bigint as event_timestamp, 'add_to_cart' as event_name, 'v.1' as"
        " user_pseudo_id, 5::bigint as ga_session_id, 2500::bigint as engagement_time_msec,"
        " 'https://shop/a' as page_location, 'x' as geo_country"
    )
    said = load(db, write(tmp_path / "flat.parquet", flat))
    assert "recognised by the header: ga4 (Google Analytics 4)" in said
    query = "select visitor_id, session_id, event_type, duration_seconds from raw.events"
    assert rows(db, query) == [("v.1", "5", "add_to_cart", 2.5)]


def hit(number: int, **more: Any) -> dict[str, Any]:
    empty = {"type": "PAGE", "page": {"pagePath": "/home"}, "product": [], "transaction": None}
    action = {"eCommerceAction": {"action_type": more.pop("action", "0")}}
    return {"hitNumber": number, "time": 1000 * number, **empty, **action, **more}


def test_ga360_counts_a_purchase_of_several_items_once(db: Path, tmp_path: Path) -> None:
    sold = {"transactionId": "T1", "transactionRevenue": 12_500_000}
    visit = {
        "fullVisitorId": "2055839700856389632", "userId": None, "visitId": 7,
        "visitStartTime": DAY // 1_000_000,
        "hits": [
            hit(1), hit(2, action="2", product=[{"productSKU": "P1"}]),
            hit(3, action="3", product=[{"productSKU": "P1"}], type="EVENT"),
            hit(4, action="6", transaction=sold, product=[{"productSKU": "P1"}]),
            hit(5, action="6", transaction=sold, product=[{"productSKU": "P2"}]),
        ],
    }  # fmt: skip
    other = {
        **visit,
        "visitId": 8,
        "hits": [hit(1, page={"pagePath": "/", "searchKeyword": "tea"})],
    }
    load(db, "ga360", json_lines(tmp_path / "ga_sessions.json", visit, other))
    found = rows(
        db,
        "select session_id, event_type, product_id, value::double from raw.events"
        " order by event_id",
    )
    assert found == [
        ("7", "page view", None, None),
        ("7", "product detail", "P1", None),
        ("7", "add to cart", "P1", None),
        ("7", "purchase", "P1", 12.5),
        ("7", "transaction item", "P2", None),
        ("8", "search", None, None),
    ]
    at = "select occurred_at::varchar, visitor_id from raw.events order by 1 limit 1"
    assert rows(db, at) == [("2024-03-01 10:00:01", "2055839700856389632")]


def test_shopify_s_pixel_names_who_checks_out_by_the_address(db: Path, tmp_path: Path) -> None:
    def event(number: int, name: str, **data: Any) -> dict[str, Any]:
        return {
            "id": f"e{number}", "clientId": "c1", "name": name, "data": data,
            "timestamp": f"2024-03-01T10:00:0{number}.000Z",
            "context": {
                "document": {"location": {"href": "https://shop/p"}},
                "navigator": {"userAgent": "Mozilla/5.0"},
            },
        }  # fmt: skip

    done = {"email": "Ann@Mail.example", "totalPrice": {"amount": 20.5}}
    file = json_lines(
        tmp_path / "pixel.json",
        event(1, "product_viewed", productVariant={"product": {"id": "77"}}),
        event(2, "search_submitted", searchResult={"query": "tea"}),
        event(3, "checkout_completed", checkout=done),
    )
    load(db, "shopify-pixel", file)
    query = (
        "select event_id, customer_id, visitor_id, event_type, product_id, search_query,"
        " value::double, user_agent from raw.events order by 1"
    )
    assert rows(db, query) == [
        ("e1", None, "c1", "product_viewed", "77", None, None, "Mozilla/5.0"),
        ("e2", None, "c1", "search_submitted", None, "tea", None, "Mozilla/5.0"),
        ("e3", "ann@mail.example", "c1", "checkout_completed", None, None, 20.5, "Mozilla/5.0"),
    ]


def test_segment_s_tracks_and_pages_are_one_table(db: Path, tmp_path: Path) -> None:
    tracks = (
        "id,anonymous_id,user_id,event,event_text,sent_at,received_at,timestamp,product_id,revenue\n"
        "t1,an,,product_viewed,Product Viewed,2024-03-01 10:00:00,2024-03-01 10:00:01,"
        "2024-03-01 09:59:00,P1,\n"
        "t2,an,u1,order_completed,Order Completed,2024-03-01 10:05:00,2024-03-01 10:05:01,,,20.5\n"
    )
    pages = (
        "id,anonymous_id,user_id,path,url,sent_at,received_at\n"
        "p1,an,,/,https://shop/,2024-03-01 09:58:00,2024-03-01 09:58:01\n"
    )
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "tracks.csv").write_text(tracks)
    (tmp_path / "export" / "pages.csv").write_text(pages)
    load(db, "segment", tmp_path / "export")
    query = (
        "select event_id, customer_id, event_type, product_id, page, value::double,"
        " occurred_at::varchar from raw.events order by 1"
    )
    assert rows(db, query) == [
        ("p1", None, "page viewed", None, "https://shop/", None, "2024-03-01 09:58:00"),
        ("t1", None, "product_viewed", "P1", None, None, "2024-03-01 09:59:00"),
        ("t2", "u1", "order_completed", None, None, 20.5, "2024-03-01 10:05:00"),
    ]
    load(db, "segment", tmp_path / "export" / "pages.csv", "--replace")
    assert rows(db, "select count(*) from raw.events") == [(1,)]


def test_matomo_s_database(db: Path) -> None:
    with duckdb.connect(str(db)) as con:
        con.execute("""create schema matomo; use matomo;
            create table log_visit as select 1 as idvisit, 'ab'::blob as idvisitor, 'u1' as user_id,
                timestamp '2024-03-01' as visit_first_action_time,
                timestamp '2024-03-01' as visit_last_action_time;
            create table log_action as from (values (1, 'shop/a', 1, 1), (2, 'tea', 2, 8),
                (3, 'P1', 3, 5), (4, 'Title', 4, 4)) as t(idaction, name, hash, type);
            create table log_link_visit_action as from (values
                (1, 1, 'ab'::blob, timestamp '2024-03-01 10:00:00', 1, 4, null, 30),
                (2, 1, 'ab'::blob, timestamp '2024-03-01 10:01:00', 1, 2, null, 5),
                (3, 1, 'ab'::blob, timestamp '2024-03-01 10:02:00', 1, 4, 3, null))
                as t(idlink_va, idvisit, idvisitor, server_time, idaction_url, idaction_name,
                     idaction_product_sku, time_spent);
            create table log_conversion as select 1 as idvisit, 'ab'::blob as idvisitor,
                0 as idgoal, timestamp '2024-03-01 10:05:00' as server_time, 20.5 as revenue""")
    load(db, "matomo", "--source-schema", "matomo")
    query = (
        "select event_type, product_id, search_query, duration_seconds, value::double, customer_id"
        " from raw.events order by occurred_at"
    )
    assert rows(db, query) == [
        ("action", None, None, 30, None, "u1"),
        ("search", None, "tea", 5, None, "u1"),
        ("product detail", "P1", None, None, None, "u1"),
        ("ecommerceOrder", None, None, None, 20.5, "u1"),
    ]


TRACKERS = ["ga4", "ga360", "shopify-pixel", "segment", "matomo"]


@pytest.mark.parametrize("name", TRACKERS)
def test_a_header_tells_one_tracker(name: str) -> None:
    for layout in presets()[name].layouts.values():
        header = [*layout.tells, *layout.optional]
        assert [preset.name for preset, _ in recognise(header)] == [name], layout.name


def test_every_type_that_is_known_is_of_one_kind_in_each_spelling() -> None:
    words = macro_value("events.sql", "event_words")
    kind = macro_value("events.sql", "event_kind", "event_type")
    with duckdb.connect() as con:
        for expected, names in words.items():
            for name in names:
                for spelt in (name, name.replace(" ", "_"), name.title(), name.replace(" ", "")):
                    (found,) = con.execute(
                        f"select {kind} from (select ? as event_type)", [spelt]
                    ).fetchall()
                    assert found == ("view" if expected == "product" else expected,), spelt
        nothing = con.execute(f"select {kind} from (select 'no such' as event_type)").fetchall()
    assert nothing == [(None,)]


def test_types_that_nobody_knows_are_said(db: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text(
        "visitor_id,occurred_at,event_type\nv1,2024-03-01 10:00:00,spin_wheel\n"
        "v1,2024-03-01 10:01:00,spin_wheel\nv1,2024-03-01 10:02:00,page_view\n"
    )
    said = load(db, "events", file)
    assert "types not known, whose visits count all the same: 'spin_wheel' (2)" in said
