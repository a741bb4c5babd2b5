"""Loads files into a new shop, shows what they hold, and goes on to the report."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.cli.load.by_preset import (
    Filled,
    find_preset,
    prepare_export,
    said_recognised,
    write_all,
)
from cva_sql.cli.load.checks import check
from cva_sql.cli.load.connection import connected, transaction
from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.load.inputs import Input, read_inputs
from cva_sql.cli.load.report import LoadReport
from cva_sql.cli.load.rows import first_row
from cva_sql.cli.load.table import Into, Wanted
from cva_sql.cli.presets.preset import Preset
from cva_sql.cli.presets.recognition import plain_name, recognise
from cva_sql.cli.shop.connection import connect, find_relation
from cva_sql.cli.shop.files import size_of
from cva_sql.cli.shop.history import recorded_in
from cva_sql.cli.shop.package import raw_tables, status_meaning
from cva_sql.cli.shop.progress import count_of
from cva_sql.cli.shop.shop import CURRENT
from cva_sql.cli.shop.sql_text import column_names
from cva_sql.cli.start.tables import prepare_tables
from cva_sql.udfs.errors import CvaError, UsageError
from cva_sql.udfs.places import PUBLISHED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DATABASE = "shop.duckdb"
REPORT = "report.html"


@dataclass(frozen=True)
class Loaded:
    """What the files hold: their total in a line, all that was decided, a report per table.

    `again` is what `cva load` is told to bring in the next export.
    """

    total: str
    said: tuple[str, ...]
    tables: tuple[LoadReport, ...]
    again: str

    def as_text(self) -> str:
        """For the terminal, the total first."""
        return "\n".join([self.total, *self.said, *(table.as_text() for table in self.tables)])


def refuse_shop(folder: Path) -> None:
    """Raises UsageError where the folder holds something: its shop, and how to go on with it."""
    other = "start another one with: --folder NAME"
    db = folder / DATABASE
    name = shlex.quote(str(db))
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not db.is_file():
        raise UsageError(f"{folder} is there, and is no shop; {other}")
    orders = _count_orders(db)
    if orders is None:
        then = f"cva load orders FILE --db {name}"
        raise UsageError(
            f"{folder} is there, with a shop without orders; go on: {then}; or {other}"
        )
    with_orders = f"{folder} is there, with a shop of {count_of(orders, 'order')}"
    if not (folder / PUBLISHED / CURRENT).exists():
        then = f"cva train --db {name} && cva run --db {name}"
        raise UsageError(f"{with_orders} that was not run; go on: {then}; or {other}")
    then = f"cva load orders FILE --append --db {name}"
    raise UsageError(f"{with_orders}; newer ones go into it: {then}; or {other}")


def _count_orders(db: Path) -> int | None:
    con = connect(db, read_only=True)
    try:
        relation = find_relation(con, "raw", "orders")
        return int(first_row(con, f"select count(*) from {relation}")[0]) if relation else None
    finally:
        con.close()


def load_start(
    paths: Sequence[Path],
    folder: Path,
    wanted: Wanted,
    options: ReadOptions,
    timezone: str,
    accept: Callable[[Loaded], None],
) -> Loaded:
    """What the files hold, in a new database in the folder.

    `accept` is shown it before anything is kept; an error that it raises leaves nothing behind.
    """
    preset, paths = _named_preset(paths)
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} is no file and no folder; expected an export of orders")
    check("orders", wanted, Into())
    into, made = Into(timezone=timezone), not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CvaError(
            f"{folder} cannot be made: {error.strerror}; name another: --folder"
        ) from None
    try:
        with (
            connected(folder / DATABASE, timezone, size_of(paths)) as con,
            recorded_in(con, "start") as entry,
        ):
            inputs = read_inputs(con, paths, options)
            preset = preset or _recognised(inputs)
            filled, taken = _prepare(con, preset, inputs, wanted, into)
            with transaction(con):
                reports = write_all(con, filled.ready, into)
                again = say_again(preset, taken, reports[0], options, timezone)
                loaded = Loaded(say_total(con), filled.said, reports, again)
                accept(loaded)
            entry.rows = sum(report.loaded.rows for report in reports)
        return loaded
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _named_preset(paths: Sequence[Path]) -> tuple[Preset | None, Sequence[Path]]:
    """The preset that the first word names, as in `cva load`; and the files."""
    first = str(paths[0])
    is_name = len(paths) > 1 and (paths[0].suffix or not paths[0].exists())
    preset = find_preset(first) if is_name else None
    return preset, paths[1:] if preset else paths


def _recognised(inputs: Sequence[Input]) -> Preset | None:
    """The vendor whose headers the files have; None where they are of none, or cva's own."""
    vendors: dict[str, Preset] = {}
    for one in inputs:
        header = {plain_name(name) for name in one.header}
        if not any(header.issuperset(line.required) for line in raw_tables().values()):
            vendors |= {preset.name: preset for preset, _ in recognise(one.header)}
    if len(vendors) > 1:
        raise UsageError(
            f"{inputs[0].name} may be of {' or '.join(vendors)}; name it: cva start"
            f" {next(iter(vendors))} {inputs[0].name}"
        )
    return next(iter(vendors.values()), None)


