"""What is offered to whom, why, and how good such lists were when they were judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cva_sql.cli.report.page import Card, Cell, Grid, Plot, Section, Table, missing
from cva_sql.cli.report.sections.judged_lists import how_good, judged_lists
from cva_sql.cli.report.source import VALUE, Row, Source
from cva_sql.cli.report.wording import counted, percent, plain
from cva_sql.cli.shop.package import macro_value

NAME, TITLE = "recommendations", "What to offer next"
COLUMNS = (
    "customer_id", "rank", "product_id", "as_of_date", "reason", "recommend_status",
    "model_version",
)  # fmt: skip
STATUSES = {
    "personal": "by what they ordered",
    "browsed": "no order yet: by what they looked at",
    "similar": "neither: by what those like them buy",
    "popular": "nothing known: what is popular",
}
SOLD_DAYS = 91  # before the lists' date: what sold is held beside what is offered
PRODUCTS, EXAMPLES, EXAMPLE_LENGTH = 10, 3, 5  # rows, customers, products of each


@dataclass(frozen=True)
class Lists:
    """The table in SQL, its newest date, and how much is in it; `templates` are its reasons'."""

    table: str
    as_of: date
    customers: int
    places: int
    products: int
    longest: int
    version: str
    templates: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The place of a reason's template in SQL; -1 for a reason of another version."""
        cases = " ".join(
            f"when reason like '{re.sub('{.*?}', '%', text)}' then {place}"
            for place, text in enumerate(self.templates)
        )
        return f"case {cases} else -1 end"


def recommending(source: Source) -> Section:
    """The section: most offered products, customers by status, reasons, examples, and figures."""
    table = source.table("recommendations", COLUMNS)
    if table is None:
        what = f"Nothing is recommended. Learn what to offer: {source.command('recommend')}"
        return missing(NAME, TITLE, what)
    lists = _read(source, table)
    if lists is None:
        return Section(NAME, TITLE, "Nobody has a list: there is no product that may be offered.")
    reasons = _reasons(source, lists)
    judged = judged_lists(source)
    blocks: list[Card | Plot] = [
        _products_card(source, lists), _statuses_card(source, lists), _reasons_card(lists, reasons)
    ]  # fmt: skip
    good = [Grid(how_good(judged))] if judged else []
    note = ""
    if judged and judged.version != lists.version:
        note = (
            f"Another recommender is deployed by now ({plain(judged.version)}); make its lists: "
            f"{source.command('run')}"
        )
    sentence = _sentence(lists, reasons)
    return Section(
        NAME, TITLE, sentence, (Grid(blocks), _examples_table(source, lists), *good), note
    )


def _read(source: Source, table: str) -> Lists | None:
    from cva_sql.models_onnx.recommend.reasons import OWN, TEMPLATES

    as_of, customers, places, products, longest, version = source.rows(
        "select max(as_of_date), count(distinct customer_id), count(*), "
        f"count(distinct product_id), max(rank), max(model_version) from {table}"
    )[0]
    if not places:
        return None
    return Lists(table, as_of, customers, places, products, longest, str(version), TEMPLATES, OWN)


def _sentence(lists: Lists, reasons: dict[int, int]) -> str:
    own = sum(reasons.get(lists.templates.index(text), 0) for text in lists.own)
    has = "has" if lists.customers == 1 else "have"
    length, share = counted(lists.longest, "product"), percent(own / lists.places)
    return (
        f"{counted(lists.customers, 'customer')} {has} a list of up to {length}, as of "
        f"{lists.as_of}. {counted(lists.products, 'product')} "
        f"{'is' if lists.products == 1 else 'are'} in one or more, and {share} "
        "of all places are for what the customer has bought before."
    )


def _names(source: Source) -> str | None:
    return source.table(
        "stg_cva__products", ("product_id", "name", "reject_reason"), is_internal=True
    )


def _products_card(source: Source, lists: Lists) -> Card:
    rows = source.rows(
        f"select product_id, count(distinct customer_id) from {lists.table} group by 1 "
        f"order by 2 desc, 1 limit {PRODUCTS}"
    )
    ids = [row[0] for row in rows]
    names, sold = _named(source, ids), _sold(source, lists, ids)
    cells: list[list[str | Cell]] = [
        [
            _product(product, names),
            percent(count / lists.customers),
            *([] if sold is None else [percent(sold.get(product, 0.0))]),
        ]
        for product, count in rows
    ]
    header = ["Product", "Lists", *([] if sold is None else ["Orders"])]
    sentence = "Lists: the share of lists that the product is in."
    if sold is not None:
        sentence += f" Orders: its share of the orders of the last {SOLD_DAYS} days."
    table = Table("Products in most lists", header, cells)
    return Card("Most offered", sentence, table)


def _product(product: str, names: dict[str, str]) -> Cell:
    name = names.get(product)
    return Cell(plain(name), small=plain(product, 40)) if name else Cell(plain(product))


