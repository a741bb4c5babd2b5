"""Presets: look-alikes of what vendors export, with the totals that a person would count."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from cva_sql.cli.app import app
from cva_sql.cli.presets.preset import presets, read_preset
from cva_sql.cli.presets.recognition import recognise
from cva_sql.cli.shop.package import status_meaning
from cva_sql.udfs.errors import CvaError, UsageError

# The headers as the vendors write them, a line each; where they are quoted is said in the presets.
HEADER = dict(
    line.split(" ", 1)
    for line in Path(__file__).with_name("vendor_headers.txt").read_text("utf-8").splitlines()
)


def write(file: Path, header: str, *lines: Mapping[str, Any], tab: bool = False) -> Path:
    """The file with this header; a line is given as the columns that are not blank."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t" if tab else ",", lineterminator="\r\n")
    names = header.split(",")
    writer.writerow(names)
    for line in lines:
        unknown = line.keys() - {name.strip() for name in names}
        assert not unknown, unknown
        writer.writerow([line.get(name.strip(), "") for name in names])
    file.write_text(out.getvalue(), encoding="utf-8", newline="")
    return file


def load(db: Path, *arguments: object) -> str:
    """What `cva load` printed; raises its error."""
    result = CliRunner().invoke(app, ["load", *map(str, arguments), "--db", str(db)])
    if isinstance(result.exception, CvaError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def rows(db: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(db), read_only=True) as con:
        return [tuple(row) for row in con.execute(query).fetchall()]


def sales(db: Path) -> tuple[int, int, float, int]:
    """Orders that are not cancelled, their customers and money; the cancelled ones."""
    is_cancelled = f"{status_meaning('status')} = 'cancelled'"
    columns = [name for (name, *_) in rows(db, "describe raw.orders")]
    off = f"({is_cancelled})" if "status" in columns else "false"
    ((orders, customers, money, cancelled),) = rows(
        db,
        f"select count(*) filter (not {off}), count(distinct customer_id) filter (not {off}),"
        f" sum(amount) filter (not {off}), count(*) filter ({off}) from raw.orders",
    )
    return orders, customers, float(money), cancelled


def shopify_lines() -> list[dict[str, Any]]:
    """Ann twice (once refunded), Bob's order cancelled, Zoe by telephone, a trial."""

    def order(name: str, email: str, total: str, day: str, **more: Any) -> dict[str, Any]:
        return {
            "Name": name,
            "Email": email,
            "Financial Status": "paid",
            "Accepts Marketing": "no",
            "Currency": "EUR",
            "Shipping": "4.90",
            "Taxes": "10.00",
            "Total": total,
            "Discount Amount": "0.00",
            "Created at": f"{day} 23:30:00 -0500",
            "Lineitem quantity": "1",
            "Lineitem name": "Cap",
            "Lineitem price": total,
            "Billing Country": "US",
            "Payment Method": "Shopify Payments",
            "Refunded Amount": "0.00",
            "Source": "web",
        } | {key.replace("_", " "): value for key, value in more.items()}

    mug = {"Lineitem name": "Mug, red", "Lineitem sku": "MUG-R", "Lineitem price": "30.00"}
    second = {"Name": "#1001", "Email": "Ann@x.com", "Created at": "2024-01-02 23:30:00 -0500"}
    return [
        order("#1001", "Ann@x.com", "1126.00", "2024-01-02", Accepts_Marketing="yes"),
        {**second, **mug, "Lineitem quantity": "2"},
        {**second, **mug, "Lineitem quantity": "1"},
        order("#1002", "ann@x.com", "40.00", "2024-02-02")
        | {"Financial Status": "refunded", "Refunded Amount": "40.00"},
        order(
            "#1003", "bob@x.com", "20.00", "2024-02-03", Cancelled_at="2024-02-04 08:00:00 -0500"
        ),
        order("#1004", "", "15.00", "2024-02-05", Phone="+49 151 1"),
        order(
            "#1005",
            "own@x.com",
            "99.00",
            "2024-02-06",
            Payment_Method="(for testing) Bogus Gateway",
        ),
    ]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


def test_shopify_fills_every_table_that_its_export_holds(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "orders_export.csv", HEADER["SHOPIFY"], *shopify_lines())
    said = load(db, "shopify", file)
    assert sales(db) == (3, 2, 1181.0, 1)
    assert "cancelled, so no sales: 1 order of 20.00" in said
    assert "left out as trials: 1 order\n" in said
    assert "amount: Total, with tax and shipping and after discounts" in said
    assert rows(db, "select sum(refunded_amount), max(tax_amount) from raw.orders") == [(40, 10)]
    assert rows(db, "select order_id, product_id, quantity from raw.order_items order by all") == [
        ("#1001", "Cap", 1),
        ("#1001", "MUG-R", 1),
        ("#1001", "MUG-R", 2),
        ("#1002", "Cap", 1),
        ("#1003", "Cap", 1),
        ("#1004", "Cap", 1),
    ]
    assert rows(db, "select * from raw.products order by all") == [
        ("Cap", "Cap"),
        ("MUG-R", "Mug, red"),
    ]
    assert rows(
        db,
        "select customer_id, marketing_consent, valid_from::varchar from raw.customers"
        " order by all",
    )[:2] == [
        ("+49 151 1", False, "2024-02-06 04:30:00"),
        ("ann@x.com", False, "2024-02-03 04:30:00"),
    ]


def test_times_with_an_offset_are_of_the_zone_that_is_asked_for(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "orders_export.csv", HEADER["SHOPIFY"], *shopify_lines())
    load(db, "shopify", file, "--timezone", "America/New_York")
    assert rows(db, "select min(ordered_at)::varchar from raw.orders") == [("2024-01-02 23:30:00",)]


def test_an_export_is_recognised_without_its_name(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", HEADER["SHOPIFY"], *shopify_lines())
    assert load(db, file).startswith("recognised by the header: shopify (Shopify)\n")
    assert sales(db) == (3, 2, 1181.0, 1)


def test_a_table_of_a_recognised_export_is_filled_alone(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", HEADER["SHOPIFY"], *shopify_lines())
    said = load(db, "orders", file)
    assert "recognised by the header: shopify (Shopify); for its order_items" in said
    assert sales(db) == (3, 2, 1181.0, 1)
    assert rows(db, "select table_name from duckdb_tables() where schema_name = 'raw'") == [
        ("orders",)
    ]


def test_the_same_export_twice_changes_nothing(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "orders_export.csv", HEADER["SHOPIFY"], *shopify_lines())
    load(db, "shopify", file)
    before = [rows(db, f"from raw.{table} order by all") for table in ("orders", "order_items")]
    said = load(db, "shopify", file, "--append")
    assert said.count("0 inserted, 0 updated") == 4
    assert before == [rows(db, f"from raw.{t} order by all") for t in ("orders", "order_items")]


def test_all_tables_change_or_none(db: Path, tmp_path: Path) -> None:
    lines = shopify_lines()
    load(db, "shopify", write(tmp_path / "one.csv", HEADER["SHOPIFY"], *lines))
    with duckdb.connect(str(db)) as con:
        con.execute("alter table raw.products alter name type integer using 1")
    before = rows(db, "from raw.orders order by all")
    more = [{**lines[3], "Name": "#2000"}]
    with pytest.raises(UsageError, match="has name as integer"):
        load(db, "shopify", write(tmp_path / "two.csv", HEADER["SHOPIFY"], *more), "--append")
    assert rows(db, "from raw.orders order by all") == before


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_woocommerce_guests_are_their_address(db: Path, tmp_path: Path, separator: str) -> None:
    def order(number: int, user: str, email: str, status: str, total: str) -> dict[str, Any]:
        return {
            "order_id": number,
            "order_number": number,
            "order_date": f"2024-03-{number - 100:02} 10:00:00",
            "status": status,
            "order_total": total,
            "shipping_total": "5",
            "discount_total": "0",
            "order_currency": "EUR",
            "customer_id": user,
            "billing_email": email,
            "billing_country": "DE",
        }

    file = write(
        tmp_path / "orders.csv",
        HEADER["WOO"],
        order(101, "0", "Eva@x.de", "wc-completed", "50.00"),
        order(102, "0", "max@x.de", "processing", "30.00"),
        order(103, "7", "eva@x.de", "completed", "20.00"),
        order(104, "7", "eva@x.de", "cancelled", "99.00"),
        order(105, "8", "", "completed", "1.00"),
        order(106, "0", "", "checkout-draft", "70.00"),
    )
    file.write_text(file.read_text().replace(",", separator))
    load(db, "woocommerce", file)
    assert sales(db) == (4, 3, 101.0, 2)


def test_woocommerce_with_a_row_per_item_counts_an_order_once(db: Path, tmp_path: Path) -> None:
    def line(order: int, item: str, quantity: int, total: str) -> dict[str, Any]:
        return {
            "order_id": order,
            "order_number": order,
            "order_date": "2024-03-01 10:00",
            "status": "completed",
            "shipping_total": "0",
            "discount_total": "0",
            "order_total": "60.00",
            "refunded_total": "5.00",
            "billing_email": "a@x.de",
            "item_id": f"{order}{item}",
            "item_sku": item,
            "item_name": f"Thing {item}",
            "item_quantity": quantity,
            "item_total": total,
        }

    lines = [line(1, "A", 2, "40.00"), line(1, "B", 1, "20.00"), line(2, "A", 3, "60.00")]
    load(db, write(tmp_path / "orders.csv", HEADER["WOO_LINES"], *lines))
    assert sales(db) == (2, 1, 120.0, 0)
    assert rows(db, "select sum(quantity * unit_price), count(*) from raw.order_items") == [
        (120, 3)
    ]
    assert rows(db, "select sum(refunded_amount) from raw.orders") == [(10,)]
    assert rows(db, "select count(*) from raw.products") == [(2,)]


def test_woocommerce_advanced_export_leaves_the_order_blank_after_its_first_row(
    db: Path, tmp_path: Path
) -> None:
    first = {
        "Order Number": "5",
        "Order Status": "completed",
        "Order Date": "2024-03-01 10:00",
        "Email (Billing)": "a@x.de",
        "Order Total Amount": "60",
        "SKU": "A",
        "Item Name": "Thing A",
        "Quantity": "2",
        "Item Cost": "20",
    }
    second = {
        "Order Number": "5",
        "SKU": "B",
        "Item Name": "Thing B",
        "Quantity": "1",
        "Item Cost": "20",
    }
    load(db, "woocommerce", write(tmp_path / "orders.csv", HEADER["WOO_ADVANCED"], first, second))
    assert sales(db) == (1, 1, 60.0, 0)
    assert rows(db, "select sum(quantity * unit_price) from raw.order_items") == [(60,)]


def test_a_report_without_ids_of_customers_is_refused_with_the_one_that_has_them(
    db: Path, tmp_path: Path
) -> None:
    header = "Date,Order #,Status,Customer,Customer type,Product(s),Items sold,Coupon(s),N. Revenue"
    file = write(tmp_path / "woo.csv", header, {"Order #": "1", "Customer": "Ann"})
    with pytest.raises(UsageError, match="no ids; export the orders with"):
        load(db, "orders", file)
    file = write(tmp_path / "all.txt", HEADER["AMAZON_ALL"], {"sku": "A"}, tab=True)
    with pytest.raises(UsageError, match="names no buyer; take the report Orders"):
        load(db, "amazon", file)
    assert not db.exists()


def amazon_line(
    order: str, item: str, price: str, quantity: int = 1, **more: Any
) -> dict[str, Any]:
    return {
        "purchase-date": "2024-05-01T22:10:00-07:00",
        "buyer-email": "q1@marketplace.amazon.com",
        "sku": item,
        "product-name": f"Thing {item}",
        "currency": "USD",
        "item-price": price,
        "item-tax": "1.00",
        "shipping-price": "2.00",
        "ship-country": "US",
        **more,
    }


def test_amazon_sums_the_lines_of_an_order_less_promotions(db: Path, tmp_path: Path) -> None:
    lines = [
        amazon_line("1", "A", "30.00")
        | {"order-id": "111-1", "order-item-id": "9", "quantity-purchased": 2},
        amazon_line("1", "B", "10.00")
        | {"order-id": "111-1", "order-item-id": "8", "quantity-purchased": 1}
        | {"item-promotion-discount": "-4.00"},
        amazon_line("2", "A", "15.00")
        | {"order-id": "111-2", "order-item-id": "7", "quantity-purchased": 1}
        | {"buyer-email": "q2@marketplace.amazon.com"},
    ]
    load(db, "amazon", write(tmp_path / "orders.txt", HEADER["AMAZON"], *lines, tab=True))
    assert sales(db) == (2, 2, 57.0, 0)  # 30 + 2 + 10 + 2 - 4, and 15 + 2
    assert rows(db, "select unit_price from raw.order_items order by line_id") == [
        (15,),
        (10,),
        (15,),
    ]


def test_amazon_fulfilled_shipments(db: Path, tmp_path: Path) -> None:
    more = {"amazon-order-id": "111-1", "shipment-id": "S", "quantity-shipped": 1}
    lines = [
        amazon_line("1", item, "10.00") | more | {"amazon-order-item-id": item} for item in "AB"
    ]
    load(db, write(tmp_path / "shipments.txt", HEADER["AMAZON_SHIPMENTS"], *lines, tab=True))
    assert sales(db) == (1, 1, 24.0, 0)


def test_etsy_dates_have_the_month_first_and_files_go_together(db: Path, tmp_path: Path) -> None:
    def order(number: str, day: str, who: str, total: str, **more: str) -> dict[str, Any]:
        return {
            "Sale Date": day,
            "Order ID": number,
            "Buyer User ID": who,
            "Number of Items": 1,
            "Ship Country": "Canada",
            "Currency": "CAD",
            "Order Value": total,
            "Discount Amount": "0",
            "Shipping": "8.00",
            "Sales Tax": "0",
            "Order Total": total,
            "Adjusted Order Total": "0.00",
        } | {key.replace("_", " "): value for key, value in more.items()}

    orders = write(
        tmp_path / "EtsySoldOrders2024.csv",
        HEADER["ETSY"],
        order("9001", "03/04/24", "ann1", "76.00"),
        order("9002", "03/05/24", "bob2", "30.30", Adjusted_Order_Total="20.30"),
        order("9003", "04/06/24", "ann1", "10.00", Status="Canceled"),
    )
    items = write(
        tmp_path / "EtsySoldOrderItems2024.csv",
        HEADER["ETSY_ITEMS"],
        {
            "Sale Date": "03/04/24",
            "Item Name": "Mug, speckled",
            "Buyer": "ann1",
            "Quantity": 2,
            "Price": "34.00",
            "Item Total": "68.00",
            "Transaction ID": "4001",
            "Listing ID": "1501",
            "Order ID": "9001",
        },
    )
    load(db, "etsy", orders, items)
    assert sales(db) == (2, 2, 106.3, 1)
    assert rows(db, "select min(ordered_at)::date::varchar from raw.orders") == [("2024-03-04",)]
    assert rows(db, "select sum(refunded_amount) from raw.orders") == [(10,)]
    assert rows(db, "select order_id, product_id, quantity from raw.order_items") == [
        ("9001", "1501", 2)
    ]


def stripe_line(number: int, amount: str, **more: str) -> dict[str, Any]:
    return {
        "id": f"ch_{number}",
        "Amount": amount,
        "Amount Refunded": "0.00",
        "Currency": "usd",
        "Captured": "true",
        "Converted Amount": amount,
        "Converted Currency": "usd",
        "Status": "Paid",
        "Customer ID": "cus_1",
        "Customer Email": "ann@x.com",
        "Mode": "Live",
    } | {key.replace("_", " "): value for key, value in more.items()}


def test_stripe_counts_what_was_paid_in_the_account_s_currency(db: Path, tmp_path: Path) -> None:
    day = {"Created date (UTC)": "2024-06-01 10:00"}
    file = write(
        tmp_path / "unified_payments.csv",
        HEADER["STRIPE"],
        stripe_line(1, "1,126.00") | day,
        stripe_line(2, "50.00", Amount_Refunded="20.00", Converted_Amount_Refunded="20.00")
        | day
        | {"Refunded date (UTC)": "2024-07-01 09:00"},
        stripe_line(3, "80.00", Status="Failed", Captured="false") | day,
        stripe_line(4, "90.00", Status="requires_payment_method", Captured="false") | day,
        stripe_line(5, "100.00", Currency="eur", Converted_Amount="110.00", Customer_Email="")
        | day
        | {"Customer ID": "cus_2"},
        stripe_line(6, "7.00", Mode="Test") | day,
        stripe_line(7, "9.00", Disputed_Amount="9.00", Dispute_Status="lost")
        | day
        | {"Dispute Date (UTC)": "2024-08-01 00:00"},
    )
    said = load(db, "stripe", file)
    assert sales(db) == (4, 2, 1295.0, 2)
    assert "left out as trials: 1 order\n" in said
    assert rows(db, "select distinct currency from raw.orders where amount > 1") == [("USD",)]
    assert rows(
        db, "select return_id, refund_amount, returned_at::varchar from raw.returns order by 1"
    ) == [
        ("ch_2 refund", 20, "2024-07-01 09:00:00"),
        ("ch_7 dispute", 9, "2024-08-01 00:00:00"),
    ]


def test_stripe_times_are_utc_and_older_exports_say_so_otherwise(db: Path, tmp_path: Path) -> None:
    line = stripe_line(1, "5.00") | {"Created (UTC)": "2016-06-01 23:30"}
    file = write(tmp_path / "payments.csv", HEADER["STRIPE_BEFORE"], line)
    load(db, file, "--timezone", "Europe/Berlin")
    assert rows(db, "select ordered_at::varchar from raw.orders") == [("2016-06-02 01:30:00",)]
    assert sales(db) == (1, 1, 5.0, 0)


def test_square_refunds_are_returns(db: Path, tmp_path: Path) -> None:
    def row(number: int, money: str, kind: str, who: str) -> dict[str, Any]:
        return {
            "Date": f"10/{number + 12}/2024",
            "Time": "2:30:00 PM",
            "Time Zone": "Eastern Time (US & Canada)",
            "Gross Sales": money,
            "Discounts": "$0.00",
            "Net Sales": money,
            "Tax": "$1.00",
            "Total Collected": money,
            "Source": "Point of Sale",
            "Transaction ID": f"T{number}",
            "Payment ID": f"P{number}",
            "Event Type": kind,
            "Customer ID": who,
            "Transaction Status": "Complete",
        }

    sold = write(
        tmp_path / "transactions.csv",
        HEADER["SQUARE"],
        row(1, "$1,126.00", "Payment", "CA"),
        row(2, "$40.00", "Payment", "CB"),
        row(3, "($40.00)", "Refund", "CB"),
    )
    items = write(
        tmp_path / "items.csv",
        HEADER["SQUARE_ITEMS"],
        {
            "Date": "10/13/2024",
            "Time": "2:30:00 PM",
            "Category": "Nails",
            "Item": "Gel",
            "Qty": "2.0",
            "Price Point Name": "Regular",
            "Product Sales": "$1,126.00",
            "Gross Sales": "$1,127.00",
            "Transaction ID": "T1",
            "Payment ID": "P1",
            "Event Type": "Payment",
        },
    )
    load(db, "square", sold, items)
    assert sales(db) == (2, 2, 1166.0, 0)
    assert rows(db, "select min(ordered_at)::varchar from raw.orders") == [("2024-10-13 14:30:00",)]
    assert rows(db, "select customer_id, refund_amount from raw.returns") == [("CB", 40)]
    assert rows(db, "select product_id, quantity, unit_price from raw.order_items") == [
        ("Gel, Regular", 2, 563)
    ]


def olist(folder: Path) -> Path:
    """Three orders of two people, one cancelled; the first was paid in two payments."""
    folder.mkdir()
    write(
        folder / "olist_orders_dataset.csv",
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
        "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date",
        *(
            {
                "order_id": f"o{n}",
                "customer_id": f"c{n}",
                "order_status": status,
                "order_purchase_timestamp": f"2017-0{n}-02 10:56:33",
            }
            for n, status in enumerate(("delivered", "shipped", "canceled"), 1)
        ),
    )
    write(
        folder / "olist_customers_dataset.csv",
        "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state",
        {"customer_id": "c1", "customer_unique_id": "ana"},
        {"customer_id": "c2", "customer_unique_id": "ana"},
        {"customer_id": "c3", "customer_unique_id": "rui"},
    )
    write(
        folder / "olist_order_payments_dataset.csv",
        "order_id,payment_sequential,payment_type,payment_installments,payment_value",
        {"order_id": "o1", "payment_sequential": 1, "payment_value": "18.12"},
        {"order_id": "o1", "payment_sequential": 2, "payment_value": "2.00"},
        {"order_id": "o2", "payment_sequential": 1, "payment_value": "141.46"},
        {"order_id": "o3", "payment_sequential": 1, "payment_value": "50.00"},
    )
    write(
        folder / "olist_order_items_dataset.csv",
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
        {
            "order_id": "o1",
            "order_item_id": 1,
            "product_id": "p1",
            "price": "12.00",
            "freight_value": "8.12",
        },
        {
            "order_id": "o2",
            "order_item_id": 1,
            "product_id": "p1",
            "price": "140.00",
            "freight_value": "1.46",
        },
    )
    write(
        folder / "olist_order_reviews_dataset.csv",
        "review_id,order_id,review_score,review_comment_title,review_comment_message,review_creation_date,"
        "review_answer_timestamp",
        {
            "review_id": "r1",
            "order_id": "o1",
            "review_score": 5,
            "review_comment_message": "Ótimo, chegou cedo",
            "review_creation_date": "2017-02-01 00:00:00",
            "review_answer_timestamp": "2017-02-02 11:00:00",
        },
    )
    write(
        folder / "olist_products_dataset.csv",
        "product_id,product_category_name,product_name_lenght,product_description_lenght,product_photos_qty,"
        "product_weight_g,product_length_cm,product_height_cm,product_width_cm",
        {"product_id": "p1", "product_category_name": "beleza_saude"},
    )
    write(
        folder / "product_category_name_translation.csv",
        "product_category_name,product_category_name_english",
        {"product_category_name": "beleza_saude", "product_category_name_english": "health_beauty"},
    )
    (folder / "README.md").write_text("notes")
    return folder


def test_olist_counts_people_and_payments(db: Path, tmp_path: Path) -> None:
    said = load(db, "olist", olist(tmp_path / "olist"))
    assert sales(db) == (2, 1, 161.58, 1)
    assert rows(db, "select product_id, category from raw.products") == [("p1", "health_beauty")]
    assert rows(db, "select customer_id, rating, reviewed_at::varchar, body from raw.reviews") == [
        ("ana", 5, "2017-02-02 11:00:00", "Ótimo, chegou cedo")
    ]
    assert "README.md" in said


def test_olist_s_orders_alone_are_no_customers(db: Path, tmp_path: Path) -> None:
    orders = olist(tmp_path / "olist") / "olist_orders_dataset.csv"
    with pytest.raises(UsageError, match="only together with customers and payments and items"):
        load(db, "olist", orders)
    with pytest.raises(UsageError, match="cva load olist FOLDER"):
        load(db, "orders", orders)


def fivetran(path: Path, schemas: Sequence[str] = ("shopify",)) -> Path:
    with duckdb.connect(str(path)) as con:
        for schema in schemas:
            con.execute(f"create schema {schema}")
            con.execute(f"use {schema}")
            con.execute(
                'create table "order" as select * from (values'
                " (1001, 1, 'a@x', 120.00, 'paid', null::timestamptz, false, false),"
                " (1002, 2, 'b@x', 20.00, 'paid', timestamptz '2024-01-04 10:00:00+00', false,"
                " false),"
                " (1003, 1, 'a@x', 30.00, 'partially_refunded', null, false, false),"
                " (1004, 3, 'own@x', 99.00, 'paid', null, true, false),"
                " (1005, 3, 'own@x', 99.00, 'paid', null, false, true))"
                " as t(id, customer_id, email, total_price, financial_status, cancelled_at, test,"
                " _fivetran_deleted)"
            )
            con.execute(
                "create or replace table \"order\" as select *, 'USD' as currency,"
                " timestamptz '2024-01-03 10:00:00+00' as created_at,"
                " timestamptz '2024-01-03 10:00:00+00' as processed_at,"
                " timestamptz '2024-01-05 10:00:00+00' as updated_at, true as confirmed,"
                ' 5.0 as total_tax from "order"'
            )
            con.execute('create table order_backup as from "order"')
            con.execute(
                "create table order_line as select 7 as id, 1001 as order_id, 55 as product_id,"
                " 66 as variant_id, 2 as quantity, 'SKU' as sku, 'Mug' as title, 60.00 as price"
            )
            con.execute(
                "create table transaction as select 9 as id, 1003 as order_id, 4 as refund_id,"
                " 'refund' as kind, 'visa' as gateway, 'success' as status, 10.00 as amount,"
                " timestamptz '2024-02-01 10:00:00+00' as created_at, false as test"
            )
    return path


@pytest.mark.parametrize("is_own", [True, False])
def test_fivetran_s_schema_in_the_database_or_in_a_file(
    db: Path, tmp_path: Path, is_own: bool
) -> None:
    source = fivetran(db if is_own else tmp_path / "warehouse.duckdb")
    said = load(db, "fivetran-shopify", *([] if is_own else [source]))
    assert sales(db) == (2, 1, 150.0, 1)
    assert "left out as trials: 2 orders" in said
    assert rows(
        db, "select status_changed_at::varchar from raw.orders where status = 'cancelled'"
    ) == [("2024-01-04 10:00:00",)]
    assert rows(db, "select order_id, refund_amount from raw.returns") == [("1003", 10)]
    assert rows(db, "select product_id, quantity, unit_price from raw.order_items") == [
        ("55", 2, 60)
    ]


def test_two_schemas_with_the_same_tables_are_asked(db: Path) -> None:
    fivetran(db, ["shop_de", "shop_us"])
    with pytest.raises(UsageError, match="--source-schema shop_de"):
        load(db, "fivetran-shopify")
    load(db, "fivetran-shopify", "--source-schema", "shop_us")
    assert sales(db) == (2, 1, 150.0, 1)


def test_taobao(db: Path, tmp_path: Path) -> None:
    def order(number: str, who: str, paid: str, status: str, back: str = "0.00") -> dict[str, Any]:
        return {
            "订单编号": f'="{number}"',
            "买家会员名": who,
            "总金额": paid,
            "买家应付邮费": "0.00",
            "买家实际支付金额": paid,
            "订单状态": status,
            "订单创建时间": "2018-09-01 12:00:00",
            "宝贝总数量": 1,
            "退款金额": back,
        }

    file = write(
        tmp_path / "ExportOrderList.csv",
        HEADER["TAOBAO"],
        order("235153131473293579", "tb1", "201.12", "交易成功"),
        order("235153131473293580", "tb1", "30.00", "卖家已发货，等待买家确认", "5.00"),
        order("235153131473293581", "tb2", "50.00", "交易关闭"),
        order("235153131473293582", "tb3", "60.00", "等待买家付款"),
    )
    load(db, "taobao", file)
    assert sales(db) == (2, 1, 231.12, 2)
    assert rows(db, "select min(order_id), sum(refunded_amount) from raw.orders") == [
        ("235153131473293579", 5)
    ]


def test_jd_counts_an_order_on_several_rows_once(db: Path, tmp_path: Path) -> None:
    def line(order: str, item: str, total: str, status: str = "完成") -> dict[str, Any]:
        return {
            "订单号": order,
            "商品ID": item,
            "商品名称": f"商品{item}",
            "订购数量": 1,
            "下单时间": "2015-12-31 23:20:30",
            "京东价": "30.00",
            "订单金额": total,
            "结算金额": total,
            "订单状态": status,
            "下单帐号": "jd_1",
        }

    lines = [
        line("1", "a", "60.00"),
        line("1", "b", "60.00"),
        line("2", "a", "30.00"),
        line("3", "a", "30.00", "(删除)等待出库"),
    ]
    load(db, "jd", write(tmp_path / "jd.csv", HEADER["JD"], *lines))
    assert sales(db) == (2, 1, 90.0, 1)
    assert rows(db, "select count(*), sum(quantity) from raw.order_items") == [(4, 4)]


def test_youzan(db: Path, tmp_path: Path) -> None:
    def order(number: str, phone: str, paid: str, status: str) -> dict[str, Any]:
        return {
            "订单号": number,
            "订单状态": status,
            "买家付款时间": "2025-08-01 10:00:00",
            "收货人手机号/提货人手机号": phone,
            "全部商品名称": "山参精华",
            "订单实付金额": paid,
        }

    file = write(
        tmp_path / "youzan.csv",
        HEADER["YOUZAN"],
        order("E1", "13900000001", "539.10", "已发货"),
        order("E2", "13900000001", "99.00", "已完成"),
        order("E3", "13900000002", "99.00", "已关闭"),
    )
    load(db, file)
    assert sales(db) == (2, 1, 638.1, 1)


HEADERS = {
    "shopify": (HEADER["SHOPIFY"],),
    "woocommerce": (HEADER["WOO"], HEADER["WOO_LINES"], HEADER["WOO_ADVANCED"]),
    "amazon": (HEADER["AMAZON"], HEADER["AMAZON_SHIPMENTS"], HEADER["AMAZON_ALL"]),
    "etsy": (HEADER["ETSY"], HEADER["ETSY_ITEMS"]),
    "stripe": (HEADER["STRIPE"], HEADER["STRIPE_BEFORE"]),
    "square": (HEADER["SQUARE"], HEADER["SQUARE_ITEMS"]),
    "taobao": (HEADER["TAOBAO"],),
    "jd": (HEADER["JD"],),
    "youzan": (HEADER["YOUZAN"],),
}


@pytest.mark.parametrize("vendor", HEADERS)
def test_a_header_tells_one_vendor(vendor: str) -> None:
    for header in HEADERS[vendor]:
        assert [preset.name for preset, _ in recognise(header.split(","))] == [vendor], header


@pytest.mark.parametrize("vendor", presets())
def test_a_preset_says_what_its_page_lists(vendor: str) -> None:
    preset = presets()[vendor]
    assert preset.title
    assert preset.export
    assert preset.times
    filled = {part.table for part in preset.parts}
    assert filled == {"events"} or (preset.amount and "orders" in filled)
    source = (Path(__file__).parents[2] / "cli" / "presets" / f"{vendor}.yml").read_text()
    assert source.startswith("# The ")  # where the header is quoted


OWN = """
title: Our till
layouts:
  till:
    tells: [Bon, Karte, Zeit, Summe]
    optional: [Storno]
tables:
  - table: orders
    cancelled: Storno = 'x'
    columns: {order_id: Bon, customer_id: Karte, ordered_at: Zeit, amount: Summe}
"""


def test_a_preset_of_one_s_own(db: Path, tmp_path: Path) -> None:
    (tmp_path / "till.yml").write_text(OWN)
    lines = [
        {"Bon": 1, "Karte": "a", "Zeit": "31.12.2023 10:00", "Summe": "1.041,20"},
        {"Bon": 2, "Karte": "b", "Zeit": "15.01.2024 10:00", "Summe": "20,00", "Storno": "x"},
    ]
    load(
        db,
        tmp_path / "till.yml",
        write(tmp_path / "till.csv", "Bon,Karte,Zeit,Summe,Storno", *lines),
    )
    assert sales(db) == (1, 1, 1041.2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("customer_id: Karte", "customer: Karte"), "orders has no column customer; expected"),
        (("title: Our till", "titel: Our till"), "titel is no key; expected|title is missing"),
        (("table: orders", "table: order"), "order is no table; expected orders"),
        (("Storno = 'x'", "Storno = 'x'; drop table x"), "is not one expression"),
        (("tells: [Bon", "tells: [Beleg"), "has no column Beleg"),
        (("Summe}", "Betrag}"), "which the export has not"),
        (("title: Our till", "title: [Our"), "cannot be read"),
    ],
)
def test_a_preset_that_is_wrong_says_where(
    db: Path, tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    (tmp_path / "till.yml").write_text(OWN.replace(*change))
    file = write(tmp_path / "till.csv", "Bon,Karte,Zeit,Summe", {"Bon": 1, "Karte": "a"})
    with pytest.raises(UsageError, match=message):
        load(db, tmp_path / "till.yml", file)
    assert not db.exists()


def test_a_name_that_is_none_lists_tables_and_presets(db: Path) -> None:
    with pytest.raises(UsageError, match=r"not a table, a preset or a file.*orders.*shopify"):
        load(db, "shopfy")


def test_a_file_of_no_known_export_names_the_ways(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "sales.csv", "a,b", {"a": 1})
    with pytest.raises(UsageError, match="header of no known export; name the table"):
        load(db, file)
    with pytest.raises(UsageError, match="no column Name and Email"):
        load(db, "shopify", file)


def test_a_file_with_the_table_s_own_columns_is_no_export(db: Path, tmp_path: Path) -> None:
    header = (
        "order_id,order_number,status,order_total,shipping_total,discount_total,customer_id,"
        "ordered_at,amount"
    )
    line = {
        "order_id": 1,
        "customer_id": "a",
        "ordered_at": "2024-01-02",
        "amount": "5",
        "order_total": "6",
    }
    assert "recognised" not in load(db, "orders", write(tmp_path / "o.csv", header, line))
    assert rows(db, "select amount from raw.orders") == [(5,)]


def test_an_option_goes_before_the_preset(db: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "orders_export.csv", HEADER["SHOPIFY"], *shopify_lines())
    load(
        db, "shopify", file, "--column", 'amount="Total" - "Taxes"', "--where", "\"Source\" = 'web'"
    )
    assert sales(db) == (3, 2, 1151.0, 1)


def test_exports_of_two_years_are_one(db: Path, tmp_path: Path) -> None:
    lines = shopify_lines()
    short = HEADER["SHOPIFY"].replace(",Duties", "").replace(",Refunded Amount", "")
    one = write(tmp_path / "1.csv", HEADER["SHOPIFY"], *lines[:4])
    two = write(
        tmp_path / "2.csv",
        short,
        *({k: v for k, v in x.items() if k != "Refunded Amount"} for x in lines[4:]),
    )
    load(db, "shopify", one, two)
    assert sales(db) == (3, 2, 1181.0, 1)


def test_a_preset_is_read_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "till.yml").write_text(OWN)
    assert read_preset(tmp_path / "till.yml").name == "till"