def _prepare(
    con: DuckDBPyConnection,
    preset: Preset | None,
    inputs: Sequence[Input],
    wanted: Wanted,
    into: Into,
) -> tuple[Filled, Wanted]:
    """The tables that are ready to be written, orders first, and what was taken as orders."""
    if preset is None:
        tables = [one for one in inputs if one.relation and not one.relation.startswith("temp.")]
        if tables:
            raise UsageError(
                f"{tables[0].name} and the other tables are of a database, and of no known vendor;"
                " have them looked at in place: cva init DIR --scan DATABASE"
            )
        return prepare_tables(con, inputs, wanted, into)
    if wanted.lines:
        raise UsageError(f"--lines: {preset.name} says itself how its rows are read; leave it out")
    filled = prepare_export(con, preset, inputs, wanted, into)
    if not any(one.report.table == "orders" for one in filled.ready):
        raise UsageError(f"{inputs[0].name} is of {preset.title} and has no orders; add their file")
    return Filled((said_recognised(preset), *filled.said), filled.ready), wanted


def say_again(
    preset: Preset | None, taken: Wanted, orders: LoadReport, options: ReadOptions, timezone: str
) -> str:
    """What to tell `cva load`, so that the next export is read as this one was."""
    lines = orders.lines if preset is None else None
    per = taken.amount_per or ("order" if lines and lines.amount_per == "order" else None)
    given = [
        *(("--column", f"{name}={text}") for name, text in taken.columns.items()),
        ("--where", taken.where),
        ("--amount-per", per),
        ("--encoding", options.encoding),
        ("--delimiter", options.delimiter),
        ("--sheet", options.sheet),
        ("--timezone", timezone if timezone != "UTC" else None),
        ("--decimal", taken.asked.decimal),
        ("--dates", taken.asked.dates),
        *(("--status-counts", word) for word in taken.status_counts),
        *(("--status-cancelled", word) for word in taken.status_cancelled),
    ]
    words = [preset.name if preset else "orders", "FILE"]
    words += [word for name, value in given if value is not None for word in (name, value)]
    return shlex.join([*words, *(["--lines"] if lines and not per else [])])


def say_total(con: DuckDBPyConnection) -> str:
    """Orders that count, their customers, days and money, of each currency by itself."""
    names = column_names(con, "from raw.orders")
    is_sale = "amount > 0"
    if "status" in names:
        is_sale += f" and {status_meaning('status')} is distinct from 'cancelled'"
    orders, customers, first, last = first_row(
        con,
        "select count(*), count(distinct customer_id), min(ordered_at)::date,"
        f" max(ordered_at)::date from raw.orders where {is_sale}",
    )
    currency = "coalesce(upper(currency), '')" if "currency" in names else "''"
    money = con.execute(
        f"select {currency}, sum(amount) as spend from raw.orders where {is_sale}"
        " group by 1 order by 2 desc, 1"
    ).fetchall()
    if not orders:
        raise CvaError("no order is a sale: each is cancelled or has no amount above 0")
    days = f"{count_of((last - first).days + 1, 'day')}, {first} .. {last}" if first else "no date"
    spent = ", ".join(f"{spend:,.2f} {name}".strip() for name, spend in money)
    return f"{count_of(orders, 'order')} of {count_of(customers, 'customer')} in {days}: {spent}"


def open_page(page: Path) -> bool:
    """Opens the page in the browser; False where there is no display, or no browser."""
    is_linux = sys.platform.startswith("linux")
    if is_linux and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    import webbrowser

    try:
        return webbrowser.open(page.resolve().as_uri())
    except (webbrowser.Error, OSError):
        return False
