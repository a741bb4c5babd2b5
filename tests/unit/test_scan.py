"""`cva init --scan`: which tables and columns it finds, and what it leaves to the user."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cva_sql.cli.init.command import init
from cva_sql.cli.init.scan import tables as scan_tables
from cva_sql.cli.init.scan.match import Proposal
from cva_sql.cli.init.scan.proposal import scan_database
from cva_sql.cli.init.scan.report import describe, vars_yaml
from cva_sql.cli.load.table import load_table
from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.column_meanings import WORDS, column_score
from cva_sql.cli.shop.expressions import check_expression
from cva_sql.cli.shop.lock import exclusive
from cva_sql.cli.shop.package import canonical_tables, raw_tables
from cva_sql.cli.shop.resolver import open_shop, parse_vars
from cva_sql.udfs.errors import CvaError, UsageError

Make = Callable[..., Path]

GERMAN: dict[str, tuple[str, dict[str, str]]] = {
    "orders": (
        "Bestellungen",
        {
            "order_id": "Bestellnummer",
            "customer_id": "KundenNr",
            "ordered_at": "bestellt_am",
            "amount": "Gesamtbetrag brutto",
            "status": "Zustand",
            "status_changed_at": "status_geändert_am",
            "discount_amount": "Rabatt",
            "currency": "Währung",
            "channel": "Kanal",
        },
    ),
    "order_items": (
        "Bestellpositionen",
        {
            "order_id": "BestellNr",
            "product_id": "ArtikelNr",
            "quantity": "Menge",
            "unit_price": "Einzelpreis",
        },
    ),
    "products": (
        "Artikel",
        {
            "product_id": "ArtikelNr",
            "name": "Bezeichnung",
            "category": "Warengruppe",
            "unit_cost": "Einkaufspreis",
        },
    ),
    "customers": (
        "Kunden",
        {
            "customer_id": "KundenNr",
            "signed_up_at": "registriert_am",
            "age": "Alter",
            "gender": "Geschlecht",
            "occupation": "Beruf",
            "country": "Land",
            "acquisition_channel": "Herkunft",
            "marketing_consent": "Werbeeinwilligung",
            "valid_from": "gültig_ab",
        },
    ),
    "reviews": (
        "Bewertungen",
        {
            "review_id": "BewertungsNr",
            "customer_id": "KundenNr",
            "product_id": "ArtikelNr",
            "order_id": "BestellNr",
            "reviewed_at": "bewertet_am",
            "rating": "Sterne",
            "body": "Kommentar",
        },
    ),
    "returns": (
        "Retouren",
        {
            "return_id": "RetourenNr",
            "order_id": "BestellNr",
            "customer_id": "KundenNr",
            "returned_at": "Rückgabedatum",
            "refund_amount": "Erstattungsbetrag",
        },
    ),
}

# Online Retail II in small: 3 lines an invoice, invoices 100 to 299 in 2010 and 280 to 399 in 2011
# (so 20 are in both), one line a hundred without a customer, a cancellation C… each 50 invoices.
LINES = """create table {table} as
select
    case when i % 50 = 0 then 'C' else '' end || i as "{invoice}",
    'SKU' || (i * 7 + line) % 40 as "StockCode",
    'A THING' as "Description",
    case when i % 50 = 0 then -2 else 1 + line end::bigint as "Quantity",
    timestamp_ns '2010-01-01' + interval (i * 24) hour as "InvoiceDate",
    case when i % 90 = 0 then 0 else 2.5 end::double as "{price}",
    case when i % 100 <> 1 then 13000 + i % 30 end::double as "{customer}",
    'United Kingdom' as "Country"
