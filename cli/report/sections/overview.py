"""The top of the page and its first section: which shop, which date, what is expected in all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from cva_sql.cli.report.page import Head, Section, Tile, Tiles, missing
from cva_sql.cli.report.source import NO_CURRENCY, VALUE, Source
from cva_sql.cli.report.wording import amount, counted, percent, plain

NAME, TITLE = "overview", "In short"
TOP_SHARE = 0.1
STATUSES = {  # score_status -> in words, in the order they are shown
    "ok": "scored by the model",
    "few_data": "scored by a model that too few data could judge",
    "untrained": "scored by the packaged rule",
    "other_currency": "paying in a currency without a rate",
    "cold_start": "without an order yet",
    "not_eligible": "not eligible",
}


@dataclass(frozen=True)
class Overview:
    """The shop in figures; money in its currency, `top_share` is None where all predictions are 0.

    `horizon_days` and `model_version` are 0 and '' without a customer.
    """

    customers: int
    statuses: dict[str, int]
    horizon_days: int
    model_version: str
    predicted: float
    buyers: float
    historic: float
    past_buyers: int
    top_customers: int
    top_share: float | None

    @property
    def is_untrained(self) -> bool:
        """Whether the packaged rule scored all customers that have a score."""
        scored = {s for s in self.statuses if s != "not_eligible"}
        return bool(scored) and scored == {"untrained"}


def read_overview(source: Source) -> Overview:
    """The figures of all customers of the newest date."""
    # Sums of decimals: the same in whatever order the rows come.
    found = source.rows(
        "select count(*), coalesce(max(horizon_days), 0), coalesce(min(model_version), ''), "
        "coalesce(sum(predicted_value::decimal(38, 6)), 0)::double, "
        "coalesce(sum(purchase_probability::decimal(38, 9)), 0)::double, "
        "coalesce(sum(historic_value::decimal(38, 6)), 0)::double, "
        f"count(*) filter (historic_value > 0) from {VALUE}"
    )[0]
    customers = int(found[0])
    statuses: dict[str, int] = dict(
        source.rows(f"select score_status, count(*) from {VALUE} group by 1")
    )
    top = -(-customers // round(1 / TOP_SHARE))  # rounded up: of 5 customers it is one
    best = source.rows(
        "select coalesce(sum(predicted_value::decimal(38, 6)), 0)::double from (select "
        f"predicted_value from {VALUE} order by predicted_value desc, customer_id limit {top})"
    )[0][0]
    predicted = float(found[3])
    return Overview(
        customers,
        {s: statuses[s] for s in sorted(statuses, key=_place)},
        int(found[1]),
        str(found[2]),
        predicted,
        float(found[4]),
        float(found[5]),
        int(found[6]),
        top,
        best / predicted if predicted > 0 else None,
    )


def _place(status: str) -> tuple[int, str]:
    known = list(STATUSES)
    return (known.index(status) if status in known else len(known), status)


def head(source: Source, overview: Overview) -> Head:
    """The top of the page; it says so where another model would score by now."""
    name = plain(source.shop.db.name, 80)
    if source.as_of is None:
        return Head(name)
    notice, version = "", plain(overview.model_version)
    if source.deployed and version and source.deployed.version != overview.model_version:
        notice = (
            f"Another model is deployed by now ({plain(source.deployed.version)}); "
            f"score with it: {source.command('run')}"
        )
    days = overview.horizon_days
    unit = "the shop's currency" if source.unit == NO_CURRENCY else source.unit
    end = str(_end(source.as_of, days))
    return Head(name, str(source.as_of), counted(days, "day"), end, version, unit, notice)


def _end(start: date, days: int) -> date:
    return start + timedelta(days=max(days, 1) - 1)


def overview_section(source: Source, overview: Overview) -> Section:
    """The section: what is expected of the shop in all, in a row of tiles."""
    if not overview.customers or source.as_of is None:
        what = f"The shop has no customer yet. Load orders, then: {source.command('run')}"
        return missing(NAME, TITLE, what)
    end = _end(source.as_of, overview.horizon_days)
    verb = "is" if overview.customers == 1 else "are"
    sentence = (
        f"{counted(overview.customers, 'customer')} {verb} expected "
        f"{source.words.to_bring.format(amount(overview.predicted))} from {source.as_of} to {end}. "
    )
    if overview.customers == 1:
        sentence += f"The purchase probability is {percent(overview.buyers)}."
    else:
        sentence += f"About {amount(overview.buyers)} of them will buy."
    if overview.top_share is not None and overview.customers > 1:
        best = overview.top_customers
        whose = f"best {best:,} bring" if best > 1 else "best one brings"
        sentence += f" The {whose} {percent(overview.top_share)} of the value."
    return Section(NAME, TITLE, sentence, (_tiles(overview),))


def _tiles(overview: Overview) -> Tiles:
    customers, best = overview.customers, counted(overview.top_customers, "customer")
    statuses = tuple(
        f"{count:,} {STATUSES.get(status, plain(status))}"
        for status, count in overview.statuses.items()
    )
    days = counted(overview.horizon_days, "day")
    mean = f"{amount(overview.predicted / customers)} a customer on average"
    buyers = f"{percent(overview.buyers / customers)} of all customers"
    past = f"by {counted(overview.past_buyers, 'customer')}"
    top = f"share of the top {percent(TOP_SHARE)}"
    return Tiles(
        (
            Tile("customers" if customers != 1 else "customer", f"{customers:,}", statuses),
            Tile(f"predicted value, {days}", amount(overview.predicted), (mean,)),
            Tile("expected buyers", amount(overview.buyers), (buyers,)),
            Tile("spent so far", amount(overview.historic), (past,)),
            Tile(top, percent(overview.top_share), (f"of predicted value: the best {best}",)),
        )
    )