def _named(source: Source, ids: Sequence[str]) -> dict[str, str]:
    """The names that people know products by, where the shop has any."""
    table = _names(source)
    if table is None:
        return {}
    return dict(
        source.rows(
            f"select product_id, max(name) from {table} where reject_reason is null "
            "and name is not null and list_contains(?, product_id) group by 1",
            [list(ids)],
        )
    )


def _sold(source: Source, lists: Lists, ids: Sequence[str]) -> dict[str, float] | None:
    """Each product's share of the orders before the lists; None where orders are not to be seen."""
    keys = ("order_id", "store")
    orders = source.table(
        "int_cva__orders_valid",
        (*keys, "order_date", "orders_of_id", "orders_of_store_id"),
        is_internal=True,
    )
    items = source.table(
        "stg_cva__order_items", (*keys, "product_id", "reject_reason"), is_internal=True
    )
    if orders is None or items is None:
        return None
    rows = source.rows(
        "with lines as (select distinct items.product_id, "
        "concat(orders.order_id, '#', coalesce(orders.store, '')) as placed "
        f"from {orders} as orders join {items} as items "
        f"on {macro_value('staged.sql', 'is_of_order', 'items')} "
        "where items.reject_reason is null and items.product_id is not null "
        f"and orders.order_date < ?::date and orders.order_date >= ?::date - {SOLD_DAYS}) "
        "select product_id, count(*) / (select count(distinct placed) from lines) from lines "
        "where list_contains(?, product_id) group by 1",
        [lists.as_of, lists.as_of, list(ids)],
    )
    return dict(rows) or None


def _statuses_card(source: Source, lists: Lists) -> Card:
    rows = source.rows(
        f"select recommend_status, count(distinct customer_id) from {lists.table} group by 1"
    )
    known = list(STATUSES)
    rows.sort(key=lambda row: (known.index(row[0]) if row[0] in known else len(known), row[0]))
    without = source.rows(
        f"select count(*) from {VALUE} where customer_id not in "
        f"(select customer_id from {lists.table})"
    )[0][0]
    total = sum(row[1] for row in rows) + without
    rows += [("no list", without)] if without else []
    cells: list[list[str | Cell]] = [
        [
            Cell(plain(str(status), 20), small=STATUSES.get(status, "")),
            f"{count:,}",
            percent(count / total),
        ]
        for status, count in rows
    ]
    sentence = "A list is made from what is known of the customer."
    table = Table(
        "Customers by what their list is made from", ("List", "Customers", "Share"), cells
    )
    return Card("To whom", sentence, table)


def _reasons(source: Source, lists: Lists) -> dict[int, int]:
    """Place of the template -> places in lists."""
    return dict(source.rows(f"select {lists.kind}, count(*) from {lists.table} group by 1"))


def _reasons_card(lists: Lists, reasons: dict[int, int]) -> Card:
    cells = [
        [
            re.sub("{.*?}", "…", lists.templates[place]) if place >= 0 else "another reason",
            f"{reasons[place]:,}",
            percent(reasons[place] / lists.places),
        ]
        for place in sorted(reasons, key=lambda place: (-reasons[place], place))
    ]
    sentence = "Each place in a list has its reason, in words for the customer."
    return Card("Why", sentence, Table("Reasons", ("Reason", "Places", "Share"), cells))


def _examples_table(source: Source, lists: Lists) -> Table:
    """Of each status the customer with the highest prediction, then the next best."""
    chosen = source.rows(
        "with known as (select customer_id, recommend_status, "
        "coalesce(max(predicted_value), 0) as predicted "
        f"from {lists.table} left join {VALUE} using (customer_id) group by all), "
        "placed as (select *, row_number() over (partition by recommend_status "
        "order by predicted desc, customer_id) as place from known) "
        "select customer_id, recommend_status from placed "
        f"order by place, predicted desc, customer_id limit {EXAMPLES}"
    )
    rows = source.rows(
        "select customer_id, product_id, reason from "
        f"{lists.table} where rank <= {EXAMPLE_LENGTH} and list_contains(?, customer_id) "
        "order by customer_id, rank",
        [[row[0] for row in chosen]],
    )
    names = _named(source, sorted({row[1] for row in rows}))
    said = {who: tuple(_offered(row, names) for row in rows if row[0] == who) for who, _ in chosen}
    cells: list[list[str | Cell]] = [
        [Cell(plain(customer, 40), small=plain(str(status), 20)), Cell(items=said[customer])]
        for customer, status in chosen
    ]
    caption = "The first products of some customers' lists"
    header = ("Customer", f"The first {EXAMPLE_LENGTH} of the list, and why")
    return Table(caption, header, cells, texts=2, kind="stacked", long=1)


def _offered(row: Row, names: dict[str, str]) -> str:
    _, product, reason = row
    return f"{plain(names.get(product) or product)}: {plain(reason or '–', 100)}"
