"""What words of orders.status mean: sales, none, to be asked, or said as not known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.table import load_table
from cva_sql.cli.shop.package import macro_value, status_meaning
from cva_sql.udfs.errors import UsageError

WORDS: dict[str, list[str]] = macro_value("order_statuses.sql", "status_words")
Load = Callable[..., LoadReport]


def meanings(
    statuses: Sequence[str | None], counts: Sequence[str] = (), cancelled: Sequence[str] = ()
) -> dict[str | None, str]:
    with duckdb.connect(":memory:") as con:
        meaning = status_meaning("status", counts, cancelled)
        return dict(
            con.execute(
                f"select status, {meaning} from (select unnest(?::varchar[]) as status)",
                [list(statuses)],
            ).fetchall()
        )


@pytest.mark.parametrize(
    ("meaning", "statuses"),
    [
        (
            "counts",
            "paid|Shipped|PARTIALLY_SHIPPED|in-transit|wc-completed|Bezahlt|livrée|Pagado|Spedito|"
            "Concluído|Verzonden|Zrealizowane|tamamlandı|Доставлен|交易成功|已发货|発送済み|배송완료|"
            "  |",
        ),
        (
            "cancelled",
            "cancelled|Canceled| VOID |wc-cancelled|Storniert|annulée|Cancelado|annullato|"
            "geannuleerd|anulowane|iptal edildi|Отменён|交易关闭|已取消|キャンセル|취소",
        ),
        (
            "asked",
            "pending|Unpaid|on-hold|on_hold|checkout-draft|awaiting bank wire payment|wc-on-hold|"
            "Wartet auf Zahlung|unbezahlt|En attente de paiement|Pendiente de pago|in attesa|"
            "aguardando pagamento|onbetaald|Oczekuje na płatność|ödeme bekleniyor|Ожидает оплаты|"
            "等待买家付款|待付款|未入金|결제대기|cancelled by customer|refused|交易关闭（退款）",
        ),
        ("counts", "refunded|partially_refunded|Returned|部分退款"),
        ("unknown", "3|weird|completed 🎉|half"),
    ],
)
def test_words_of_many_languages_are_known(meaning: str, statuses: str) -> None:
    found = meanings(statuses.split("|"))
    assert found == dict.fromkeys(found, meaning)
    assert meanings([None]) == {None: "counts"}


def test_a_word_is_in_one_list_and_written_as_it_is_looked_up() -> None:
    words = [word for listed in WORDS.values() for word in listed]
    assert len(set(words)) == len(words)
    assert [w for w in words if w != w.strip().lower() or "_" in w or "-" in w or "'" in w] == []
    for meaning, listed in WORDS.items():
        said = "counts" if "refunded" in meaning else meaning
        assert meanings(listed) == dict.fromkeys(listed, said)


def test_words_of_the_shop_come_before_the_lists() -> None:
    said = meanings(
        ["Failed", "shipped", "on_hold", "it's odd"],
        counts=["failed", "On-Hold"],
        cancelled=["Shipped", "it's odd"],
    )
    assert meanings(["Half-way_there now"], cancelled=["half-way_there now"]) == {
        "Half-way_there now": "cancelled"
    }
    assert list(said.values()) == ["counts", "cancelled", "counts", "cancelled"]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads orders of these statuses, each of 10, into a new database."""

    def call(statuses: list[str], **options: Any) -> LoadReport:
        file = tmp_path / "orders.csv"
        lines = [f"{n},c{n % 3},2024-01-0{n + 1},10,{s}" for n, s in enumerate(statuses)]
        file.write_text("order_id,customer_id,ordered_at,amount,status\n" + "\n".join(lines) + "\n")
        return load_table("orders", [file], db=tmp_path / "shop.duckdb", **options)

    return call


def stored(folder: Path) -> list[str | None]:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as con:
        found = con.execute("select status from raw.orders order by order_id").fetchall()
    return [row[0] for row in found]


def test_what_may_not_be_paid_is_asked_and_nothing_is_loaded(load: Load, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        load(["paid", "on-hold", "等待买家付款", "on-hold"])
    assert str(error.value) == (
        "orders of status 'on-hold' (2 orders, 20.00), '等待买家付款' (1 order, 10.00) may not be"
        " paid: do they count? --status-cancelled on-hold --status-cancelled '等待买家付款', or"
        " --status-counts for each"
    )
    assert not (tmp_path / "shop.duckdb").exists()


def test_an_answer_is_stored_so_that_nobody_asks_again(load: Load, tmp_path: Path) -> None:
    report = load(
        ["paid", "On-Hold", "pending", "", "交易关闭"],
        status_counts=["on_hold"],
        status_cancelled=["pending"],
    )
    assert report.statuses == (
        "stored as paid, by --status-counts: 'On-Hold' (1 order, 10.00)",
        "stored as cancelled, by --status-cancelled: 'pending' (1 order, 10.00)",
    )
    assert stored(tmp_path) == ["paid", "paid", "cancelled", None, "交易关闭"]
    again = load(["pending"], append=True, status_counts=["pending"])
    assert "stored as paid, by --status-counts: 'pending' (1 order, 10.00)" in again.as_text()


def test_what_no_list_knows_is_said_and_counts(load: Load, tmp_path: Path) -> None:
    report = load(["odd", "paid", "weird", "odd", "a b", "c", "d", "e"])
    (line,) = report.statuses
    assert line in report.as_text().splitlines()
    assert line.startswith("status not known, so it counts: 'odd' (2 orders, 20.00), 'a b' (1")
    assert line.endswith(" and 1 more; if one does not, --status-cancelled odd")
    assert stored(tmp_path)[0] == "odd"


def test_lines_are_said_as_lines(load: Load) -> None:
    with pytest.raises(UsageError, match=r"^lines of status 'unpaid' \(1 line, 10\.00\)"):
        load(["unpaid", "paid"], lines=True)


def test_options_that_cannot_be_taken(load: Load, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'on hold' is in --status-counts and in"):
        load(["paid"], status_counts=["on-hold"], status_cancelled=["On hold"])
    file = tmp_path / "plain.csv"
    file.write_text("order_id,customer_id,ordered_at,amount\n1,a,2024-01-01,5\n")
    with pytest.raises(UsageError, match="--status-counts needs orders with a status; map it"):
        load_table("orders", [file], db=tmp_path / "shop.duckdb", status_counts=["pending"])