from range({first}, {last}) as t(i), range(3) as l(line)"""
FIRST = {"table": "year_2009_2010", "invoice": "Invoice", "price": "Price"}
FIRST |= {"customer": "Customer ID", "first": "100", "last": "300"}
SECOND = {"table": "year_2010_2011", "invoice": "InvoiceNo", "price": "UnitPrice"}
SECOND |= {"customer": "CustomerID", "first": "280", "last": "400"}
RETAIL = (LINES.format(**FIRST), LINES.format(**SECOND))

ORDERS = """create table {name} as select 'O' || i as order_id, 'C' || i % 40 as customer_id,
timestamp '2024-01-01' + interval (i) day as ordered_at, (5 + i % 9)::decimal(18, 4) as amount
from range(300) as t(i)"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A database in which these statements were run."""

    def call(*statements: str) -> Path:
        db = tmp_path / "shop.duckdb"
        with duckdb.connect(str(db)) as con:
            for statement in statements:
                con.execute(statement)
        return db

    return call


def mapped(proposal: Proposal, role: str = "orders") -> dict[str, str]:
    """The sure columns of a role."""
    found = proposal.tables[role].columns
    return {name: match.expression for name, match in found.items() if match.is_sure}


def written(proposal: Proposal) -> dict[str, Any]:
    """The vars that count, each of their expressions checked as dbt will."""
    variables = parse_vars(vars_yaml(proposal))
    for name, value in variables.items():
        if name.endswith("_columns"):
            for expression in value.values():
                check_expression(expression, name)
    return variables


def run_load(command: str, db: Path) -> None:
    """Runs a printed command, as a shell would read it."""
    _, load, table, *options = shlex.split(command)
    lines = "--lines" in options
    options = [option for option in options if option != "--lines"]
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert (load, Path(given["--db"])) == ("load", db)
    query, schema, per = given["--query"], given["--schema"], given.get("--amount-per")
    load_table(table, db=db, query=query, schema=schema, lines=lines, amount_per=per)


@pytest.mark.parametrize(
    ("role", "column", "name"),
    [
        ("orders", "order_id", "InvoiceNo"),
        ("orders", "order_id", "订单编号"),
        ("orders", "order_id", "dingdan_hao"),
        ("orders", "customer_id", "Customer ID"),
        ("orders", "customer_id", "id_cliente"),
        ("orders", "ordered_at", "fecha_pedido"),
        ("orders", "ordered_at", "下单时间"),
        ("orders", "amount", "montant_total"),
        ("orders", "amount", "orderTotal"),
        ("orders", "discount_amount", "Rabattbetrag"),
        ("order_items", "product_id", "StockCode"),
        ("order_items", "unit_price", "prix unitaire"),
        ("order_items", "quantity", "Anzahl"),
        ("products", "unit_cost", "precio_coste"),
        ("customers", "signed_up_at", "SignupDate"),
        ("customers", "valid_from", "gueltig_ab"),
        ("reviews", "body", "reviewText"),
        ("returns", "refund_amount", "退款金额"),
    ],
)
def test_a_name_is_read_in_five_languages(role: str, column: str, name: str) -> None:
    scores = {other: column_score(role, other, name) for other in canonical_tables()[role]}
    assert max(scores, key=lambda other: scores[other]) == column
    assert scores[column] >= 0.7


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("amount", "shipping_amount"),
        ("amount", "tax_total"),
        ("amount", "discount"),
        ("ordered_at", "delivery_date"),
        ("customer_id", "product_id"),
        ("status", "notes"),
    ],
)
def test_a_name_that_says_something_else_is_not_sure(column: str, name: str) -> None:
    assert column_score("orders", column, name) < 0.7


def test_every_canonical_column_has_names() -> None:
    tables = raw_tables()
    for role, table in tables.items():
        assert set(table.column_names) == set(table.columns)
        unsaid = {name for name, said in table.column_names.items() if not said}
        assert (role, unsaid) == (role, table.contact)


def test_every_concept_in_a_name_has_words() -> None:
    tables = raw_tables().values()
    words = set(WORDS).union(*(table.words for table in tables))
    said = [names for table in tables for names in table.column_names.values()]
    concepts = {word for names in said for pair in names.split(", ") for word in pair[:-1].split()}
    concepts = {word.split("=")[0] for word in concepts}
    assert concepts | {name for table in tables for name in table.name} <= words


