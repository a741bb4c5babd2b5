"""The sample shop: repeatable, plausible, and exactly as dirty as it says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.demo.sample_shop import TABLES, ShopFacts, describe, write_shop
from cva_sql.cli.shop.package import canonical_tables
from cva_sql.udfs.errors import UsageError


@dataclass(frozen=True)
class Shop:
    """The default shop on disk; `rows` runs SQL over its files."""

    folder: Path
    facts: ShopFacts

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as con:
            for table in TABLES:
                con.execute(f"create view {table} as from read_csv('{self.folder / table}.csv')")
            # Sums of items hold where the order's own row was left alone.
            con.execute("""
                create view clean_orders as
                select distinct * from orders
                where amount > 0 and year(ordered_at) < 2099
            """)
            return con.execute(query).fetchall()

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    return Shop(folder, write_shop(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_gives_identical_files(shop: Shop, tmp_path: Path) -> None:
    facts = write_shop(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(shop.folder)
    assert facts == shop.facts


def test_thread_count_does_not_change_the_files(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda path: connect(path, config={"threads": 1}))
    write_shop(tmp_path)
    monkeypatch.undo()
    assert contents(tmp_path) == contents(shop.folder)


def test_different_seed_gives_different_files(tmp_path: Path) -> None:
    write_shop(tmp_path / "1", customers=200, seed=1)
    write_shop(tmp_path / "2", customers=200, seed=2)
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert one.keys() == two.keys() == {f"{table}.csv" for table in TABLES}
    assert all(one[name] != two[name] for name in one)


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_the_canonical_ones(shop: Shop, table: str) -> None:
    header = (shop.folder / f"{table}.csv").read_text(encoding="utf-8").splitlines()[0]
    columns = canonical_tables()[table]
    written = header.split(",")
    assert written == [name for name in columns if name in written]
    assert {name for name, (_, needed) in columns.items() if needed} <= set(written)


def test_row_counts_are_what_the_files_hold(shop: Shop) -> None:
    assert shop.facts.rows == {
        table: shop.value(f"select count(*) from {table}") for table in TABLES
    }
    assert shop.facts.rows["customers"] == 3000
    assert shop.facts.rows["products"] == 152


def test_customers_are_told_apart_by_what_they_buy(shop: Shop) -> None:
    facts = shop.facts
    assert 0.05 < 1 - facts.ordering_customers / 3000 < 0.11  # sign up and never order
    assert 4 < facts.orders_per_customer < 6
    assert 0.25 < facts.one_time_share < 0.45
    assert 0.40 < facts.top_tenth_spend_share < 0.55
    assert facts.repeat_rate == pytest.approx(1 - facts.one_time_share)
    late, early = shop.rows("""
        with customer as (
            select
                count(*) filter (where ordered_at < '2025-10-03') as past,
                max(ordered_at) filter (where ordered_at < '2025-10-03') as last_at,
                count(*) filter (where ordered_at >= '2025-10-03') > 0 as came_back
            from clean_orders
            group by customer_id
            having past > 0
        )
        select avg(came_back::int) from customer
        group by last_at >= timestamp '2025-04-01'
        order by 1 desc
    """)
    assert late[0] > 3 * early[0]  # recent customers come back, lapsed ones rarely do


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [
        ("discount_amount > 0", 0.12, 0.18),
        ("status = 'cancelled'", 0.012, 0.028),
        ("order_id in (select order_id from returns)", 0.045, 0.075),
        ("amount > 600", 0.0002, 0.003),
    ],
)
def test_share_of_orders_is_plausible(shop: Shop, share: str, low: float, high: float) -> None:
    assert low < shop.value(f"select avg(({share})::int) from clean_orders") < high


def test_items_add_up_to_amount_and_discount(shop: Shop) -> None:
    assert (
        shop.value("""
            with items as (
                select order_id, sum(quantity * unit_price::decimal(18, 2)) as total
                from order_items
                group by all
            )
            select count(*) from clean_orders left join items using (order_id)
            where total is distinct from
                amount::decimal(18, 2) + discount_amount::decimal(18, 2)
        """)
        == 0
    )


def test_times_are_in_sequence_and_before_the_extract(shop: Shop) -> None:
    late = shop.value("""
        select count(*) from clean_orders inner join customers
            on customers.customer_id = trim(clean_orders.customer_id)
        where ordered_at < signed_up_at or ordered_at >= '2026-01-01'
            or status_changed_at <= ordered_at or status_changed_at >= '2026-01-01'
            or (status = 'cancelled') != (status_changed_at is not null)
    """)
    returned = shop.value("""
        select count(*) from returns left join orders using (order_id)
        where returned_at >= '2026-01-01' or returned_at <= ordered_at
    """)
    assert (late, returned) == (0, 0)


PRAISE = "well made|lovely|brilliant|perfect|absolutely love|no complaints|exactly what"
BLAME = "poor|damaged|bad state|letdown|disappointed|not happy|waste your money|broken"
STAYS = "order again|be back|next order|come back|again for sure|next basket|every week now"
LEAVES = "never again|last order|done with this shop|lost a customer|newsletter|another shop"
UNSURE = "not sure if|think twice|maybe|whether|won't order|not order|not coming|only come back"


def test_a_quarter_of_the_customers_write_reviews(shop: Shop) -> None:
    assert 1500 < shop.facts.rows["reviews"] < 2500
    assert 0.2 < shop.value("select count(distinct customer_id) / 3000 from reviews") < 0.33
    assert shop.value("select count(*) - count(distinct review_id) from reviews") == 0


def test_reviews_belong_to_an_order_of_the_customer_that_holds_the_product(shop: Shop) -> None:
    strangers = shop.value("""
        select count(*) from reviews anti join (
            select trim(customer_id) as customer_id, order_id, product_id
            from orders inner join order_items using (order_id)
            where customer_id is not null and status != 'cancelled'
        ) using (customer_id, order_id, product_id)
        where order_id not in (select order_id from orders where customer_id is null)
    """)
    assert strangers == 0


def test_reviews_come_days_to_weeks_after_the_order_and_its_return(shop: Shop) -> None:
    early_or_late = shop.value("""
        select count(*) from reviews inner join clean_orders using (order_id)
        where reviewed_at < ordered_at + interval 3 day
            or reviewed_at > ordered_at + interval 50 day
            or reviewed_at >= '2026-01-01'
    """)
    before_return = shop.value("""
        select count(*) from reviews inner join returns using (order_id)
        where reviewed_at <= returned_at
    """)
    assert (early_or_late, before_return) == (0, 0)


def test_review_texts_rarely_repeat(shop: Shop) -> None:
    assert shop.value("select count(distinct body) / count(body) from reviews") >= 0.97


def test_review_texts_are_short_but_for_one(shop: Shop) -> None:
    assert 0.03 < shop.value("select avg((body is null)::int) from reviews") < 0.09
    words = [row[0] for row in shop.rows("select len(string_split(body, ' ')) from reviews")]
    counts = sorted(count for count in words if count is not None)
    assert sum(count <= 40 for count in counts) > 0.95 * len(counts)
    assert sum(count <= 2 for count in counts) >= 20
    assert counts[-1] > 256  # words, so more tokens than an encoder of 256 takes
    assert counts[-2] < 80


def test_review_texts_have_every_slot_filled(shop: Shop) -> None:
    unfilled = shop.value("select count(*) from reviews where body = '' or body like '%{%'")
    assert unfilled == 0


@pytest.mark.parametrize(
    "script", ["[\\x{1F300}-\\x{1FAFF}]", r"\p{Hiragana}", r"\p{Thai}", r"\p{Cyrillic}", "[öü]"]
)
def test_review_texts_hold_emoji_and_other_languages(shop: Shop, script: str) -> None:
    query = f"select count(*) from reviews where regexp_matches(body, '{script}')"
    assert shop.value(query) > 0


def test_ratings_and_words_agree_but_not_always(shop: Shop) -> None:
    shares = dict(
        shop.rows("select rating, count(*) / sum(count(*)) over () from reviews group by 1")
    )
    assert set(shares) == {1, 2, 3, 4, 5}
    assert shares[5] > shares[4] > shares[3] > shares[2] > 0.02
    query = """
        select avg(rating), count(*) filter (where rating <= 2), count(*) filter (where rating >= 4)
        from reviews where regexp_matches(lower(body), '{}')
    """
    praise, blame = shop.rows(query.format(PRAISE))[0], shop.rows(query.format(BLAME))[0]
    assert praise[0] - blame[0] > 1.2
    assert praise[1] > 0
    assert blame[2] > 0


def test_words_tell_who_comes_back_and_ratings_hardly_do(shop: Shop) -> None:
    returning = """
        with past as (
            select customer_id, rating, lower(body) as words
            from reviews
            where reviewed_at between '2024-01-01' and '2025-06-30'
            qualify row_number() over (
                partition by customer_id order by reviewed_at desc, review_id) = 1
        ),
        known as (
            select past.*, exists (
                from clean_orders
                where clean_orders.customer_id = past.customer_id
                    and ordered_at >= '2025-07-01'
            ) as came_back
            from past
        )
        select avg(came_back::int) from known where {}
    """
    unsure = UNSURE.replace("'", "''")
    stays = f"regexp_matches(words, '{STAYS}') and not regexp_matches(words, '{unsure}|{LEAVES}')"
    by_words = [
        shop.value(returning.format(rows)) for rows in (stays, f"regexp_matches(words, '{LEAVES}')")
    ]
    by_rating = [shop.value(returning.format(rows)) for rows in ("rating = 5", "rating <= 3")]
    assert by_words[0] - by_words[1] > 0.2
    assert abs(by_rating[0] - by_rating[1]) < 0.15


def test_seasons_put_in_are_seen_in_the_orders(shop: Shop) -> None:
    assert shop.facts.seasonality_correlation > 0.9
    seen = {index.month: index.seen for index in shop.facts.month_indexes}
    assert sum(seen.values()) == pytest.approx(12)
    assert min(seen, key=seen.__getitem__) == 2
    assert set(sorted(seen, key=seen.__getitem__)[-2:]) == {11, 12}
    # In the files alone: against the months around them, which the growing base hardly moves.
    ratio = shop.value("""
        select count(*) filter (where month(ordered_at) in (11, 12))
            / count(*) filter (where month(ordered_at) in (9, 10))
        from clean_orders
    """)
    assert 1.5 < ratio < 2.4


DIRT_IN_FILES = {
    "blanks_around_customer": "from orders where customer_id != trim(customer_id)",
    "duplicate_order": "from (select order_id from orders group by order_id having count(*) = 2)",
    "emoji_in_name": "from products where strlen(name) > length(name)",
    "emoji_in_status": "from orders where strlen(status) > length(status)",
    "foreign_currency": "from orders where currency != 'EUR'",
    "negative_amount": "from orders where amount < 0",
    "null_amount": "from orders where amount is null",
    "null_customer": "from orders where customer_id is null",
    "order_in_2099": "from orders where year(ordered_at) = 2099",
    "orphan_order_item": "from order_items anti join orders using (order_id)",
    "orphan_return": "from returns anti join orders using (order_id)",
    "refund_above_amount": "from returns join orders using (order_id) where refund_amount > amount",
    "zero_amount": "from orders where amount = 0",
}


def test_dirt_counted_is_the_dirt_in_the_files(shop: Shop) -> None:
    found = {kind: shop.value(f"select count(*) {rows}") for kind, rows in DIRT_IN_FILES.items()}
    assert found == shop.facts.dirt
    assert found["duplicate_order"] == 10


def test_orders_with_a_customer_id_have_a_known_customer(shop: Shop) -> None:
    unknown = shop.value("""
        select count(*) from orders
        where trim(customer_id) not in (select customer_id from customers)
    """)
    assert unknown == 0


def test_duplicate_orders_are_exact_copies(shop: Shop) -> None:
    orders = (shop.folder / "orders.csv").read_text(encoding="utf-8").splitlines()
    assert len(orders) - len(set(orders)) == shop.facts.dirt["duplicate_order"]


def test_smallest_shop_holds_every_kind_of_dirt(tmp_path: Path) -> None:
    facts = write_shop(tmp_path, customers=50, months=12)
    assert facts.dirt.keys() == DIRT_IN_FILES.keys()


def test_describe_gives_the_facts_in_ten_lines(shop: Shop) -> None:
    text = describe(shop.facts)
    assert len(text.splitlines()) <= 10
    assert "3,000 customers" in text
    assert "null_amount 4" in text


@pytest.mark.parametrize("size", [{"customers": 49}, {"months": 11}])
def test_shop_too_small_is_a_usage_error(tmp_path: Path, size: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"expected \d+ or more\. .*cva demo$"):
        write_shop(tmp_path / "none", **size)
    assert not (tmp_path / "none").exists()
