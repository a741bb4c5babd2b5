"""The queue of a service team: who comes first, what is masked, what is read, and once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.shop.dbt_runner import run_dbt
from cva_sql.cli.shop.shop import ResolvedShop

# Customer c<i> spends 5 + 20 i an order; the newest order is of 2024-12-25.
ORDERS = """
create schema raw;
create table raw.orders as select 'o' || i as order_id, 'c' || i % 20 as customer_id,
    timestamp '2024-01-01 09:00' + to_days((i % 360)::integer) as ordered_at,
    (5 + (i % 20) * 20)::double as amount
from range(800) as t(i);
"""
ANGRY = "It arrived broken. I am furious, this is the worst shop ever. Refund me now!"
MILD = "Could you please send me the invoice again? Thank you, all is fine."
TICKETS = [  # ticket_id, customer_id, opened_at, closed_at, subject, body
    ("angry valuable", "c19", "2024-12-20 10:00", None, "Broken", ANGRY),
    ("mild valuable", "c19", "2024-12-20 10:00", None, "Invoice", MILD),
    ("angry worthless", "c0", "2024-12-20 10:00", None, "Broken", ANGRY),
    ("older", "c10", "2024-11-20 10:00", None, "Broken", ANGRY),
    ("newer", "c10", "2024-12-24 10:00", None, "Broken", ANGRY),
    ("tie b", "c11", "2024-12-24 10:00", None, None, ANGRY),
    ("tie a", "c11", "2024-12-24 10:00", None, None, ANGRY),
    ("closed", "c19", "2024-12-20 10:00", "2024-12-25 23:00", "Broken", ANGRY),
    ("closed later", "c12", "2024-12-20 10:00", "2024-12-26 08:00", "Broken", ANGRY),
    ("opened later", "c12", "2024-12-26 08:00", None, "Broken", ANGRY),
    ("nothing", "c13", "2024-12-20 10:00", None, None, None),
    ("emoji", "c13", "2024-12-20 10:00", None, "😡😡😡", "😡 🤬. Nie wieder! 太差了。再也不买。"),
    ("marks alone", "c13", "2024-12-20 10:00", None, "?!", "... --- ..."),
    ("huge", "c13", "2024-12-20 10:00", None, "Long", f"{ANGRY} " * 1300),
    ("one line", "c13", "2024-12-20 10:00", None, None, "awful" + " bad" * 30_000),
    ("only a ticket", "wrote", "2024-12-20 10:00", None, "Broken", ANGRY),
    (
        "contacts", "c14", "2024-12-20 10:00", None, None,
        "This is the worst shop, call +49 (0)170 123-4567 or mail Anna.Müller+x@mail.example.de or "
        "anna [at] mail.de or １３８ ００１３ ８０００, card 4111 1111 1111 1111, "
        "you ruined 2 of 3 cups",
    ),
]  # fmt: skip
REVIEWS = """
create table raw.reviews as from (values
    ('bad', 'c15', timestamp '2024-12-20', 1, 'Terrible quality. It fell apart.'),
    ('good', 'c15', timestamp '2024-12-20', 5, 'Lovely, I am so happy.'),
    ('stars alone', 'c15', timestamp '2024-12-20', 1, null),
    ('old', 'c15', timestamp '2024-12-01', 1, 'Terrible quality.')
) as t(review_id, customer_id, reviewed_at, rating, body)
"""
STORED = "main_cva.int_cva__text_vectors"
MART = ["+service_priority"]


def make_shop(folder: Path, tickets: bool = True) -> ResolvedShop:
    shop = ResolvedShop(folder / "shop.duckdb", folder / "models")
    with duckdb.connect(str(shop.db)) as con:
        con.execute(ORDERS)
        con.execute(REVIEWS)
        if tickets:
            con.execute(
                "create table raw.tickets (ticket_id varchar, customer_id varchar, "
                "opened_at varchar, closed_at varchar, subject varchar, body varchar)"
            )
            con.executemany("insert into raw.tickets values (?, ?, ?, ?, ?, ?)", TICKETS)
    return shop


def ask(shop: ResolvedShop, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(shop.db)) as con:
        return con.execute(query).fetchall()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ResolvedShop:
    shop = make_shop(tmp_path_factory.mktemp("service"))
    run_dbt(shop, "run", select=MART)
    return shop


@pytest.fixture(scope="module")
def queue(shop: ResolvedShop) -> dict[str, dict[str, Any]]:
    """The table by id."""
    with duckdb.connect(str(shop.db), read_only=True) as con:
        found = con.execute("from service_priority")
        names = [column[0] for column in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {row["id"]: row for row in rows}


def test_everything_that_waits_has_one_place(queue: dict[str, dict[str, Any]]) -> None:
    closed = {"closed", "opened later"}
    expected = {ticket[0] for ticket in TICKETS} - closed | {"bad", "good", "stars alone"}
    assert queue.keys() == expected
    ranks = sorted(row["priority_rank"] for row in queue.values())
    assert ranks == list(range(1, len(expected) + 1))
    assert all(0 <= row["severity"] <= 1 for row in queue.values())


def test_the_angry_ticket_of_the_valuable_customer_comes_first(
    queue: dict[str, dict[str, Any]],
) -> None:
    rank = {name: row["priority_rank"] for name, row in queue.items()}
    assert rank["angry valuable"] == 1
    assert rank["angry valuable"] < rank["mild valuable"] < rank["angry worthless"]
    assert rank["older"] < rank["newer"]  # age raises
    assert queue["older"]["severity"] > queue["newer"]["severity"]
    assert rank["tie a"] + 1 == rank["tie b"]
    assert max(rank["bad"], rank["stars alone"]) < rank["good"]
    angry = queue["angry valuable"]
    assert angry["sentence"] == "I am furious, this is the worst shop ever."
    assert angry["priority"] == pytest.approx(angry["value_at_risk"] * angry["severity"])
    assert angry["age_days"] == 6
    assert angry["reason"].startswith("waiting for 6 days; tone -0.")
    assert "; value at risk " in angry["reason"]


def test_a_text_of_any_kind_has_a_place(queue: dict[str, dict[str, Any]]) -> None:
    assert queue["nothing"]["sentence"] is None
    assert queue["nothing"]["sentiment"] is None
    assert queue["nothing"]["severity"] == pytest.approx(0.5 * (1 + 6 / 9) / 2)
    assert queue["marks alone"]["sentence"] is None
    assert queue["huge"]["sentence"] == "I am furious, this is the worst shop ever."
    assert len(queue["one line"]["sentence"]) == 300
    assert queue["one line"]["sentence"].endswith("…")


def test_who_only_wrote_is_a_customer_without_an_order(
    shop: ResolvedShop, queue: dict[str, dict[str, Any]]
) -> None:
    assert queue["only a ticket"]["value_at_risk"] is not None
    found = ask(shop, "select score_status from customer_value where customer_id = 'wrote'")
    assert found == [("untrained",)]


def test_contacts_are_masked_wherever_a_sentence_is(
    shop: ResolvedShop, queue: dict[str, dict[str, Any]]
) -> None:
    assert queue["contacts"]["sentence"] == (
        "This is the worst shop, call [number] or mail [email] or [email] or [number], "
        "card [number], you ruined 2 of 3 cups"
    )
    cells = (value for row in queue.values() for value in row.values())
    whole = " ".join(value for value in cells if isinstance(value, str))
    for contact in ("170", "4567", "Anna", "@", "mail.de", "８０００", "4111"):
        assert contact not in whole
    texts = ask(shop, "select body from main_cva.int_cva__review_texts where contains(body, '@')")
    assert texts == []


def test_a_customer_whose_value_is_not_known_comes_last(shop: ResolvedShop, tmp_path: Path) -> None:
    shutil.copytree(shop.db.parent, tmp_path / "shop")
    copy = replace(shop, db=tmp_path / "shop" / shop.db.name)
    ask(copy, "delete from customer_value where customer_id in ('c19', 'wrote')")
    run_dbt(copy, "run", select=["service_priority"])
    ranked = ask(
        copy,
        "select id, priority is null, contains(reason, 'not known') from service_priority "
        "order by priority_rank",
    )
    unknown = [name for name, is_unknown, said in ranked if is_unknown and said]
    assert [row[0] for row in ranked[-3:]] == unknown
    assert unknown == ["angry valuable", "only a ticket", "mild valuable"]


def test_a_sentence_is_read_once_and_by_cva_embed_too(shop: ResolvedShop, tmp_path: Path) -> None:
    read = f"from {STORED} order by text_hash"
    other = make_shop(tmp_path)
    assert embed_shop(other).texts == len(ask(shop, read))
    assert ask(other, read) == ask(shop, read)
    ask(other, f"update {STORED} set token_count = -1")
    run_dbt(other, "run", select=[f"+{STORED.split('.')[1]}"])
    assert set(ask(other, f"select token_count from {STORED}")) == {(-1,)}


def test_tickets_change_nothing_else(shop: ResolvedShop, tmp_path: Path) -> None:
    """But that who only wrote is a customer."""
    other = make_shop(tmp_path, tickets=False)
    run_dbt(other, "run", select=MART)
    assert ask(other, "select source, count(*) from service_priority group by 1") == [("review", 3)]
    known = "where customer_id <> 'wrote' order by all"
    query = f"from customer_features {known}"
    assert ask(shop, query) == ask(other, query)
    query = f"from main_cva.int_cva__customer_scores {known}"
    assert ask(shop, query) == ask(other, query)


def test_ten_thousand_tickets_are_in_order(shop: ResolvedShop, tmp_path: Path) -> None:
    copy = make_shop(tmp_path)
    with duckdb.connect(str(copy.db)) as con:
        con.execute(
            "insert into raw.tickets select 't' || i, 'c' || i % 20, '2024-12-01', null, "
            "'Ticket', 'It broke. I want help with it!' from range(10000) as t(i)"
        )
    run_dbt(copy, "run", select=MART)
    found = ask(copy, "select count(*), count(distinct priority_rank) from service_priority")
    assert found == [(10_000 + 18, 10_000 + 18)]