def test_order_lines_in_two_parts_are_left_open_with_the_statement_that_sums_them(
    make: Make,
) -> None:
    db = make(*RETAIL)
    proposal = scan_database(db)
    orders = proposal.tables["orders"]
    assert orders.is_lines
    assert not orders.is_sure
    assert [table.name for table in orders.parts] == ["year_2009_2010", "year_2010_2011"]
    assert "order LINES" in vars_yaml(proposal)
    assert written(proposal) == {"cva_raw_schema": "main"}
    text = describe(proposal)
    assert "20 order ids are both in year_2009_2010 and in year_2010_2011" in text
    assert "-- where Quantity > 0 and UnitPrice > 0 and InvoiceNo not like 'C%'" in text
    assert "customer_id: DOUBLE with whole numbers" in text

    with duckdb.connect(str(db)) as con:
        expected = con.execute(
            "select count(distinct id), sum(amount) from (select Invoice as id, "
            "(Quantity * Price)::decimal(18, 4) as amount from year_2009_2010 where Invoice not in "
            "(select InvoiceNo from year_2010_2011) union all select InvoiceNo, "
            "(Quantity * UnitPrice)::decimal(18, 4) from year_2010_2011)"
        ).fetchall()
    for command in proposal.loads:
        run_load(command, db)
    with duckdb.connect(str(db), read_only=True) as con:
        found = con.execute("select count(distinct order_id), sum(amount) from orders").fetchall()
        customers = con.execute("select min(customer_id) from orders").fetchall()
        lines = con.execute("select count(*) from order_items").fetchall()
    assert found == expected
    assert customers == [("13000",)]
    assert lines == [(900,)]

    again = scan_database(db)
    assert again.tables["orders"].is_sure
    assert again.tables["order_items"].is_sure
    assert not again.loads


def test_the_condition_that_is_a_comment_leaves_cancellations_out(make: Make) -> None:
    db = make(RETAIL[0])
    command = scan_database(db).loads[0]
    assert command.count("-- where ") == 1
    run_load(command.replace("-- where ", "where "), db)
    with duckdb.connect(str(db), read_only=True) as con:
        ids = con.execute(
            "select count(*), count(*) filter (order_id like 'C%'), min(amount) > 0 from orders"
        ).fetchall()
    assert ids == [(200 - 4 - 2, 0, True)]  # 4 cancelled, 180 and 270 have a price of 0


def test_one_table_of_lines_is_the_order_items_as_it_is(make: Make) -> None:
    proposal = scan_database(make(RETAIL[1]))
    variables = written(proposal)
    assert variables["cva_order_items_identifier"] == "year_2010_2011"
    assert "cva_orders_identifier" not in variables
    assert [command.split()[2] for command in proposal.loads] == ["orders"]


def test_an_order_amount_that_each_line_repeats_is_not_summed(make: Make) -> None:
    db = make(
        "create table sales as select i // 3 as order_no, 'P' || i as sku, 'C' || i % 7 as client, "
        "timestamp '2024-01-01' + interval (i // 3) hour as sold_at_date, "
        "10.0 + i // 3 as total_amount from range(900) as t(i)"
    )
    proposal = scan_database(db)
    assert "--amount-per order" in proposal.loads[0]
    assert "the same on each line of an order" in describe(proposal)


def test_tables_with_german_names_are_all_found(make: Make) -> None:
    statements = ["create schema erp"]
    for role, (name, columns) in GERMAN.items():
        casts = []
        for column, german in columns.items():
            kind = canonical_tables()[role][column][0]
            value = {
                "id": f"'{column[0]}' || i",
                "money": "(3 + i)::decimal(18, 4)",
                "time": "timestamp '2024-01-01' + interval (i) hour",
                "number": "i % 5 + 1.0",
                "flag": "i % 2 = 0",
            }.get(kind, "'bezahlt'" if column == "status" else "'text'")
            casts.append(f'{value} as "{german}"')
        many = "range(50) as t(i), range(2)" if role == "order_items" else "range(50) as t(i)"
        statements.append(f'create table erp."{name}" as select {", ".join(casts)} from {many}')
    proposal = scan_database(make(*statements))
    variables = written(proposal)
    assert variables["cva_raw_schema"] == "erp"
    for role, (name, columns) in GERMAN.items():
        assert variables[f"cva_{role}_identifier"] == name
        found = {c: e.strip('"') for c, e in variables[f"cva_{role}_columns"].items()}
        assert found == columns
    assert proposal.questions == []


def test_the_proposal_gives_the_same_customer_value(sample_shop: Any, tmp_path: Path) -> None:
    db = tmp_path / sample_shop.db.name
    with duckdb.connect(str(db)) as con:
        con.execute(f"attach '{sample_shop.db}' as sample (read_only)")
        con.execute("create schema erp")
        for role, (name, columns) in GERMAN.items():
            renamed = ", ".join(f'{column} as "{german}"' for column, german in columns.items())
            con.execute(f'create table erp."{name}" as select {renamed} from sample.raw.{role}')
    shutil.copytree(sample_shop.models_dir, tmp_path / "cva_models")
    shop = open_shop(db, variables=vars_yaml(scan_database(db)))
    with exclusive(shop):
        run_shop(shop)
    columns_and_rows = "select * exclude (scored_at) from main.customer_value order by all"
    tables = []
    for file in (sample_shop.db, db):
        with duckdb.connect(str(file), read_only=True) as con:
            tables.append(con.execute(columns_and_rows).fetchall())
    assert tables[0] == tables[1]


def test_a_large_table_is_sampled_with_the_same_result(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = make(
        "create table Bestellungen as select 'O' || i as Nr, 'K' || i % 999 as Kunde, "
        "date '2020-01-01' + (i % 900)::int as Datum, i % 50 + 1.5 as Betrag from range(60000) t(i)"
    )
    whole = vars_yaml(scan_database(db))
    monkeypatch.setattr(scan_tables, "SAMPLE_ROWS", 5_000)
    monkeypatch.setattr(scan_tables, "TEXT_ROWS", 500)
    monkeypatch.setattr(scan_tables, "EXACT_ROWS", 10_000)
    assert vars_yaml(scan_database(db)) == whole
    assert "cva_orders_identifier: Bestellungen" in whole


def test_texts_are_read_as_times_and_money_where_all_values_agree(make: Make) -> None:
    db = make(
        "create table orders as select i as id, 'C' || i as customer, "
        "strftime(date '2024-01-01' + i::int, '%d.%m.%Y') as date, "
        "'1.' || 100 + i || ',50' as total from range(300) as t(i)"
    )
    found = mapped(scan_database(db))
    assert (
        found["ordered_at"] == "try_strptime(\"date\", '%d.%m.%Y')"
        or found["ordered_at"] == "try_strptime(date, '%d.%m.%Y')"
    )
    with duckdb.connect(str(db), read_only=True) as con:
        row = con.execute(
            f"select {found['ordered_at']}::varchar, ({found['amount']})::double from orders"
        ).fetchone()
    assert row == ("2024-01-01 00:00:00", 1100.5)


def test_seconds_since_1970_are_a_time(make: Make) -> None:
    db = make(
        "create table orders as select i as order_id, i as customer_id, 1700000000 + i as "
        "created_at, 5.0 as amount from range(99) as t(i)"
    )
    assert mapped(scan_database(db))["ordered_at"] == "to_timestamp(created_at)"


def test_day_and_month_that_no_value_tells_apart_are_left_open(make: Make) -> None:
    db = make(
        "create table orders as select i as order_id, i as customer_id, "
        "'0' || i % 9 + 1 || '/0' || i % 8 + 1 || '/2024' as order_date, 5.0 as amount "
        "from range(99) as t(i)"
    )
    proposal = scan_database(db)
    assert not proposal.tables["orders"].is_sure
    assert "day or month first" in vars_yaml(proposal)
    assert "cva_orders_columns" not in written(proposal)


def test_two_columns_for_one_are_a_question(make: Make) -> None:
    db = make(
        "create table orders as select i as order_id, i as customer_id, now() as order_date, "
        "5.0 as gross_amount, 4.0 as net_amount from range(99) as t(i)"
    )
    proposal = scan_database(db)
    assert "or is it" in vars_yaml(proposal)
    assert not proposal.tables["orders"].is_sure


def test_an_id_that_no_name_gives_is_found_by_its_values(make: Make) -> None:
    db = make(
        ORDERS.format(name="orders"),
        "create table order_lines as select 'O' || i // 2 as xyz, 'P' || i % 9 as product_id, "
        "1 as quantity from range(600) as t(i)",
    )
    proposal = scan_database(db)
    assert mapped(proposal, "order_items")["order_id"] == "xyz"
    assert "100.0% of xyz are in orders" in describe(proposal)


def test_ids_of_another_kind_are_a_doubt(make: Make) -> None:
    db = make(
        ORDERS.format(name="orders"),
        "create table customers as select 'X' || i as customer_id, 'FR' as country "
        "from range(40) as t(i)",
    )
    proposal = scan_database(db)
    assert not proposal.tables["orders"].is_sure
    assert "only 0.0% of ids are in customers" in vars_yaml(proposal)


def test_a_shop_export_with_several_times_and_totals_is_sure(make: Make) -> None:
    db = make(
        "create table shopify_order as select 4500 + i as id, 7000 + i % 40 as customer_id, now() "
        "as created_at, now() as updated_at, now() as processed_at, '12.50' as total_price, "
        "'10.00' as subtotal_price, '2.50' as total_tax, 'EUR' as currency from range(99) as t(i)"
    )
    found = mapped(scan_database(db))
    required = ("order_id", "customer_id", "ordered_at", "amount")
    assert [found[name] for name in required] == ["id", "customer_id", "created_at", "total_price"]
    assert "status_changed_at" not in found


def test_orders_without_an_amount_are_summed_from_their_items(make: Make) -> None:
    db = make(
        ORDERS.format(name="shop_orders"),
        "alter table shop_orders drop column amount",
        "create table order_items as select order_id, 'P' || l as product_id, 2 as quantity, "
        "1.5 as price from shop_orders, range(3) as t(l)",
    )
    proposal = scan_database(db)
    assert "shop_orders looks like orders, but has no amount" in proposal.questions
    assert "# orders is left open" in vars_yaml(proposal)
    run_load(proposal.loads[0], db)
    with duckdb.connect(str(db), read_only=True) as con:
        found = con.execute("select count(*), min(amount), max(amount) from orders").fetchall()
    assert found == [(300, 9, 9)]


def test_lines_in_a_table_called_orders_are_not_read_as_orders(make: Make) -> None:
    db = make(RETAIL[1], "alter table year_2010_2011 rename to orders")
    proposal = scan_database(db)
    assert written(proposal)["cva_orders_identifier"] == "none_yet"
    run_load(proposal.loads[0], db)
    with duckdb.connect(str(db), read_only=True) as con:
        assert con.execute("select count(*) from raw.orders").fetchall() == [(120,)]


def test_init_writes_what_is_sure_and_prints_it_where_the_file_is_kept(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = make(ORDERS.format(name="Bestellungen"))
    folder = tmp_path / "project"
    init(folder, scan=db)
    project = yaml.safe_load((folder / "dbt_project.yml").read_text())
    assert project["vars"]["cva"] == written(scan_database(db))
    assert "shop.duckdb" in (folder / "profiles.yml").read_text()
    capsys.readouterr()
    before = (folder / "dbt_project.yml").read_text()
    init(folder, scan=db)
    assert (folder / "dbt_project.yml").read_text() == before
    assert "    cva_orders_identifier: Bestellungen" in capsys.readouterr().out


def test_init_writes_nothing_where_the_database_cannot_be_scanned(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        init(tmp_path / "project", scan=tmp_path / "none.duckdb")
    assert not (tmp_path / "project").exists()


def test_payments_are_not_returns(make: Make) -> None:
    db = make(
        ORDERS.format(name="orders"),
        "create table payments as select order_id, ordered_at as paid_at, amount from orders",
    )
    proposal = scan_database(db)
    assert set(proposal.tables) == {"orders"}
    assert "not used: payments" in proposal.questions


def test_a_copy_is_left_out_and_an_archive_is_a_part(make: Make) -> None:
    db = make(ORDERS.format(name="orders"), "create table orders_backup as from orders limit 200")
    proposal = scan_database(db)
    assert proposal.tables["orders"].is_sure
    assert "orders_backup left out: 100.0%" in describe(proposal)
    make("update orders_backup set order_id = 'old' || order_id")
    proposal = scan_database(db)
    assert not proposal.tables["orders"].is_sure
    assert "union all" in proposal.loads[0]


def test_a_canonical_name_on_another_thing_is_not_read(make: Make) -> None:
    db = make(
        ORDERS.format(name="orders"), "create table products as select 1 as shelf, 'x' as room"
    )
    assert written(scan_database(db))["cva_products_identifier"] == "none_yet"


def test_statuses_that_may_be_no_sale_are_asked_with_the_var_that_settles_it(make: Make) -> None:
    db = make(
        ORDERS.format(name="orders"),
        "alter table orders add column status varchar",
        "update orders set status = case when amount = 5 then 'on-hold' "
        "when amount = 6 then 'weird' else 'cancelled' end",
    )
    questions = " ".join(scan_database(db).questions)
    assert "orders of status 'on-hold' (" in questions
    assert "name those that do not in the var cva_status_cancelled" in questions
    assert "status not known, so it counts: 'weird' (" in questions
    assert "'cancelled'" not in questions


def test_what_cva_made_itself_is_not_looked_at(make: Make) -> None:
    db = make(
        "create schema raw",
        ORDERS.format(name="raw.orders"),
        "create schema main_cva",
        ORDERS.format(name="main_cva.orders"),
        "create table customer_value as select 'a' as customer_id, 1 as age",
    )
    proposal = scan_database(db)
    assert (proposal.schema, proposal.table_count) == ("raw", 1)
    assert set(proposal.tables) == {"orders"}


def test_names_that_are_sql_or_yaml_stay_names(make: Make) -> None:
    db = make(
        'create table "No" as select i as "order", i as "customer""; drop table x; --", '
        'now() as "date: #1", 5.0 as "amount\n\'{{ x }}" from range(50) as t(i)'
    )
    before = db.read_bytes()
    proposal = scan_database(db)
    assert isinstance(written(proposal), dict)
    describe(proposal)
    assert db.read_bytes() == before


@pytest.mark.parametrize("column", ["order", "Order No", 'a "b" no', "yes", "null", "日期 no"])
def test_a_column_name_is_quoted_where_it_has_to_be(make: Make, column: str) -> None:
    name = column.replace('"', '""')
    db = make(ORDERS.format(name="orders"), f'alter table orders rename order_id to "{name}"')
    for expression in written(scan_database(db)).get("cva_orders_columns", {}).values():
        with duckdb.connect(str(db), read_only=True) as con:
            con.execute(f"select {expression} from orders").fetchall()


def test_empty_tables_and_nested_columns_are_no_failure(make: Make) -> None:
    db = make(
        ORDERS.format(name="orders"),
        "delete from orders",
        "create table blobs as select [1, 2] as a, {'b': 1} as c, 'x'::blob as d",
        "create view broken as select * from orders",
        "alter table orders rename amount to total",
        "create table infinite as select 'infinity'::double as amount, 'nan'::float as price, "
        "'infinity'::date as date, '-infinity'::timestamp as ordered_at",
    )
    assert mapped(scan_database(db))["amount"] == "total"


def test_what_cannot_be_scanned_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        scan_database(tmp_path / "none.duckdb")
    text = tmp_path / "orders.csv"
    text.write_text("a,b\n1,2\n")
    with pytest.raises(CvaError, match="is no DuckDB database"):
        scan_database(text)
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(str(empty)).close()
    with pytest.raises(CvaError, match="no table to scan"):
        scan_database(empty)
